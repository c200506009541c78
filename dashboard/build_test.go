package dashboard

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// firstLoad is what a browser may have to fetch before the page is complete.
// The budget is for people on a telephone looking after a site in trouble.
const firstLoad = 90 << 10

// requireBuild names the variable that turns a missing build from a reason to
// skip into a failure: `make test` builds the dashboard first and sets it.
const requireBuild = "EIDER_REQUIRE_DASHBOARD"

func built(t *testing.T) (fs.FS, string) {
	t.Helper()
	if !Built() {
		if os.Getenv(requireBuild) != "" {
			t.Fatal("there is no built dashboard: run `make dashboard`")
		}
		t.Skip("there is no built dashboard: run `make dashboard`")
	}
	index, err := fs.ReadFile(dist(), indexFile)
	if err != nil {
		t.Fatal(err)
	}
	return dist(), string(index)
}

var (
	reference   = regexp.MustCompile(`(?:src|href)="([^"]*)"`)
	inlineStyle = regexp.MustCompile(`(?i)<style|\sstyle\s*=`)
	inlineCode  = regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>\s*[^<\s]|\son[a-z]+\s*=|javascript:`)
	otherHost   = regexp.MustCompile(`(?i)(?:https?:)?//[a-z0-9-]+(?:\.[a-z0-9-]+)+`)
)

func TestBuildIsComplete(t *testing.T) {
	files, index := built(t)
	found := reference.FindAllStringSubmatch(index, -1)
	if len(found) < 4 {
		t.Fatalf("index.html refers to %d files; a script, a style sheet, the theme and an icon are the least", len(found))
	}
	for _, m := range found {
		name := strings.TrimPrefix(m[1], "/")
		if !strings.HasPrefix(m[1], "/") {
			t.Errorf("%q is not an absolute path of this origin", m[1])
		} else if _, err := fs.Stat(files, name); err != nil {
			t.Errorf("index.html refers to %s, which the build lacks", m[1])
		}
		if res := get(t, Handler(), http.MethodGet, m[1]); res.StatusCode != http.StatusOK {
			t.Errorf("%s answers %d", m[1], res.StatusCode)
		}
	}
}

func TestBuildObeysThePolicy(t *testing.T) {
	files, index := built(t)
	if m := inlineStyle.FindString(index); m != "" {
		t.Errorf("index.html has an inline style: %q", m)
	}
	if m := inlineCode.FindString(index); m != "" {
		t.Errorf("index.html has inline code: %q", m)
	}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(name, ".gz") {
			return err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		// XML namespaces are names, not addresses: nothing is fetched from them.
		rest := bytes.ReplaceAll(text, []byte("http://www.w3.org/"), nil)
		if ext := path.Ext(name); ext == ".html" || ext == ".css" || ext == ".svg" {
			if m := otherHost.Find(rest); m != nil {
				t.Errorf("%s refers to another host: %s", name, m)
			}
		}
		for _, forbidden := range []string{"eval(", "new Function(", "@import", "sourceMappingURL"} {
			if bytes.Contains(rest, []byte(forbidden)) {
				t.Errorf("%s contains %q", name, forbidden)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFirstLoadStaysInBudget(t *testing.T) {
	files, _ := built(t)
	total := 0
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(name, ".gz") || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		res := get(t, Handler(), http.MethodGet, "/"+name, "Accept-Encoding", "gzip")
		sent := body(t, res)
		total += len(sent)
		t.Logf("%7d bytes %s", len(sent), name)
		if res.Header.Get("Content-Encoding") == "gzip" {
			checkZip(t, files, name, sent)
		} else if len(sent) > 2<<10 {
			t.Errorf("%s is sent uncompressed (%d bytes)", name, len(sent))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if total > firstLoad {
		t.Errorf("the first load is %d bytes, over the budget of %d", total, firstLoad)
	}
}

// checkZip makes sure that the precompressed file is the file itself.
func checkZip(t *testing.T, files fs.FS, name, sent string) {
	t.Helper()
	plain, err := fs.ReadFile(files, name)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := gzip.NewReader(strings.NewReader(sent))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	unzipped, err := io.ReadAll(reader)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if !bytes.Equal(plain, unzipped) {
		t.Errorf("%s.gz is not %s", name, name)
	}
}
