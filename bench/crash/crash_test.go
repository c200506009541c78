//go:build failpoint

package crash

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"github.com/eider-analytics/eider/internal/volume"
)

var (
	runs     = flag.Int("crash.runs", 3, "faults of each kind")
	seedFlag = flag.Uint64("crash.seed", 0, "seed of everything random; 0 draws one")

	seed   uint64
	binDir string
)

// rate of the traffic in requests a second; low enough that two cores are
// idle most of the time, so that a fault meets a working system.
const rate = 400

func TestMain(m *testing.M) {
	flag.Parse()
	if seed = *seedFlag; seed == 0 {
		seed = rand.Uint64()
	}
	fmt.Printf("crash campaign: seed %d, %d faults of each kind\n", seed, *runs)
	os.Exit(withBinaries(m))
}

// withBinaries builds both programs with failpoints and runs the tests.
func withBinaries(m *testing.M) int {
	dir, err := os.MkdirTemp("", "eider-crash-bin-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	binDir = dir
	for name, pkg := range map[string]string{"caddy": "../../cmd/caddy", "eider": "../../cmd/eider"} {
		build := exec.Command("go", "build", "-tags", "failpoint", "-o", filepath.Join(dir, name), pkg)
		if name == "caddy" {
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
		}
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Printf("build %s: %v\n%s", name, err, out)
			return 1
		}
	}
	return m.Run()
}

// trial is one rig under traffic, and what was done to it.
type trial struct {
	*testing.T
	*rig
	ctx     context.Context
	rng     *rand.Rand
	traffic *traffic
	kills   int // of Caddy: each may take the ring and the open batch
}

