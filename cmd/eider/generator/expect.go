package generator

import (
	"encoding/json"
	"fmt"
	"os"
)

// Expected is what the answers to questions about generated traffic must be: the
// generator knows it from the visits that it planned.
type Expected struct {
	Options struct {
		Events   int64   `json:"events"`
		Days     int     `json:"days"`
		Seed     uint64  `json:"seed"`
		Zone     string  `json:"zone"`
		Identity string  `json:"identity"`
		Profile  string  `json:"profile"`
		Late     float64 `json:"late"`
	} `json:"options"`
	From  string         `json:"from"` // the first local day
	To    string         `json:"to"`   // the last one
	Sites []ExpectedSite `json:"sites"`
}

// ExpectedSite is what must be found of one site.
type ExpectedSite struct {
	ID     string           `json:"id"`
	Domain string           `json:"domain"`
	Rows   map[string]int64 `json:"rows"` // by kind
	Totals                  // of all days as one range
	Days   []ExpectedDay    `json:"days"`
}

// Totals are people's, as docs/formats/completions.md counts them.
type Totals struct {
	Visitors  int64 `json:"visitors"`
	Visits    int64 `json:"visits"`
	Pageviews int64 `json:"pageviews"`
	Events    int64 `json:"events"` // custom ones
}

// ExpectedDay is the same of one local day.
type ExpectedDay struct {
	Date string `json:"date"`
	Totals
}

// Write writes it as JSON.
func (e *Expected) Write(path string) error {
	b, err := json.MarshalIndent(e, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write what is expected: %w", err)
	}
	return nil
}

// What a day must show before want of assets says anything, and what a visitor
// must have done (docs/formats/completions.md, rule 7).
const (
	witnesses    = 20
	witnessShare = 3
	unprovenFrom = 3
)

// deed is what one visitor did on one day, as it counts.
type deed struct {
	shown  int // the proxy's page views
	views  int // page views that count
	events int
	visits int  // that began on the day
	proved bool // by evidence or the script
	came   bool // was there on the day before, under another identity
}

// add counts a row.
func (t *deed) add(p *row) {
	switch p.kind {
	case rowView:
		t.shown++
		t.views++
	case rowCached, rowSoft:
		t.views++
	case rowCustom:
		t.events++
	}
	switch p.kind {
	case rowEvidence, rowLoad, rowCached, rowSoft, rowEngagement, rowVitals, rowCustom, rowOutbound:
		t.proved = true
	}
}

// books count what people did on one site. Visitors are known by the identity
// under which they began.
type books struct {
	days   [2]map[uint64]deed  // today and tomorrow
	proved map[uint64]bool     // yesterday
	period map[uint64]struct{} // visitors of this period who count; nil = it lasts a day
	Totals
	list []ExpectedDay
}

func newBooks() books {
	return books{days: [2]map[uint64]deed{{}, {}}, proved: map[uint64]bool{}, period: map[uint64]struct{}{}}
}

// rotate begins a new period of identities.
func (b *books) rotate() { clear(b.period) }

// note adds what a visit was on its day and the next one. renamed says that its
// visitor has another identity on the latter.
func (b *books) note(id uint64, did *[2]deed, renamed bool) {
	for i := range did {
		n := &did[i]
		if *n == (deed{}) {
			continue
		}
		t := b.days[i][id]
		t.shown += n.shown
		t.views += n.views
		t.events += n.events
		t.visits += n.visits
		t.proved = t.proved || n.proved
		t.came = t.came || renamed && i == 1
		b.days[i][id] = t
	}
}

// close counts the day: all that is to be known of it is there.
func (b *books) close(date string) {
	today := b.days[0]
	several, proven := 0, 0
	for id, t := range today {
		if t.shown > 1 {
			several++
			if t.proved || b.proved[id] {
				proven++
			}
		}
	}
	judged := several >= witnesses && proven*witnessShare >= several
	day := ExpectedDay{Date: date}
	proved := make(map[uint64]bool, len(today))
	for id, t := range today {
		if t.proved {
			proved[id] = true
		}
		if judged && t.shown >= unprovenFrom && !t.proved && !b.proved[id] {
			continue
		}
		day.Visits += int64(t.visits)
		day.Pageviews += int64(t.views)
		day.Events += int64(t.events)
		if t.views+t.events == 0 {
			continue
		}
		day.Visitors++
		if _, known := b.period[id]; !known && !t.came {
			b.Visitors++
			b.period[id] = struct{}{}
		}
	}
	b.Visits += day.Visits
	b.Pageviews += day.Pageviews
	b.Events += day.Events
	b.list = append(b.list, day)
	clear(today)
	b.days[0], b.days[1], b.proved = b.days[1], today, proved
}
