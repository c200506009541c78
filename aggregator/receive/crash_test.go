//go:build failpoint

package receive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// crashSteps are the steps at which the aggregator's front half is killed.
var crashSteps = []string{
	"receive.hello", "receive.decided", "receive.recorded", "receive.ingested", "receive.answering", "deadletter.written",
	"spool.appended", "spool.synced", "spool.trimmed", "queue.append.begin", "queue.append.written", "queue.sync.before",
	"queue.sync.after", "lake.renamed", "lake.commit.before", "lake.commit.after", "state.commit.before", "state.commit.after",
}

const crashDirEnv = "EIDER_RECEIVE_CRASH_DIR"

// front is state, spool, lake and receiver on one directory.
type front struct {
	state *state.State
	spool *spool.Spool
	lake  *lake.Lake
	recv  *Receiver
}

func openFront(t *testing.T, dir string) *front {
	t.Helper()
	var f front
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	f.state, err = state.Open(filepath.Join(dir, "state"), zap.NewNop())
	must(err)
	f.spool, err = spool.Open(spool.Config{Dir: filepath.Join(dir, "spool"), ReserveFree: 16 << 20})
	must(err)
	f.lake, err = lake.Open(lake.Config{
		Dir: filepath.Join(dir, "lake"), State: f.state, HotDelay: 2 * time.Millisecond, CutAge: 5 * time.Millisecond,
		OnCommitted: func(through uint64) { _ = f.spool.Trim(through + 1 + spool.Tail) }, // trims although it is short
	})
	must(err)
	f.recv, err = New(Config{
		Tokens: theToken(token), Registry: newRegistry("example.com"), State: f.state, Spool: f.spool, Sink: f.lake,
		DeadLetters: filepath.Join(dir, "dead-letters"), Registerer: prometheus.NewRegistry(),
	})
	must(err)
	must(f.recv.Recover(context.Background()))
	return &f
}

// TestCrashChild is the process that is killed: it serves until then.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDirEnv)
	if dir == "" {
		t.Skip("runs as a child of TestAKillAtAnyStepCountsEachEventOnce")
	}
	srv := httptest.NewServer(openFront(t, dir).recv)
	fmt.Println("serving", srv.URL)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent goes
}

// startChild runs an aggregator that kills itself at a step, and returns its
// address; "" if it did not live that long.
func startChild(t *testing.T, dir, failpoint string) (url string, wait func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir, "EIDER_FAILPOINT="+failpoint)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "serving "); ok {
			url = rest
			break
		}
		if strings.Contains(lines.Text(), "FAIL") {
			t.Fatalf("child: %s", lines.Text())
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return url, func() { _ = cmd.Process.Kill(); _ = in.Close(); _ = cmd.Wait() }
}

// push delivers frames from at on as an edge does, and returns how far it was
// acknowledged when the aggregator died or everything was delivered.
func push(t *testing.T, url string, e *edgeSim, frames [][]byte, acked uint64) uint64 {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second}
	send := func(path, kind string, body []byte, v any) bool {
		req, err := http.NewRequest(http.MethodPost, url+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", kind)
		e.headers(req)
		resp, err := client.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", path, resp.StatusCode, b)
		}
		return err == nil && json.Unmarshal(b, v) == nil
	}
	hello, _ := json.Marshal(shared.Hello{Edge: e.id, Epoch: e.epoch, Boot: e.boot})
	if !send(shared.PathHello, "application/json", hello, &shared.HelloReply{}) {
		return acked
	}
	for at := int(acked / 10); at < len(frames); {
		run := frames[at:min(at+3, len(frames))]
		var ack shared.Ack
		if !send(shared.PathBatches, shared.ContentTypeBatches, bytes.Join(run, nil), &ack) {
			return acked
		}
		if ack.AckedThrough < acked {
			t.Fatalf("acknowledged through %d, it was %d before", ack.AckedThrough, acked)
		}
		acked = ack.AckedThrough
		at = int(acked / 10)
	}
	return acked
}

func TestAKillAtAnyStepCountsEachEventOnce(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 11))
	dir := t.TempDir()
	e := newEdge(1)
	var frames [][]byte // of ten sequences each
	good := map[uint64]bool{}
	for n := range uint64(40 * len(crashSteps)) {
		first := 10*n + 1
		if n%8 == 3 {
			frames = append(frames, e.undecodable(first, 10))
			continue
		}
		frames = append(frames, e.frame(first, 10, func(ev *shared.Event) {
			if good[ev.Seq] = ev.Seq%7 != 0; !good[ev.Seq] {
				ev.Site = "unknown.example"
			}
		}))
	}
	var acked uint64
	var killed []string
	for i, step := range crashSteps {
		e.boot = shared.NewEpoch()
		url, wait := startChild(t, dir, fmt.Sprintf("%s=kill@%d", step, 1+r.IntN(5)))
		if url != "" {
			acked = push(t, url, e, frames[:40*(i+1)], acked)
		}
		if acked < uint64(400*(i+1)) {
			killed = append(killed, step)
		}
		wait()
	}
	t.Logf("killed at %q", killed)
	if len(killed) < len(crashSteps)*2/3 {
		t.Error("most kills never happened")
	}
	f := openFront(t, dir)
	srv := httptest.NewServer(f.recv)
	defer srv.Close()
	if acked = push(t, srv.URL, e, frames, acked); acked != uint64(10*len(frames)) {
		t.Fatalf("acknowledged through %d of %d", acked, 10*len(frames))
	}
	if err := f.recv.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := f.lake.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	checkLake(t, f, good)
	marks, err := f.state.Marks()
	if err != nil || len(marks) != 1 {
		t.Fatalf("%v, %v", marks, err)
	}
	m := marks[0]
	var want uint64
	for _, ok := range good {
		if ok {
			want++
		}
	}
	if m.Expected != acked+1 || m.Accepted != want || m.Accepted+m.Rejected+m.Lost != acked {
		t.Errorf("mark %+v, want %d accepted of %d", m, want, acked)
	}
}

// checkLake reads every live file and counts each sequence.
func checkLake(t *testing.T, f *front, good map[uint64]bool) {
	t.Helper()
	snapshot := f.lake.Snapshot()
	defer snapshot.Release()
	type row struct {
		Seq uint64 `parquet:"seq"`
	}
	counts := map[uint64]int{}
	for _, file := range snapshot.Files {
		rows, err := parquet.ReadFile[row](file.Path)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			counts[r.Seq]++
		}
	}
	for seq, ok := range good {
		if want := map[bool]int{true: 1}[ok]; counts[seq] != want {
			t.Errorf("sequence %d counts %d times, want %d", seq, counts[seq], want)
		}
		delete(counts, seq)
	}
	if len(counts) != 0 {
		t.Errorf("%d sequences count that were never sent as events", len(counts))
	}
}
