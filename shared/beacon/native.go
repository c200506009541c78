package beacon

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// maxNative bounds the messages of one request: the script has never more than
// 40 that wait.
const maxNative = 100

// ParseNative reads what our own script sends (docs/formats/beacon.md): a JSON
// array of messages. What the page's own calls say is cut or left out where it
// is absurd; where what the script itself says is, the error names the field.
//
// Messages of pages that the site excludes, and page views of documents that
// were answered with an error, are left out.
func ParseNative(body []byte) ([]Message, error) {
	if len(body) > maxBody {
		return nil, fieldError("", "the body is longer than %d bytes", maxBody)
	}
	v, ok := parse(body)
	switch {
	case !ok || v.kind() != '[':
		return nil, fieldError("", "the body must be a JSON array of messages")
	case v.count(maxNative) > maxNative:
		return nil, fieldError("", "at most %d messages at once", maxNative)
	}
	var list []Message
	var bad *FieldError
	at := 0
	v.elements(func(v value) bool {
		var n native
		if bad = n.read(v); bad != nil {
			bad.Field = strings.TrimSuffix(fmt.Sprintf("[%d].%s", at, bad.Field), ".")
			return false
		}
		at++
		if n.keep {
			list = append(list, n.Message)
		}
		return true
	})
	if bad != nil {
		return nil, bad
	}
	return list, nil
}

// native is a message of the script's as it is read.
type native struct {
	Message
	kind             string
	ordinal          value
	about            string // a URL that the page gives in the place of its own
	exclude          string
	status           float64
	props            propList
	amount, currency string
	engaged          value
	keep             bool
}

func (n *native) read(v value) (bad *FieldError) {
	if v.kind() != '{' {
		return fieldError("", "must be an object")
	}
	n.Origin = shared.OriginBeacon
	v.fields(func(key string, v value) bool {
		bad = n.field(key, v)
		return bad == nil
	})
	if bad == nil {
		bad = n.finish()
	}
	return bad
}

// field takes one field; those that are not known are ignored: among them are
// all attributes of the page's script element.
func (n *native) field(key string, v value) *FieldError {
	switch key {
	case "k":
		return textField(key, v, &n.kind)
	case "l":
		return id64(key, v, &n.LoadID)
	case "v":
		return id64(key, v, &n.ViewID)
	case "pv":
		return id64(key, v, &n.ParentViewID)
	case "o":
		n.ordinal = v
	case "u":
		return textField(key, v, &n.URL)
	case "s", "site":
		return textField(key, v, &n.Site)
	case "exclude":
		return textField(key, v, &n.exclude)
	case "hash":
		n.Hash = !v.isNull()
	case "st":
		n.status, _ = v.number()
	case "c":
		n.Cached = v.kind() == 't' || string(v) == "1"
	default:
		n.said(key, v)
	}
	return nil
}

// said takes a field that the page has a say in. The script hands on whatever
// it was called with, and other messages must not be lost for it.
func (n *native) said(key string, v value) {
	loose := func(to *string) { _ = looseText(key, v, to) } // what is no text is nothing
	switch key {
	case "n":
		loose(&n.Name)
	case "url":
		loose(&n.about)
	case "r":
		loose(&n.Referrer)
	case "t":
		loose(&n.Title)
	case "w":
		loose(&n.Screen)
	case "tag":
		loose(&n.Tag)
	case "d":
		loose(&n.DistinctID)
	case "p", "props":
		if inner, ok := v.inner(); ok {
			n.props.flatten(inner)
		}
	case "ra", "revenue":
		n.revenue(v)
	case "rc", "currency":
		loose(&n.currency)
	case "e":
		n.engaged = v
	case "sd":
		n.ScrollDepth = wholeWithin(v, 0, 100)
	case "lcp":
		n.LCPMS = numberWithin(v, 60_000)
	case "inp":
		n.INPMS = numberWithin(v, 60_000)
	case "fcp":
		n.FCPMS = numberWithin(v, 60_000)
	case "ttfb":
		n.NavTTFBMS = numberWithin(v, 60_000)
	case "cls":
		n.CLS = numberWithin(v, 100)
	}
}

// revenue takes an amount, or Plausible's object of amount and currency.
func (n *native) revenue(v value) {
	if v.kind() != '{' {
		_ = looseText("", v, &n.amount)
		return
	}
	v.fields(func(key string, v value) bool {
		switch key {
		case "amount":
			_ = looseText("", v, &n.amount)
		case "currency":
			_ = looseText("", v, &n.currency)
		}
		return true
	})
}

// id64 reads an id of 64 bits: 16 hexadecimal digits, or two numbers of 32 bits
// with a comma, which is how a browser writes an array of random numbers down.
// Null, false and the empty text are none.
func id64(field string, v value, to *uint64) *FieldError {
	var text string
	if v.kind() != 'f' {
		if bad := textField(field, v, &text); bad != nil {
			return bad
		}
	}
	if text == "" {
		*to = 0
		return nil
	}
	if high, low, two := strings.Cut(text, ","); two {
		h, err := strconv.ParseUint(high, 10, 32)
		l, err2 := strconv.ParseUint(low, 10, 32)
		if err == nil && err2 == nil {
			*to = h<<32 | l
			return nil
		}
	} else if id, err := strconv.ParseUint(text, 16, 64); err == nil && len(text) == 16 {
		*to = id
		return nil
	}
	return fieldError(field, "must be 16 hexadecimal digits, or two numbers of 32 bits with a comma")
}

