package lake

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

const (
	// microsPerPass bounds how many micro-segments one pass writes; the groups
	// that are left come first in the next.
	microsPerPass = 256
	// microFanIn is how many micro-segments of one level are merged into one of
	// the next: a group has few files at any time, and each row is written a few
	// times at most.
	microFanIn = 8
)

// micro is a micro-segment: consecutive chunks of a group in an unsynced file.
type micro struct {
	File
	first int // index of its first chunk in group.sealed
	level int
}

// hotJob is what a pass does for one group: make sealed[group.visible:]
// queryable.
type hotJob struct {
	group  *group
	sealed []*chunk
}

// writeHot makes rows that are not queryable yet so, oldest first.
func (l *Lake) writeHot() error {
	began := time.Now()
	g, jobs := l.hotJobs()
	var dropped []string
	var failed error
	for i := range jobs {
		old, err := l.writeMicro(&jobs[i])
		if err != nil {
			failed = fmt.Errorf("write micro-segment: %w", err)
			jobs = jobs[:i]
			break
		}
		dropped = append(dropped, old...)
	}
	if len(jobs) == 0 {
		return failed
	}
	l.mu.Lock()
	g.shown(jobs, began)
	l.mu.Unlock()
	l.views.publish(nil, l.hotFiles(), l.daysNow(), dropped)
	return failed
}

// hotJobs seals the chunks of the groups that come next. While a cut is under
// way its rows come before newer ones: what a site shows has no holes.
func (l *Lake) hotJobs() (*generation, []hotJob) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gen
	if l.cutting != nil && l.cutting.freshRows > 0 {
		g = l.cutting
	}
	jobs := make([]hotJob, min(len(g.fresh), microsPerPass))
	for i := range jobs {
		gr := g.fresh[i]
		g.seal(gr)
		jobs[i] = hotJob{gr, gr.sealed}
	}
	return g, jobs
}

// shown notes that the jobs' rows are queryable. Groups that got more rows
// meanwhile, since began at the earliest, go to the end of the list. The caller
// holds the lake's lock.
func (g *generation) shown(jobs []hotJob, began time.Time) {
	rest := append([]*group(nil), g.fresh[len(jobs):]...)
	for _, j := range jobs {
		for _, c := range j.sealed[j.group.visible:] {
			g.freshRows -= int64(c.rows())
		}
		j.group.visible = len(j.sealed)
		j.group.freshAt = time.Time{}
		if j.group.open != nil || len(j.group.sealed) > j.group.visible {
			j.group.freshAt = began
			rest = append(rest, j.group)
		}
	}
	g.fresh = rest
}

// writeMicro writes one micro-segment, which takes the place of the last ones of
// its group where there are enough of a level. It returns the paths of these.
func (l *Lake) writeMicro(j *hotJob) (dropped []string, err error) {
	gr := j.group
	m := micro{first: gr.visible}
	keep := len(gr.micros)
	for keep >= microFanIn-1 && gr.micros[keep-microFanIn+1].level == m.level && gr.micros[keep-1].level == m.level {
		keep -= microFanIn - 1
		m.first = gr.micros[keep].first
		m.level++
	}
	m.File = gr.file(j.sealed[m.first:])
	m.Hot = true
	m.Path = filepath.Join(l.cfg.Dir, hotDir, newID(time.Now())+".parquet")
	_, err = writeFile(m.Path, false, func(f *os.File) error {
		return encode(l.micros, f, gr.site, j.sealed[m.first:], func() {})
	})
	if err != nil {
		return nil, err
	}
	for _, old := range gr.micros[keep:] {
		dropped = append(dropped, old.Path)
	}
	gr.micros = append(gr.micros[:keep], &m)
	return dropped, nil
}

// file describes a file of these chunks of the group.
func (gr *group) file(chunks []*chunk) File {
	f := File{
		SiteID: gr.site, Date: gr.day.String(), Zone: gr.zone, MinTime: chunks[0].minTime, MaxTime: chunks[0].maxTime, Facts: &state.Facts{},
	}
	for _, c := range chunks {
		f.MinTime, f.MaxTime = min(f.MinTime, c.minTime), max(f.MaxTime, c.maxTime)
		f.Rows += int64(c.rows())
		f.Facts.Add(c.facts)
	}
	return f
}

// hotFiles lists the micro-segments of what is not committed.
func (l *Lake) hotFiles() []File {
	l.mu.Lock()
	groups := l.gen.order
	if l.cutting != nil {
		groups = append(l.cutting.order[:len(l.cutting.order):len(l.cutting.order)], groups...)
	}
	l.mu.Unlock()
	var files []File
	for _, gr := range groups {
		for _, m := range gr.micros {
			files = append(files, m.File)
		}
	}
	return files
}

// encode writes a file with the chunks' rows.
func encode(e *encoder, f *os.File, site string, chunks []*chunk, began func()) error {
	e.reset(f)
	for i, c := range chunks {
		if err := c.each(site, func(ev *shared.Event) error { return e.add(ev) }); err != nil {
			return err
		}
		if i == 0 {
			began()
		}
	}
	return e.close()
}
