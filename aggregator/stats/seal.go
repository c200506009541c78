package stats

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/lake"
)

// SealRules is the version of what a sealed day's files say: days of older ones
// are sealed again. It grows with each change of a definition.
const SealRules = 1

// Sealer derives what a day is sealed with.
type Sealer struct{ db *duck.DB }

// NewSealer makes a sealer that asks db.
func NewSealer(db *duck.DB) *Sealer { return &Sealer{db} }

// Rules is the version of the definitions.
func (s *Sealer) Rules() int { return SealRules }

// Derive writes the day's events, sorted, to a segment in the sealing's
// directory.
func (s *Sealer) Derive(ctx context.Context, day *lake.Sealing) (lake.Sealed, error) {
	segment := filepath.Join(day.Dir, "segment.parquet")
	own := duck.Relation{Name: "own", Files: paths(day.Own), Union: true}
	err := s.db.Copy(ctx, nil, []duck.Relation{own},
		"SELECT COLUMNS(lambda c: NOT starts_with(c, '"+duck.SealedPrefix+"')) FROM own ORDER BY visitor_id, time, seq", nil, segment)
	if err != nil {
		return lake.Sealed{}, fmt.Errorf("sort events: %w", err)
	}
	return lake.Sealed{Segments: []string{segment}, Rules: SealRules}, nil
}
