package beacon

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// takeAll is the common way of the endpoints that answer for all messages of a
// body at once: each message is judged by its own site. It returns the worst
// that became of them, and false if it has answered.
func (q *request) takeAll(list []Message) (worst Outcome, ok bool) {
	if !q.mayBring(len(list)-1, len(list)) {
		return 0, false
	}
	events := takeEvents()
	defer giveEvents(events)
	refused := 0
	for i := range list {
		m := &list[i]
		t, o := q.resolve(m)
		if o == Taken {
			o = q.admit(t, m, false)
		}
		if o == Taken {
			if wait := q.in.siteMay(t.name, 1, q.sender.now); wait > 0 {
				q.in.counts.add(TooMany, len(list)-refused) // those that would be written, too
				q.fail(TooMany, nil, wait)
				return 0, false
			}
			*events = append(*events, shared.Event{})
			if !q.make(m, t, &(*events)[len(*events)-1]) {
				*events = (*events)[:len(*events)-1]
				o = RefusedIDs
			}
		}
		if o != Taken {
			q.in.counts.add(o, 1)
			refused++
			worst = o
		}
	}
	if !q.write(*events) {
		q.unavailable()
		return 0, false
	}
	return worst, true
}

// plausible takes an event of Mallard's or Plausible's.
func (q *request) plausible() {
	if !q.enter() {
		return
	}
	var list []Message
	var err error
	if q.body(maxBody, func(body []byte) { list, err = ParsePlausible(body) }) {
		q.messages(list, err)
	}
}

// messages takes messages and answers as Plausible does, with 202.
func (q *request) messages(list []Message, err error) {
	if err != nil {
		q.invalid(err)
		return
	}
	if q.fixedSite() != "" && len(list) > 0 && list[0].Origin == shared.OriginPlausible {
		list = list[:1] // one event, for each of its domains: here it has one
	}
	q.takeAndAnswer(list, func() {
		q.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		q.answer(http.StatusAccepted, []byte("ok"))
	})
}

// takeAndAnswer takes the messages and answers with thanks, whatever the policy
// says of them, but for pages and keys that must not send.
func (q *request) takeAndAnswer(list []Message, thanks func()) {
	worst, ok := q.takeAll(list)
	switch {
	case !ok:
	case worst == WrongOrigin, worst == Unauthorized:
		q.fail(worst, nil, 0)
	default:
		if worst != Taken {
			q.dropped()
		}
		thanks()
	}
}

// native takes what our own script sends. Where a page was told to send
// another dialect to this name, it is recognised: names of endpoints are what
// blockers look for, so that any tracker may be pointed at this one.
func (q *request) native() {
	if !q.enter() {
		return
	}
	var list []Message
	var err error
	umami := false
	if !q.body(maxBody, func(body []byte) {
		switch v, _ := parse(body); {
		case v.kind() == '[':
			list, err = ParseNative(body)
		case hasPayload(v):
			umami = true
			var m Message
			m, err = ParseUmami(body)
			list = []Message{m}
		default:
			list, err = ParsePlausible(body)
		}
	}) {
		return
	}
	if umami {
		q.dialect = dialectUmami
		q.umamiMessage(&list[0], err)
		return
	}
	q.messages(list, err)
}

// hasPayload reports whether a JSON object is one of Umami's messages.
func hasPayload(v value) (found bool) {
	v.fields(func(key string, _ value) bool {
		found = found || key == "payload"
		return true
	})
	return found
}

// gif is one transparent pixel, in 43 bytes.
const gif = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

func (q *request) gif() {
	q.w.Header().Set("Content-Type", "image/gif")
	q.answer(http.StatusOK, []byte(gif))
}

// pixel takes an event out of the query of an image.
func (q *request) pixel() {
	if q.r.Method == http.MethodHead { // a link checker's; nobody sees the image
		q.gif()
		return
	}
	if !q.enter() {
		return
	}
	list, err := ParsePixel(q.r.URL.RawQuery, q.r.Header.Get("Referer"))
	if err != nil {
		q.invalid(err)
		return
	}
	if q.fixedSite() != "" && len(list) > 0 {
		list = list[:1]
	}
	q.takeAndAnswer(list, q.gif)
}

func (q *request) heartbeat() { q.json(http.StatusOK, map[string]bool{"ok": true}) }

func (q *request) script() { q.h.script.ServeHTTP(q.w, q.r) }

// pixelLink counts who loads a pixel.
func (q *request) pixelLink() {
	link, site, ok := q.findLink(false)
	if !ok {
		return
	}
	if wait, written := q.countLink(link, site, shared.KindEvent, q.r.Header.Get("Referer")); !written {
		q.unavailable()
		return
	} else if wait > 0 {
		q.fail(TooMany, nil, wait)
		return
	}
	q.gif()
}

