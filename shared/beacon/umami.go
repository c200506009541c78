package beacon

import (
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/eider-analytics/eider/shared"
)

// Umami's own limits of texts, in characters; what is longer is cut.
const (
	umamiHostname = 100
	umamiLanguage = 35
	umamiScreen   = 11
	umamiTitle    = 500
	umamiName     = 50
	umamiTag      = 50
	umamiID       = 50
)

// umamiSend is one message of Umami's protocol as it is read.
type umamiSend struct {
	kind    string
	payload value

	website, link, pixel string
	timestamp            float64
	engagement           shared.Opt[int64]
	props                propList
	hasData              bool
	Message
}

// ParseUmami reads the body of `POST /api/send`. The message's Site is the
// UUID of the website, link or pixel.
func ParseUmami(body []byte) (Message, error) {
	v, ok := parse(body)
	if !ok {
		return Message{}, fieldError("", "the body must be JSON")
	}
	m, bad := umamiMessage(v)
	if bad != nil {
		return Message{}, bad
	}
	return m, nil
}

func umamiMessage(v value) (Message, *FieldError) {
	if v.kind() != '{' {
		return Message{}, fieldError("", "must be an object with type and payload")
	}
	s := umamiSend{Message: Message{Origin: shared.OriginUmami}}
	var bad *FieldError
	v.fields(func(key string, v value) bool {
		switch key {
		case "type":
			bad = textField(key, v, &s.kind)
		case "payload":
			s.payload = v
		}
		return bad == nil
	})
	if bad != nil {
		return Message{}, bad
	}
	if s.payload.kind() != '{' {
		return Message{}, fieldError("payload", "must be an object")
	}
	s.payload.fields(func(key string, v value) bool {
		bad = s.field(key, v)
		return bad == nil
	})
	if bad == nil {
		bad = s.finish()
	}
	return s.Message, bad
}

// field takes one field of the payload; those that are not known are ignored.
func (s *umamiSend) field(key string, v value) *FieldError {
	name := "payload." + key
	text := func(to *string, limit int) *FieldError {
		bad := textField(name, v, to)
		*to = cutRunes(*to, limit)
		return bad
	}
	switch key {
	case "website":
		return textField(name, v, &s.website)
	case "link":
		return textField(name, v, &s.link)
	case "pixel":
		return textField(name, v, &s.pixel)
	case "url":
		return s.location(name, v, &s.URL)
	case "referrer":
		return s.location(name, v, &s.Referrer)
	case "hostname":
		return text(&s.Hostname, umamiHostname)
	case "language":
		return text(&s.Language, umamiLanguage)
	case "screen":
		return text(&s.Screen, umamiScreen)
	case "title":
		if bad := textField(name, v, &s.Title); bad != nil {
			return bad
		}
		s.Title = cutRunes(decodeTitle(s.Title), umamiTitle)
	case "name":
		return text(&s.Name, umamiName)
	case "tag":
		return text(&s.Tag, umamiTag)
	case "id":
		if bad := looseText(name, v, &s.DistinctID); bad != nil {
			return bad
		}
		s.DistinctID = cutRunes(s.DistinctID, umamiID)
	case "data":
		return s.data(name, v)
	case "ip", "userAgent", "browser", "os", "device", "timestamp":
		return s.override(name, key, v)
	case "lcp", "inp", "fcp", "ttfb", "cls", "engagement":
		return s.measure(name, key, v)
	}
	return nil
}

// location takes what `new URL(v, base)` takes.
func (s *umamiSend) location(name string, v value, to *string) *FieldError {
	if bad := textField(name, v, to); bad != nil {
		return bad
	}
	if _, ok := splitURL(*to, false); !ok {
		return fieldError(name, "must be a URL or a path")
	}
	return nil
}

func (s *umamiSend) data(name string, v value) *FieldError {
	switch v.kind() {
	case 'n':
	case '{':
		s.props.flatten(v)
		s.hasData = true
	default:
		return fieldError(name, "must be an object")
	}
	return nil
}

// override takes what the sender says of somebody else; whether it is believed
// is the intake's to say.
func (s *umamiSend) override(name, key string, v value) *FieldError {
	var text string
	if key == "timestamp" {
		n, ok := v.number()
		if !ok && !v.isNull() {
			return fieldError(name, "must be a number of seconds since 1970")
		}
		s.timestamp = n
		return nil
	}
	if bad := textField(name, v, &text); bad != nil {
		return bad
	}
	text = shared.Cut(text, maxAgent)
	o := &s.Override
	switch key {
	case "ip":
		addr, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil && text != "" {
			return fieldError(name, "must be an address")
		}
		o.IP = addr.WithZone("").Unmap()
	case "userAgent":
		o.UserAgent = text
	case "browser":
		o.Browser = shared.Cut(text, shared.MaxShort)
	case "os":
		o.OS = shared.Cut(text, shared.MaxShort)
	case "device":
		o.Device = shared.Cut(text, shared.MaxShort)
	}
	return nil
}

