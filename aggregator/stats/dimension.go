package stats

import "strings"

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
}

// The dimensions that other answers than a breakdown name.
var (
	pages     = &Dimension{"pages", "pathname", ofView, Unknown, false}
	sources   = &Dimension{"sources", "source", ofVisit, direct, false}
	countries = &Dimension{"countries", "country_code", ofEvent, Unknown, false}
	browsers  = &Dimension{"browsers", "browser", ofEvent, Unknown, false}
	systems   = &Dimension{"os", "os", ofEvent, Unknown, false}
	devices   = &Dimension{"devices", "device_type", ofEvent, Unknown, false}
)

// dimensions is the registry. The expressions are the only source of column
// names in compiled SQL.
var dimensions = []*Dimension{
	pages,
	{"entry-pages", "pathname", ofEntry, Unknown, false},
	{"exit-pages", "pathname", ofExit, Unknown, false},
	{"hostnames", "hostname", ofEvent, Unknown, false},
	{"referrers", "referrer_domain", ofVisit, direct, false},
	sources,
	{"channels", "channel", ofVisit, Unknown, false},
	countries,
	{"regions", "country_code || '-' || region", ofEvent, Unknown, false},
	{"cities", "city", ofEvent, Unknown, false},
	{"languages", "language", ofEvent, Unknown, false},
	browsers,
	{"browser-versions", "browser || ' ' || browser_version", ofEvent, Unknown, false},
	systems,
	{"os-versions", "os || ' ' || os_version", ofEvent, Unknown, false},
	devices,
	{"screen-sizes", "screen_size", ofEvent, Unknown, true},
	{"utm-sources", "utm_source", ofVisit, Unknown, false},
	{"utm-mediums", "utm_medium", ofVisit, Unknown, false},
	{"utm-campaigns", "utm_campaign", ofVisit, Unknown, false},
	{"utm-contents", "utm_content", ofVisit, Unknown, false},
	{"utm-terms", "utm_term", ofVisit, Unknown, false},
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
	names := make([]string, len(dimensions))
	for i, d := range dimensions {
		if d.name == name {
			return d, nil
		}
		names[i] = d.name
	}
	return nil, invalid(field, "unknown dimension; there are %s", strings.Join(names, ", "))
}
