package lake

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/shared"
)

// rowKey names an event for ever.
type rowKey struct {
	edge  string
	epoch shared.Epoch
	seq   uint64
}

func keyOf(e *shared.Event) rowKey { return rowKey{e.Edge.String(), e.Epoch, e.Seq} }

// record is one row of a file: the values of each leaf that are not null, by
// the leaf's path joined with dots.
type record map[string][]parquet.Value

// readFile reads a whole segment the way any other program would.
func readFile(t testing.TB, path string) []record {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	pf, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	paths := pf.Schema().Columns()
	var list []record
	for _, rg := range pf.RowGroups() {
		rows := rg.Rows()
		buf := make([]parquet.Row, 256)
		for {
			n, err := rows.ReadRows(buf)
			for _, row := range buf[:n] {
				r := record{}
				for _, v := range row {
					if !v.IsNull() {
						name := strings.Join(paths[v.Column()], ".")
						r[name] = append(r[name], v.Clone())
					}
				}
				list = append(list, r)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func (r record) key() rowKey {
	return rowKey{r["edge"][0].String(), shared.Epoch(r["epoch"][0].Uint64()), r["seq"][0].Uint64()}
}

// readKeys reads only the key columns, in the order of the file.
func readKeys(t testing.TB, path string) []rowKey {
	t.Helper()
	type key struct {
		Edge  string `parquet:"edge"`
		Epoch uint64 `parquet:"epoch"`
		Seq   uint64 `parquet:"seq"`
	}
	rows, err := parquet.ReadFile[key](path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	list := make([]rowKey, len(rows))
	for i, r := range rows {
		list[i] = rowKey{r.Edge, shared.Epoch(r.Epoch), r.Seq}
	}
	return list
}

// contents counts every event of a snapshot, and fails when a file has another
// number of rows than the snapshot says.
func contents(t testing.TB, s *Snapshot) map[rowKey]int {
	t.Helper()
	seen := map[rowKey]int{}
	for _, f := range s.Files {
		keys := readKeys(t, f.Path)
		if int64(len(keys)) != f.Rows {
			t.Fatalf("%s has %d rows, the snapshot says %d", f.Path, len(keys), f.Rows)
		}
		for _, k := range keys {
			seen[k]++
		}
	}
	return seen
}
