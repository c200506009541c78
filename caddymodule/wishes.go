package caddymodule

import (
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// wish notes a header that says something about being measured, and reports
// whether it was one.
func (c *capture) wish(name, value string) bool {
	switch name {
	case "Dnt":
		c.wishes.DNT = value == "1"
	case "Sec-Gpc":
		c.wishes.GPC = value == "1"
	case "Cookie":
		c.wishes.OptOut = c.wishes.OptOut || optedOut(value)
	default:
		return false
	}
	return true
}

// optedOut finds the opt-out among the cookies. No other cookie is looked at.
func optedOut(cookies string) bool {
	const want = shared.OptOutCookie + "=1"
	for {
		_, rest, found := strings.Cut(cookies, want)
		if !found {
			return false
		}
		before := cookies[:len(cookies)-len(rest)-len(want)]
		if (before == "" || strings.HasSuffix(before, ";") || strings.HasSuffix(before, " ")) &&
			(rest == "" || rest[0] == ';' || rest[0] == ' ') {
			return true
		}
		cookies = rest
	}
}

// decline decides whether the request may be recorded, should it turn out to
// be something to record, and whether with an identity.
func (c *capture) decline(h *Handler) {
	site := c.site.known(h.rt.known.Load())
	c.privacy = h.privacy
	c.declined = site.Declines(h.privacy, c.wishes)
	c.anonymous = c.declined != "" || site.WithoutIdentity(h.privacy, c.wishes)
}

// permitted is the result of a request, if it may be recorded or need not, and
// else why it may not.
func (c *capture) permitted(result shared.Result) shared.Result {
	if c.declined != "" && result.Recorded() {
		return c.declined
	}
	return result
}

// tell adds to an observation of the request what it asks for, and what a
// trusted proxy says of its place.
func (c *capture) tell(o *shared.Observation) {
	o.Wishes, o.Privacy = c.wishes, c.privacy
	if trustedPeer(c.vars) {
		c.where.Tell(o)
	}
}
