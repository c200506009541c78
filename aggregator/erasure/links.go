package erasure

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
)

// maxVisitors bounds the visitors of one erasure: the ledger holds a digest of
// each.
const maxVisitors = 20_000

// entry makes the ledger's entry of a subject: its dates, and the digests of
// everybody that it means.
func (e *Eraser) entry(ctx context.Context, s *subject, asked int64) (state.Erasure, error) {
	entry := state.Erasure{SiteID: s.site, From: s.from, To: s.to, AskedAt: asked, State: state.ErasureOpen}
	if s.visitor == 0 && s.distinct == "" {
		return entry, nil
	}
	visitors := map[uint64]bool{}
	if s.visitor != 0 {
		visitors[s.visitor] = true
		entry.Both = s.distinct != ""
	} else if err := e.identified(ctx, s, visitors); err != nil {
		return entry, err
	}
	if err := e.chain(ctx, s.site, visitors); err != nil {
		return entry, err
	}
	if len(visitors) > maxVisitors {
		return entry, invalid("distinct_id", "it belongs to more than %d visitors: give start_date and end_date, and ask for a part of the days at a time", maxVisitors)
	}
	k, err := e.cfg.Ledger.lastingKey()
	if err != nil {
		return entry, err
	}
	entry.Key = k.name()
	d := k.of(s.site)
	if s.distinct != "" {
		entry.Distinct = d.distinct(s.distinct).String()
	}
	for id := range visitors {
		entry.Visitors = append(entry.Visitors, d.visitor(id).String())
	}
	slices.Sort(entry.Visitors) // of which nobody sees in what order they came
	return entry, nil
}

// identified adds the visitors that a distinct id was said of within the dates.
func (e *Eraser) identified(ctx context.Context, s *subject, visitors map[uint64]bool) error {
	return e.cfg.Lake.EachWho(ctx, lake.Span{SiteID: s.site, From: s.from, To: s.to}, false, func(w *lake.Who) {
		if w.DistinctID == s.distinct && w.VisitorID != 0 && len(visitors) <= maxVisitors {
			visitors[w.VisitorID] = true
		}
	})
}

// chain adds the ids under which these visitors went on, and those that they
// went on from, over any number of midnights: reports show them as one.
func (e *Eraser) chain(ctx context.Context, site string, visitors map[uint64]bool) error {
	if len(visitors) == 0 {
		return nil
	}
	next := map[uint64][]uint64{}
	err := e.cfg.Lake.EachWho(ctx, lake.Span{SiteID: site, To: 1<<63 - 1}, true, func(w *lake.Who) {
		a, b := w.VisitorID, w.PrevVisitorID
		if a != 0 && b != 0 && a != b && !slices.Contains(next[a], b) {
			next[a], next[b] = append(next[a], b), append(next[b], a)
		}
	})
	if err != nil {
		return err
	}
	var left []uint64
	for id := range visitors {
		left = append(left, id)
	}
	for len(left) > 0 && len(visitors) <= maxVisitors {
		id := left[len(left)-1]
		left = left[:len(left)-1]
		for _, other := range next[id] {
			if !visitors[other] {
				visitors[other] = true
				left = append(left, other)
			}
		}
	}
	return nil
}

// newID names an entry: time, so that names sort, and chance.
func newID(asked int64) (string, error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return fmt.Sprintf("%012x%s", asked/1000, hex.EncodeToString(b[:])), nil
}
