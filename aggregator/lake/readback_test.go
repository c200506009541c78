package lake

import (
	"bytes"
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

// openFile opens a segment the way any other program would.
func openFile(t testing.TB, path string) *parquet.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	pf, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return pf
}

// readFile reads every row of a segment.
func readFile(t testing.TB, path string) []record {
	t.Helper()
	pf := openFile(t, path)
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
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pf, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	list := make([]rowKey, pf.NumRows())
	for column, put := range map[string]func(*rowKey, parquet.Value){
		"edge":  func(k *rowKey, v parquet.Value) { k.edge = v.String() },
		"epoch": func(k *rowKey, v parquet.Value) { k.epoch = shared.Epoch(v.Uint64()) },
		"seq":   func(k *rowKey, v parquet.Value) { k.seq = v.Uint64() },
	} {
		leaf, _ := pf.Schema().Lookup(column)
		n := 0
		for _, rg := range pf.RowGroups() {
			values := parquet.NewColumnChunkValueReader(rg.ColumnChunks()[leaf.ColumnIndex])
			buf := make([]parquet.Value, 512)
			for {
				read, err := values.ReadValues(buf)
				for _, v := range buf[:read] {
					put(&list[n], v)
					n++
				}
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
			}
			if err := values.Close(); err != nil {
				t.Fatal(err)
			}
		}
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
