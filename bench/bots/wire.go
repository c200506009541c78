package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// wire stands between Caddy and the aggregator, passes everything on as it is,
// and keeps the events of the batches that were accepted.
type wire struct {
	server *httptest.Server

	mu     sync.Mutex
	events []shared.Event
	edge   shared.EdgeID
	next   uint64 // sequence after the last one that was kept
	err    error
}

type bodyOf struct{}

func startWire(aggregator string) *wire {
	w := &wire{next: 1}
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: aggregator})
	pass.ModifyResponse = func(res *http.Response) error {
		if body, ok := res.Request.Context().Value(bodyOf{}).([]byte); ok && res.StatusCode == http.StatusOK {
			w.keep(body)
		}
		return nil
	}
	w.server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.URL.Path == shared.PathBatches {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return // the edge went away, and sends it again
			}
			r = r.WithContext(context.WithValue(r.Context(), bodyOf{}, body))
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		pass.ServeHTTP(out, r)
	}))
	return w
}

// keep reads the frames of a body. What was sent before is not kept again.
func (w *wire) keep(body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(body) > 0 && w.err == nil {
		var f batch.Frame
		if f, body, w.err = batch.Next(body); w.err != nil {
			return
		}
		w.edge = f.Header.Edge
		if f.Header.FirstSeq < w.next {
			continue
		}
		w.next = f.Header.LastSeq() + 1
		w.err = f.Events(func(_ uint64, e *shared.Event, err error) {
			if err == nil {
				w.events = append(w.events, *e)
			}
		})
	}
}

// accepted is every event that the aggregator has taken, and the edge that sent
// them.
func (w *wire) accepted() ([]shared.Event, shared.EdgeID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events, w.edge, w.err
}
