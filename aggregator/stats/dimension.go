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
}

// The dimensions that other answers than a breakdown name.
var (
	pages     = &Dimension{"pages", "pathname", ofView, Unknown}
	sources   = &Dimension{"sources", "source", ofVisit, direct}
	countries = &Dimension{"countries", "country_code", ofEvent, Unknown}
	browsers  = &Dimension{"browsers", "browser", ofEvent, Unknown}
	systems   = &Dimension{"os", "os", ofEvent, Unknown}
	devices   = &Dimension{"devices", "device_type", ofEvent, Unknown}
)

// dimensions is the registry. The expressions are the only source of column
// names in compiled SQL.
var dimensions = []*Dimension{
	pages,
	{"entry-pages", "pathname", ofEntry, Unknown},
	{"exit-pages", "pathname", ofExit, Unknown},
	{"hostnames", "hostname", ofEvent, Unknown},
	{"referrers", "referrer_domain", ofVisit, direct},
	sources,
	{"channels", "channel", ofVisit, Unknown},
	countries,
	{"regions", "country_code || '-' || region", ofEvent, Unknown},
	{"cities", "city", ofEvent, Unknown},
	{"languages", "language", ofEvent, Unknown},
	browsers,
	{"browser-versions", "browser || ' ' || browser_version", ofEvent, Unknown},
	systems,
	{"os-versions", "os || ' ' || os_version", ofEvent, Unknown},
	devices,
	{"screen-sizes", "screen_size", ofEvent, Unknown},
	{"utm-sources", "utm_source", ofVisit, Unknown},
	{"utm-mediums", "utm_medium", ofVisit, Unknown},
	{"utm-campaigns", "utm_campaign", ofVisit, Unknown},
	{"utm-contents", "utm_content", ofVisit, Unknown},
	{"utm-terms", "utm_term", ofVisit, Unknown},
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
