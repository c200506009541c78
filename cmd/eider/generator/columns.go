package generator

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// Column is how surprising the values of a column are, and were meant to be.
type Column struct {
	Name     string  `json:"name"`
	Of       string  `json:"of"`       // what is counted: people's page views, …
	Declared float64 `json:"declared"` // entropy in bits of what is drawn from
	Measured float64 `json:"measured"` // of what was written
	Values   int     `json:"values"`   // distinct ones that were written; null is one
	Possible int     `json:"possible"`
}

// Account is what was generated.
type Account struct {
	Sites, Rows, Visitors, Visits int64
	Bytes                         int64 // of the segments
	Segments                      int
	Days                          int
	Took, CPU                     time.Duration
	Columns                       []Column
	Expected                      *Expected
}

// measured counts what was written of each value that is drawn.
type measured struct {
	clients, places, origins, pages, robots []float64
}

func newMeasured(m *model) *measured {
	return &measured{
		make([]float64, len(m.clientOf)), make([]float64, len(m.placeOf)), make([]float64, len(m.originOf)),
		make([]float64, len(m.pageOf)), make([]float64, len(m.robotOf)),
	}
}

func (s *measured) view(v *visit, p *row) {
	s.clients[v.client]++
	s.places[v.place]++
	s.pages[p.page]++
	if p.entry {
		s.origins[v.origin]++
	}
}

// columns compares what was written with the tables.
func (s *measured) columns(m *model) []Column {
	var list []Column
	add := func(name, of string, declared *dist, counts []float64, value func(i int) string) {
		want, got := map[string]float64{}, map[string]float64{}
		for i, p := range declared.p {
			want[value(i)] += p
			if counts[i] > 0 {
				got[value(i)] += counts[i]
			}
		}
		list = append(list, Column{name, of, entropy(want), entropy(got), len(got), len(want)})
	}
	of := func(events []shared.Event, column func(*shared.Event) string) func(int) string {
		return func(i int) string { return column(&events[i]) }
	}
	const views, entries, requests = "people's page views", "first views", "bots' requests"
	add("pathname", views, m.pages, s.pages, func(i int) string { return m.pageOf[i].path })
	client := func(name string, column func(*shared.Event) string) {
		add(name, views, m.clients, s.clients, of(m.clientOf, column))
	}
	client("browser", func(e *shared.Event) string { return e.Browser })
	client("browser_version", func(e *shared.Event) string { return e.BrowserVersion })
	client("os", func(e *shared.Event) string { return e.OS })
	client("os_version", func(e *shared.Event) string { return e.OSVersion })
	client("device_type", func(e *shared.Event) string { return e.DeviceType })
	place := func(name string, column func(*shared.Event) string) {
		add(name, views, m.places, s.places, of(m.placeOf, column))
	}
	place("country_code", func(e *shared.Event) string { return e.CountryCode })
	place("region", func(e *shared.Event) string { return e.CountryCode + e.Region })
	place("city", func(e *shared.Event) string { return e.City })
	place("language", func(e *shared.Event) string { return e.Language })
	from := func(name string, column func(*shared.Event) string) {
		add(name, entries, m.origins, s.origins, func(i int) string { return column(&m.originOf[i].event) })
	}
	from("referrer_domain", func(e *shared.Event) string { return e.ReferrerDomain })
	from("source", func(e *shared.Event) string { return e.Source })
	from("channel", func(e *shared.Event) string { return e.Channel })
	from("utm_campaign", func(e *shared.Event) string { return e.UTMCampaign })
	robot := func(name string, column func(*shared.Event) string) {
		add(name, requests, m.robots, s.robots, of(m.robotOf, column))
	}
	robot("bot_name", func(e *shared.Event) string { return e.BotName })
	robot("bot_operator", func(e *shared.Event) string { return e.BotOperator })
	robot("ai_purpose", func(e *shared.Event) string { return e.AIPurpose })
	robot("verdict_reason", func(e *shared.Event) string { return e.VerdictReason })
	return list
}

// Print writes the account for people.
func (a *Account) Print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "column\tof\tbits declared\tmeasured\tvalues\tof")
	for _, c := range a.Columns {
		fmt.Fprintf(t, "%s\t%s\t%.3f\t%.3f\t%d\t%d\n", c.Name, c.Of, c.Declared, c.Measured, c.Values, c.Possible)
	}
	_ = t.Flush()
	rows := max(a.Rows, 1)
	fmt.Fprintf(w, "%d rows of %d sites and %d days; people: %d visits of %d visitors\n", a.Rows, a.Sites, a.Days, a.Visits, a.Visitors)
	fmt.Fprintf(w, "%d segments, %.1f bytes an event\n", a.Segments, float64(a.Bytes)/float64(rows))
	fmt.Fprintf(w, "%.1f s, %.1f s of CPU: %.0f events per CPU second\n", a.Took.Seconds(), a.CPU.Seconds(), float64(a.Rows)/max(a.CPU.Seconds(), 1e-9))
}
