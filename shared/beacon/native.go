package beacon

import (
	"strconv"
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// maxNative is how many messages a page sends at once at most.
const maxNative = 100

// ParseNative reads what our own script sends: a JSON array of messages.
//
//	k kind   l load id   o ordinal   v view id   pv parent view id   s site
//	n name   u URL       r referrer  t title     w screen  c from a cache
//	p props  ra, rc revenue  d distinct id  e engaged ms  sd scroll depth
//	lcp inp cls fcp ttfb
func ParseNative(body []byte) ([]Message, error) {
	v, ok := parse(body)
	switch {
	case !ok || v.kind() != '[':
		return nil, fieldError("", "the body must be a JSON array of messages")
	case v.count(maxNative) > maxNative:
		return nil, fieldError("", "at most %d messages at once", maxNative)
	}
	var list []Message
	var bad *FieldError
	v.elements(func(v value) bool {
		var m Message
		if m, bad = nativeMessage(v); bad == nil {
			list = append(list, m)
		}
		return bad == nil
	})
	switch {
	case bad != nil:
		return nil, bad
	case len(list) == 0:
		return nil, fieldError("", "there is no message")
	}
	return list, nil
}

// nativeFields is a message of the script's as it is read.
type nativeFields struct {
	Message
	kind, load, view, parent string
	ordinal                  value
	props                    propList
	amount, currency         string
}

func nativeMessage(v value) (Message, *FieldError) {
	if v.kind() != '{' {
		return Message{}, fieldError("", "each message must be an object")
	}
	n := nativeFields{Message: Message{Origin: shared.OriginBeacon}}
	var bad *FieldError
	v.fields(func(key string, v value) bool {
		bad = n.field(key, v)
		return bad == nil
	})
	if bad == nil {
		bad = n.finish()
	}
	return n.Message, bad
}

// field takes one field; those that are not known are ignored.
func (n *nativeFields) field(key string, v value) *FieldError {
	texts := map[string]*string{
		"k": &n.kind, "l": &n.load, "v": &n.view, "pv": &n.parent, "s": &n.Site, "u": &n.URL, "r": &n.Referrer,
		"n": &n.Name, "t": &n.Title, "w": &n.Screen, "rc": &n.currency,
	}
	if to := texts[key]; to != nil {
		return textField(key, v, to)
	}
	switch key {
	case "o":
		n.ordinal = v
	case "d":
		return looseText(key, v, &n.DistinctID)
	case "ra":
		return looseText(key, v, &n.amount)
	case "c":
		n.Cached = v.kind() == 't' || string(v) == "1"
	case "p":
		n.props.flatten(v)
	case "e":
		n.EngagedMS = wholeWithin(v, 0, maxEngaged)
	case "sd":
		n.ScrollDepth = wholeWithin(v, 0, 100)
	case "lcp":
		n.LCPMS = vital(v, 60_000)
	case "inp":
		n.INPMS = vital(v, 60_000)
	case "fcp":
		n.FCPMS = vital(v, 60_000)
	case "ttfb":
		n.NavTTFBMS = vital(v, 60_000)
	case "cls":
		n.CLS = vital(v, 100)
	}
	return nil
}

// vital reads a measurement; an absurd one is unknown.
func vital(v value, high float64) shared.Opt[float64] {
	f, ok := v.number()
	if !ok || f < 0 || f > high {
		return shared.Opt[float64]{}
	}
	return shared.Some(f)
}

func (n *nativeFields) finish() *FieldError {
	var bad *FieldError
	if n.Site, bad = siteText("s", n.Site); bad != nil {
		return bad
	}
	if l, ok := splitURL(n.URL, false); !ok || l.host == "" {
		return fieldError("u", "must be a URL with scheme and host")
	}
	n.Name, n.Title = shared.Cut(strings.TrimSpace(n.Name), shared.MaxName), shared.Cut(n.Title, shared.MaxTitle)
	n.DistinctID = shared.Cut(n.DistinctID, shared.MaxDistinct)
	switch kind := shared.Kind(n.kind); {
	case kind == shared.KindPageview, kind == shared.KindOutbound, kind == shared.KindEngagement, kind == shared.KindVitals, kind == shared.KindError:
		n.Kind = kind
	case n.kind == shared.CompletionIdentify:
		n.Kind, n.Name = shared.KindCompletion, shared.CompletionIdentify
	case n.kind != "" && n.kind != "event":
		return fieldError("k", "is a kind of message that is not known")
	case n.Name == "":
		return fieldError("n", "is missing: the event's name")
	default:
		n.Kind = shared.KindEvent
	}
	n.ViewID, n.ParentViewID, n.LoadID = hexID(n.view), hexID(n.parent), hexID(n.load)
	if ordinal, ok := n.ordinal.number(); ok && n.LoadID != 0 && ordinal >= 0 && ordinal < 1<<32 {
		n.DedupeKey = strconv.FormatUint(n.LoadID, 16) + "-" + strconv.FormatUint(uint64(ordinal), 16)
	}
	n.Props, n.DroppedProps = n.props.props, n.props.dropped
	n.RevenueAmount, n.RevenueCurrency = revenue(n.amount, n.currency)
	return nil
}

// hexID reads an id of 64 bits; anything else is none.
func hexID(s string) uint64 {
	id, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return 0
	}
	return id
}