// newTrial starts a rig and its traffic.
func newTrial(t *testing.T, o options) *trial {
	t.Helper()
	t.Parallel() // trials mostly wait; -parallel says how many at once
	dir, err := os.MkdirTemp("", "eider-crash-")
	if err != nil {
		t.Fatal(err)
	}
	o.seed = seed
	r, err := newRig(dir, binDir, o)
	if err != nil {
		t.Fatal(err)
	}
	// No trial is longer than this: bounded, whatever hangs.
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(*runs)*12*time.Second+2*time.Minute)
	c := &trial{T: t, rig: r, ctx: ctx, rng: rand.New(rand.NewPCG(seed, uint64(len(t.Name()))))}
	t.Cleanup(func() {
		if c.traffic != nil {
			c.traffic.stop()
		}
		r.close()
		cancel()
		if t.Failed() {
			t.Logf("kept: %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	if err := r.startBoth(ctx); err != nil {
		t.Fatal(err)
	}
	c.traffic = startTraffic(ctx, r.caddyURL, site, rate, int64(*runs)*20*rate+20_000, o.pad, seed)
	return c
}

// pause lets the traffic run for a random time of up to d.
func (c *trial) pause(d time.Duration) {
	time.Sleep(d/4 + time.Duration(c.rng.Int64N(int64(d))))
}

func (c *trial) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// verify ends the traffic, lets everything arrive, and compares by ids.
// excused are witnessed paths that lost power may have taken.
func (c *trial) verify(excused map[string]bool) {
	c.Helper()
	time.Sleep(200 * time.Millisecond)
	c.traffic.stop()
	for _, p := range []*process{c.agg, c.caddy} {
		if !p.alive() {
			c.must(p.start(c.ctx, ""))
		}
	}
	c.must(c.settle(60 * time.Second))
	c.must(c.balanced())
	witnessed, err := c.acknowledged()
	c.must(err)
	if len(witnessed) == 0 {
		c.Fatal("the WAL acknowledged nothing: the trial shows nothing")
	}
	counted := c.await(witnessed, excused)
	var missing, twice, foreign []string
	for path := range witnessed {
		if counted[path] == 0 && !excused[path] {
			missing = append(missing, path)
		}
	}
	for path, n := range counted {
		if n > 1 {
			twice = append(twice, fmt.Sprintf("%s×%d", path, n))
		}
		if witnessed[path] == 0 && !c.traffic.answered[path] && len(excused) == 0 {
			foreign = append(foreign, path)
		}
	}
	lost := 0
	for path := range c.traffic.answered {
		if counted[path] == 0 {
			lost++
		}
	}
	c.Logf("answered %d, acknowledged by the WAL %d, counted %d; %d kills of Caddy took %d; no answer %d; network %v",
		len(c.traffic.answered), len(witnessed), len(counted), c.kills, lost, c.traffic.failed, c.net.hits)
	if len(missing) > 0 || len(twice) > 0 {
		sort.Strings(missing)
		c.Errorf("%d acknowledged events are missing %v, %d counted more than once %v",
			len(missing), first(missing), len(twice), first(twice))
	}
	if len(foreign) > 0 {
		c.Logf("%d counted pages were not answered completely (the kill came between)", len(foreign))
	}
	if bound := c.bound(len(excused)); lost > bound {
		c.Errorf("%d answered requests were not counted; %d kills may take at most %d", lost, c.kills, bound)
	}
	if len(c.traffic.wrong) > 0 {
		c.Errorf("answers other than 200: %v", c.traffic.wrong)
	}
}

// bound is what the kills of Caddy may have taken between answer and WAL: the
// ring and the open batch. The ring holds 4,096 at the most; here it is worked
// off at once, so what counts is seal_age (50 ms), ten times over for a machine
// that runs several trials.
func (c *trial) bound(excused int) int {
	return c.kills*(rate*10*50/1000+2*workers) + excused
}

// await polls the API until every witnessed path is counted, or time is up.
func (c *trial) await(witnessed map[string]int, excused map[string]bool) map[string]int {
	c.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		counted, err := c.counted()
		if err != nil && time.Now().Before(deadline) {
			continue // answers of several pages: new rows can move others between them
		}
		c.must(err)
		complete := true
		for path := range witnessed {
			if counted[path] == 0 && !excused[path] {
				complete = false
				break
			}
		}
		if complete || time.Now().After(deadline) {
			return counted
		}
		time.Sleep(250 * time.Millisecond)
	}
}

// patience is how long a step may take to be reached.
const patience = 4 * time.Second

func first(s []string) []string { return s[:min(5, len(s))] }

// killAt starts p with the step armed, waits for it to die there, and starts
// it again, runs times. A step that is not reached within a while is hit by a
// kill at a random time instead; at least one must be reached.
func (c *trial) killAt(p *process, step string, hits int) {
	c.Helper()
	reached := 0
	c.must(p.kill())
	for range *runs {
		armed := fmt.Sprintf("%s=kill@%d", step, 1+c.rng.IntN(hits))
		c.must(p.start(c.ctx, armed))
		if p.ended(patience) {
			reached++
		}
		c.must(p.kill())
		if p == c.caddy {
			c.kills++
		}
	}
	c.must(p.start(c.ctx, ""))
	if p == c.caddy {
		c.kills++
	}
	c.Logf("%s: reached in %d of %d runs", step, reached, *runs)
	if reached == 0 {
		c.Errorf("step %s was never reached: the trial does not test it", step)
	}
}

func TestKillCaddyAtEveryStep(t *testing.T) {
	for _, s := range edgeSteps {
		t.Run(s.name, func(t *testing.T) {
			c := newTrial(t, s.options())
			c.killAt(c.caddy, s.name, s.hits)
			c.verify(nil)
		})
	}
}

func TestKillAggregatorAtEveryStep(t *testing.T) {
	for _, s := range aggregatorSteps {
		t.Run(s.name, func(t *testing.T) {
			c := newTrial(t, s.options())
			c.killAt(c.agg, s.name, s.hits)
			c.verify(nil)
		})
	}
}

func TestKillBothAtRandomInABadNetwork(t *testing.T) {
	c := newTrial(t, options{faults: 0.25})
	for range *runs {
		c.pause(300 * time.Millisecond)
		p := c.agg
		if c.rng.IntN(2) == 0 {
			p = c.caddy
			c.kills++
		}
		c.must(p.kill())
		if c.rng.IntN(3) == 0 {
			c.pause(300 * time.Millisecond)
		}
		c.must(p.start(c.ctx, ""))
	}
	c.verify(nil)
}

func TestBadNetworkLosesAndDoublesNothing(t *testing.T) {
	c := newTrial(t, options{faults: 0.5})
	for range *runs {
		c.pause(time.Second)
	}
	c.verify(nil)
}

func TestReloadUnderLoadLosesNothing(t *testing.T) {
	c := newTrial(t, options{})
	for range *runs {
		c.pause(100 * time.Millisecond)
		out, err := exec.Command(c.caddy.path, "reload", "--force", "--config", filepath.Join(c.dir, "Caddyfile"),
			"--adapter", "caddyfile", "--address", c.adminURL[len("http://"):]).CombinedOutput()
		if err != nil {
			t.Fatalf("reload: %v\n%s", err, out)
		}
	}
	c.verify(nil)
}

func TestOrderlyEndsLoseNothing(t *testing.T) {
	c := newTrial(t, options{})
	for i := range *runs {
		c.pause(200 * time.Millisecond)
		p := c.agg
		if i%2 == 0 {
			p = c.caddy
		}
		c.must(p.stop())
		c.must(p.start(c.ctx, ""))
	}
	c.verify(nil)
}

func TestPowerLossOfTheEdge(t *testing.T) {
	v := volume.New(t, "ext4", 256<<20)
	c := newTrial(t, options{queueDir: filepath.Join(v.Dir, "queue")})
	excused := map[string]bool{}
	for range *runs {
		c.pause(600 * time.Millisecond)
		before := c.mark(time.Second)
		c.must(c.caddy.kill())
		c.kills++
		c.must(v.CutPower())
		for path := range c.since(before) {
			excused[path] = true
		}
		c.must(c.caddy.start(c.ctx, ""))
	}
	c.verify(excused)
}

// TestTornTail damages the end of the WAL as a write does that was cut short:
// what was synced and shipped counts, what comes after the damage counts, and
// nothing counts twice.
func TestTornTail(t *testing.T) {
	c := newTrial(t, options{})
	excused := map[string]bool{}
	for range *runs {
		c.pause(600 * time.Millisecond)
		before := c.mark(time.Second)
		c.must(c.caddy.kill())
		c.kills++
		c.must(tear(c.queueDir, c.rng))
		for path := range c.since(before) {
			excused[path] = true
		}
		c.must(c.caddy.start(c.ctx, ""))
	}
	c.verify(excused)
}

// tear zeroes up to 4 KiB at the written end of the newest segment's log.
func tear(dir string, rng *rand.Rand) error {
	logs, err := filepath.Glob(filepath.Join(dir, "segments", "*", "*.mem"))
	if err != nil || len(logs) == 0 {
		return fmt.Errorf("no open segment in %s: %v", dir, err)
	}
	newest := logs[len(logs)-1]
	b, err := os.ReadFile(newest)
	if err != nil {
		return err
	}
	end := len(b)
	for end > 0 && b[end-1] == 0 {
		end--
	}
	n := min(end, 1+rng.IntN(4096))
	f, err := os.OpenFile(newest, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, n), int64(end-n))
	return errors.Join(err, f.Close())
}

