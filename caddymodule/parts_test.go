package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/classify"
	"github.com/eider-analytics/eider/shared/queue"
)

func TestSiteNames(t *testing.T) {
	for name, want := range map[string]string{
		"example.com": "example.com", "Example.COM.": "example.com", "bücher.example": "xn--bcher-kva.example", "localhost": "localhost",
		"a_b-c.example": "a_b-c.example", "127.0.0.1": "127.0.0.1", "[::1]": "::1", "::1": "::1",
		"3f0c9d52-1c5e-4c3a-9c2e-0b6f4f6f2a10": "3f0c9d52-1c5e-4c3a-9c2e-0b6f4f6f2a10",
	} {
		if got, err := siteName(name); err != nil || got != want {
			t.Errorf("%q is %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{
		"", ".", "..", "../x", "a/b", `a"b`, "a'b", "a b", "a\x00b", "a\nb", "*.example", "https://x", "x:80", ".x", "-x", "a..b", strings.Repeat("a", 300),
	} {
		if got, err := siteName(name); err == nil {
			t.Errorf("%q is accepted as %q", name, got)
		}
	}
}

func TestHostsInTheirOneForm(t *testing.T) {
	for host, want := range map[string]string{
		"example.com": "example.com", "EXAMPLE.com:8080": "example.com", "example.com.": "example.com", "example.com.:443": "example.com",
		"[::1]:80": "::1", "[::1]": "::1", "::1": "::1", "127.0.0.1:1": "127.0.0.1", "": "", ":80": "", "[": "[", "]:": "]", "a:b:c": "a:b:c",
		strings.Repeat("x", 400): "",
	} {
		var buf [shared.MaxSite + 3]byte
		if got := string(normalHost(host, &buf)); got != want {
			t.Errorf("%q is %q, want %q", host, got, want)
		}
	}
}

// ledger keeps books as the queue does.
type ledger struct{ captured, dropped, added atomic.Uint64 }

func (l *ledger) Capture(n uint64)                      { l.captured.Add(n) }
func (l *ledger) Discard(n uint64, _ shared.DropReason) { l.dropped.Add(n) }
func (l *ledger) Add(*shared.Event)                     { l.added.Add(1) }

// Pushers, the recorder and the opening of the queue at random: every
// observation is taken once or counted as dropped, in its order.
func TestRingLosesNothingUncounted(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 20 {
		r := newRing(1 + rnd.IntN(64))
		var l ledger
		const pushers, each = 4, 500
		var wg sync.WaitGroup
		for p := range pushers {
			wg.Go(func() {
				var room texts
				for i := range each {
					o := shared.Observation{ViewID: uint64(p), Time: int64(i + 1), Path: pathOf(p, i+1)}
					room.take(&o)
					r.push(&o, &room)
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		opened, taken := false, uint64(0)
		var last [pushers]int64
		take := func() {
			batch := r.front(1 + rnd.IntN(16))
			for i := range batch {
				o := &batch[i].Observation
				if o.Time <= last[o.ViewID] {
					t.Errorf("pusher %d: %d after %d", o.ViewID, o.Time, last[o.ViewID])
				}
				if want := pathOf(int(o.ViewID), int(o.Time)); o.Path != want {
					t.Errorf("pusher %d: %q, want %q", o.ViewID, o.Path, want)
				}
				last[o.ViewID] = o.Time
			}
			taken += uint64(len(batch))
			r.advance(len(batch))
		}
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			if !opened && rnd.IntN(50) == 0 {
				r.open(&l)
				opened = true
			}
			take()
		}
		for r.len() > 0 {
			take()
		}
		if !opened {
			r.open(&l)
		}
		if l.captured.Load() != pushers*each || taken+l.dropped.Load() != pushers*each {
			t.Fatalf("captured %d, taken %d, dropped %d of %d", l.captured.Load(), taken, l.dropped.Load(), pushers*each)
		}
		for i := range r.slots {
			s := &r.slots[i]
			if s.Observation != (shared.Observation{}) || strings.Trim(string(s.texts.room[:cap(s.texts.room)]), "\x00") != "" {
				t.Fatal("a slot that was given back still holds a request")
			}
		}
		r.close()
		r.push(&shared.Observation{}, new(texts))
		if l.captured.Load() != pushers*each+1 || r.len() != 0 {
			t.Fatal("a closed ring takes more")
		}
	}
}

// pathOf is what a pusher of the test asks for: of many lengths.
func pathOf(pusher, i int) string { return fmt.Sprintf("/%d/%0*d", pusher, 1+i%700, i) }

// TestNothingIsKeptOfTheRing: the texts of an observation are wiped once it is
// worked off. What the enrichment remembers of the first ones must not be in
// them, else later events are made of something else.
func TestNothingIsKeptOfTheRing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	pick := func(texts ...string) string { return texts[rnd.IntN(len(texts))] }
	var all []shared.Observation
	for i := range 3000 {
		all = append(all, shared.Observation{
			Site: pick("a.example", "b.example"), Result: shared.ResultPageview, Kind: shared.KindPageview, Time: 1_700_000_000_000_000 + int64(i),
			ClientIP: netip.AddrFrom4([4]byte{192, 0, 2, byte(rnd.IntN(9))}), Host: pick("a.example", "www.b.example:8080"), Method: "GET", Protocol: "HTTP/2.0",
			Path: pick("/", "/a/page", "/mail/someone@example.com", "/über"), RawQuery: pick("", "utm_source=news&utm_campaign=x", "gclid=1&q=2"),
			Status: 200, ContentType: pick("text/html", "text/html; charset=utf-8"), CacheStatus: pick("", "Eider; hit", "HIT"), BytesSent: -1, TTFBUS: -1,
			UserAgent:      pick(chrome, "curl/8.5.0", "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)", fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/%[1]d.0", 100+rnd.IntN(40))),
			AcceptLanguage: pick("", "de-DE,de;q=0.9", "pt-BR"), Referer: pick("", "https://www.google.com/search", "https://news.example/story?id=7", "android-app://com.reddit.frontpage"),
			CHUA: pick("", `"Chromium";v="141", "Google Chrome";v="141"`), CHUAPlatform: pick("", `"Windows"`), CHUAPlatformVer: pick("", `"15.0.0"`),
			Country: pick("", "DE"), Region: pick("", "BE"), City: pick("", "Berlin", "Köln"), HeadersKnown: rnd.IntN(2) == 0,
		})
	}
	events := func(through func(rt *runtime, o *shared.Observation, q eventLog)) [][]byte {
		rt := newRuntime(t.TempDir())
		if err := rt.setEnricher(files{}, false); err != nil {
			t.Fatal(err)
		}
		var q encoded
		for i := range all {
			o := all[i]
			through(rt, &o, &q)
			if i%50 == 0 {
				rt.drain(&q)
			}
		}
		rt.drain(&q)
		return q
	}
	want := events(func(rt *runtime, o *shared.Observation, q eventLog) { rt.recordOne(rt.enricher.Load(), o, q) })
	var room texts
	got := events(func(rt *runtime, o *shared.Observation, _ eventLog) {
		room.take(o)
		rt.ring.push(o, &room)
	})
	if len(want) != len(all) || len(got) != len(all) {
		t.Fatalf("%d and %d events of %d observations", len(want), len(got), len(all))
	}
	for i := range want {
		if !bytes.Equal(want[i], got[i]) {
			t.Fatalf("observation %d, %+v:\n got %q\nwant %q", i, all[i], got[i], want[i])
		}
	}
}

// encoded keeps events as the queue does, but for identities, which each runtime
// makes with a secret of its own.
type encoded [][]byte

func (q *encoded) Add(e *shared.Event) {
	e.VisitorID, e.PrevVisitorID = 0, 0
	*q = append(*q, shared.AppendEvent(nil, e, 0))
}

func (q *encoded) Discard(uint64, shared.DropReason) {}

// A recorder that meets something it cannot enrich loses that alone.
func TestRecorderSurvivesWhatItCannotEnrich(t *testing.T) {
	rt := newRuntime(t.TempDir())
	if err := rt.setEnricher(files{geoip: ""}, false); err != nil {
		t.Fatal(err)
	}
	var l ledger
	rt.ring.open(&l)
	for range 3 {
		rt.ring.push(&shared.Observation{Site: "a", Time: 1_700_000_000_000_000, Kind: shared.KindPageview}, new(texts))
	}
	good := rt.enricher.Swap(nil) // enriching panics
	rt.drain(&l)
	rt.enricher.Store(good)
	rt.ring.push(&shared.Observation{Site: "a", Time: 1_700_000_000_000_000, Kind: shared.KindPageview}, new(texts))
	rt.drain(&l)
	if l.dropped.Load() != 3 || l.added.Load() != 1 || l.captured.Load() != 4 {
		t.Errorf("dropped %d, added %d of %d", l.dropped.Load(), l.added.Load(), l.captured.Load())
	}
}

func TestQueueCommand(t *testing.T) {
	e := newEdge(t)
	e.admin = "unix/" + filepath.Join(e.dir, "admin.sock")
	e.agg.away.Store(true)
	e.load(pageSite)
	e.get("/")
	eventually(t, "the event in the queue", func() bool { return e.metrics()["eider_edge_queue_oldest_age_seconds"] > 0 })
	run := func(args ...string) (string, error) {
		cmd := queueCommand()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(args)
		err := cmd.Execute()
		return out.String(), err
	}
	text, err := run("--address", e.admin)
	if err != nil || !strings.Contains(text, e.queueDir()) || !strings.Contains(text, "captured 1 = stored 0 + queued 1") {
		t.Errorf("%v\n%s", err, text)
	}
	text, err = run("--address", e.admin, "--json")
	var report statusReport
	if err != nil || json.Unmarshal([]byte(text), &report) != nil || len(report.Edges) != 1 || report.Edges[0].Events.Captured != 1 {
		t.Errorf("%v\n%s", err, text)
	}
	if _, err = run("--dir", e.queueDir()); !errors.Is(err, queue.ErrLocked) {
		t.Errorf("a queue in use: %v", err)
	}
	e.stop()
	if _, err = run("--address", "unix/"+e.dir+"/none.sock"); err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("nobody is running: %v", err)
	}
	text, err = run("--dir", e.queueDir())
	if err != nil || !strings.Contains(text, "closed") || !strings.Contains(text, "in order") {
		t.Errorf("%v\n%s", err, text)
	}
	text, err = run("--dir", e.queueDir(), "--json")
	var found queue.Report
	if err != nil || json.Unmarshal([]byte(text), &found) != nil || found.Next != 3 { // the page, and the sums that the stop wrote
		t.Errorf("%v\n%s", err, text)
	}
	if _, err = run("--dir", t.TempDir()); err == nil {
		t.Error("an empty directory is taken for a queue")
	}
}

// Whatever the directives are given, parsing ends in a value or an error, and
// an accepted handler survives the way through JSON.
func FuzzCaddyfile(f *testing.F) {
	for _, s := range []string{
		"eider", "eider {\n site example.com\n exclude /a* *.b\n}", "eider /x /y", "eider {\n site ../x\n}", "eider {\n script /e\n}",
		"eider {\n aggregator http://x\n token t\n queue /q {\n max_size 1GiB\n reserve_free 1GiB\n seal_age 1ms\n sync always\n drop oldest\n unsafe_fs\n }\n geoip g\n}",
		"eider {\n queue {\n", "eider {\n exclude \"\"\n}", "eider {\n site {\n}\n}", "eider {\n exclude /[\n}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tokens, err := caddyfile.Tokenize([]byte(text), "Caddyfile")
		if err != nil || len(tokens) == 0 {
			return
		}
		var h Handler
		if err := h.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err == nil {
			b, err := json.Marshal(&h)
			if err != nil {
				t.Fatal(err)
			}
			var again Handler
			if err := json.Unmarshal(b, &again); err != nil {
				t.Fatal(err)
			}
			if _, err := classify.CompilePaths(h.Exclude); err != nil {
				t.Fatalf("accepted a pattern that does not compile: %v", err)
			}
			if h.Site != "" && !placeholder(h.Site) {
				if _, err := siteName(h.Site); err != nil {
					t.Fatalf("accepted a site that is none: %v", err)
				}
			}
		}
		var a App
		if err := a.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err == nil {
			if _, err := json.Marshal(&a); err != nil {
				t.Fatal(err)
			}
			if a.Queue != nil && (a.Queue.MaxSize < 0 || a.Queue.ReserveFree < 0 || a.Queue.SealAge < 0) {
				t.Fatalf("negative sizes: %+v", a.Queue)
			}
		}
	})
}
