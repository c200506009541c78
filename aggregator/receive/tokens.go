package receive

import (
	"net/http"
	"slices"
	"strings"
)

// Tokens knows the edge tokens.
type Tokens interface {
	// Authorize returns what the bearer of a token may do. Its time must not
	// depend on how much of a wrong token is right.
	Authorize(token string) (Permission, bool)
}

// Permission is what one edge token allows.
type Permission struct {
	Name string // of the token, for people
	// Edge is the name of the edge that the token is bound to: an edge that
	// spoke with it is that one's from then on. "" = bound to none, for all.
	Edge  string
	Sites []string // site ids; nil = every site
}

// Allows reports whether events of a site may be sent.
func (p *Permission) Allows(siteID string) bool {
	return p.Sites == nil || slices.Contains(p.Sites, siteID)
}

// bearer returns the token of a request; "" if there is none.
func bearer(req *http.Request) string {
	scheme, token, ok := strings.Cut(req.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
