package stats

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/flight"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
)

// Engine answers questions. It is safe for concurrent use.
type Engine struct {
	db        *duck.DB
	overviews *flight.Group[*overview]
	books     *flight.Group[*Books]
	judged    *flight.Group[unprovenDays]
	excepted  *flight.Group[*exceptions]
}

// keptOverviews are for the next tab that opens, and for questions that the
// dashboard asks a moment later than the others.
const keptOverviews = 8

// NewEngine makes an engine that asks db.
func NewEngine(db *duck.DB) *Engine {
	return &Engine{
		db: db, overviews: flight.New[*overview](keptOverviews), books: flight.New[*Books](keptBooks),
		judged: flight.New[unprovenDays](keptJudgements), excepted: flight.New[*exceptions](keptSpans),
	}
}

// Began is when the site's first event happened, zero if there is none.
func Began(files []lake.File, siteID string) time.Time {
	began := int64(0)
	for i := range files {
		if f := &files[i]; f.SiteID == siteID && (began == 0 || f.MinTime < began) {
			began = f.MinTime
		}
	}
	if began == 0 {
		return time.Time{}
	}
	return time.UnixMicro(began)
}

// Relevant lists the files that a question about a site and the time
// [from, to) looks at, in µs since 1970. The rest of the snapshot doesn't
// change its answer. Where files hold rows that complete others, these are
// looked for in a wider span.
func Relevant(files []lake.File, siteID string, from, to int64) []lake.File {
	list, _ := relevant(files, siteID, &statement{from: from, to: to})
	return list
}

// relevant lists the statement's files with what is to be resolved in them.
func relevant(files []lake.File, siteID string, s *statement) ([]lake.File, state.Facts) {
	from, to := s.reach()
	list := within(files, siteID, from, to)
	if s.spans != nil {
		around := from - s.from
		list = slices.DeleteFunc(list, func(f lake.File) bool {
			return !slices.ContainsFunc(s.spans, func(span [2]int64) bool { return f.MaxTime >= span[0]+around && f.MinTime < span[1]-around })
		})
	}
	facts := factsOf(list)
	if plain(facts) || s.raw {
		list = within(list, siteID, s.from, s.to)
	}
	return list, facts
}

func within(files []lake.File, siteID string, from, to int64) []lake.File {
	var list []lake.File
	for i := range files {
		if f := &files[i]; f.SiteID == siteID && f.MaxTime >= from && f.MinTime < to {
			list = append(list, *f)
		}
	}
	return list
}

// run asks one statement of one site's files.
func (e *Engine) run(ctx context.Context, files []lake.File, siteID string, s statement, scan func(func(...any) error) error) error {
	list, s, err := e.resolved(ctx, files, siteID, s)
	if err != nil {
		return err
	}
	return e.query(ctx, list, s, scan)
}

// resolved puts the definition of counted before a statement, and lists the files
// that it is then asked of.
func (e *Engine) resolved(ctx context.Context, files []lake.File, siteID string, s statement) ([]lake.File, statement, error) {
	list, facts := relevant(files, siteID, &s)
	var judged unprovenDays
	if facts.Evidence > 0 && !s.raw {
		if !s.now { // a day is judged as a whole
			var err error
			if judged, err = e.judge(ctx, list, siteID, &s); err != nil {
				return nil, s, err
			}
		}
		if len(judged) == 0 {
			facts.Evidence = 0
		}
	}
	var known *exceptions
	if resolved := facts.Keyed + facts.Loads + facts.Ahead + facts.Trackers; resolved > 0 && !s.raw && !s.now {
		var err error
		if known, err = e.exceptions(ctx, list, siteID, &s); err != nil {
			return nil, s, err
		}
		if len(known.dups) == 0 {
			facts.Keyed = 0
		}
	}
	return list, resolve(s, facts, judged, known), nil
}

// query asks a statement of the rows of files as they are.
func (e *Engine) query(ctx context.Context, files []lake.File, s statement, scan func(func(...any) error) error) error {
	note(ctx, files, &s)
	if err := e.db.QueryOf(ctx, paths(files), s.more(), s.text, s.args, scan); err != nil {
		return fmt.Errorf("stats: %w", err)
	}
	return nil
}

func paths(files []lake.File) []string {
	list := make([]string, len(files))
	for i := range files {
		list[i] = files[i].Path
	}
	return list
}

// digest tells whether two lists of files are the same: what is made of one is
// remembered under it.
func digest(files []lake.File) string {
	h := fnv.New128a()
	for i := range files {
		_, _ = h.Write([]byte(files[i].Path + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))
}
