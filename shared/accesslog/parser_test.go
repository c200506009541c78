package accesslog

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const plain = `192.0.2.7 - - [17/May/2015:10:05:03 +0200] "GET /a?b=c HTTP/1.1" 200 512 "http://example.org/" "Mozilla/5.0 (X11)"`

func TestCombined(t *testing.T) {
	at := time.Date(2015, 5, 17, 8, 5, 3, 0, time.UTC)
	base := Entry{
		RemoteAddr: "192.0.2.7", Time: at, Method: "GET", URI: "/a?b=c", Proto: "HTTP/1.1", Status: 200, Size: 512,
		Referer: "http://example.org/", UserAgent: "Mozilla/5.0 (X11)",
	}
	with := func(change func(*Entry)) Entry { e := base; change(&e); return e }
	for _, tc := range []struct {
		name, line string
		want       Entry
		err        error
	}{
		{"plain", plain, base, nil},
		{"blank around", "  " + plain + " \r", base, nil},
		{"extended behind", plain + ` "203.0.113.9" rt=0.01`, base, nil},
		{"user with blanks", strings.Replace(plain, "- - [", `- Jane [x] Doe [`, 1), base, nil},
		{"IPv6", strings.Replace(plain, "192.0.2.7", "2001:db8::1", 1), with(func(e *Entry) { e.RemoteAddr = "2001:db8::1" }), nil},
		{"host name", strings.Replace(plain, "192.0.2.7", "reader.example", 1), with(func(e *Entry) { e.RemoteAddr = "reader.example" }), nil},
		{"vhost", "www.example.com:443 " + plain, with(func(e *Entry) { e.Host = "www.example.com:443" }), nil},
		{"dashes", `192.0.2.7 - - [17/May/2015:10:05:03 +0200] "GET /a?b=c HTTP/1.1" 304 - "-" "-"`, with(func(e *Entry) {
			e.Status, e.Size, e.Referer, e.UserAgent = 304, 0, "", ""
		}), nil},
		{"common", `192.0.2.7 - - [17/May/2015:10:05:03 +0200] "GET /a?b=c HTTP/1.1" 200 512`, with(func(e *Entry) {
			e.Referer, e.UserAgent = "", ""
		}), nil},
		{"cut in the user agent", strings.TrimSuffix(plain, `1)"`), with(func(e *Entry) { e.UserAgent, e.Cut = "Mozilla/5.0 (X1", true }), nil},
		{"cut in the referrer", plain[:strings.Index(plain, ".org")], with(func(e *Entry) {
			e.Referer, e.UserAgent, e.Cut = "http://example", "", true
		}), nil},
		{"cut in an escape", strings.TrimSuffix(plain, ` (X11)"`) + `\x4`, with(func(e *Entry) { e.UserAgent, e.Cut = `Mozilla/5.0\x4`, true }), nil},
		{"escapes", strings.Replace(plain, "Mozilla/5.0 (X11)", `a\"b\\c\x41\xE4\tq\z\xZZ`, 1), with(func(e *Entry) {
			e.UserAgent = "a\"b\\cA\xe4\tq\\z\\xZZ"
		}), nil},
		{"blank in the target", strings.Replace(plain, "/a?b=c", "/a b", 1), with(func(e *Entry) { e.URI = "/a b" }), nil},
		{"HTTP/0.9", strings.Replace(plain, "GET /a?b=c HTTP/1.1", "GET /old", 1), with(func(e *Entry) { e.URI, e.Proto = "/old", "" }), nil},
		// A target that looks like a protocol is not told from one.
		{"no target", strings.Replace(plain, "/a?b=c ", "", 1), with(func(e *Entry) { e.URI, e.Proto = "HTTP/1.1", "" }), nil},

		{"handshake", strings.Replace(plain, "GET /a?b=c HTTP/1.1", `\x16\x03\x01\x02`, 1), Entry{}, ErrRequest},
		{"time-out", strings.Replace(plain, "GET /a?b=c HTTP/1.1", "-", 1), Entry{}, ErrRequest},
		{"rubbish method", strings.Replace(plain, "GET", "G\x01T", 1), Entry{}, ErrRequest},
		{"cut in the request", plain[:strings.Index(plain, "?b")], Entry{}, ErrRequest},
		{"no status", strings.Replace(plain, " 200 ", " ok ", 1), Entry{}, ErrStatus},
		{"status 20", strings.Replace(plain, " 200 ", " 20 ", 1), Entry{}, ErrStatus},
		{"status 99999", strings.Replace(plain, " 200 ", " 99999 ", 1), Entry{}, ErrStatus},
		{"size below zero", strings.Replace(plain, "512", "-5", 1), Entry{}, ErrSize},
		{"size too large", strings.Replace(plain, "512", "99999999999999999999", 1), Entry{}, ErrSize},
		{"no time", strings.Replace(plain, "[17/May/2015:10:05:03 +0200] ", "", 1), Entry{}, ErrTime},
		{"year 0", strings.Replace(plain, "2015", "0000", 1), Entry{}, ErrTime},
		{"month", strings.Replace(plain, "May", "Mai", 1), Entry{}, ErrTime},
		{"day 32", strings.Replace(plain, "17/May", "32/May", 1), Entry{}, ErrTime},
		{"no client", strings.Replace(plain, "192.0.2.7", "-", 1), Entry{}, ErrNoClient},
		{"prose", "hello", Entry{}, ErrTime},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok, err := ParseLine([]byte(tc.line))
			if !errors.Is(err, tc.err) || ok != (tc.err == nil) {
				t.Fatalf("got %v, %v; want error %v", ok, err, tc.err)
			}
			if err == nil && !equal(got, tc.want) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

func TestStreamGoesOnBehindBadLines(t *testing.T) {
	log := strings.Join([]string{
		plain, "", "# comment", "rubbish", `{"level":"info","msg":"server running"}`,
		strings.Repeat("x", MaxLine+1), plain, `{"broken`, plain[:len(plain)-4],
	}, "\n")
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	_, _ = zw.Write([]byte(log))
	_ = zw.Close()
	for name, r := range map[string]io.Reader{"text": strings.NewReader(log), "gzip": &packed, "gzip, a byte a time": oneByte{bytes.NewReader(packed.Bytes())}} {
		t.Run(name, func(t *testing.T) {
			p := NewParser(r)
			var lines []int
			bad := map[int]error{}
			for {
				e, err := p.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				var line *LineError
				if errors.As(err, &line) {
					bad[line.Line] = line.Err
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				lines = append(lines, e.Line)
			}
			if len(lines) != 3 || lines[0] != 1 || lines[1] != 7 || lines[2] != 9 {
				t.Errorf("requests at lines %v, want 1, 7, 9", lines)
			}
			if len(bad) != 3 || !errors.Is(bad[4], ErrTime) || !errors.Is(bad[6], ErrTooLong) || !errors.Is(bad[8], ErrJSON) {
				t.Errorf("bad lines %v, want 4 (time), 6 (too long), 8 (JSON)", bad)
			}
			if p.Skipped() != 3 || p.Lines() != 9 {
				t.Errorf("skipped %d of %d lines, want 3 of 9", p.Skipped(), p.Lines())
			}
		})
	}
}

type oneByte struct{ r io.Reader }

func (o oneByte) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return o.r.Read(b[:1])
}

func TestReaderErrorsAreFinal(t *testing.T) {
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	_, _ = zw.Write([]byte(strings.Repeat(plain+"\n", 500)))
	_ = zw.Close()
	p := NewParser(bytes.NewReader(packed.Bytes()[:packed.Len()-12]))
	n := 0
	for {
		_, err := p.Next()
		if err == nil {
			n++
			continue
		}
		var line *LineError
		if errors.Is(err, io.EOF) || errors.As(err, &line) {
			t.Fatalf("after %d requests: %v; a cut archive must not look like the end", n, err)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		return
	}
}

// TestRealLog counts the sample that lies beside the project against facts
// counted with other tools.
func TestRealLog(t *testing.T) {
	f, err := Open(filepath.Join("..", "..", "..", "shared", "data", "access.log.gz"))
	if errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the sample log is missing: put shared/data/access.log.gz beside the project's folder (%v)", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	clients, methods, statuses, days := map[string]int{}, map[string]int{}, map[int]int{}, map[string]int{}
	total, cut := 0, 0
	for {
		e, err := f.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		total++
		if e.Cut {
			cut++
			if !strings.Contains(e.UserAgent, "Googlebot") {
				t.Errorf("line %d is cut, but is not the Googlebot's", e.Line)
			}
		}
		if _, ok := e.ClientIP(); !ok {
			t.Errorf("line %d: no address", e.Line)
		}
		clients[e.RemoteAddr]++
		methods[e.Method]++
		statuses[e.Status]++
		days[e.Time.Format("02")]++
	}
	if total != 10_000 || cut != 1 || len(clients) != 1753 {
		t.Errorf("%d requests, %d cut, %d addresses; want 10000, 1, 1753", total, cut, len(clients))
	}
	for method, want := range map[string]int{"GET": 9952, "HEAD": 42, "POST": 5, "OPTIONS": 1} {
		if methods[method] != want {
			t.Errorf("%s: %d, want %d", method, methods[method], want)
		}
	}
	for status, want := range map[int]int{200: 9126, 304: 445, 404: 213, 301: 164, 206: 45, 500: 3, 416: 2, 403: 2} {
		if statuses[status] != want {
			t.Errorf("status %d: %d, want %d", status, statuses[status], want)
		}
	}
	for day, want := range map[string]int{"17": 1632, "18": 2893, "19": 2896, "20": 2579} {
		if days[day] != want {
			t.Errorf("%s May: %d, want %d", day, days[day], want)
		}
	}
}

func TestTypeOf(t *testing.T) {
	for target, want := range map[string]string{
		"/": "text/html", "/blog/tags/vim": "text/html", "/a.html?x=y.png": "text/html", "/a.d/b": "text/html", "/index.php": "text/html",
		"/?flav=rss20": "application/rss+xml", "/blog?x=1&flav=atom": "application/atom+xml", "/?flav=html": "text/html",
		"/logo.PNG": "image/png", "/a%2Ecss": "text/css", "/x.unknown": "application/octet-stream", "/v1.2": "text/html", "/a.b+c": "text/html", "/a.": "text/html", "/a.7z": "application/octet-stream", "/a.tar.gz": "application/gzip",
	} {
		if got, _, _ := strings.Cut(TypeOf(target), ";"); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}
