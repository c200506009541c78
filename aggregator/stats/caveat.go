package stats

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// Count is a number of visitors, visits or page views. In JSON it is null where
// it can't be known: a row without a visitor id is of somebody, not of nobody.
type Count int64

// Unknowable is the count that can't be known.
const Unknowable Count = -1

// MarshalJSON writes a number or null.
func (c Count) MarshalJSON() ([]byte, error) { return []byte(c.String()), nil }

func (c Count) String() string {
	if c < 0 {
		return "null"
	}
	return strconv.FormatInt(int64(c), 10)
}

// Caveat says what of an answer is null, or is less than it looks, and why.
type Caveat struct {
	Reason  string   `json:"reason"`  // one of the Reason constants
	Affects []string `json:"affects"` // numbers and dimensions, as the API calls them
	Message string   `json:"message"` // one sentence that says what to change
}

// Meta stands beside the numbers of an answer that is an object.
type Meta struct {
	Caveats []Caveat `json:"caveats"`
}

// List is what there is; none where m is nil.
func (m *Meta) List() []Caveat {
	if m == nil {
		return nil
	}
	return m.Caveats
}

// Reasons of caveats: mostly the name of the option of [shared.Privacy] that
// leaves something out.
const (
	ReasonNoVisitorID = "no_visitor_id"
	ReasonCountryOnly = "country_only"
	ReasonHourTimes   = "hour_times"
	ReasonNoVersions  = "no_versions"
	ReasonNoScreen    = "no_screen"
	ReasonRedact      = "redact"
	// ReasonNoIdentity: rows without a visitor id although the site records
	// them. Their readers asked for it, or other options held then.
	ReasonNoIdentity = "no_identity"
	// ReasonChanged: the options were changed within the range or after it.
	ReasonChanged = "privacy_changed"
)

// leavesOut are the options that leave a dimension out.
var leavesOut = []struct {
	reason     string
	on         func(p *shared.Privacy) bool
	dimensions []string
	message    string
}{
	{
		ReasonCountryOnly, func(p *shared.Privacy) bool { return p.CountryOnly },
		[]string{"regions", "cities"},
		"This site records no place below the country; switch its option country_only off to know regions and cities from then on.",
	},
	{
		ReasonNoVersions, func(p *shared.Privacy) bool { return p.NoVersions },
		[]string{"browser-versions", "os-versions"},
		"This site records no versions; switch its option no_versions off to know them from then on.",
	},
	{
		ReasonNoScreen, func(p *shared.Privacy) bool { return p.NoScreen },
		[]string{"screen-sizes"},
		"This site records no screen sizes; switch its option no_screen off to know them from then on.",
	},
}

// ofPaths are the dimensions whose values a site's patterns change.
var ofPaths = []string{"pages", "entry-pages", "exit-pages", "downloads", "not-found"}

// privacy is what the site's options, as they are now, leave out of a range:
// nothing that is known, if they were changed after its end.
func (q *Query) privacy(r Range) shared.Privacy {
	if q.site.PrivacyChanged >= r.To {
		return shared.Privacy{}
	}
	return q.site.Privacy
}

// mark makes null what can't be known of a range.
func (t *Totals) mark(p *shared.Privacy) {
	if t.Visitors == Unknowable || t.Visitors == 0 && p.NoVisitorID {
		t.Visitors, t.Visits = Unknowable, Unknowable
	}
	if p.HourTimes {
		t.VisitDuration = nil
	}
}

// markPoints makes null what can't be known of buckets, also of those that
// nothing was found of.
func markPoints(points []Point, p *shared.Privacy, interval Interval) {
	nobody := p.NoVisitorID && !slices.ContainsFunc(points, func(b Point) bool { return b.Visitors > 0 })
	for i := range points {
		b := &points[i]
		if b.Visitors == 0 && nobody {
			b.Visitors = Unknowable
		}
		if p.HourTimes && interval == Minute {
			b.Visitors, b.Pageviews = Unknowable, Unknowable
		}
	}
}

// markRows makes null what can't be known of a table: a value that nobody has
// would not be in it.
func markRows(rows []Row) {
	for i := range rows {
		if rows[i].Visitors == 0 {
			rows[i].Visitors = Unknowable
		}
	}
}

// mark makes null what can't be known of the present: times cut to the hour
// never are in it, or all of them are.
func (r *Realtime) mark(p *shared.Privacy) {
	if r.CurrentVisitors == 0 && p.NoVisitorID {
		r.CurrentVisitors = Unknowable
	}
	if p.HourTimes {
		r.CurrentVisitors, r.Pageviews, r.TopPages, r.TopSources = Unknowable, Unknowable, []Row{}, []Row{}
	}
}

// Caveats of the answers that are lists, and have no place for them.

// SeriesCaveats says what to know of an answer of [Engine.Timeseries].
func SeriesCaveats(q *Query, points []Point) []Caveat {
	c := q.caution(q.Range, "visitors")
	if q.Interval == Minute {
		c.timed = []string{"visitors", "pageviews"}
	}
	for _, b := range points {
		if b.Pageviews != Unknowable { // else it is for the times' sake
			c.saw(b.Visitors)
		}
	}
	return c.list()
}

