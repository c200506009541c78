package duck

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/eider-analytics/eider/internal/cpu"
)

// collect streams a query of two columns.
func collect(ctx context.Context, db *DB, files []string, query string, args ...any) (a, b []uint64, err error) {
	err = db.Stream(ctx, files, query, args, func(columns [][]uint64) error {
		a, b = append(a, columns[0]...), append(b, columns[1]...)
		return nil
	})
	return a, b, err
}

// TestStream: columns come whole and in order, from chunks of any size, by either
// way.
func TestStream(t *testing.T) {
	db, _, file := open(t)
	for _, n := range []int{0, 1, 2047, 2048, 2049, 100_000} {
		a, b, err := collect(t.Context(), db, nil, "SELECT range::UBIGINT AS a, -range AS b FROM range($2) ORDER BY a", n)
		if err != nil || len(a) != n || len(b) != n {
			t.Fatalf("%d rows: %d and %d, %v", n, len(a), len(b), err)
		}
		for i := range a {
			if a[i] != uint64(i) || int64(b[i]) != -int64(i) {
				t.Fatalf("row %d of %d: %d, %d", i, n, a[i], int64(b[i]))
			}
		}
	}
	a, b, err := collect(t.Context(), db, []string{file}, "SELECT visitor_id, epoch_us(time) FROM events WHERE visitor_id = $2::UBIGINT", "9223372036854775815")
	if err != nil || !slices.Equal(a, []uint64{1<<63 + 7}) || !slices.Equal(b, []uint64{1e6}) {
		t.Errorf("of a file: %d, %d, %v", a, b, err)
	}
	if _, _, err := collect(t.Context(), db, nil, "SELECT 1::INTEGER, 2::BIGINT"); err == nil {
		t.Error("a column of 32 bits was read as one of 64")
	}
	stop := errors.New("enough")
	if err := db.Stream(t.Context(), nil, "SELECT range FROM range(10000)", nil, func([][]uint64) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("it ended with %v", err)
	}
	if _, _, err := collect(t.Context(), db, nil, "SELECT nonsense"); err == nil {
		t.Error("nonsense was answered")
	}
}

// TestStreamFinds: the driver keeps its result where resultOf looks for it, and
// the way around is the same.
func TestStreamFinds(t *testing.T) {
	db, _, _ := open(t)
	conn, err := db.of[0].Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = conn.Raw(func(raw any) error {
		query := func() driver.Rows {
			rows, err := raw.(*duckdb.Conn).QueryContext(t.Context(), "SELECT range, range::UBIGINT * 3 FROM range(5000) ORDER BY 1", nil)
			if err != nil {
				t.Fatal(err)
			}
			return rows
		}
		rows := query()
		defer rows.Close()
		if resultOf(rows) == nil {
			t.Error("the driver's result is not where it was: streams are ten times slower")
		}
		var n uint64
		err := streamRows(t.Context(), rows, func(columns [][]uint64) error {
			for i := range columns[0] {
				if columns[0][i] != n || columns[1][i] != 3*n {
					t.Fatalf("row %d: %d, %d", n, columns[0][i], columns[1][i])
				}
				n++
			}
			return nil
		})
		if n != 5000 {
			t.Errorf("%d rows", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestStreamCancel: it ends soon after its context, and the connection is good
// for the next one.
func TestStreamCancel(t *testing.T) {
	db, _, _ := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, _, err := collect(ctx, db, nil, "SELECT count(*), 0::BIGINT FROM range(1000000) a, range(1000000) b WHERE a.range % 7 = b.range % 5")
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 10*time.Second {
		t.Errorf("it ended with %v after %s", err, time.Since(began))
	}
	if a, _, err := collect(t.Context(), db, nil, "SELECT 1::BIGINT, 2::BIGINT"); err != nil || len(a) != 1 {
		t.Errorf("the next one: %d, %v", a, err)
	}
}

// BenchmarkStream orders five million events of 400,000 visitors and brings them
// to Go, by either way.
func BenchmarkStream(b *testing.B) {
	const rows = 5_000_000
	lake := filepath.Join(os.TempDir(), "eider-bench-stream")
	file := filepath.Join(lake, "events.parquet")
	if _, err := os.Stat(file); err != nil {
		if err := os.MkdirAll(lake, 0o700); err != nil {
			b.Fatal(err)
		}
		db, err := sql.Open("duckdb", "")
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		_, err = db.Exec(fmt.Sprintf("COPY (SELECT hash((random() * 400000)::INTEGER) AS visitor_id, to_timestamp(1767225600 + range * 6) AS time,"+
			" '/page/' || (random() * random() * 1000)::INTEGER AS pathname FROM range(%d)) TO %s (COMPRESSION zstd)", rows, quote(file)))
		if err != nil {
			b.Fatal(err)
		}
	}
	db, err := Open(Config{Lake: lake, Temp: filepath.Join(b.TempDir(), "tmp")})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	const query = "SELECT visitor_id AS v, epoch_us(time) * 16 + (pathname = '/page/1')::BIGINT + 2 * (pathname = '/page/2')::BIGINT AS k FROM events ORDER BY v, k"
	for name, run := range map[string]func() (int, error){
		"stream": func() (n int, err error) {
			err = db.Stream(b.Context(), []string{file}, query, nil, func(columns [][]uint64) error { n += len(columns[0]); return nil })
			return n, err
		},
		"unordered": func() (n int, err error) {
			err = db.Stream(b.Context(), []string{file}, query[:len(query)-len(" ORDER BY v, k")], nil, func(columns [][]uint64) error { n += len(columns[0]); return nil })
			return n, err
		},
		"query": func() (n int, err error) {
			var v uint64
			var k int64
			err = db.Query(b.Context(), []string{file}, query, nil, func(scan func(...any) error) error { n++; return scan(&v, &k) })
			return n, err
		},
	} {
		b.Run(name, func(b *testing.B) {
			before := cpu.Own()
			for b.Loop() {
				if n, err := run(); n != rows || err != nil {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64((cpu.Own()-before).Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
}
