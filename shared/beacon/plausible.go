package beacon

import (
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// maxDomains bounds what one event of Plausible's multiplies to: its snippet
// takes a list of domains to count for.
const maxDomains = 10

// namePageview and nameEngagement are the names by which Plausible, Mallard and
// servers mean something else than a custom event.
const (
	namePageview   = "pageview"
	nameEngagement = "engagement"
)

// plausibleEvent is an event of Mallard's or Plausible's as it is read.
type plausibleEvent struct {
	name, url, domain, referrer string
	screen                      string
	props                       propList
	amount, currency            string
	hash                        bool
	engaged, scroll             value
}

// ParsePlausible reads the body of an event of Mallard's or Plausible's, with
// short or long names. It is one message, or one for each of its domains.
func ParsePlausible(body []byte) ([]Message, error) {
	v, ok := parse(body)
	if !ok || v.kind() != '{' {
		return nil, fieldError("", "the body must be a JSON object")
	}
	var e plausibleEvent
	var bad *FieldError
	v.fields(func(key string, v value) bool {
		bad = e.field(key, v)
		return bad == nil
	})
	if bad != nil {
		return nil, bad
	}
	return e.messages()
}

// field takes one field; those that are not known are ignored.
func (e *plausibleEvent) field(key string, v value) *FieldError {
	switch key {
	case "n", "name":
		return textField(key, v, &e.name)
	case "u", "url":
		return textField(key, v, &e.url)
	case "d", "domain":
		return textField(key, v, &e.domain)
	case "r", "referrer":
		return textField(key, v, &e.referrer)
	case "w", "screen_width":
		e.width(v)
	case "p", "m", "props", "meta":
		return e.properties(key, v)
	case "$", "revenue":
		return e.revenue(key, v)
	case "ra":
		return looseText(key, v, &e.amount)
	case "rc":
		return textField(key, v, &e.currency)
	case "h", "hash_mode":
		n, _ := v.number()
		e.hash = n != 0 || v.kind() == 't'
	case "e":
		e.engaged = v
	case "sd":
		e.scroll = v
	}
	return nil
}

// width is the window's, which is all that these trackers know of the screen.
func (e *plausibleEvent) width(v value) {
	if n, ok := v.number(); ok && n >= 1 && n < 100_000 {
		e.screen = strconv.Itoa(int(n))
	}
}

// properties takes an object, or its JSON as a text. Anything else is nothing,
// as it is to Plausible.
func (e *plausibleEvent) properties(field string, v value) *FieldError {
	inner, ok := v.inner()
	switch {
	case v.isNull() || v.kind() == '"' && strings.TrimSpace(v.text()) == "":
	case !ok || inner.kind() != '{':
		return fieldError(field, "must be an object, or its JSON as a text")
	default:
		e.props.flatten(inner)
	}
	return nil
}

func (e *plausibleEvent) revenue(field string, v value) *FieldError {
	inner, ok := v.inner()
	switch {
	case v.isNull():
		return nil
	case !ok || inner.kind() != '{':
		return fieldError(field, "must be an object with currency and amount")
	}
	var bad *FieldError
	inner.fields(func(key string, v value) bool {
		switch key {
		case "amount":
			bad = looseText(field+".amount", v, &e.amount)
		case "currency":
			bad = textField(field+".currency", v, &e.currency)
		}
		return bad == nil
	})
	return bad
}

// messages checks the event as a whole.
func (e *plausibleEvent) messages() ([]Message, error) {
	if strings.TrimSpace(e.name) == "" {
		return nil, fieldError("n", "is missing: the event's name, pageview for a page view")
	}
	l, ok := splitURL(e.url, e.hash)
	switch {
	case strings.TrimSpace(e.url) == "":
		return nil, fieldError("u", "is missing: the page's URL")
	case !ok || l.host == "":
		return nil, fieldError("u", "must be a URL with scheme and host")
	}
	m := Message{
		Origin: shared.OriginPlausible, Kind: shared.KindEvent, Name: shared.Cut(strings.TrimSpace(e.name), shared.MaxName),
		URL: e.url, Hash: e.hash, Referrer: e.referrer, Screen: e.screen,
		Props: e.props.props, DroppedProps: e.props.dropped,
	}
	m.RevenueAmount, m.RevenueCurrency = revenue(e.amount, e.currency)
	switch m.Name {
	case namePageview:
		m.Kind, m.Name = shared.KindPageview, ""
	case nameEngagement:
		m.Kind, m.Name = shared.KindEngagement, ""
		m.EngagedMS, m.ScrollDepth = wholeWithin(e.engaged, 0, maxEngaged), wholeWithin(e.scroll, 0, 100)
	}
	var list []Message
	for name := range strings.SplitSeq(e.domain, ",") {
		site, bad := siteText("d", name)
		if bad != nil {
			return nil, bad
		}
		if site == "" && len(list) > 0 {
			continue
		}
		if len(list) == maxDomains {
			return nil, fieldError("d", "names more than %d domains", maxDomains)
		}
		m.Site = site
		list = append(list, m)
	}
	return list, nil
}

// maxEngaged is a day, in ms.
const maxEngaged = 86_400_000

// wholeWithin reads a number within bounds; anything else is unknown.
func wholeWithin(v value, low, high float64) shared.Opt[int64] {
	n, ok := v.number()
	if !ok || n < low || n > high {
		return shared.Opt[int64]{}
	}
	return shared.Some(int64(math.Round(n)))
}

// ParsePixel reads an event out of a query: the same fields, each as text. A
// name is not needed: a pixel is a page view unless it says otherwise, of the
// page that shows it, which is the request's Referer.
func ParsePixel(rawQuery, page string) ([]Message, error) {
	if len(rawQuery) > maxQuery {
		return nil, fieldError("", "the query is longer than %d bytes", maxQuery)
	}
	e := plausibleEvent{name: namePageview, url: page}
	var bad *FieldError
	for rest := rawQuery; rest != "" && bad == nil; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		key, text, _ := strings.Cut(pair, "=")
		key, keyErr := url.QueryUnescape(key)
		text, err := url.QueryUnescape(text)
		if keyErr != nil || err != nil {
			continue
		}
		bad = e.queryField(key, text)
	}
	if bad != nil {
		return nil, bad
	}
	return e.messages()
}

// maxQuery bounds a pixel's query: more than that no browser sends.
const maxQuery = 16 << 10

// queryField takes a field of a query by the rules of a JSON text.
func (e *plausibleEvent) queryField(key, text string) *FieldError {
	switch key {
	case "n", "name":
		e.name = text
	case "u", "url":
		e.url = text
	case "d", "domain":
		e.domain = text
	case "r", "referrer":
		e.referrer = text
	case "ra":
		e.amount = text
	case "rc":
		e.currency = text
	case "w", "screen_width", "h", "hash_mode":
		return e.field(key, value(text))
	case "p", "m", "props", "meta", "$", "revenue":
		if strings.TrimSpace(text) == "" {
			return nil
		}
		v, ok := parse([]byte(text))
		if !ok {
			return fieldError(key, "must be the JSON of an object")
		}
		return e.field(key, v)
	}
	return nil
}