// TableCaveats says what to know of an answer of [Engine.Breakdown].
func TableCaveats(q *Query, d *Dimension, rows []Row) []Caveat {
	c := q.caution(q.Range, "visitors")
	c.asks(d)
	if d.scope == ofEntry || d.scope == ofExit {
		c.numbers = append(c.numbers, d.name)
	}
	for i := range rows {
		c.saw(rows[i].Visitors)
		c.redacted = c.redacted || strings.Contains(rows[i].Value, shared.Redacted)
	}
	return c.list()
}

func (m *Main) explain(q *Query) {
	c := q.caution(q.Range, "visitors", "visits", "views_per_visit", "bounce_rate", "visit_duration")
	// Whether a visit went on into the next hour can't be told either.
	c.timed = []string{"visit_duration", "visits", "views_per_visit", "bounce_rate"}
	c.saw(m.Visitors)
	list := c.list()
	if m.Comparison != nil {
		c.rng, c.privacy = *q.Compare, q.privacy(*q.Compare)
		c.known, c.unknown = false, false
		c.saw(m.Comparison.Visitors)
		for _, more := range c.list() {
			if !slices.ContainsFunc(list, func(have Caveat) bool { return have.Reason == more.Reason }) {
				list = append(list, more)
			}
		}
	}
	m.Meta = metaOf(list)
}

func (r *Realtime) explain(q *Query) {
	c := q.caution(q.Range, "current_visitors")
	c.timed = []string{"current_visitors", "pageviews", "top_pages", "top_sources", "per_minute"}
	if r.Pageviews != Unknowable {
		c.saw(r.CurrentVisitors)
		for _, rows := range [][]Row{r.TopPages, r.TopSources} {
			for i := range rows {
				c.saw(rows[i].Visitors)
			}
		}
	}
	r.Meta = metaOf(c.list())
}

func metaOf(list []Caveat) *Meta {
	if len(list) == 0 {
		return nil
	}
	return &Meta{Caveats: list}
}

// caution gathers what an answer's caveats depend on.
type caution struct {
	q        *Query
	rng      Range
	privacy  shared.Privacy
	asked    []string // dimensions of the answer and of the filters
	numbers  []string // that need visitor ids
	timed    []string // that need times finer than the hour
	known    bool     // a number of visitors is known
	unknown  bool     // one is not
	redacted bool     // a value has something in it that a pattern found
}

func (q *Query) caution(r Range, numbers ...string) *caution {
	c := &caution{q: q, rng: r, privacy: q.privacy(r), numbers: numbers}
	q.Filter.each(func(f *comparison) { c.asks(f.dimension) })
	return c
}

// asks notes a dimension once, however often it is filtered on.
func (c *caution) asks(d *Dimension) {
	if !slices.Contains(c.asked, d.name) {
		c.asked = append(c.asked, d.name)
	}
}

func (c *caution) saw(visitors Count) {
	c.known = c.known || visitors > 0
	c.unknown = c.unknown || visitors == Unknowable
}

func (c *caution) list() []Caveat {
	var list []Caveat
	p := &c.privacy
	switch {
	case p.NoVisitorID && c.known:
		list = append(list, Caveat{
			ReasonNoVisitorID, c.numbers,
			"This site records no visitor ids any more: these numbers are of the events that still have one, not of all.",
		})
	case p.NoVisitorID:
		list = append(list, Caveat{
			ReasonNoVisitorID, c.numbers,
			"This site records no visitor ids, so that visitors and visits can't be counted; switch its option no_visitor_id off to count them from then on.",
		})
	case c.unknown:
		list = append(list, Caveat{
			ReasonNoIdentity, c.numbers,
			"Events without a visitor id are in no number of visitors: their readers asked for it by DNT or GPC, or the site or its proxy recorded none then.",
		})
	}
	if p.HourTimes && len(c.timed) > 0 {
		list = append(list, Caveat{
			ReasonHourTimes, c.timed,
			"This site records times by the hour, so that nothing shorter is known; switch its option hour_times off to know it from then on.",
		})
	}
	for i := range leavesOut {
		o := &leavesOut[i]
		var affects []string
		for _, name := range o.dimensions {
			if o.on(p) && slices.Contains(c.asked, name) {
				affects = append(affects, name)
			}
		}
		if len(affects) > 0 {
			list = append(list, Caveat{o.reason, affects, o.message})
		}
	}
	if c.redacted && len(p.Redact) > 0 {
		var affects []string
		for _, name := range ofPaths {
			if slices.Contains(c.asked, name) {
				affects = append(affects, name)
			}
		}
		if len(affects) > 0 {
			list = append(list, Caveat{
				ReasonRedact, affects,
				"Paths that differ only in what the site's patterns replace are one value here; edit its option redact to tell them apart from then on.",
			})
		}
	}
	return append(list, c.changed()...)
}

// changed says that other options held for some of the range, if there was
// anything then that they could have held for.
func (c *caution) changed() []Caveat {
	at, began := c.q.site.PrivacyChanged, c.q.site.Began
	if at <= c.rng.From || began.IsZero() || began.UnixMicro() >= min(at, c.rng.To) {
		return nil
	}
	return []Caveat{{
		ReasonChanged, append(slices.Clone(c.numbers), c.asked...),
		fmt.Sprintf("The site's privacy options were changed at %s: what was recorded before follows those of then.",
			time.UnixMicro(at).UTC().Format(time.RFC3339)),
	}}
}
