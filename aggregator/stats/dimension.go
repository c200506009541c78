package stats

import (
	"strings"
	"unicode/utf8"
)

// Unknown is how an answer calls a value that nobody knows, and how a filter
// asks for it.
const Unknown = "(unknown)"

// direct is what no source is called.
const direct = "Direct / None"

// scope says what a dimension is a property of.
type scope uint8

const (
	_ scope = iota // of the event
	// ofView is of a pageview alone: custom events are left out.
	ofView
	// ofAction is of a custom event alone: pageviews are left out.
	ofAction
	// ofVisit is of the visit's first event.
	ofVisit
	// ofEntry and ofExit are of the visit's first and last pageview.
	ofEntry
	ofExit
)

// Dimension is one entry of the closed list of what an answer can be broken
// down by and filtered on.
type Dimension struct {
	name    string // in paths and filters, as Mallard has it
	api     string // in JSON, as Plausible's stats API v2 has it
	expr    string // SQL over the columns of the relation events
	scope   scope
	unknown string // what null is called; "" = Unknown
	filled  bool   // the proxy does not know it: rows that complete a view do
	rows    string // SQL condition on the rows that are counted; "" = people's interactions
	key     string // of a property
	number  bool   // values are compared as numbers by > and <
}

// The dimensions that other answers than a breakdown name.
var (
	pages      = &Dimension{name: "pages", api: "event:page", expr: "pathname", scope: ofView}
	entryPages = &Dimension{name: "entry-pages", api: "visit:entry_page", expr: "pathname", scope: ofEntry}
	exitPages  = &Dimension{name: "exit-pages", api: "visit:exit_page", expr: "pathname", scope: ofExit}
	sources    = &Dimension{name: "sources", api: "visit:source", expr: "source", scope: ofVisit, unknown: direct}
	channels   = &Dimension{name: "channels", api: "visit:channel", expr: "channel", scope: ofVisit}
	campaigns  = &Dimension{name: "utm-campaigns", api: "visit:utm_campaign", expr: "utm_campaign", scope: ofVisit}
	countries  = &Dimension{name: "countries", api: "visit:country", expr: "country_code"}
	browsers   = &Dimension{name: "browsers", api: "visit:browser", expr: "browser"}
	systems    = &Dimension{name: "os", api: "visit:os", expr: "os"}
	devices    = &Dimension{name: "devices", api: "visit:device", expr: "device_type"}
	actions    = &Dimension{name: "events", api: "event:name", expr: "name", scope: ofAction}
)

// dimensions is the registry. The expressions are the only source of column
// names in compiled SQL.
var dimensions = []*Dimension{
	pages,
	entryPages,
	exitPages,
	{name: "hostnames", api: "event:hostname", expr: "hostname"},
	{name: "titles", api: "event:title", expr: "title", scope: ofView, filled: true},
	{name: "referrers", api: "visit:referrer", expr: "referrer_domain", scope: ofVisit, unknown: direct},
	sources,
	channels,
	countries,
	{name: "regions", api: "visit:region", expr: "country_code || '-' || region"},
	{name: "cities", api: "visit:city", expr: "city"},
	{name: "languages", api: "visit:language", expr: "language"},
	browsers,
	{name: "browser-versions", api: "visit:browser_version", expr: "browser || ' ' || browser_version"},
	systems,
	{name: "os-versions", api: "visit:os_version", expr: "os || ' ' || os_version"},
	devices,
	{name: "screen-sizes", api: "visit:screen", expr: "screen_size", filled: true},
	{name: "utm-sources", api: "visit:utm_source", expr: "utm_source", scope: ofVisit},
	{name: "utm-mediums", api: "visit:utm_medium", expr: "utm_medium", scope: ofVisit},
	campaigns,
	{name: "utm-contents", api: "visit:utm_content", expr: "utm_content", scope: ofVisit},
	{name: "utm-terms", api: "visit:utm_term", expr: "utm_term", scope: ofVisit},
	actions,
	{name: "currencies", api: "event:currency", expr: "revenue_currency"},
	{name: "tags", api: "event:tag", expr: "tag"},
	{name: "statuses", api: "event:status", expr: "status::VARCHAR", rows: answered, number: true},
	{name: "methods", api: "event:method", expr: "method", rows: answered},
	{name: "downloads", api: "event:download", expr: "pathname", rows: "kind = 'download' AND " + peoples},
	{name: "not-found", api: "event:not_found", expr: "pathname", rows: "kind = 'error' AND status = 404 AND " + peoples},
	{name: "bots", api: "event:bot", expr: "coalesce(bot_name, verdict_reason)", rows: bots},
	{name: "crawlers", api: "event:crawler", expr: "bot_operator", rows: bots + " AND ai_purpose IS NOT NULL"},
}

// The rows of dimensions that are not about people's interactions.
const (
	answered = "kind IN ('pageview', 'error', 'download', 'feed') AND " + peoples
	bots     = "verdict = 'bot' AND kind IN ('pageview', 'error', 'download', 'feed', 'request', 'event')"
)

// What begins the name of a custom property's dimension.
const (
	propPrefix    = "prop:"
	apiPropPrefix = "event:props:"
)

// maxPropKey bounds a property's name, as the collection does.
const maxPropKey = 500

// property is the dimension of a custom property of interactions.
func property(field, key string) (*Dimension, error) {
	if key == "" || len(key) > maxPropKey || !utf8.ValidString(key) {
		return nil, invalid(field, "the property after %s must have 1 to %d bytes of UTF-8", propPrefix, maxPropKey)
	}
	return &Dimension{name: propPrefix + key, api: apiPropPrefix + key, key: key, number: true}, nil
}

// sql is the expression of the dimension's value.
func (d *Dimension) sql(b *builder) string {
	if d.key != "" {
		return "(props[" + b.arg(d.key) + "::VARCHAR])"
	}
	return "(" + d.expr + ")"
}

// whose is the condition on the rows that the dimension counts.
func (d *Dimension) whose() string {
	if d.rows != "" {
		return d.rows
	}
	return people
}

// Name is the dimension as paths and filters call it.
func (d *Dimension) Name() string { return d.name }

// ofVisits reports whether visits must be told apart to know the value.
func (d *Dimension) ofVisits() bool { return d.scope >= ofVisit }

// label is how an answer calls the value; null has a name of its own.
func (d *Dimension) label(value *string) string {
	if value == nil {
		return d.none()
	}
	return *value
}

// none is what null is called.
func (d *Dimension) none() string {
	if d.unknown == "" {
		return Unknown
	}
	return d.unknown
}

// ParseDimension finds a dimension by either of its names. field names the
// parameter in the error.
func ParseDimension(field, name string) (*Dimension, error) {
	for _, prefix := range []string{propPrefix, apiPropPrefix} {
		if key, ok := strings.CutPrefix(name, prefix); ok {
			return property(field, key)
		}
	}
	names := make([]string, len(dimensions))
	for i, d := range dimensions {
		if d.name == name || d.api == name {
			return d, nil
		}
		names[i] = d.name
		if strings.Contains(name, ":") {
			names[i] = d.api
		}
	}
	if strings.Contains(name, ":") {
		return nil, invalid(field, "unknown dimension; there are %s, and event:props:<key>", strings.Join(names, ", "))
	}
	return nil, invalid(field, "unknown dimension; there are %s, and prop:<key>", strings.Join(names, ", "))
}
