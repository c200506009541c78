package beacon

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// MaxServerBatch is how many events one `POST /api/events` brings at most.
const MaxServerBatch = 1000

// ParseEvents reads the body of `POST /api/events`: an array of events, or an
// object with one under `events`. idempotencyKey, if there is one, names those
// events that bring no dedupe_key of their own, by their place in the batch.
// yield is called for each event with what it is, or what is wrong with it.
func ParseEvents(body []byte, idempotencyKey string, yield func(m Message, bad *FieldError)) error {
	v, ok := parse(body)
	if !ok {
		return fieldError("", "the body must be JSON")
	}
	if v.kind() == '{' {
		var list value
		v.fields(func(key string, v value) bool {
			if key == "events" {
				list = v
			}
			return true
		})
		v = list
	}
	n := v.count(MaxServerBatch)
	switch {
	case v.kind() != '[':
		return fieldError("events", "must be an array of events")
	case n == 0:
		return fieldError("events", "is empty")
	case n > MaxServerBatch:
		return fieldError("events", "has more than %d events: send them in several batches", MaxServerBatch)
	}
	i := 0
	v.elements(func(v value) bool {
		m, bad := serverEvent(v)
		if bad == nil && m.DedupeKey == "" && idempotencyKey != "" {
			m.DedupeKey = dedupeKey(idempotencyKey + "-" + strconv.Itoa(i))
		}
		yield(m, bad)
		i++
		return true
	})
	return nil
}

// dedupeKey makes a key of any length fit. Cutting it would make two keys one.
func dedupeKey(key string) string {
	if len(key) <= shared.MaxShort && shared.Cut(key, shared.MaxShort) == key {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func serverEvent(v value) (m Message, bad *FieldError) {
	if v.kind() != '{' {
		return m, fieldError("", "must be an object")
	}
	e := serverFields{Message: Message{Origin: shared.OriginAPI, Kind: shared.KindEvent}}
	v.fields(func(key string, v value) bool {
		bad = e.field(key, v)
		return bad == nil
	})
	if bad != nil {
		return m, bad
	}
	return e.finish()
}

// serverFields is an event of a server as it is read.
type serverFields struct {
	Message
	props            propList
	amount, currency string
}

// field takes one field; those that are not known are ignored.
func (e *serverFields) field(key string, v value) *FieldError {
	text := func(to *string, limit int) *FieldError {
		bad := textField(key, v, to)
		*to = shared.Cut(*to, limit)
		return bad
	}
	switch key {
	case "site", "site_id", "domain", "d":
		return textField(key, v, &e.Site)
	case "name", "n":
		return text(&e.Name, shared.MaxName)
	case "url", "u":
		return textField(key, v, &e.URL)
	case "hostname":
		return text(&e.Hostname, shared.MaxHostname)
	case "referrer", "r":
		return textField(key, v, &e.Referrer)
	case "title":
		return text(&e.Title, shared.MaxTitle)
	case "tag":
		return text(&e.Tag, shared.MaxTag)
	case "screen":
		return text(&e.Screen, shared.MaxShort)
	case "language":
		return text(&e.Language, shared.MaxShort)
	case "time", "timestamp":
		return e.time(key, v)
	case "dedupe_key":
		if bad := looseText(key, v, &e.DedupeKey); bad != nil {
			return bad
		}
		e.DedupeKey = dedupeKey(e.DedupeKey)
	case "distinct_id":
		if bad := looseText(key, v, &e.DistinctID); bad != nil {
			return bad
		}
		e.DistinctID = shared.Cut(e.DistinctID, shared.MaxDistinct)
	case "props", "p":
		if v.kind() != '{' && !v.isNull() {
			return fieldError(key, "must be an object")
		}
		e.props.flatten(v)
	case "revenue":
		return e.revenue(v)
	default:
		return e.override(key, v)
	}
	return nil
}

// time reads ISO 8601 with an offset, or a number of seconds or milliseconds.
func (e *serverFields) time(key string, v value) *FieldError {
	if v.isNull() {
		return nil
	}
	if n, ok := v.number(); ok {
		e.Time = unixTime(n)
	} else if t, err := time.Parse(time.RFC3339Nano, v.text()); err == nil {
		e.Time = unixTime(float64(t.Unix()))
		if e.Time != 0 {
			e.Time = t.UnixMicro()
		}
	}
	if e.Time == 0 {
		return fieldError(key, `must be a time like "2026-01-31T12:00:00Z", or seconds since 1970`)
	}
	return nil
}

func (e *serverFields) revenue(v value) (bad *FieldError) {
	if v.isNull() {
		return nil
	}
	if v.kind() != '{' {
		return fieldError("revenue", "must be an object with amount and currency")
	}
	v.fields(func(key string, v value) bool {
		switch key {
		case "amount":
			bad = looseText("revenue.amount", v, &e.amount)
		case "currency":
			bad = textField("revenue.currency", v, &e.currency)
		}
		return bad == nil
	})
	if bad != nil {
		return bad
	}
	e.RevenueAmount, e.RevenueCurrency = revenue(e.amount, e.currency)
	if !e.RevenueAmount.OK {
		return fieldError("revenue", "needs an amount and a currency of ISO 4217, such as 12.50 and EUR")
	}
	return nil
}

// override reads what the server knows of the visitor.
func (e *serverFields) override(key string, v value) *FieldError {
	o := &e.Override
	var to *string
	switch key {
	case "ip":
	case "user_agent":
		to = &o.UserAgent
	case "browser":
		to = &o.Browser
	case "os":
		to = &o.OS
	case "device":
		to = &o.Device
	case "country":
		to = &o.Country
	case "region":
		to = &o.Region
	case "city":
		to = &o.City
	default:
		return nil
	}
	var text string
	if bad := textField(key, v, &text); bad != nil {
		return bad
	}
	if to != nil {
		*to = shared.Cut(text, maxAgent)
		return nil
	}
	addr, err := netip.ParseAddr(strings.TrimSpace(text))
	if err != nil && text != "" {
		return fieldError(key, "must be an address")
	}
	o.IP = addr.WithZone("").Unmap()
	return nil
}

func (e *serverFields) finish() (Message, *FieldError) {
	m := &e.Message
	var bad *FieldError
	if m.Site, bad = siteText("site", m.Site); bad != nil {
		return *m, bad
	}
	m.Name = strings.TrimSpace(m.Name)
	if m.Name == "" {
		return *m, fieldError("name", "is missing: the event's name, pageview for a page view")
	}
	if m.Name == namePageview {
		m.Kind, m.Name = shared.KindPageview, ""
	}
	l, ok := splitURL(m.URL, false)
	if !ok {
		return *m, fieldError("url", "must be a URL or a path")
	}
	if m.Site == "" && l.host == "" && m.Hostname == "" {
		return *m, fieldError("site", "is missing: the site's domain, UUID or id")
	}
	m.Props, m.DroppedProps = e.props.props, e.props.dropped
	return *m, nil
}
