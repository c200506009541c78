package stats

import "github.com/eider-analytics/eider/aggregator/lake"

// tiers says where an answer comes from.
type tiers struct {
	rollups []string // files of sealed days
	others  []Range  // runs of days that are counted from events
	rows    int64    // in files of the sealed days
	left    int64    // in files of the others
}

// plan finds the sealed days of a range whose rollups say what is so. Days
// without any event need nothing.
func (q *Query) plan(files []lake.File, r Range) tiers {
	var t tiers
	zone := q.zone(r).String()
	sealed := map[string]*lake.Day{}
	for _, d := range q.site.Days {
		if d.Zone == zone && d.Late == 0 && d.Rules == SealRules && d.File(lake.DerivedRollup) != "" {
			sealed[d.Date] = d
		}
	}
	if len(sealed) == 0 {
		return t
	}
	rows := map[string]int64{}
	for i := range files {
		f := &files[i]
		first, last := dayIn(r.Zone, f.MinTime), dayIn(r.Zone, f.MaxTime)
		if f.SiteID != q.SiteID || first.days(r.Last) < -1 || r.First.days(last) < -1 {
			continue
		}
		// A file of another zone's day lies in two of ours. Identities change at
		// its midnights then, so that one may be of two days that touch it.
		foreign := f.Zone != zone
		for date := first; date.days(last) >= 0; date = date.add(0, 0, 1) {
			rows[date.String()] += f.Rows
			for n := -1; n <= 1 && foreign; n++ {
				delete(sealed, date.add(0, 0, n).String())
			}
		}
	}
	for date := r.First; date.days(r.Last) >= 0; date = date.add(0, 0, 1) {
		name := date.String()
		if d := sealed[name]; d != nil {
			t.rollups = append(t.rollups, d.File(lake.DerivedRollup))
			t.rows += d.Rows
			continue
		}
		if rows[name] == 0 {
			continue
		}
		t.left += rows[name]
		if n := len(t.others); n > 0 && t.others[n-1].Last.add(0, 0, 1) == date {
			t.others[n-1] = newRange(r.Zone, t.others[n-1].First, date)
		} else if one := newRange(r.Zone, date, date); one.From < one.To {
			t.others = append(t.others, one)
		}
	}
	return t
}

// worth reports whether rollups are the quicker way: what is counted from events
// costs more by the rollups' definition than otherwise.
func (t *tiers) worth() bool { return len(t.rollups) > 0 && t.rows >= t.left }

// rolled is the SQL of a question about a range from rollups; ok says whether
// that is a way, and the quicker one.
func (q *Query) rolled(files []lake.File, r Range) (s statement, ok bool) {
	if !q.adds(r) {
		return s, false
	}
	t := q.plan(files, r)
	if !t.worth() {
		return s, false
	}
	return compileRolled(q, r, t.rollups, t.others), true
}

// statement is the SQL of a question about a range, from the tiers that answer
// it soonest.
func (q *Query) statement(files []lake.File, r Range) statement {
	if s, ok := q.rolled(files, r); ok {
		return s
	}
	return compileAsk(q, r)
}
