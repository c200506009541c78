package duck

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// sealedRow is one of a file with a column that only sealing adds.
type sealedRow struct {
	row
	Class *string `parquet:"sealed_class"`
}

func TestRelations(t *testing.T) {
	db, lake, file := open(t)
	class := "recorded"
	sealed, visits := filepath.Join(lake, "sealed.parquet"), filepath.Join(lake, "visits.parquet")
	if err := parquet.WriteFile(sealed, []sealedRow{{Class: &class}}); err != nil {
		t.Fatal(err)
	}
	type visit struct {
		Views int32 `parquet:"views"`
	}
	if err := parquet.WriteFile(visits, []visit{{3}, {4}}); err != nil {
		t.Fatal(err)
	}
	relations := func(sealedFiles, visitFiles []string) []Relation {
		return []Relation{
			{Name: "sealed", Files: sealedFiles, Columns: []Column{{"pathname", "VARCHAR"}, {"sealed_class", "VARCHAR"}}},
			{Name: "visits_files", Files: visitFiles, Columns: []Column{{"views", "INTEGER"}}},
		}
	}
	both := relations([]string{sealed}, []string{visits})
	for _, c := range []struct {
		what, query string
		files       []string
		more        []Relation
		args        []any
		want        int64
	}{
		{"each has its own files", "SELECT (SELECT count(*) FROM events) * 100 + (SELECT count(*) FROM sealed) * 10 + (SELECT sum(views) FROM visits_files)", []string{file}, both, nil, 217},
		{"arguments are where they were", "SELECT count(*) * $2 + $3 FROM sealed WHERE sealed_class = $4", []string{file}, both, []any{int64(5), int64(6), class}, 11},
		{"a WITH of its own", "WITH x AS (SELECT * FROM visits_files WHERE views > $2) SELECT count(*) FROM x", nil, both, []any{3}, 1},
		{"nothing has columns, too", "SELECT count(sealed_class) + count(pathname) + (SELECT count(views) FROM visits_files) + $2 FROM sealed", []string{file}, relations(nil, nil), []any{int64(9)}, 9},
		{"one of them has files", "SELECT sum(views) FROM visits_files ANTI JOIN sealed ON sealed_class IS NULL", nil, relations(nil, []string{visits}), nil, 7},
		{"what a file lacks is null", "SELECT count(*) * 10 + count(sealed_class) FROM mixed", nil, []Relation{{Name: "mixed", Files: []string{file, sealed}, Union: true}}, nil, 31},
		{"events are files of both kinds", "SELECT count(*) FROM (SELECT * FROM events)", []string{file, sealed}, nil, nil, 3},
		{"in any order", "SELECT count(*) FROM (SELECT * FROM events)", []string{sealed, file}, nil, nil, 3},
		{"and never have what sealing adds", "SELECT count(*) FROM (SELECT *, 'own' AS sealed_class FROM events) WHERE sealed_class = 'own'", []string{sealed, file}, nil, nil, 3},
	} {
		var n int64
		err := db.QueryOf(t.Context(), c.files, c.more, c.query, c.args, func(scan func(...any) error) error { return scan(&n) })
		if err != nil || n != c.want {
			t.Errorf("%s: %d, %v, want %d", c.what, n, err, c.want)
		}
	}
}

func TestCopy(t *testing.T) {
	db, lake, file := open(t)
	to := filepath.Join(lake, "o'ut.parquet")
	if err := db.Copy(t.Context(), []string{file, file}, nil, "SELECT visitor_id, time FROM events WHERE time >= $2 ORDER BY time DESC", []any{"1970-01-01 00:00:01+00"}, to); err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.ReadFile[row](to)
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	for i, r := range rows {
		if want := int64(2 - i/2); r.Time.Unix() != want {
			t.Errorf("row %d is of second %d, want %d", i, r.Time.Unix(), want)
		}
	}
	if r := rows[3]; r.VisitorID == nil || *r.VisitorID != 1<<63+7 || rows[0].VisitorID != nil {
		t.Errorf("ids are %v and %v", r.VisitorID, rows[0].VisitorID)
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "x.parquet"), filepath.Join(lake, "..", "x.parquet")} {
		if err := db.Copy(t.Context(), nil, nil, "SELECT 1", nil, path); err == nil || !strings.Contains(err.Error(), "not within the lake") {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was written", path)
		}
	}
	if err := db.Copy(t.Context(), nil, nil, "SELECT * FROM nowhere", nil, filepath.Join(lake, "y.parquet")); err == nil {
		t.Error("a query that is none: no error")
	}
}
