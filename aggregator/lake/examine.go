package lake

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// essence is what of a row tells which it is and what it takes part in.
type essence struct {
	Edge          string `parquet:"edge"`
	Epoch         uint64 `parquet:"epoch"`
	Seq           uint64 `parquet:"seq"`
	Time          int64  `parquet:"time,timestamp(microsecond)"`
	Origin        string `parquet:"origin"`
	DedupeKey     string `parquet:"dedupe_key,optional"`
	Kind          string `parquet:"kind"`
	Name          string `parquet:"name,optional"`
	PrevVisitorID uint64 `parquet:"prev_visitor_id,optional"`
	ViewID        uint64 `parquet:"view_id,optional"`
	ParentViewID  uint64 `parquet:"parent_view_id,optional"`
}

// census is what is known of the rows of files: two files with the same digest
// and number have the same rows.
type census struct {
	rows             int64
	digest           uint64
	minTime, maxTime int64
	facts            state.Facts
}

// take reads one file.
func (c *census) take(ctx context.Context, path string, seed maphash.Seed) error {
	return eachOf(path, func(rows []essence) error {
		for i := range rows {
			c.row(&rows[i], seed)
		}
		return ctx.Err()
	})
}

func (c *census) row(r *essence, seed maphash.Seed) {
	if c.rows == 0 {
		c.minTime, c.maxTime = math.MaxInt64, math.MinInt64
	}
	c.rows++
	c.minTime, c.maxTime = min(c.minTime, r.Time), max(c.maxTime, r.Time)
	var h maphash.Hash
	h.SetSeed(seed)
	var b [24]byte
	binary.LittleEndian.PutUint64(b[0:], r.Epoch)
	binary.LittleEndian.PutUint64(b[8:], r.Seq)
	binary.LittleEndian.PutUint64(b[16:], uint64(r.Time))
	_, _ = h.Write(b[:])
	_, _ = h.WriteString(r.Edge)
	c.digest += h.Sum64() // a sum: the order means nothing, and a row that is there twice does
	note(&c.facts, &shared.Event{
		Origin: shared.Origin(r.Origin), DedupeKey: r.DedupeKey, Kind: shared.Kind(r.Kind), Name: r.Name,
		PrevVisitorID: r.PrevVisitorID, ViewID: r.ViewID, ParentViewID: r.ParentViewID,
	})
}

// examine compares what was made with what it was made from, and gives it names.
func (s *Sealing) examine(ctx context.Context, made *Sealed) (*placed, error) {
	seed, now := maphash.MakeSeed(), time.Now()
	var before, after census
	for _, f := range s.Own {
		if err := before.take(ctx, f.Path, seed); err != nil {
			return nil, fmt.Errorf("read segment %s: %w", f.id(), err)
		}
	}
	p := &placed{rules: made.Rules}
	for _, path := range made.Segments {
		var c census
		if err := c.take(ctx, path, seed); err != nil {
			return nil, fmt.Errorf("read sealed segment: %w", err)
		}
		after.rows, after.digest = after.rows+c.rows, after.digest+c.digest
		id := newID(now)
		seg := state.Segment{
			ID: id, SiteID: s.Key.SiteID, Date: s.Key.Date, Path: segmentPath(s.Key.SiteID, s.Key.Date, id), Rows: c.rows,
			MinTime: c.minTime, MaxTime: c.maxTime, Zone: s.Key.Zone, Schema: SealedSchema, CreatedAt: now.UnixMicro(), Facts: &c.facts, Sealed: true,
		}
		if err := s.name(p, path, &seg.Bytes); err != nil {
			return nil, err
		}
		if c.rows == 0 {
			return nil, errors.New("a sealed segment has no events")
		}
		p.segments = append(p.segments, seg)
	}
	if before.rows != after.rows || before.digest != after.digest {
		return nil, fmt.Errorf("the sealed segments have %d events that are not the %d that they were made from", after.rows, before.rows)
	}
	p.rows = after.rows
	return p, s.examineDerived(made, p, now)
}

func (s *Sealing) examineDerived(made *Sealed, p *placed, now time.Time) error {
	kinds := make([]string, 0, len(made.Derived))
	for kind := range made.Derived {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		if derivedDirs[kind] == "" {
			return fmt.Errorf("files of kind %q are not known", kind)
		}
		f := state.Derived{Kind: kind, Path: derivedPath(kind, s.Key, newID(now))}
		path := made.Derived[kind]
		if err := s.name(p, path, &f.Bytes); err != nil {
			return err
		}
		var err error
		if f.Rows, err = rowsIn(path); err != nil {
			return fmt.Errorf("read %s: %w", kind, err)
		}
		if kind == DerivedOpen {
			if p.open, err = openViews(path); err != nil {
				return fmt.Errorf("read %s: %w", kind, err)
			}
		}
		p.derived = append(p.derived, f)
	}
	return nil
}

// derivedPath is a derived file's path relative to the lake, with slashes.
func derivedPath(kind string, k state.DayKey, id string) string {
	return derivedDirs[kind] + "/site_id=" + k.SiteID + "/date=" + k.Date + "/" + id + ".parquet"
}

// name notes a file that was made, and its size.
func (s *Sealing) name(p *placed, path string, size *int64) error {
	if filepath.Dir(path) != s.Dir {
		return fmt.Errorf("%s is not in the directory of this sealing", filepath.Base(path))
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	*size = info.Size()
	p.from = append(p.from, path)
	return nil
}

func rowsIn(path string) (rows int64, err error) {
	err = openParquet(path, func(f *parquet.File) error {
		rows = f.NumRows()
		return nil
	})
	return rows, err
}

// openParquet opens a Parquet file for the time of the call. Damage that parquet-go
// panics over is an error.
func openParquet(path string, fn func(*parquet.File) error) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	defer recoverDamage(&err)
	info, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return fmt.Errorf("the file is damaged: %w", err)
	}
	return fn(file)
}

// openViews reads the ids of a file of kind DerivedOpen, ascending. Of a file
// with more than are ever held it reads none.
func openViews(path string) ([]uint64, error) {
	type view struct {
		ID uint64 `parquet:"view_id,optional"`
	}
	n, err := rowsIn(path)
	if err != nil || n > maxOpen {
		return nil, err
	}
	ids := make([]uint64, 0, n)
	err = eachOf(path, func(rows []view) error {
		for _, r := range rows {
			ids = append(ids, r.ID)
		}
		return nil
	})
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// eachOf reads the columns of T of a file in blocks. The rows are valid during
// the call only.
func eachOf[T any](path string, fn func([]T) error) error {
	return openParquet(path, func(f *parquet.File) error { return eachRow(f, fn) })
}

func eachRow[T any](file *parquet.File, fn func([]T) error) error {
	r := parquet.NewGenericReader[T](file)
	defer r.Close()
	block := make([]T, 512)
	for {
		clear(block) // a value that is null leaves what was there
		n, err := r.Read(block)
		if n > 0 {
			if err := fn(block[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
	}
}

// recoverDamage makes an error of a panic: parquet-go panics on some files whose
// bytes have changed on the disk, and that is to cost a task and not the server.
func recoverDamage(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("it is damaged: %v", p)
	}
}
