package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A damaged queue can come with any reboot: it must not keep sites from being
// served. A directory that was never a queue is a mistake of the configuration.
func TestADamagedQueueDoesNotKeepSitesFromBeingServed(t *testing.T) {
	e := newEdge(t)
	e.load(pageSite)
	e.get("/")
	e.agg.wait(t, 1)
	e.stop()
	identity := filepath.Join(e.queueDir(), "identity")
	if err := os.Truncate(identity, 0); err != nil {
		t.Fatal(err)
	}

	e.load(pageSite)
	for range 5 {
		if resp := e.get("/"); bodyOf(t, resp) != "page" {
			t.Fatal(resp.Status)
		}
	}
	if e.metrics()["eider_edge_queue_degraded"] != 1 {
		t.Error("the queue is not shown as degraded")
	}
	log, err := os.ReadFile(e.logFile())
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(log), "queue can't be opened"); n != 1 || !strings.Contains(string(log), "move the directory away") {
		t.Errorf("the log says it %d times, once and what to do is wanted", n)
	}

	// Moved away, as the log advises: recording begins again by itself, with
	// what the ring has kept.
	if err := os.Rename(e.queueDir(), e.queueDir()+".damaged"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new queue", func() bool { return e.metrics()["eider_edge_queue_degraded"] == 0 })
	e.get("/again")
	e.agg.wait(t, 7)
}
