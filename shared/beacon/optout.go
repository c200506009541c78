package beacon

import (
	"net/http"

	"github.com/eider-analytics/eider/shared"
)

// optOutAge is how long an opt-out holds, in seconds: thirteen months, after
// which a person would be asked again, too.
const optOutAge = 396 * 24 * 3600

// optOut is for the button of a page on which a visitor asks not to be
// recorded. It sets the one cookie that we ever set: requests with it are
// counted as refused for privacy, and nothing else is kept of them. Nothing
// identifies whoever asked, as the cookie is the same for all.
func (q *request) optOut() { q.setOptOut("1", optOutAge) }

// optIn takes it back.
func (q *request) optIn() { q.setOptOut("", -1) }

func (q *request) setOptOut(value string, age int) {
	if !q.ownPage() {
		q.in.counts.add(WrongOrigin, 1)
		q.fail(WrongOrigin, nil, 0)
		return
	}
	http.SetCookie(q.w, &http.Cookie{
		Name: shared.OptOutCookie, Value: value, Path: "/", MaxAge: age,
		Secure: q.r.TLS != nil, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	q.w.Header().Set("Cache-Control", "no-store")
	q.w.WriteHeader(http.StatusNoContent)
}

// ownPage reports whether a page of this site asks, or nobody's: another site's
// must not decide for a visitor. Browsers say so; those that are too old to say
// it name the origin.
func (q *request) ownPage() bool {
	switch q.r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "same-site", "none":
		return true
	case "":
		origin := q.r.Header.Get("Origin")
		return origin == "" || hostOf(origin) == bareHost(q.r.Host)
	}
	return false
}
