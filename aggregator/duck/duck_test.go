package duck

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/aggregator/turns"
)

type row struct {
	Pathname  *string   `parquet:"pathname"`
	VisitorID *uint64   `parquet:"visitor_id"`
	Time      time.Time `parquet:"time,timestamp(microsecond)"`
}

// open opens DuckDB over a lake of one file with a name that needs quoting
// everywhere where names are quoted.
func open(t *testing.T) (db *DB, lake, file string) {
	t.Helper()
	lake = filepath.Join(t.TempDir(), "la'ke")
	if err := os.MkdirAll(lake, 0o700); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(lake, "a'b;--.parquet")
	path, id := "/ä", uint64(1)<<63+7
	if err := parquet.WriteFile(file, []row{{&path, &id, time.Unix(1, 0)}, {nil, nil, time.Unix(2, 0)}}); err != nil {
		t.Fatal(err)
	}
	db, err := Open(Config{Lake: lake, Temp: filepath.Join(t.TempDir(), "t'mp"), Memory: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, lake, file
}

// count runs a query of one number.
func count(ctx context.Context, db *DB, files []string, query string, args ...any) (n int64, err error) {
	err = db.Query(ctx, files, query, args, func(scan func(...any) error) error { return scan(&n) })
	return n, err
}

func TestQuery(t *testing.T) {
	db, _, file := open(t)
	ctx := t.Context()
	for _, c := range []struct {
		what, query string
		files       []string
		args        []any
		want        int64
	}{
		{"all rows of a file", "SELECT count(*) FROM events", []string{file}, nil, 2},
		{"a file given twice counts twice", "SELECT count(*) FROM events", []string{file, file}, nil, 4},
		{"arguments begin at $2", "SELECT count(*) FROM events WHERE pathname = $2 AND visitor_id = $3::UBIGINT", []string{file}, []any{"/ä", "9223372036854775815"}, 1},
		{"a WITH of its own", "WITH x AS (SELECT * FROM events), y AS (SELECT * FROM x) SELECT count(*) FROM y", []string{file}, nil, 2},
		{"no files, no rows", "SELECT count(*) FROM events", nil, nil, 0},
		{"no files, arguments all the same", "SELECT count(pathname) + $2 FROM events", nil, []any{int64(3)}, 3},
		{"times are UTC", "SELECT date_part('hour', min(time)) FROM events", []string{file}, nil, 0},
	} {
		if n, err := count(ctx, db, c.files, c.query, c.args...); err != nil || n != c.want {
			t.Errorf("%s: %d, %v, want %d", c.what, n, err, c.want)
		}
	}
}

// TestTypedWhenEmpty: a query over nothing binds as one over files does.
func TestTypedWhenEmpty(t *testing.T) {
	db, _, _ := open(t)
	for _, c := range columns {
		err := db.Query(t.Context(), nil, "SELECT typeof(any_value("+c.Name+")) FROM events", nil, func(scan func(...any) error) error {
			var kind string
			if err := scan(&kind); err != nil {
				return err
			}
			if want := strings.ReplaceAll(c.Kind, "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"); kind != want {
				t.Errorf("%s is %s, want %s", c.Name, kind, want)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestLocked: nothing outside of the lake can be read or written, and nothing
// can be switched back on. This holds for our own mistakes; SQL from people
// gets more than this.
func TestLocked(t *testing.T) {
	db, _, file := open(t)
	outside := filepath.Join(t.TempDir(), "outside.parquet")
	if err := parquet.WriteFile(outside, []row{{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := count(t.Context(), db, []string{outside}, "SELECT count(*) FROM events"); err == nil {
		t.Error("a file outside of the lake was read")
	}
	if _, err := count(t.Context(), db, []string{filepath.Join(filepath.Dir(file), "..", "outside.parquet")}, "SELECT count(*) FROM events"); err == nil {
		t.Error("a path that leaves the lake was read")
	}
	for _, statement := range []string{
		"COPY (SELECT 1) TO " + quote(outside+".csv"),
		"ATTACH " + quote(outside+".db"),
		"SELECT * FROM read_csv('/etc/passwd')",
		"SELECT * FROM read_text('/etc/passwd')",
		"INSTALL httpfs",
		"LOAD httpfs",
		"SET enable_external_access = true",
		"SET memory_limit = '10GB'",
		"SET autoinstall_known_extensions = true",
		"RESET lock_configuration",
		"SELECT * FROM 'http://127.0.0.1:9/x.parquet'",
	} {
		if _, err := db.of[turns.Light].ExecContext(t.Context(), statement); err == nil {
			t.Errorf("allowed: %s", statement)
		}
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(outside), "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("files were written: %q, %v", left, err)
	}
}

// TestCancel: a query ends soon after its context does, also where it has only
// begun, and the connection is good for the next one. The driver would take half a
// second: where this takes as long, it keeps its connection elsewhere than we look.
func TestCancel(t *testing.T) {
	db, _, file := open(t)
	const joined = "SELECT count(*) FROM events, range(1000000) a, range(1000000) b WHERE a.range % 7 = b.range % 5"
	for _, c := range []struct {
		query string
		after time.Duration
	}{
		{joined, 50 * time.Millisecond},
		{joined, time.Microsecond},
		{"SELECT count(DISTINCT hash(range)) FROM range(2000000000)", 50 * time.Millisecond},
		{"SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY hash(range)) AS n FROM range(100000000))", 200 * time.Millisecond},
	} {
		least := time.Hour
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), c.after)
			_, err := count(ctx, db, []string{file}, c.query)
			deadline, _ := ctx.Deadline()
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("it ended with %v", err)
			}
			least = min(least, time.Since(deadline))
		}
		if t.Logf("%s…: ended %s late", c.query[:40], least); least > 400*time.Millisecond {
			t.Errorf("it ended %s late", least)
		}
	}
	if n, err := count(t.Context(), db, []string{file}, "SELECT count(*) FROM events"); err != nil || n != 2 {
		t.Errorf("the next query: %d, %v", n, err)
	}
}

// TestMemoryIsBounded: a query that needs more than there is fails, the process
// does not.
func TestMemoryIsBounded(t *testing.T) {
	lake := t.TempDir()
	db, err := Open(Config{Lake: lake, Temp: filepath.Join(t.TempDir(), "tmp"), Memory: 32 << 20, MaxTemp: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = count(t.Context(), db, nil, "SELECT len(list(range)) FROM range(50000000)")
	if !errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), "Out of Memory") {
		t.Errorf("got %v", err)
	}
	if n, err := count(t.Context(), db, nil, "SELECT 7"); err != nil || n != 7 {
		t.Errorf("the next query: %d, %v", n, err)
	}
}