func TestPowerLossOfTheAggregator(t *testing.T) {
	v := volume.New(t, "ext4", 512<<20)
	c := newTrial(t, options{dataDir: filepath.Join(v.Dir, "data")})
	for range *runs {
		c.pause(600 * time.Millisecond)
		c.must(c.agg.kill())
		c.must(v.CutPower())
		c.must(c.agg.start(c.ctx, ""))
	}
	c.verify(nil)
}

func TestFullVolumeAtTheEdge(t *testing.T) {
	v := volume.New(t, "ext4", 192<<20)
	c := newTrial(t, options{queueDir: filepath.Join(v.Dir, "queue"), pad: 1500})
	for range *runs {
		c.pause(300 * time.Millisecond)
		f, err := startFiller(v.Dir)
		c.must(err)
		deadline := time.Now().Add(10 * time.Second)
		for free(v.Dir) > 0 && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		// Long enough for the preallocated segments to fill and to rotate.
		served := c.traffic.count()
		time.Sleep(2 * time.Second)
		if c.traffic.count() == served {
			t.Error("Caddy serves nothing while the volume is full")
		}
		if !c.caddy.alive() {
			t.Fatalf("a full volume ended Caddy:\n%s", tail(c.caddy.log))
		}
		c.must(f.stop())
	}
	dropped, err := c.metric(`eider_edge_events_total{state="dropped"}`)
	c.must(err)
	c.Logf("dropped and counted while full: %v", dropped)
	if dropped == 0 {
		t.Error("nothing was dropped: the volume was not full for long enough to show anything")
	}
	c.verifyDropped()
}

// verifyDropped is verify where drops are in order as long as they are
// counted: answered = counted + dropped.
func (c *trial) verifyDropped() {
	c.Helper()
	time.Sleep(200 * time.Millisecond)
	c.traffic.stop()
	c.must(c.settle(60 * time.Second))
	c.must(c.balanced())
	dropped, err := c.metric(`eider_edge_events_total{state="dropped"}`)
	c.must(err)
	witnessed, err := c.acknowledged()
	c.must(err)
	counted := c.await(witnessed, nil)
	for path := range witnessed {
		if counted[path] != 1 {
			c.Errorf("%s is acknowledged by the WAL and counted %d times", path, counted[path])
		}
	}
	if got, want := len(counted)+int(dropped), len(c.traffic.answered); got != want {
		c.Errorf("counted %d + dropped %d = %d, but %d were answered", len(counted), int(dropped), got, want)
	}
	if len(c.traffic.wrong) > 0 || c.traffic.failed > 0 {
		c.Errorf("the visitors noticed: statuses %v, without an answer %d, such as %v", c.traffic.wrong, c.traffic.failed, c.traffic.lastFail)
	}
}

// mark returns what the witness held some time ago: it waits for d, so that
// everything older is synced by now.
func (c *trial) mark(d time.Duration) map[string]int {
	c.Helper()
	seen, err := c.acknowledged()
	c.must(err)
	time.Sleep(d)
	return seen
}

// since is what the witness holds more than before.
func (c *trial) since(before map[string]int) map[string]int {
	c.Helper()
	now, err := c.acknowledged()
	c.must(err)
	for path := range before {
		delete(now, path)
	}
	return now
}
