package beacon

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/registry"
)

func TestWhatIsNotWrittenIsNotAnswered(t *testing.T) {
	d := newDoor(t, Mount{})
	d.log.fail = errors.New("full")
	for path, body := range map[string]string{
		"/api/event":  `{"n":"x","u":"https://site.example/","d":"site.example"}`,
		"/api/send":   string(`{"type":"event","payload":{"website":"00000001-9f0d-4a58-8a53-0d6d1f0f7c11"}}`),
		"/api/batch":  string(`[{"type":"event","payload":{"website":"00000001-9f0d-4a58-8a53-0d6d1f0f7c11"}}]`),
		"/api/events": `[{"site":"site","name":"x"}]`,
	} {
		r := d.send("POST", path, body, "Authorization", "Bearer "+apiToken)
		if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, r.StatusCode, text(r))
		}
	}
	d.counted(NotWritten, 4)
	d.counted(Taken, 0)
}

func TestAPanicIsToldToComeBack(t *testing.T) {
	d := newDoor(t, Mount{})
	core, logs := observer.New(zap.DebugLevel)
	d.in.log = zap.New(core)
	d.in.cfg.Enrich = func(o *shared.Observation, _ *shared.Event) { panic("a defect of " + o.ClientIP.String() + o.RawQuery) }
	for range 3 {
		r := d.send("POST", "/api/event", `{"n":"x","u":"https://site.example/?token=SECRET","d":"site.example"}`)
		if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			t.Error(r.StatusCode)
		}
	}
	d.counted(Internal, 3)
	// The log says it once, where it was, and not by which message.
	all := logs.All()
	if len(all) != 1 || !strings.Contains(fmt.Sprint(all[0].ContextMap()["stack"]), "bounds_test.go") || all[0].ContextMap()["type"] != "string" {
		t.Fatalf("%d lines: %v", len(all), all)
	}
	if text := fmt.Sprint(all[0].Message, all[0].ContextMap()); strings.Contains(text, "SECRET") || strings.Contains(text, visitor) {
		t.Errorf("the log quotes the message: %s", text)
	}
}

func TestTokenBuckets(t *testing.T) {
	d := newDoor(t, Mount{})
	d.in.addresses.Store(newBuckets(2, 0, 3, addressBuckets))
	now := testNow
	d.in.now = func() time.Time { return now }
	send := func(client string) *http.Response {
		return d.send("POST", "/api/event", `{"n":"x","u":"https://site.example/","d":"site.example"}`, "X-Test-Client", client)
	}
	for range 6 { // the burst
		if r := send("2001:db8::1"); r.StatusCode != 202 {
			t.Fatal(r.StatusCode)
		}
	}
	if r := send("2001:db8::2"); r.StatusCode != 429 || r.Header.Get("Retry-After") != "1" {
		t.Errorf("%d %v: the network has more than its share", r.StatusCode, r.Header)
	}
	if r := send("2001:db8:0:1::1"); r.StatusCode != 202 {
		t.Errorf("another network: %d", r.StatusCode)
	}
	now = now.Add(500 * time.Millisecond)
	if r := send("2001:db8::3"); r.StatusCode != 202 {
		t.Errorf("half a second later: %d", r.StatusCode)
	}
	d.counted(TooMany, 1)

	// What comes together counts by the message, or one address could bring what
	// a site takes of all.
	native := `[` + strings.TrimSuffix(strings.Repeat(`{"k":"event","n":"x","u":"https://site.example/","s":"site.example","l":"00000000000000aa","o":1},`, 5), ",") + `]`
	umami := `[` + strings.TrimSuffix(strings.Repeat(`{"type":"event","payload":{"website":"00000001-9f0d-4a58-8a53-0d6d1f0f7c11","url":"/"}},`, 5), ",") + `]`
	for path, body := range map[string]string{"/api/e": native, "/api/batch": umami} {
		d = newDoor(t, Mount{})
		d.in.addresses.Store(newBuckets(1, 0, 7, addressBuckets))
		first, second := d.send("POST", path, body).StatusCode, d.send("POST", path, body).StatusCode
		if first >= 300 || second != 429 || len(d.log.events) != 5 {
			t.Errorf("%s: five messages of seven are %d, five more %d; %d are written", path, first, second, len(d.log.events))
		}
		d.counted(TooMany, 5)
		d.trusted = true
		if r := d.send("POST", path, body, "Origin", "", "Sec-Fetch-Mode", ""); r.StatusCode >= 300 {
			t.Errorf("%s: a peer that speaks for itself: %d", path, r.StatusCode)
		}
	}

	d = newDoor(t, Mount{})
	d.in.sites.Store(newBuckets(1, 0, 5, siteBuckets))
	statuses := map[int]int{}
	for i := range 8 {
		statuses[d.send("POST", "/api/event", `{"n":"x","u":"https://site.example/","d":"site.example"}`, "X-Test-Client", fmt.Sprintf("192.0.2.%d", i)).StatusCode]++
	}
	if statuses[202] != 5 || statuses[429] != 3 {
		t.Errorf("%v", statuses)
	}
	if r := d.send("POST", "/api/event", `{"n":"x","u":"https://ids.example/","d":"ids.example"}`); r.StatusCode != 202 {
		t.Errorf("one site's crowd shuts another out: %d", r.StatusCode)
	}
	// Of a body that is refused as a whole each message has one outcome.
	message := func(site string, n int) string {
		return strings.Repeat(`{"k":"event","n":"x","u":"https://site.example/","s":"`+site+`","site":"`+site+`","name":"x","l":"00000000000000aa","o":1},`, n)
	}
	for path, other := range map[string]uint64{"/api/e": 2, "/api/events": 3} {
		d = newDoor(t, Mount{})
		d.in.sites.Store(newBuckets(1, 0, 5, siteBuckets))
		list := "[" + message("nobody.example", 2) + message("site", 4) + message("picky", 1) + message("site", 2) + message("nobody.example", 1)
		key := []string{}
		if path == "/api/events" {
			key = []string{"Authorization", "Bearer " + apiToken}
		}
		if r := d.send("POST", path, strings.TrimSuffix(list, ",")+"]", key...); r.StatusCode != 429 || len(d.log.events) != 0 {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
		if n := d.in.Counts().Of(UnknownSite); n != other || n+d.in.Counts().Of(WrongOrigin)+d.in.Counts().Of(TooMany) != 10 {
			t.Errorf("%s: %d unknown, %d too many, want ten in all", path, n, d.in.Counts().Of(TooMany))
		}
	}
	if newBuckets(-1, 5, 1, 16).take(1, 100, now) != 0 {
		t.Error("no limit limits")
	}
}

// TestLargeBodiesAreBounded: what is announced takes no memory, and what comes
// slowly takes no more than the bound, whoever sends it.
func TestLargeBodiesAreBounded(t *testing.T) {
	d := newDoor(t, Mount{})
	d.in.SetLimits(Limits{PerAddress: -1})
	h := d.in.At(d.mount)
	const senders = maxHeld/maxBatchBody + 8
	var ends [senders]*io.PipeWriter
	var statuses [senders]int
	var all sync.WaitGroup
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range ends {
		var body *io.PipeReader
		body, ends[i] = io.Pipe()
		r := httptest.NewRequest("POST", "/api/batch", body)
		r.ContentLength = maxBatchBody
		r.Header.Set("X-Test-Client", visitor)
		all.Go(func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			statuses[i] = w.Code
			_ = body.Close()
		})
		_, _ = ends[i].Write([]byte("[")) // it is being read
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > senders*2*maxBody {
		t.Errorf("%d bodies that are announced take %d bytes", senders, grown)
	}
	piece := make([]byte, maxBatchBody-maxBody)
	for _, end := range ends {
		_, _ = end.Write(piece) // until it is refused
		if held := d.in.held.Load(); held > maxHeld+heldPiece {
			t.Fatalf("%d bytes are held", held)
		}
	}
	for _, end := range ends {
		_ = end.Close()
	}
	all.Wait()
	refused := 0
	for _, status := range statuses {
		switch status {
		case http.StatusServiceUnavailable:
			refused++
		case http.StatusBadRequest:
		default:
			t.Errorf("a body of nothing is answered with %d", status)
		}
	}
	if refused == 0 || refused > 10 || d.in.held.Load() != 0 {
		t.Errorf("%d of %d are told to come back, %d bytes are held for ever", refused, senders, d.in.held.Load())
	}
}

func TestBucketsAreBounded(t *testing.T) {
	b := newBuckets(1, 0, 1, 64)
	for i := range 10_000 {
		b.take(b.ofAddress(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})), 1, testNow)
	}
	if len(b.slots) != 64 {
		t.Errorf("%d slots", len(b.slots))
	}
}