// followLink counts who follows a link and sends them on, whatever comes of
// the counting: a person stands behind it.
func (q *request) followLink() {
	link, site, ok := q.findLink(true)
	if !ok {
		return
	}
	if _, written := q.countLink(link, site, shared.KindOutbound, link.URL); !written {
		q.dropped()
	}
	q.w.Header().Set("Location", link.URL)
	q.answer(http.StatusTemporaryRedirect, nil)
}

// findLink finds the link that the path names; one that leads somewhere or a
// pixel.
func (q *request) findLink(leads bool) (*shared.Link, *shared.SiteConfig, bool) {
	link, site := q.view().Link(q.rest)
	if link == nil || site.Archived || leads != (link.URL != "") || leads && !safeTarget(link.URL) {
		q.in.counts.add(UnknownSite, 1)
		q.json(http.StatusNotFound, umamiError(refusal{status: http.StatusNotFound, umami: "Not found"}, nil))
		return nil, nil, false
	}
	return link, site, true
}

// countLink records the use of a link.
func (q *request) countLink(link *shared.Link, site *shared.SiteConfig, kind shared.Kind, page string) (wait time.Duration, written bool) {
	s := &q.sender
	s.now, s.addr = q.in.now(), q.in.cfg.ClientIP(q.r)
	s.wishes = wishesOf(q.r)
	if q.r.Method == http.MethodHead {
		return 0, true
	}
	t := target{name: site.ID, site: site, link: link}
	if o := q.admit(t, nil, true); o != Taken {
		q.in.counts.add(o, 1)
		q.dropped()
		return 0, true
	}
	if wait = q.in.addressMay(s.addr, 1, s.now); wait == 0 {
		wait = q.in.siteMay(site.ID, 1, s.now)
	}
	if wait > 0 {
		q.in.counts.add(TooMany, 1)
		q.dropped()
		return wait, true
	}
	m := Message{Origin: shared.OriginUmami, Kind: kind, Name: firstText(link.Name, link.Slug), URL: page, Tag: link.Slug}
	if kind == shared.KindOutbound {
		m.Referrer = q.r.Header.Get("Referer")
		m.URL = ""
		m.Props = []shared.Prop{{Key: "url", Value: shared.Cut(stripURL(link.URL), shared.MaxPropValue), Type: shared.PropString}}
	}
	events := takeEvents()
	defer giveEvents(events)
	*events = append(*events, shared.Event{})
	q.make(&m, t, &(*events)[0])
	return 0, q.write(*events)
}

// serverBatch takes the events of a server, with their own times.
func (q *request) serverBatch() {
	if !q.enter() {
		return
	}
	if !q.sender.keyed {
		q.in.counts.add(Unauthorized, 1)
		q.fail(Unauthorized, nil, 0)
		return
	}
	type rejected struct {
		Index   int    `json:"index"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	answer := struct {
		Accepted int        `json:"accepted"`
		Rejected []rejected `json:"rejected"`
	}{Rejected: []rejected{}}
	events := takeEvents()
	defer giveEvents(events)
	index := 0
	var err error
	if !q.body(maxServerBody, func(body []byte) {
		err = ParseEvents(body, q.r.Header.Get("Idempotency-Key"), func(m Message, bad *FieldError) {
			o := Malformed
			if bad == nil {
				o = q.serverEvent(&m, events)
			}
			if o != Taken {
				q.in.counts.add(o, 1)
				r := rejected{index, refusals[o].code, refusals[o].message}
				if bad != nil {
					r.Message = bad.Error()
				} else if o == Unauthorized {
					r.Message = "the API key is not for this site"
				}
				answer.Rejected = append(answer.Rejected, r)
			}
			index++
		})
	}) {
		return
	}
	if err != nil {
		q.invalid(err)
		return
	}
	if !q.takeSites(*events) {
		return
	}
	if !q.write(*events) {
		q.unavailable()
		return
	}
	answer.Accepted = len(*events)
	status := http.StatusAccepted
	if answer.Accepted == 0 {
		status = http.StatusBadRequest
	}
	q.json(status, answer)
}

// serverEvent adds the event of a message, or says why not.
func (q *request) serverEvent(m *Message, events *[]shared.Event) Outcome {
	t, o := q.resolve(m)
	if o == Taken {
		o = q.admit(t, nil, true)
	}
	if o != Taken {
		return o
	}
	*events = append(*events, shared.Event{})
	q.make(m, t, &(*events)[len(*events)-1])
	return Taken
}

// takeSites takes the events' tokens, site by site, before anything is
// written. It returns false if it has answered.
func (q *request) takeSites(events []shared.Event) bool {
	all := len(events)
	for len(events) > 0 {
		n := 1
		for n < len(events) && events[n].Site == events[0].Site {
			n++
		}
		if wait := q.in.siteMay(events[0].Site, n, q.sender.now); wait > 0 {
			q.in.counts.add(TooMany, all)
			q.fail(TooMany, nil, wait)
			return false
		}
		events = events[n:]
	}
	return true
}

// safeTarget reports whether a link may lead to a URL.
func safeTarget(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && !strings.ContainsAny(raw, "\r\n")
}
