package caddymodule

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/enrich"
)

func resultsOf(s *site) map[shared.Result]uint64 {
	counts := map[shared.Result]uint64{}
	for i, r := range shared.Results {
		if n := s.results[i].Load(); n > 0 {
			counts[r] = n
		}
	}
	return counts
}

// Line 10: a panic of ours, wherever it strikes, costs the event and nothing
// else.
func TestCitizen10OurPanicsFailNoRequest(t *testing.T) {
	for name, upset := range map[string]func(*Handler){
		"before the request": func(h *Handler) { h.hosts.table.Store(&hostTable{fixed: &site{}}) }, // nothing to count in
		"in the judgement":   func(h *Handler) { h.rt.isBot = func(enrich.Signs) bool { panic("bot") } },
		"in the ring":        func(h *Handler) { h.rt.ring = nil },
	} {
		t.Run(name, func(t *testing.T) {
			h := benchHandler(t)
			upset(h)
			for _, path := range []string{"/page", "/admin/excluded"} {
				r, _ := benchRequest(path, true)
				w := httptest.NewRecorder()
				err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
					w.Header().Set("Content-Type", "text/html")
					_, err := io.WriteString(w, "served")
					return err
				}))
				if err != nil || w.Body.String() != "served" {
					t.Fatalf("%v %q", err, w.Body)
				}
			}
		})
	}
}

// Line 7: while a queue is opened, which can take seconds after a crash, or a
// shipper is stopped, requests go on.
func TestCitizen7RequestsDoNotWaitForTheRuntime(t *testing.T) {
	h := benchHandler(t)
	h.rt.mu.Lock()
	defer h.rt.mu.Unlock()
	r, _ := benchRequest("/page", true)
	done := make(chan error, 1)
	go func() { done <- h.ServeHTTP(httptest.NewRecorder(), r, benchNext("text/html")) }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the request waits")
	}
}

func TestOurPanicsAreCounted(t *testing.T) {
	h := benchHandler(t)
	h.rt.isBot = func(enrich.Signs) bool { panic("bot") }
	r, _ := benchRequest("/page", true)
	if err := h.ServeHTTP(httptest.NewRecorder(), r, benchNext("text/html")); err != nil {
		t.Fatal(err)
	}
	if got := resultsOf(h.rt.site("example.com")); got[shared.ResultInternal] != 1 || len(got) != 1 {
		t.Errorf("counted %v", got)
	}
}

// Line 3: next runs once, and what becomes of it is passed on as it is.
func TestCitizen3PanicsAndErrorsOfTheNextHandlerPassUnchanged(t *testing.T) {
	h := benchHandler(t)
	r, vars := benchRequest("/page", true)
	broken := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "half a p")
		panic(http.ErrAbortHandler)
	})
	func() {
		defer func() {
			if v := recover(); v != http.ErrAbortHandler {
				t.Errorf("the panic arrives as %v", v)
			}
		}()
		_ = h.ServeHTTP(httptest.NewRecorder(), r, broken)
		t.Error("the panic was swallowed")
	}()
	delete(vars, seenKey)
	own := errors.New("an error of its own")
	err := h.ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return own }))
	if err != own {
		t.Errorf("the error arrives as %v", err)
	}
	delete(vars, seenKey)
	func() {
		defer func() { _ = recover() }()
		_ = h.ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { panic("early") }))
	}()
	want := map[shared.Result]uint64{shared.ResultPageview: 1, shared.ResultError: 1, shared.ResultStatus: 1}
	got := resultsOf(h.rt.site("example.com"))
	for r, n := range want {
		if got[r] != n {
			t.Errorf("counted %v, want %v", got, want)
			break
		}
	}
}

// A panic in both: theirs passes, ours is caught.
func TestBothPanic(t *testing.T) {
	h := benchHandler(t)
	h.rt.isBot = func(enrich.Signs) bool { panic("ours") }
	r, _ := benchRequest("/page", true)
	defer func() {
		if v := recover(); v != "theirs" {
			t.Errorf("the panic arrives as %v", v)
		}
		if got := resultsOf(h.rt.site("example.com")); got[shared.ResultInternal] != 1 {
			t.Errorf("counted %v", got)
		}
	}()
	_ = h.ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { panic("theirs") }))
}

func TestTextsAreCutAndCloned(t *testing.T) {
	long := strings.Repeat("ä", 10_000)
	o := shared.Observation{Path: long, UserAgent: long, Host: long, RawQuery: "q", Method: "GET", Referer: "", Protocol: "HTTP/1.1", CHUAModel: "x"}
	new(texts).take(&o)
	if len(o.Path) > maxPath || len(o.UserAgent) > maxAgent || len(o.Host) > maxHost {
		t.Errorf("too long: %d %d %d", len(o.Path), len(o.UserAgent), len(o.Host))
	}
	for _, s := range []string{o.Path, o.UserAgent, o.Host} {
		if !strings.HasPrefix(long, s) || strings.ToValidUTF8(s, "") != s {
			t.Errorf("cut within a character: %q", s[len(s)-4:])
		}
	}
	if o.RawQuery != "q" || o.Method != "GET" || o.Referer != "" || o.Protocol != "HTTP/1.1" || o.CHUAModel != "x" {
		t.Errorf("mixed up: %+v", o)
	}
}
