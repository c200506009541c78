package caddymodule

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// On a volume without room the site serves and drops are counted; once there
// is room, events are recorded, without a restart.
func TestFullVolume(t *testing.T) {
	e := newEdge(t)
	volume := filepath.Join(e.dir, "queue")
	if err := os.Mkdir(volume, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", volume, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("NOT TESTED: a full volume needs a tmpfs of its own, and mounting one is not possible here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(volume, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(volume, "ballast")
	fill(t, ballast)
	e.volume = volume

	e.load(pageSite)
	for range 20 {
		if resp := e.get("/"); bodyOf(t, resp) != "page" {
			t.Fatal(resp.Status)
		}
	}
	eventually(t, "the requests to be counted", func() bool { return e.results()["pageview"] == 20 })
	m := e.metrics()
	if m["eider_edge_queue_degraded"] != 1 {
		t.Error("the queue is not shown as degraded")
	}
	if c := m[`eider_edge_events_total{state="captured"}`]; c != 20 {
		t.Errorf("%v captured, want 20", c)
	}
	balanced(t, m)
	e.load(pageSite) // a reload changes nothing about it
	e.get("/")
	eventually(t, "another request", func() bool { return e.results()["pageview"] == 21 })

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the queue to recover", func() bool {
		e.get("/after")
		for _, ev := range e.agg.all() {
			if ev.Pathname == "/after" {
				return true
			}
		}
		return false
	})
	balanced(t, e.metrics())
}

// fill writes to the last byte of the volume.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for chunk := make([]byte, 1<<20); len(chunk) > 0; {
		if _, err := f.Write(chunk); err != nil {
			chunk = chunk[:len(chunk)/2]
		}
	}
}
