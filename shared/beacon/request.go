package beacon

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/registry"
)

// request is one request on its way through the intake.
type request struct {
	h       *Handler
	in      *Intake
	w       http.ResponseWriter
	r       *http.Request
	rest    string // of the path, behind a link's /p/ or /q/
	dialect dialect

	cached *registry.View
	sender sender
	held   int64 // bytes of the body beyond a message's
	read   bool  // the body was, as far as it came
}

// sender is what the request says of whoever sent it.
type sender struct {
	now   time.Time
	addr  netip.Addr
	grant Grant
	// keyed: with an API key; honoured: with one, or from a trusted peer that
	// speaks for itself. What the messages say of others is believed then.
	keyed, honoured bool
	wishes          shared.Wishes
}

func (q *request) view() *registry.View {
	if q.cached == nil {
		q.cached = q.in.cfg.View()
	}
	return q.cached
}

// fixedSite is the site of the place, "" if it has none.
func (q *request) fixedSite() string {
	if q.h.mount.Site == nil {
		return ""
	}
	return q.h.mount.Site(q.r)
}

// enter reads who sends, and takes a token of its address's bucket, for the
// first of its messages. It returns false if it has answered.
func (q *request) enter() bool {
	s, h := &q.sender, q.r.Header
	s.now = q.in.now()
	s.addr = q.in.cfg.ClientIP(q.r)
	if token := apiKey(h); token != "" && q.in.cfg.Keys != nil {
		s.grant, s.keyed = q.in.cfg.Keys(token)
		if first, _, _ := strings.Cut(h.Get("X-Forwarded-For"), ","); s.keyed && first != "" {
			if addr, err := netip.ParseAddr(strings.TrimSpace(first)); err == nil {
				s.addr = addr.WithZone("").Unmap()
			}
		}
	}
	s.honoured = s.keyed || q.in.cfg.Trusted != nil && q.in.cfg.Trusted(q.r) && !passedOn(q.r)
	s.wishes = wishesOf(q.r)
	return q.mayBring(1, 1)
}

// mayBring takes tokens of the sender's address for n messages, without which
// all are refused. It returns false if it has answered.
func (q *request) mayBring(n, all int) bool {
	s := &q.sender
	if s.honoured || n <= 0 {
		return true
	}
	wait := q.in.addressMay(s.addr, n, s.now)
	if wait > 0 {
		q.in.counts.add(TooMany, all)
		q.fail(TooMany, nil, wait)
	}
	return wait <= 0
}

// passedOn reports whether a request is a browser's, or was passed on by a
// proxy. A trusted peer that passes one on vouches for the address that it
// comes from, not for what its body says. Some proxies say nothing of it, but
// speak HTTP/1.0 to what is behind them, as nginx does unless told otherwise.
func passedOn(r *http.Request) bool {
	for _, name := range []string{
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via", "X-Real-Ip", "Origin", "Sec-Fetch-Mode",
	} {
		if len(r.Header[name]) > 0 {
			return true
		}
	}
	return !r.ProtoAtLeast(1, 1)
}

// wishesOf reads what a request says about being measured.
func wishesOf(r *http.Request) shared.Wishes {
	w := shared.Wishes{DNT: r.Header.Get("Dnt") == "1", GPC: r.Header.Get("Sec-Gpc") == "1"}
	if c, err := r.Cookie(shared.OptOutCookie); err == nil && c.Value == "1" {
		w.OptOut = true
	}
	return w
}

// apiKey is the token that a request shows, "" if there is none.
func apiKey(h http.Header) string {
	if scheme, token, ok := strings.Cut(h.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	if token := h.Get("X-Umami-Api-Key"); token != "" {
		return token
	}
	return h.Get("X-Api-Key")
}

// invalid counts and answers a message that could not be read.
func (q *request) invalid(err error) {
	q.in.counts.add(Malformed, 1)
	q.fail(Malformed, asField(err), 0)
}

// write writes events and reports whether that is done.
func (q *request) write(events []shared.Event) bool {
	if len(events) == 0 {
		return true
	}
	// Whether the client still waits does not matter: half a write helps nobody.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(q.r.Context()), writePatience)
	defer cancel()
	if err := q.in.cfg.Log.AddWait(ctx, events); err != nil {
		q.in.counts.add(NotWritten, len(events))
		q.in.log.Debug("messages were not written, their sender is told to come back", zap.Int("messages", len(events)), zap.Error(err))
		return false
	}
	for i := range events {
		if events[i].Verdict == shared.VerdictBot {
			q.in.counts.add(TakenBot, 1)
		} else {
			q.in.counts.add(Taken, 1)
		}
	}
	return true
}

// eventLists hold the events of one request: at more than a kilobyte an event
// they are most of what a message costs.
var eventLists = sync.Pool{New: func() any { return new([]shared.Event) }}

func takeEvents() *[]shared.Event { return eventLists.Get().(*[]shared.Event) }

func giveEvents(list *[]shared.Event) {
	if cap(*list) > 2*MaxServerBatch {
		return
	}
	clear(*list) // let go of the strings
	*list = (*list)[:0]
	eventLists.Put(list)
}
