package caddymodule

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/handover"
	"github.com/eider-analytics/eider/shared/queue"
)

// collectorSocket is a collector's side of the socket, over a real queue.
func collectorSocket(t *testing.T, dir string) (q *queue.Queue, stop func()) {
	t.Helper()
	q, err := queue.Open(queue.Config{Dir: filepath.Join(dir, "collector"), ReserveFree: queue.MinReserve, UnsafeFS: true})
	if err != nil {
		t.Fatal(err)
	}
	server, err := handover.NewServer(handover.Config{Log: q, Marks: filepath.Join(dir, "marks")})
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	_ = os.Remove(socket)
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	h := &http.Server{Handler: server}
	go func() { _ = h.Serve(l) }()
	return q, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(h.Shutdown(ctx), server.Close(), q.Close(ctx)); err != nil {
			t.Error(err)
		}
	}
}

// socketCaddyfile is the test's Caddyfile with the collector in the place of
// queue and aggregator.
func socketCaddyfile(e *edge, socket, sites string) string {
	text := e.caddyfile(sites)
	text = strings.Replace(text, "aggregator "+e.agg.URL, "aggregator unix/"+socket, 1)
	at := strings.Index(text, "queue "+e.queueDir())
	end := at + strings.Index(text[at:], "}") + 1
	return text[:at] + text[end:]
}

// TestQueueOutsideOfTheProxy: with `aggregator unix/…` Caddy writes no file,
// the collector has every page view once, and its absence costs no visitor and,
// within the buffer, no event.
func TestQueueOutsideOfTheProxy(t *testing.T) {
	e := newEdge(t)
	dir := t.TempDir()
	q, stop := collectorSocket(t, dir)
	config := socketCaddyfile(e, filepath.Join(dir, "s"), "$ADDR {\n\teider {\n\t\tsite example.com\n\t}\n\treverse_proxy "+origin(t, page)+"\n}\n")
	if err := e.tryText(config); err != nil {
		t.Fatal(err)
	}
	const each = 25
	views := func() {
		for range each {
			if resp := e.get("/"); resp.StatusCode != http.StatusOK {
				t.Fatal(resp.Status)
			}
		}
	}
	views()
	eventually(t, "the first events in the collector's queue", func() bool { return q.NextSeq()-1 == each })
	stop()
	views() // nobody is there
	q, stop = collectorSocket(t, dir)
	defer stop()
	eventually(t, "all events in the collector's queue", func() bool { return q.NextSeq()-1 == 2*each })
	time.Sleep(100 * time.Millisecond) // one too many would come now
	if n := q.NextSeq() - 1; n != 2*each {
		t.Errorf("%d events in the collector's queue, want %d", n, 2*each)
	}
	var c shared.Counters
	runtimes.Range(func(_, v any) bool { c = v.(*runtime).queue.Load().Counters(); return true })
	if c.Captured != 2*each || c.Unbalanced() != 0 {
		t.Errorf("Caddy's books %+v", c)
	}
	if _, err := os.Stat(e.queueDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Caddy has made a queue of its own: %v", err)
	}
	if state := e.adminGet(statusPath); !strings.Contains(state, `"state":"collector"`) {
		t.Errorf("status: %s", state)
	}
}

// TestSocketNeedsNoQueue: what a configuration can't mean is said when it is
// loaded.
func TestSocketNeedsNoQueue(t *testing.T) {
	e := newEdge(t)
	both := strings.Replace(e.caddyfile("$ADDR {\n\teider {\n\t\tsite example.com\n\t}\n}\n"), e.agg.URL, "unix//run/eider.sock", 1)
	if err := e.tryText(both); err == nil || !strings.Contains(err.Error(), "configure it there") {
		t.Errorf("a queue and a socket: %v", err)
	}
	relative := socketCaddyfile(e, "eider.sock", "$ADDR {\n\teider {\n\t\tsite example.com\n\t}\n}\n")
	if err := e.tryText(relative); err == nil || !strings.Contains(err.Error(), "absolute path") {
		t.Errorf("a relative socket: %v", err)
	}
}
