// Command ingest measures the write side of a real aggregator from outside:
// events a second from the first POST of a batch to the last event committed
// and queryable, CPU time an event, and the process's peak memory.
//
//	go run ./bench/ingest -eider bin/eider -events 3000000
//
// Batches are sealed before the clock starts; what is measured is the
// aggregator, with this process taking what is left of the machine.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/eider-analytics/eider/internal/child"
	"github.com/eider-analytics/eider/internal/cpu"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

const (
	site  = "ingest.example"
	token = "a-token-for-the-benchmark"
)

func main() {
	eider := flag.String("eider", "bin/eider", "the aggregator's binary")
	events := flag.Int("events", 2_000_000, "events to send")
	size := flag.Int("batch", 2000, "events in a batch")
	window := flag.Int("window", 16, "batches in a request")
	flag.Parse()
	if *events < *size || *size < 1 || *size > shared.MaxBatchEvents || *window < 1 {
		fmt.Fprintln(os.Stderr, "bench/ingest: at least one whole batch, of 1 to 100,000 events")
		os.Exit(2)
	}
	if err := run(context.Background(), *eider, *events / *size * *size, *size, *window); err != nil {
		fmt.Fprintln(os.Stderr, "bench/ingest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, eider string, events, size, window int) error {
	dir, err := os.MkdirTemp("", "eider-bench-ingest-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	addr, err := child.FreeAddress()
	if err != nil {
		return err
	}
	server, err := child.Start(ctx, child.Config{
		Path: eider, Args: []string{"serve", "--data", filepath.Join(dir, "data"), "--listen", addr},
		Env: []string{"EIDER_EDGE_TOKEN=" + token}, Ready: "http://" + addr + "/health/ready",
	})
	if err != nil {
		return err
	}
	defer func() { _ = server.Stop(10 * time.Second) }()

	e := &edge{url: "http://" + addr, id: shared.NewEdgeID(), epoch: shared.NewEpoch(), boot: shared.NewEpoch()}
	if err := e.hello(ctx); err != nil {
		return err
	}
	bodies := e.seal(events, size, window)
	before, err := cpu.Of(server.Pid())
	if err != nil {
		return err
	}
	began := time.Now()
	for i, body := range bodies {
		if err := e.post(ctx, body, began); err != nil {
			return fmt.Errorf("request %d: %w", i, err)
		}
	}
	acknowledged := time.Since(began)
	visible, err := e.visible(ctx, events)
	if err != nil {
		return err
	}
	took := visible.Sub(began)
	after, err := cpu.Of(server.Pid())
	if err != nil {
		return err
	}
	fmt.Printf("%d events in batches of %d\n", events, size)
	fmt.Printf("  acknowledged (fsynced)  %.0f events/s\n", float64(events)/acknowledged.Seconds())
	fmt.Printf("  counted by the API      %.0f events/s\n", float64(events)/took.Seconds())
	fmt.Printf("  CPU of the aggregator   %.2f µs an event\n", (after-before).Seconds()/float64(events)*1e6)
	fmt.Printf("  peak resident memory    %d MiB\n", peakMiB(server.Pid()))
	return nil
}

// edge is the far end: it speaks the protocol and has sealed everything ahead.
type edge struct {
	url         string
	id          shared.EdgeID
	epoch, boot shared.Epoch
}

func (e *edge) hello(ctx context.Context) error {
	b, err := json.Marshal(shared.Hello{
		Edge: e.id, Epoch: e.epoch, Boot: e.boot, NextSeq: 1, Name: "bench", Version: "bench",
		Sites: []shared.SiteHello{{Domain: site}},
	})
	if err != nil {
		return err
	}
	return e.send(ctx, shared.PathHello, "application/json", b, 0)
}

// seal makes the bodies: page views of 20,000 visitors and 500 pages.
func (e *edge) seal(events, size, window int) [][]byte {
	rng := rand.New(rand.NewPCG(1, 1))
	now := time.Now().Add(-time.Hour).UnixMicro()
	var bodies [][]byte
	var body, raw []byte
	for seq, n := 1, 0; seq <= events; seq += size {
		raw = raw[:0]
		for i := range size {
			ev := pageview(rng, now+int64(seq+i))
			raw = shared.AppendEvent(raw, &ev, now)
		}
		h := shared.Header{
			Edge: e.id, Epoch: e.epoch, EpochFirst: 1, FirstSeq: uint64(seq), Count: uint64(size), BaseTime: now,
			Counters: shared.Counters{Captured: uint64(seq + size - 1), Queued: uint64(seq + size - 1)},
		}
		body = batch.Seal(body, &h, raw)
		if n++; n == window || seq+size > events {
			bodies, body, n = append(bodies, body), nil, 0
		}
	}
	return bodies
}

func pageview(rng *rand.Rand, at int64) shared.Event {
	visitor := rng.Uint64N(20_000)
	return shared.Event{
		Site: site, Time: at, Origin: shared.OriginEdge, Kind: shared.KindPageview, Hostname: site,
		Pathname: "/articles/" + strconv.Itoa(int(rng.ExpFloat64()*60)), VisitorID: (visitor + 1) * 0x9E3779B97F4A7C15,
		Identity: "day+local", CountryCode: []string{"DE", "US", "FR", "NO"}[visitor%4], Language: "de",
		Browser: []string{"Chrome", "Firefox", "Safari"}[visitor%3], BrowserVersion: "141", OS: "Windows", DeviceType: "desktop",
		ReferrerDomain: "news.example", ReferrerPath: "/", Source: "news.example", Channel: "Referral",
		Status: shared.Some[int64](200), Method: "GET", ContentType: "text/html", BytesSent: shared.Some(rng.Int64N(40_000)),
		TTFBUS: shared.Some(rng.Int64N(90_000)), Protocol: "HTTP/2.0", Verdict: shared.VerdictLikely, VerdictReason: "browser",
	}
}

// post sends one body, again and again while it is told to come back.
func (e *edge) post(ctx context.Context, body []byte, began time.Time) error {
	for range 600 {
		err := e.send(ctx, shared.PathBatches, shared.ContentTypeBatches, body, time.Since(began).Microseconds())
		if !errors.Is(err, errBusy) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errBusy
}

var errBusy = errors.New("the aggregator stays busy")

func (e *edge) send(ctx context.Context, path, contentType string, body []byte, monotonic int64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set(shared.HeaderSentAt, strconv.FormatInt(time.Now().UnixMicro(), 10))
	req.Header.Set(shared.HeaderBoot, e.boot.String())
	req.Header.Set(shared.HeaderMonotonic, strconv.FormatInt(monotonic+int64(2*time.Hour/time.Microsecond), 10))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusServiceUnavailable:
		return errBusy
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return nil
}

// visible waits until the API counts every event.
func (e *edge) visible(ctx context.Context, events int) (time.Time, error) {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+"/api/stats/main?period=7d&site_id="+site, nil)
		if err != nil {
			return time.Time{}, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return time.Time{}, err
		}
		var numbers struct {
			Pageviews int `json:"pageviews"`
		}
		err = json.NewDecoder(resp.Body).Decode(&numbers)
		_ = resp.Body.Close()
		if err != nil {
			return time.Time{}, err
		}
		if numbers.Pageviews == events {
			return time.Now(), nil
		}
	}
	return time.Time{}, fmt.Errorf("the API does not count %d events", events)
}

// peakMiB is the most memory that a process ever had resident.
func peakMiB(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return kb / 1024
		}
	}
	return 0
}
