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
	ofEvent scope = iota
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
	name    string // in paths and filters
	expr    string // SQL over the columns of the relation events
	scope   scope
	unknown string // what null is called
	filled  bool   // the proxy does not know it: rows that complete a view do
	rows    string // SQL condition on the rows that are counted; "" = people's interactions
	key     string // of a property
}

// The dimensions that other answers than a breakdown name.
var (
	pages     = &Dimension{"pages", "pathname", ofView, Unknown, false, "", ""}
	sources   = &Dimension{"sources", "source", ofVisit, direct, false, "", ""}
	countries = &Dimension{"countries", "country_code", ofEvent, Unknown, false, "", ""}
	browsers  = &Dimension{"browsers", "browser", ofEvent, Unknown, false, "", ""}
	systems   = &Dimension{"os", "os", ofEvent, Unknown, false, "", ""}
	devices   = &Dimension{"devices", "device_type", ofEvent, Unknown, false, "", ""}
)

// dimensions is the registry. The expressions are the only source of column
// names in compiled SQL.
var dimensions = []*Dimension{
	pages,
	{"entry-pages", "pathname", ofEntry, Unknown, false, "", ""},
	{"exit-pages", "pathname", ofExit, Unknown, false, "", ""},
	{"hostnames", "hostname", ofEvent, Unknown, false, "", ""},
	{"referrers", "referrer_domain", ofVisit, direct, false, "", ""},
	sources,
	{"channels", "channel", ofVisit, Unknown, false, "", ""},
	countries,
	{"regions", "country_code || '-' || region", ofEvent, Unknown, false, "", ""},
	{"cities", "city", ofEvent, Unknown, false, "", ""},
	{"languages", "language", ofEvent, Unknown, false, "", ""},
	browsers,
	{"browser-versions", "browser || ' ' || browser_version", ofEvent, Unknown, false, "", ""},
	systems,
	{"os-versions", "os || ' ' || os_version", ofEvent, Unknown, false, "", ""},
	devices,
	{"screen-sizes", "screen_size", ofEvent, Unknown, true, "", ""},
	{"utm-sources", "utm_source", ofVisit, Unknown, false, "", ""},
	{"utm-mediums", "utm_medium", ofVisit, Unknown, false, "", ""},
	{"utm-campaigns", "utm_campaign", ofVisit, Unknown, false, "", ""},
	{"utm-contents", "utm_content", ofVisit, Unknown, false, "", ""},
	{"utm-terms", "utm_term", ofVisit, Unknown, false, "", ""},
	{"events", "name", ofAction, Unknown, false, "", ""},
	{"tags", "tag", ofEvent, Unknown, false, "", ""},
	{"statuses", "status::VARCHAR", ofEvent, Unknown, false, answered, ""},
	{"methods", "method", ofEvent, Unknown, false, answered, ""},
	{"downloads", "pathname", ofEvent, Unknown, false, "kind = 'download' AND " + peoples, ""},
	{"not-found", "pathname", ofEvent, Unknown, false, "kind = 'error' AND status = 404 AND " + peoples, ""},
	{"bots", "coalesce(bot_name, verdict_reason)", ofEvent, Unknown, false, bots, ""},
	{"crawlers", "bot_operator", ofEvent, Unknown, false, bots + " AND ai_purpose IS NOT NULL", ""},
}

// The rows of dimensions that are not about people's interactions.
const (
	answered = "kind IN ('pageview', 'error', 'download', 'feed') AND " + peoples
	bots     = "verdict = 'bot' AND kind IN ('pageview', 'error', 'download', 'feed', 'request', 'event')"
)

// propPrefix begins the name of a custom property's dimension.
const propPrefix = "prop:"

// maxPropKey bounds a property's name, as the collection does.
const maxPropKey = 500

// property is the dimension of a custom property of interactions.
func property(field, key string) (*Dimension, error) {
	if key == "" || len(key) > maxPropKey || !utf8.ValidString(key) {
		return nil, invalid(field, "the property after %s must have 1 to %d bytes of UTF-8", propPrefix, maxPropKey)
	}
	return &Dimension{propPrefix + key, "", ofEvent, Unknown, false, "", key}, nil
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
		return d.unknown
	}
	return *value
}

// ParseDimension finds a dimension by its name. field names the parameter in
// the error.
func ParseDimension(field, name string) (*Dimension, error) {
	if key, ok := strings.CutPrefix(name, propPrefix); ok {
		return property(field, key)
	}
	names := make([]string, len(dimensions))
	for i, d := range dimensions {
		if d.name == name {
			return d, nil
		}
		names[i] = d.name
	}
	return nil, invalid(field, "unknown dimension; there are %s, and prop:<key>", strings.Join(names, ", "))
}
