// Package relabel judges stored events anew by the rules of today.
//
// It owns what `eider relabel` does: which columns of which days, and the
// account of it. It promises to change verdict columns and nothing else, and to
// call an event a bot's or a likely person's only by what is kept of it
// (package enrich, package conduct).
//
// It refuses to touch what was proved: persons stay persons.
package relabel

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/conduct"
	"github.com/eider-analytics/eider/shared/enrich"
)

// Options say what is judged anew.
type Options struct {
	Site   string `json:"site"` // its id; "" = all
	From   string `json:"from"` // the site's local days, yyyy-mm-dd, included; "" = all
	To     string `json:"to"`
	DryRun bool   `json:"dry_run"` // only count
}

// Check says what is wrong with them.
func (o *Options) Check() error {
	for _, day := range []struct{ name, value string }{{"from", o.From}, {"to", o.To}} {
		if day.value == "" {
			continue
		}
		if _, err := time.Parse(time.DateOnly, day.value); err != nil {
			return fmt.Errorf("%s: %q is no day: want one like 2026-11-22", day.name, day.value)
		}
	}
	if o.From != "" && o.To != "" && o.From > o.To {
		return fmt.Errorf("from %s is after to %s", o.From, o.To)
	}
	return nil
}

// Report is the account of it.
type Report struct {
	Segments int      `json:"segments"` // read
	Written  int      `json:"written"`  // replaced, or would be
	Rows     int64    `json:"rows"`     // read
	Changed  int64    `json:"changed"`  // of them
	Changes  []Change `json:"changes"`  // what became what, the most frequent first
	DryRun   bool     `json:"dry_run"`
}

// Change is how many rows went from one judgement to another.
type Change struct {
	From Judgement `json:"from"`
	To   Judgement `json:"to"`
	Rows int64     `json:"rows"`
}

// Judgement is what a row is said to be.
type Judgement struct {
	Verdict  string `json:"verdict"`
	Reason   string `json:"reason"`
	Name     string `json:"name"`
	Category string `json:"category"`
	Purpose  string `json:"purpose"`
}

func (j Judgement) String() string {
	s := cmp.Or(j.Verdict, "none") + " " + j.Reason
	for _, detail := range []string{j.Name, j.Category, j.Purpose} {
		if detail != "" {
			s += ", " + detail
		}
	}
	return strings.TrimSpace(s)
}

func judgementOf(e *shared.Event) Judgement {
	return Judgement{string(e.Verdict), e.VerdictReason, e.BotName, e.BotCategory, e.AIPurpose}
}

// maxChanges bounds the account: names come from user agents, which anybody can
// make up. What goes beyond is counted as one.
const maxChanges = 2000

// Lake is what holds the events.
type Lake interface {
	Revise(ctx context.Context, sel lake.Selection, dry bool, change func(*shared.Event) bool) (lake.Rewritten, error)
}

// Run judges anew. After an error the report says what was done before it.
func Run(ctx context.Context, l Lake, o Options) (Report, error) {
	r := Report{DryRun: o.DryRun, Changes: []Change{}}
	if err := o.Check(); err != nil {
		return r, err
	}
	sel := lake.Selection{SiteID: o.Site, From: o.From, To: o.To}
	c := counter{of: map[[2]Judgement]int64{}}
	done, err := l.Revise(ctx, sel, true, c.count)
	if err == nil && !o.DryRun && done.Changed > 0 {
		done, err = l.Revise(ctx, sel, false, Event)
	}
	r.Segments, r.Written, r.Rows, r.Changed = done.Segments, done.Written, done.Rows, done.Changed
	r.Changes = c.changes()
	return r, err
}

// counter counts what becomes what.
type counter struct {
	mu sync.Mutex
	of map[[2]Judgement]int64
}

func (c *counter) count(e *shared.Event) bool {
	from := judgementOf(e)
	if !Event(e) {
		return false
	}
	change := [2]Judgement{from, judgementOf(e)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.of[change]; !ok && len(c.of) >= maxChanges {
		change[0].Name, change[1].Name = "(others)", "(others)"
	}
	c.of[change]++
	return true
}

func (c *counter) changes() []Change {
	list := make([]Change, 0, len(c.of))
	for change, rows := range c.of {
		list = append(list, Change{change[0], change[1], rows})
	}
	slices.SortFunc(list, func(a, b Change) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.From.String(), b.From.String()), cmp.Compare(a.To.String(), b.To.String()))
	})
	return list
}

// Event gives one event the verdict of today, and reports whether it changed.
func Event(e *shared.Event) bool {
	changed := enrich.Rejudge(e)
	if e.Verdict == shared.VerdictLikely && e.Origin == shared.OriginEdge && conduct.Probes(e.Pathname, int(e.Status.V)) {
		e.Verdict, e.VerdictReason, e.BotCategory = shared.VerdictBot, enrich.ReasonProbe, enrich.CategorySecurity
		return true
	}
	return changed
}