func TestNamesAndMethods(t *testing.T) {
	d := newDoor(t, Mount{Prefix: "/e", Endpoint: "y", File: "x.js"})
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/e/x.js", 200},
		{"GET", "/e/e.js", 404},
		{"GET", "/e/event", 404},
		{"GET", "/e/y", 405},
		{"POST", "/e/x.js", 405},
		{"DELETE", "/e/api/event", 405},
		{"GET", "/e/", 404},
		{"GET", "/e", 404},
		{"GET", "/api/send", 404},
		{"GET", "/e/api/heartbeat", 200},
		{"OPTIONS", "/e/api/events", 405},
		{"GET", "/e/p", 404},
		{"POST", "/e/q/go", 405},
	} {
		if r := d.send(c.method, c.path, ""); r.StatusCode != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, r.StatusCode, c.want)
		}
	}
	// Any tracker may be pointed at the endpoint of a name that no list has.
	d.send("POST", "/e/y", `{"n":"x","u":"https://site.example/","d":"site.example"}`)
	if e := d.last(); e.Origin != shared.OriginPlausible {
		t.Errorf("%+v", e)
	}
	r := d.send("POST", "/e/y", `{"type":"event","payload":{"website":"00000001-9f0d-4a58-8a53-0d6d1f0f7c11"}}`)
	if e := d.last(); e.Origin != shared.OriginUmami || !strings.Contains(text(r), "cache") {
		t.Errorf("%+v", e)
	}
	paths := d.in.At(Mount{}).Paths()
	slices.Sort(paths)
	if !slices.Equal(paths, []string{"/api/batch", "/api/e", "/api/event", "/api/events", "/api/heartbeat", "/api/send", "/e.js", "/opt-in", "/opt-out", "/p/", "/q/", "/script.js"}) {
		t.Errorf("%q", paths)
	}
}

func TestSitesThatAreNotResolvedYet(t *testing.T) {
	d := newDoor(t, Mount{})
	body := `{"n":"x","u":"https://anything.example/","d":"anything.example"}`
	d.view = registry.NewView(&shared.EdgeState{})
	d.send("POST", "/api/event", body)
	d.counted(UnknownSite, 1)
	d.in.cfg.Unresolved = true
	d.send("POST", "/api/event", body)
	if e := d.last(); e.Site != "anything.example" {
		t.Errorf("%+v", e)
	}
	d.view = registry.NewView(&shared.EdgeState{Version: "1"})
	d.send("POST", "/api/event", body)
	d.counted(UnknownSite, 2)
}
