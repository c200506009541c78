package ops

import (
	"os"
	"path/filepath"

	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/aggregator/state"
)

// days compares the sealed days with their segments and derived files. What is
// wrong with a derived file loses nothing: the day is sealed again.
func (r *Report) days(dir string, m *state.Manifest) {
	segments := make(map[string]*state.Segment, len(m.Segments))
	for i := range m.Segments {
		segments[m.Segments[i].ID] = &m.Segments[i]
	}
	for i := range m.Days {
		d := &m.Days[i]
		r.Days++
		if d.Late > 0 {
			r.LateDays++
		}
		rows := int64(0)
		for _, id := range d.Segments {
			seg := segments[id]
			switch {
			case seg == nil:
				r.problem("day %s of site %s has segment %s, which is not listed", d.Date, d.SiteID, id)
			case !seg.Sealed || seg.SiteID != d.SiteID || seg.Date != d.Date || seg.Zone != d.Zone:
				r.problem("day %s of site %s has segment %s, which is not a sealed one of it", d.Date, d.SiteID, id)
			default:
				rows += seg.Rows
			}
		}
		if rows != d.Rows && d.Late == 0 {
			r.problem("day %s of site %s was sealed with %d events, its segments have %d", d.Date, d.SiteID, d.Rows, rows)
		}
		for j := range d.Derived {
			r.derived(dir, &d.Derived[j])
		}
	}
}

// derived compares one file with what the manifest says about it.
func (r *Report) derived(dir string, d *state.Derived) {
	r.Derived++
	path := filepath.Join(dir, filepath.FromSlash(d.Path))
	const again = "it is derived again at the next start"
	f, err := os.Open(path)
	if err != nil {
		r.missing++
		r.problem("derived file %s: %v: %s", d.Path, err, again)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		r.problem("derived file %s: %v", d.Path, err)
		return
	}
	r.Bytes += info.Size()
	if info.Size() != d.Bytes {
		r.problem("derived file %s has %d bytes, the manifest says %d: %s", d.Path, info.Size(), d.Bytes, again)
		return
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		r.problem("derived file %s can't be read: %v: remove it, and %s", d.Path, err, again)
		return
	}
	if file.NumRows() != d.Rows {
		r.problem("derived file %s has %d rows, the manifest says %d: remove it, and %s", d.Path, file.NumRows(), d.Rows, again)
	}
}
