package erasure

import (
	"os"
	"testing"

	"github.com/parquet-go/parquet-go"
)

type pathRow struct {
	Site     string `parquet:"site_id"`
	Pathname string `parquet:"pathname,optional"`
}

// readPaths reads the pages of a file as any other program would.
func readPaths(t testing.TB, path string) []pathRow {
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
	rows, err := parquet.Read[pathRow](f, info.Size())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return rows
}
