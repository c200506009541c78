package beacon

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// headerCache is where Umami's trackers send the token, and find it beside the
// body.
const headerCache = "X-Umami-Cache"

// visitGap is the pause after which a token names another visit.
const visitGap = 30 * time.Minute

// umamiAnswer is what a tracker gets for a message that was taken.
type umamiAnswer struct {
	Cache   string `json:"cache"`
	Session string `json:"sessionId"`
	Visit   string `json:"visitId"`
}

// beepBoop is what a bot gets, as is whoever asked not to be recorded.
var beepBoop = map[string]string{"beep": "boop"}

// umamiSend takes a message of Umami's.
func (q *request) umamiSend() {
	if !q.enter() {
		return
	}
	var m Message
	var err error
	if q.body(maxBody, func(body []byte) { m, err = ParseUmami(body) }) {
		q.umamiMessage(&m, err)
	}
}

func (q *request) umamiMessage(m *Message, err error) {
	if err != nil {
		q.invalid(err)
		return
	}
	events := takeEvents()
	defer giveEvents(events)
	token := q.r.Header.Get(headerCache)
	answer, o := q.umamiOne(m, &token, events)
	switch o {
	case Taken, TakenBot, RefusedIDs, RefusedSignal, ExcludedPage:
	case TooMany:
		q.in.counts.add(o, 1)
		q.fail(o, nil, time.Second)
		return
	default:
		q.in.counts.add(o, 1)
		q.fail(o, nil, 0)
		return
	}
	if !q.write(*events) {
		q.unavailable()
		return
	}
	if o == RefusedIDs || o.quiet() {
		q.in.counts.add(o, 1)
		q.dropped()
	}
	if token != "" && o != TakenBot {
		q.w.Header().Set(headerCache, token)
	}
	q.json(http.StatusOK, answer)
}

// umamiOne appends the event of a message and returns its answer. token is the
// one that the sender brought, and becomes the one that it gets.
func (q *request) umamiOne(m *Message, token *string, events *[]shared.Event) (answer any, o Outcome) {
	t, o := q.resolve(m)
	if o != Taken {
		return nil, o
	}
	if t.link != nil {
		m.Tag = firstText(m.Tag, t.link.Slug)
	}
	known, current := q.readToken(*token, t)
	if o = q.admit(t, m, false); o.quiet() {
		*token = ""
		return beepBoop, o
	} else if o != Taken {
		return nil, o
	}
	if wait := q.in.siteMay(t.name, 1, q.sender.now); wait > 0 {
		return nil, TooMany
	}
	*events = append(*events, shared.Event{})
	e := &(*events)[len(*events)-1]
	written := q.make(m, t, e)
	if e.Verdict == shared.VerdictBot {
		*token = ""
		return beepBoop, TakenBot
	}
	// The token's session stands, so that a visitor stays one whose address
	// changes under way; but nothing makes an identity where there may be none,
	// or takes one into another period, as of a message that says its own time.
	if visitor, ok := shared.ParseVisitorUUID(known.Session); ok && visitor != 0 && current.covers(m, &q.sender) && e.VisitorID != 0 && e.VisitorID != visitor {
		e.VisitorID, e.PrevVisitorID = visitor, 0 // the one before is the new address's
	}
	a := q.umamiAnswer(t, m, e, known)
	*token = a.Cache
	if !written {
		*events = (*events)[:len(*events)-1]
		return a, RefusedIDs
	}
	return a, Taken
}

// umamiAnswer makes the answer and the token in it. The visit is a hint: the
// visits of reports follow from the events.
func (q *request) umamiAnswer(t target, m *Message, e *shared.Event, known claims) umamiAnswer {
	now := time.UnixMicro(q.sender.time(m)) // of the identity, which is of no other period
	c := claims{
		Website: t.name, Session: shared.VisitorUUID(e.VisitorID), Visit: known.Visit,
		Issued: now.Unix(), Expires: now.Add(tokenLife).Unix(),
	}
	if !validUUID(c.Visit) || known.Session != c.Session || now.Unix()-known.Issued > int64(visitGap/time.Second) {
		c.Visit = visitUUID(t.name, e.VisitorID, now)
	}
	return umamiAnswer{Cache: c.sign(q.tokenKey(t)), Session: c.Session, Visit: c.Visit}
}

