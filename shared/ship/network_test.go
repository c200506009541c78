package ship

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// quick makes a shipper for the real network that gives up early.
func quick(t *testing.T, url string) *Shipper {
	t.Helper()
	src := newSource()
	src.add(3)
	s, err := New(Config{URL: url, Token: "secret"}, src)
	if err != nil {
		t.Fatal(err)
	}
	s.requestTime = 300 * time.Millisecond
	return s
}

func TestAServerThatAnswersAByteASecondIsAway(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"slow body": func(w http.ResponseWriter, r *http.Request) {
			for range 100 {
				if _, err := w.Write([]byte("{")); err != nil || http.NewResponseController(w).Flush() != nil {
					return
				}
				select {
				case <-r.Context().Done():
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		},
		"silence": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = r.Body.Read(make([]byte, 1<<20))
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(handler)
			defer srv.Close()
			s := quick(t, srv.URL)
			began := time.Now()
			err := s.Drain(context.Background())
			if err == nil || time.Since(began) > 5*time.Second {
				t.Fatalf("%v after %s", err, time.Since(began))
			}
			if f, ok := s.failureOf(err); !ok || !f.timeout || f.state != StateUnreachable {
				t.Errorf("%+v", err)
			}
		})
	}
}

func TestRedirectsAreNotFollowedAndTheTokenStays(t *testing.T) {
	var asked atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer thief.Close()
	for _, status := range []int{http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		srv := httptest.NewServer(http.RedirectHandler(thief.URL, status))
		s := quick(t, srv.URL)
		err := s.Drain(context.Background())
		if err == nil || !strings.Contains(err.Error(), fmt.Sprint(status)) {
			t.Errorf("%d: %v", status, err)
		}
		srv.Close()
	}
	if asked.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestAConnectionThatBreaksAnywhereIsAFailure(t *testing.T) {
	answer := `{"expected":[],"sites":[]}`
	for cut := range len(answer) {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
			_, _ = w.Write([]byte(answer[:cut]))
			panic(http.ErrAbortHandler)
		}))
		s := quick(t, srv.URL)
		if err := s.Drain(context.Background()); err == nil {
			t.Errorf("an answer cut at %d was taken", cut)
		}
		srv.Close()
	}
}

func TestAnUnknownCertificateIsRefused(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a request reached a server that nobody vouches for")
	}))
	srv.Config.ErrorLog = nil
	defer srv.Close()
	if err := quick(t, srv.URL).Drain(context.Background()); err == nil {
		t.Error("the certificate was accepted")
	}
}
