package canary

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/shared/batch"
)

// found is what a search has read.
type found struct {
	files, frames, rows int
	texts               map[string]bool // every text of a row
	decoded             bytes.Buffer    // of frames
}

// look searches every file below the directories: as it lies there, and what
// batches and Parquet files in it unpack to. own names files that hold a secret
// because that is what they are for.
func look(t *testing.T, canaries map[string]string, dirs ...string) *found {
	t.Helper()
	f := &found{texts: map[string]bool{}}
	forms := formsOf(canaries)
	search := func(where string, b []byte) {
		for what, list := range forms {
			for _, form := range list {
				if at := bytes.Index(b, form); at >= 0 {
					t.Errorf("%s holds the %s: %q", where, what, b[max(0, at-80):min(len(b), at+len(form)+40)])
				}
			}
		}
	}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			f.files++
			search(path+" (its name)", []byte(path))
			search(path, b)
			for _, raw := range f.unpack(t, path, b) {
				search(path+", a batch in it", raw)
			}
			if strings.HasSuffix(path, ".parquet") {
				search(path+", its values", f.values(t, path))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// formsOf are the ways in which a canary could be written.
func formsOf(canaries map[string]string) map[string][][]byte {
	forms := map[string][][]byte{}
	for what, c := range canaries {
		raw := []byte(c)
		if strings.HasPrefix(what, "bytes of ") {
			var err error
			if raw, err = hex.DecodeString(c); err != nil {
				panic(err)
			}
			forms[what] = append(forms[what], []byte(strings.ToUpper(c)), []byte(c))
		}
		forms[what] = append(forms[what], raw)
	}
	return forms
}

// unpack decompresses every sound batch that lies anywhere in b: in the WAL, in
// the spool, in the dead letters.
func (f *found) unpack(t *testing.T, path string, b []byte) (list [][]byte) {
	t.Helper()
	for at := 0; ; {
		next := bytes.Index(b[at:], []byte("EIDB"))
		if next < 0 {
			return list
		}
		at += next
		frame, _, err := batch.Next(b[at:])
		if err != nil {
			at++ // a part of something else, or torn
			continue
		}
		raw, err := frame.Raw(nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		f.frames++
		f.decoded.Write(raw)
		list = append(list, raw)
		at += len(frame.Bytes)
	}
}

// values are all values of a Parquet file, one behind the other.
func (f *found) values(t *testing.T, path string) []byte {
	t.Helper()
	var out bytes.Buffer
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	r := parquet.NewReader(file)
	buf := make([]parquet.Row, 64)
	for {
		n, err := r.ReadRows(buf)
		for _, row := range buf[:n] {
			f.rows++
			for _, v := range row {
				text := v.String()
				f.texts[text] = true
				fmt.Fprintln(&out, text)
				if v.Kind() == parquet.ByteArray || v.Kind() == parquet.FixedLenByteArray {
					out.Write(v.ByteArray())
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return out.Bytes()
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
}
