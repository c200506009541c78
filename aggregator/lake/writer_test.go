package lake

import (
	"errors"
	"testing"
	"time"
)

// What is due when: the writer's decisions as a table.
func TestWhatIsDue(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	// gen is a generation that began so long ago, with so many rows in so many
	// groups, of which so many are not queryable and have waited so long.
	gen := func(began time.Duration, rows int64, groups int, fresh int64, waited time.Duration) *generation {
		g := newGeneration()
		g.through, g.began, g.rows, g.freshRows = 1, ago(began), rows, fresh
		g.order = make([]*group, groups)
		if fresh > 0 {
			g.fresh = []*group{{freshAt: ago(waited)}}
		}
		return g
	}
	const ms, s = time.Millisecond, time.Second
	for name, c := range map[string]*struct {
		lake Lake
		want step
		wait time.Duration
	}{
		"nothing came":                  {Lake{gen: newGeneration()}, stepWait, time.Hour},
		"fresh rows gather":             {Lake{gen: gen(s, 9000, 1, 20, 100*ms)}, stepWait, 150 * ms},
		"fresh rows are shown":          {Lake{gen: gen(s, 9000, 1, 20, 250*ms)}, stepHot, 0},
		"all is shown":                  {Lake{gen: gen(s, 9000, 1, 0, 0)}, stepWait, 59 * s},
		"a minute has gone":             {Lake{gen: gen(60*s, 9000, 1, 20, ms)}, stepCut, 0},
		"tiny segments wait":            {Lake{gen: gen(60*s, 200, 1, 0, 0)}, stepWait, 540 * s},
		"many sites with few rows":      {Lake{gen: gen(60*s, 9000, 100, 0, 0)}, stepWait, 540 * s},
		"but not for ever":              {Lake{gen: gen(600*s, 200, 1, 0, 0)}, stepCut, 0},
		"marks alone":                   {Lake{gen: gen(60*s, 0, 0, 0, 0)}, stepCut, 0},
		"heavy load gathers":            {Lake{gen: gen(s, 20_000, 1, 20_000, 250*ms)}, stepWait, 350 * ms},
		"heavy load cuts at once":       {Lake{gen: gen(s, 20_000, 1, 20_000, 600*ms)}, stepCut, 0},
		"a row group is full":           {Lake{gen: gen(s, rowGroupRows, 1, rowGroupRows, ms)}, stepCut, 0},
		"heavy, but of many sites":      {Lake{gen: gen(s, 20_000, 100, 20_000, 250*ms)}, stepHot, 0},
		"somebody waits for the commit": {Lake{gen: gen(s, 10, 1, 10, ms), flushTo: 1}, stepCut, 0},
		"a cut failed, its retry is due": {
			Lake{gen: gen(s, 10, 1, 0, 0), cutting: gen(s, 1, 1, 0, 0), cutFailed: failure{err: errors.New("full"), retryAt: ago(ms)}}, stepCut, 0,
		},
		"a cut failed, rows are shown all the same": {
			Lake{gen: gen(s, 10, 1, 10, 300*ms), cutting: gen(s, 1, 1, 0, 0), cutFailed: failure{err: errors.New("full"), retryAt: now.Add(s)}}, stepHot, 0,
		},
		"showing failed too": {
			Lake{
				gen: gen(s, 10, 1, 10, 300*ms), cutting: gen(s, 1, 1, 0, 0), cutFailed: failure{err: errors.New("full"), retryAt: now.Add(s)},
				hotFailed: failure{err: errors.New("full"), retryAt: now.Add(500 * ms)},
			}, stepWait, 500 * ms,
		},
	} {
		c.lake.cfg.setDefaults()
		step, wait := c.lake.next(now)
		if step != c.want || wait != c.wait {
			t.Errorf("%s: step %d in %s, want %d in %s", name, step, wait, c.want, c.wait)
		}
	}
}
