package sqlbox

import (
	"context"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzCheck: whatever is let through runs without reaching a file or a variable,
// and whatever is not says why.
func FuzzCheck(f *testing.F) {
	dir := f.TempDir()
	secret := filepath.Join(dir, "c.csv")
	if err := os.WriteFile(secret, []byte("canary0815\n1\n"), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Chdir(dir) // so that a short name is enough
	for _, sql := range escapes {
		f.Add(strings.ReplaceAll(sql, "%s", "c.csv"))
	}
	for _, sql := range []string{
		"SELECT 1", "WITH a AS (SELECT 1) SELECT * FROM a", "SELECT list_transform([1], x -> x)", "SELECT count(*) FROM events WHERE pathname LIKE 'a%'",
		"WITH \"c\" AS (SELECT 1) SELECT * FROM \"c.csv\"", "SELECT * FROM range(3) t(a) JOIN events ON true", "SELECT * REPLACE (1 AS name) FROM events",
	} {
		f.Add(sql)
	}
	box := bare(f)
	f.Fuzz(func(t *testing.T, sql string) {
		q := Request{SQL: sql, Format: JSON}
		if q.valid() != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		text := strings.TrimRight(sql, "; \t\r\n")
		if err := checkText(ctx, box, text, 11); err != nil {
			var refused *RefusedError
			if !errors.As(err, &refused) && ctx.Err() == nil {
				t.Errorf("%q: %v", sql, err)
			}
			return
		}
		rows, err := box.Select(ctx, text, nil, 11)
		if err != nil {
			if s := err.Error(); !strings.Contains(sql, "canary") && strings.Contains(s, "canary") {
				t.Errorf("%q tells %s", sql, s)
			}
			if strings.Contains(err.Error(), "Permission Error") {
				t.Errorf("%q came as far as to %v", sql, err)
			}
			return
		}
		defer rows.Close()
		for {
			row, err := rows.Next(ctx)
			if err != nil {
				break
			}
			for i, v := range row {
				if s := string(appendJSON(nil, v, rows.Types[i])); strings.Contains(s, "canary0815") && !strings.Contains(sql, "canary") {
					t.Errorf("%q reads %s", sql, s)
				}
			}
		}
	})
}

// FuzzField: a text comes back from CSV as it went in, but for the guard.
func FuzzField(f *testing.F) {
	for _, s := range []string{"", "a", `"`, "a,b", "=1", "\r\n", " x", "-5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "\r") || !utf8.ValidString(s) { // the reader makes \n of \r\n
			return
		}
		line := string(appendField(nil, harmless(s))) + ",end\n"
		got, err := csv.NewReader(strings.NewReader(line)).Read()
		if err != nil || len(got) != 2 || strings.TrimPrefix(got[0], "'") != strings.TrimPrefix(s, "'") {
			t.Errorf("%q: %q, %v", s, got, err)
		}
		if got[0] != "" && strings.ContainsRune("=+-@\t", rune(got[0][0])) {
			t.Errorf("%q is a formula", got[0])
		}
	})
}