// measure takes a number within the bounds that Umami has for it.
func (s *umamiSend) measure(name, key string, v value) *FieldError {
	if v.isNull() {
		return nil
	}
	low, high := 0.0, 60_000.0
	switch key {
	case "cls":
		high = 100
	case "engagement":
		low, high = 1, maxEngaged
	}
	n, ok := v.number()
	if !ok || v.kind() == '"' || n < low || n > high {
		return fieldError(name, "must be a number from %v to %v", low, high)
	}
	switch key {
	case "lcp":
		s.LCPMS = shared.Some(n)
	case "inp":
		s.INPMS = shared.Some(n)
	case "fcp":
		s.FCPMS = shared.Some(n)
	case "ttfb":
		s.NavTTFBMS = shared.Some(n)
	case "cls":
		s.CLS = shared.Some(n)
	default:
		s.engagement = shared.Some(int64(n))
	}
	return nil
}

// finish checks what concerns more than one field.
func (s *umamiSend) finish() *FieldError {
	named := 0
	for _, id := range []string{s.website, s.link, s.pixel} {
		if id == "" {
			continue
		}
		named++
		s.Site = strings.ToLower(id)
	}
	switch {
	case named != 1:
		return fieldError("payload.website", "exactly one of website, link and pixel must be given")
	case !validUUID(s.Site):
		return fieldError("payload.website", "must be a UUID")
	}
	s.Props, s.DroppedProps = s.props.props, s.props.dropped
	s.Time = unixTime(s.timestamp)
	switch s.kind {
	case "event":
		s.Kind = shared.KindPageview
		if strings.TrimSpace(s.Name) != "" {
			s.Kind = shared.KindEvent
		}
		s.sale()
		s.dropMeasures()
	case "identify":
		s.Kind, s.Name = shared.KindCompletion, shared.CompletionIdentify
		s.dropMeasures()
	case "performance":
		s.Kind, s.Name = shared.KindVitals, ""
	case "engagement":
		if !s.engagement.OK {
			return fieldError("payload.engagement", "is missing: milliseconds")
		}
		s.Kind, s.Name, s.EngagedMS = shared.KindEngagement, "", s.engagement
		s.dropMeasures()
	default:
		return fieldError("type", "must be event, identify, performance or engagement")
	}
	return nil
}

// sale finds a revenue in the data: a positive number with a currency.
func (s *umamiSend) sale() {
	amount, ok := s.props.find("revenue")
	if !ok {
		return
	}
	code, _ := s.props.find("currency")
	if n, code := revenue(amount, code); n.OK && n.V > 0 {
		s.RevenueAmount, s.RevenueCurrency = n, code
	}
}

// dropMeasures leaves vitals to the messages that are about them.
func (s *umamiSend) dropMeasures() {
	none := shared.Opt[float64]{}
	s.LCPMS, s.INPMS, s.FCPMS, s.NavTTFBMS, s.CLS = none, none, none, none, none
}

// unixTime is a time in seconds, or in milliseconds where it is too large for
// those, as µs since 1970; 0 = none. Nothing that a clock can't show comes out.
func unixTime(n float64) int64 {
	const year2200 = 7_258_118_400
	switch {
	case n <= 0:
		return 0
	case n < year2200:
		n *= 1e6
	case n < year2200*1e3:
		n *= 1e3
	default:
		return 0
	}
	if n < 946_684_800e6 {
		return 0
	}
	return int64(n)
}

// decodeTitle undoes a tracker's encodeURIComponent, if it is one.
func decodeTitle(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	if t, err := url.PathUnescape(s); err == nil && utf8.ValidString(t) {
		return t
	}
	return s
}

// cutRunes cuts to a number of characters.
func cutRunes(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for i := range s {
		if limit == 0 {
			return s[:i]
		}
		limit--
	}
	return s
}

// maxUmamiBatch is how many messages a batch of Umami's has at most.
const maxUmamiBatch = 500

// ParseUmamiBatch reads the body of `POST /api/batch` and calls yield for each
// of its messages with what it is, or what is wrong with it.
func ParseUmamiBatch(body []byte, yield func(m Message, bad *FieldError)) error {
	v, _, err := umamiList(body)
	if err != nil {
		return err
	}
	v.elements(func(v value) bool {
		yield(umamiMessage(v))
		return true
	})
	return nil
}

// umamiList is a batch with the number of its messages.
func umamiList(body []byte) (v value, n int, err error) {
	v, ok := parse(body)
	if !ok {
		return "", 0, fieldError("", "the body must be JSON")
	}
	if v.kind() != '[' {
		return "", 0, fieldError("", "the body must be an array")
	}
	if n = v.count(maxUmamiBatch); n > maxUmamiBatch {
		return "", 0, fieldError("", "at most %d messages in a batch", maxUmamiBatch)
	}
	return v, n, nil
}
