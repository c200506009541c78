package stats

import (
	"context"
	"fmt"
	"time"

	"github.com/eider-analytics/eider/aggregator/duck"
)

// File is one immutable Parquet file of one site's events.
type File struct {
	Path             string
	SiteID           string
	MinTime, MaxTime int64 // µs since 1970, both included
}

// Snapshot is a set of files that stays readable while it is held, and the
// version of the data that it stands for.
type Snapshot struct {
	Version string
	Files   []File
}

// Engine answers questions. It is safe for concurrent use.
type Engine struct{ db *duck.DB }

// NewEngine makes an engine that asks db.
func NewEngine(db *duck.DB) *Engine { return &Engine{db: db} }

// Began is when the site's first event happened, zero if there is none.
func (s *Snapshot) Began(siteID string) time.Time {
	began := int64(0)
	for i := range s.Files {
		if f := &s.Files[i]; f.SiteID == siteID && (began == 0 || f.MinTime < began) {
			began = f.MinTime
		}
	}
	if began == 0 {
		return time.Time{}
	}
	return time.UnixMicro(began)
}

// between lists the site's files that may hold events of [from, to).
func (s *Snapshot) between(siteID string, from, to int64) []string {
	var paths []string
	for i := range s.Files {
		if f := &s.Files[i]; f.SiteID == siteID && f.MaxTime >= from && f.MinTime < to {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

// run asks one statement of one site's files.
func (e *Engine) run(ctx context.Context, snap *Snapshot, siteID string, s statement, scan func(func(...any) error) error) error {
	files := snap.between(siteID, s.from, s.to)
	if err := e.db.Query(ctx, files, s.text, s.args, scan); err != nil {
		return fmt.Errorf("stats: %w", err)
	}
	return nil
}