// numberWithin reads a number from 0 to high; anything else is unknown.
func numberWithin(v value, high float64) shared.Opt[float64] {
	f, ok := v.number()
	if !ok || f < 0 || f > high {
		return shared.Opt[float64]{}
	}
	return shared.Some(f)
}

// finish checks the message as a whole.
func (n *native) finish() (bad *FieldError) {
	if n.Site, bad = siteText("site", n.Site); bad != nil {
		return bad
	}
	page, ok := splitURL(n.URL, n.Hash)
	if !ok || page.host == "" {
		return fieldError("u", "must be the page's URL, with scheme and host")
	}
	if n.LoadID == 0 {
		return fieldError("l", "is missing: the load's id")
	}
	ordinal, ok := n.ordinal.number()
	if !ok || n.ordinal.kind() == '"' || ordinal < 0 || ordinal >= 1<<32 || ordinal != math.Trunc(ordinal) {
		return fieldError("o", "must be a whole number: the message's place among those of its load")
	}
	n.DedupeKey = fmt.Sprintf("%016x-%x", n.LoadID, uint64(ordinal))
	n.keep = !excluded(n.exclude, page.path)
	n.texts()
	if bad = n.classify(); bad != nil {
		return bad
	}
	if n.about != "" {
		n.URL = resolveURL(n.URL, n.about)
	}
	n.Props, n.DroppedProps = n.props.props, n.props.dropped
	n.RevenueAmount, n.RevenueCurrency = revenue(n.amount, n.currency)
	return nil
}

func (n *native) texts() {
	n.Name = shared.Cut(strings.TrimSpace(n.Name), shared.MaxName)
	n.Title = shared.Cut(n.Title, shared.MaxTitle)
	n.Tag = shared.Cut(n.Tag, shared.MaxTag)
	n.DistinctID = shared.Cut(n.DistinctID, shared.MaxDistinct)
	w, h, _ := strings.Cut(n.Screen, "x")
	if len(n.Screen) > len("99999x99999") || w == "" || h == "" || !allDigits(w) || !allDigits(h) {
		n.Screen = ""
	}
}

// classify finds the kind: k where the script says it, else by the name that
// the page's call had.
func (n *native) classify() *FieldError {
	kind := n.kind
	if kind == "" {
		switch kind = "event"; n.Name {
		case namePageview, shared.CompletionIdentify:
			kind = n.Name
		}
	}
	n.Kind = shared.Kind(kind)
	switch n.Kind {
	case shared.KindPageview:
		n.Name = ""
		// An error page is no page view. What follows in it may be.
		n.keep = n.keep && (n.status < 400 || n.ParentViewID != 0)
		n.Cached = n.Cached && n.ViewID != 0
		return nil
	case shared.KindEvent:
		n.Cached = false
		n.keep = n.keep && n.Name != ""
		return nil
	case shared.KindOutbound, shared.KindVitals:
		n.Name, n.Cached = "", false
		return nil
	case shared.KindEngagement:
		n.Name, n.Cached = "", false
		ms, ok := n.engaged.number()
		if !ok || n.engaged.kind() == '"' || ms < 0 {
			return fieldError("e", "must be a number: milliseconds")
		}
		n.EngagedMS = shared.Some(int64(math.Min(math.Round(ms), maxEngaged)))
		return nil
	}
	if kind == shared.CompletionIdentify {
		n.Kind, n.Name, n.Cached = shared.KindCompletion, shared.CompletionIdentify, false
		return nil
	}
	return fieldError("k", "must be pageview, event, identify, outbound, engagement or vitals")
}

// resolveURL is the URL that a page means by ref, as the browser would take it;
// the page's own where ref is none of the web.
func resolveURL(page, ref string) string {
	base, err := url.Parse(page)
	if err != nil {
		return page
	}
	to, err := base.Parse(ref)
	if err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https" {
		return page
	}
	return to.String()
}

// excluded reports whether a path matches one of the patterns, which are
// separated by blanks or commas; * stands for any text, also none.
func excluded(patterns, path string) bool {
	for pattern := range strings.FieldsFuncSeq(patterns, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\t' }) {
		if wild(pattern, path) {
			return true
		}
	}
	return false
}

// wild matches in one pass: each piece between stars at its first place is
// enough, so that no pattern is slow.
func wild(pattern, s string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return s == pattern
	}
	s, ok := strings.CutPrefix(s, head)
	if !ok {
		return false
	}
	for {
		var piece string
		piece, rest, star = strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(s, piece)
		}
		at := strings.Index(s, piece)
		if at < 0 {
			return false
		}
		s = s[at+len(piece):]
	}
}