// visitUUID names a visit that begins now.
func visitUUID(site string, visitor uint64, now time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, visitor)
	b = binary.BigEndian.AppendUint64(b, uint64(now.UnixMicro()))
	sum := sha256.Sum256(append(b, site...))
	sum[6] = sum[6]&0x0f | 0x80 // a UUIDv8 of the RFC's variant
	sum[8] = sum[8]&0x3f | 0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// tokenKey signs a site's tokens.
func (q *request) tokenKey(t target) []byte {
	if key, ok := q.view().TokenKey(t.name); ok {
		return key[:]
	}
	return q.in.ownKey
}

// period is a salt's, from its begin to its end, µs since 1970.
type period struct{ from, until int64 }

// covers reports whether a message happened in it.
func (p period) covers(m *Message, s *sender) bool {
	at := s.time(m)
	return at >= p.from && at < p.until
}

// readToken returns the claims of a token of the same site. Anything else is
// ignored: old trackers send back whatever they got. current is the period of
// the site's salt, in which it was issued: where no salt is known, that is
// none, as its session can be of another one, and only its visit is worth
// something.
func (q *request) readToken(token string, t target) (c claims, current period) {
	if token == "" {
		return claims{}, period{}
	}
	since := int64(0)
	if salt, ok := q.view().Salt(t.name, q.sender.now.UnixMicro()); ok {
		current = period{salt.From, salt.Until}
		since = (salt.From + 999_999) / 1_000_000
	}
	c, ok := readToken(token, q.tokenKey(t), q.sender.now, since)
	if !ok || c.Website != t.name {
		return claims{}, period{}
	}
	return c, current
}

// umamiBatch takes a batch of Umami's. A bad message does not stop the rest.
func (q *request) umamiBatch() {
	if !q.enter() {
		return
	}
	type detail struct {
		Index    int `json:"index"`
		Response any `json:"response"`
	}
	answer := struct {
		Size      int      `json:"size"`
		Processed int      `json:"processed"`
		Errors    int      `json:"errors"`
		Details   []detail `json:"details"`
		Cache     string   `json:"cache,omitempty"`
	}{Details: []detail{}}
	events := takeEvents()
	defer giveEvents(events)
	brought := q.r.Header.Get(headerCache)
	var list value
	var err error
	if !q.body(maxBatchBody, func(body []byte) { list, answer.Size, err = umamiList(body) }) {
		return
	}
	if err != nil {
		q.invalid(err)
		return
	}
	if !q.mayBring(answer.Size-1, answer.Size) {
		return
	}
	index := 0
	list.elements(func(v value) bool {
		o := Malformed
		m, bad := umamiMessage(v)
		if bad == nil {
			token := brought // not the one before's: that is another visitor's, in a server's batch
			_, o = q.umamiOne(&m, &token, events)
			if token != "" && answer.Cache == "" && (o == Taken || o == RefusedIDs) {
				answer.Cache = token
			}
		}
		switch o {
		case Taken, TakenBot:
		case RefusedIDs, RefusedSignal, ExcludedPage:
			q.in.counts.add(o, 1)
			q.dropped()
		default:
			q.in.counts.add(o, 1)
			answer.Details = append(answer.Details, detail{index, umamiError(refusals[o], bad)})
		}
		index++
		return true
	})
	if !q.write(*events) {
		q.unavailable()
		return
	}
	answer.Errors = len(answer.Details)
	answer.Processed = answer.Size - answer.Errors
	q.json(http.StatusOK, answer)
}
