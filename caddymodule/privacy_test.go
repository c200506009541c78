package caddymodule

import (
	"context"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared/queue"
)

// Line 8: canaries are planted in everything that a client sends and must not be
// found in anything that stays: logs, the files of the queue, and what these
// unpack to.
func TestCitizen8NoAddressCookieOrTokenStays(t *testing.T) {
	e := newEdge(t)
	e.global = "servers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t\ttrusted_proxies_strict\n\t}"
	e.agg.away.Store(true) // so that everything stays in the queue
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		page(w, r)
	})
	e.load(`$ADDR {
	eider {
		site demo.localhost
	}
	reverse_proxy ` + up + `
}`)
	const (
		ip4, ip6 = "203.0.113.77", "2001:db8:77:77::1234"
		cookie   = "canary-cookie-5f2c"
		bearer   = "canary-bearer-91ab"
		query    = "canary-query-77de"
		referrer = "canary-referrer-03fa"
		fragment = "canary-fragment-c0de"
	)
	for _, ip := range []string{ip4, ip6} {
		for _, path := range []string{"/page", "/missing", "/reset"} {
			e.get(path+"?token="+query+"&utm_source=visible-source", "X-Forwarded-For: "+ip, "Cookie: session="+cookie,
				"Authorization: Bearer "+bearer, "Referer: https://www.example.org/from?key="+referrer+"#access_token="+fragment,
				"X-Real-Ip: "+ip)
		}
	}
	var decoded strings.Builder
	frames(t, 6, &decoded)
	e.stop()

	if !strings.Contains(decoded.String(), "visible-source") || !strings.Contains(decoded.String(), "/reset") {
		t.Fatal("nothing was recorded: the search below would prove nothing")
	}
	canaries := []string{ip4, ip6, "2001:db8:77", "203.0.113", cookie, bearer, query, referrer, fragment, e.token}
	look := func(where, text string) {
		for _, c := range canaries {
			if strings.Contains(text, c) {
				t.Errorf("%s holds %q", where, c)
			}
		}
	}
	look("a decoded batch", decoded.String())
	files := 0
	err := filepath.WalkDir(e.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		if path == e.logFile() {
			b = []byte(ours(string(b)))
		}
		look(path, string(b))
		return nil
	})
	if err != nil || files < 3 {
		t.Fatalf("looked at %d files: %v", files, err)
	}
	if ours(readFile(t, e.logFile())) == "" {
		t.Error("the log holds nothing of ours")
	}
}

// ours are the lines of a log that this module wrote. At DEBUG, Caddy itself
// writes down whole requests.
func ours(log string) string {
	var kept strings.Builder
	for line := range strings.Lines(log) {
		if strings.Contains(line, `"logger":"eider`) || strings.Contains(line, `"logger":"http.handlers.eider`) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// frames unpacks what waits in the queue, at least n events of it, into text.
func frames(t *testing.T, n int, text *strings.Builder) {
	t.Helper()
	var q *queue.Queue
	runtimes.Range(func(_, v any) bool { q = v.(*runtime).queue.Load().disk; return true })
	eventually(t, "the events on disk", func() bool { return q.Stats().Synced > uint64(n) })
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for pos := uint64(1); pos <= uint64(n); {
		f, err := q.Read(ctx, pos)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := f.Raw(nil)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(raw)
		pos = f.Header.LastSeq() + 1
	}
}
