package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/eider-analytics/eider/internal/child"
	"github.com/eider-analytics/eider/internal/cpu"
)

type options struct {
	caddy, aggregator string
	memory            string
	rounds, requests  int
	conns             int
	settle            time.Duration
	seed              uint64
	check             bool
}

func main() {
	var o options
	flag.StringVar(&o.caddy, "caddy", "", "a Caddy with the module; by default bin/caddy, or else one built now from cmd/caddy")
	flag.StringVar(&o.aggregator, "aggregator", "", "eider binary to run as the aggregator; by default batches are acknowledged and thrown away")
	flag.IntVar(&o.rounds, "rounds", 24, "rounds for each mix")
	flag.IntVar(&o.requests, "requests", 3000, "requests to each server in one round, in bursts of 1000")
	flag.IntVar(&o.conns, "connections", 4, "keep-alive connections")
	flag.DurationVar(&o.settle, "settle", 400*time.Millisecond, "pause after a round in which queued work may end")
	flag.StringVar(&o.memory, "memory", "", "give each Caddy this much memory before it collects garbage, like 96MiB; by default Go's own pace")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64(), "seed of the order of bursts and of the traffic")
	flag.BoolVar(&o.check, "check", false, "exit with an error if a limit is exceeded")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/cpu:", err)
		os.Exit(1)
	}
}

// run ── writeSite
//
//	├─ acceptor or bin/eider        where batches go
//	├─ A, A′: plain Caddys ┐
//	├─ B: Caddy with eider ┴─ turns: drive, settle, read the CPU clock
//	└─ report: A′/A (control), B/A (measurement)
func run(ctx context.Context, o options) error {
	if o.rounds < 2 || o.requests < 100 || o.conns < 1 || o.conns > 200 {
		return errors.New("at least 2 rounds of 100 requests, over 1 to 200 connections")
	}
	dir, err := os.MkdirTemp("", "eider-bench-cpu-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	root := filepath.Join(dir, "site")
	if err := writeSite(root); err != nil {
		return fmt.Errorf("write the site: %w", err)
	}
	binary, err := findCaddy(ctx, o.caddy, dir)
	if err != nil {
		return err
	}
	aggregator, stop, err := startAggregator(ctx, o.aggregator, dir)
	if err != nil {
		return err
	}
	defer stop()

	var servers []*server
	for _, s := range []struct{ name, aggregator string }{
		{"plain Caddy", ""}, {"plain Caddy again", ""}, {"Caddy with eider", aggregator},
	} {
		started, err := startCaddy(ctx, binary, s.name, filepath.Join(dir, fmt.Sprint(len(servers))), root, s.aggregator, environment(o.memory))
		if err != nil {
			return err
		}
		defer func() { _ = started.child.Stop(10 * time.Second) }()
		servers = append(servers, started)
	}
	fmt.Printf("%d rounds of %d requests over %d connections, seed %d\n", o.rounds, o.requests, o.conns, o.seed)
	r := rand.New(rand.NewPCG(o.seed, 0))
	failed := false
	for _, m := range mixes {
		began := time.Now()
		costs, err := measure(ctx, o, m, servers, r)
		if err != nil {
			return err
		}
		rate := float64((o.rounds+1)*o.requests) / time.Since(began).Seconds()
		fmt.Printf("\n%s, %.0f requests a second to each server\n", m.name, rate)
		failed = report(m, servers, costs, r) == exceeded || failed
	}
	if failed && o.check {
		return errors.New("a limit is exceeded")
	}
	return nil
}

// environment sets the pace of the garbage collector: a process with a larger
// heap collects more rarely, which flatters whatever keeps memory.
func environment(memory string) []string {
	if memory == "" {
		return nil
	}
	return []string{"GOGC=off", "GOMEMLIMIT=" + memory}
}

// burst is how many requests a server gets before it is another one's turn: a
// fraction of a second, so that all servers see the same moods of the machine,
// but longer than a batch gathers, so that a batch is as full as on a server
// that is as busy all the time.
const burst = 1000

// measure returns CPU µs a request, by server and round.
func measure(ctx context.Context, o options, m mix, servers []*server, r *rand.Rand) ([][]float64, error) {
	loads := make([]*load, len(servers))
	traffic := r.Uint64()
	for i, s := range servers {
		list := m.requests(s.addr, rand.New(rand.NewPCG(traffic, 0))) // the same for all
		l, err := dial(ctx, s.addr, list, o.conns)
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", s.name, err)
		}
		defer l.close()
		loads[i] = l
	}
	eider := servers[len(servers)-1]
	before, err := eider.counted(ctx)
	if err != nil {
		return nil, err
	}
	costs := make([][]float64, len(servers))
	for n := range o.rounds + 1 {
		cost, err := round(ctx, o, servers, loads, r)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			continue // warming up: caches, heap size, the kernel's
		}
		for i, c := range cost {
			costs[i] = append(costs[i], c)
		}
	}
	after, err := eider.counted(ctx)
	if err != nil {
		return nil, err
	}
	l := loads[len(loads)-1]
	if want := m.views(l.sent, len(l.list)); after-before != want {
		return nil, fmt.Errorf("%s: %d page views were counted, want %d: the figures would say nothing", m.name, after-before, want)
	}
	return costs, nil
}

// round gives every server its requests, in bursts by turns, and then a pause
// in which queued work may end.
func round(ctx context.Context, o options, servers []*server, loads []*load, r *rand.Rand) ([]float64, error) {
	start, err := clocks(servers)
	if err != nil {
		return nil, err
	}
	for left := o.requests; left > 0; left -= burst {
		for _, i := range r.Perm(len(servers)) {
			if err := loads[i].drive(min(burst, left)); err != nil {
				return nil, err
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
	}
	select {
	case <-time.After(o.settle):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	cost, err := clocks(servers)
	if err != nil {
		return nil, err
	}
	for i := range cost {
		cost[i] = (cost[i] - start[i]) / float64(o.requests)
	}
	return cost, nil
}

// clocks reads the CPU time of every server, in µs.
func clocks(servers []*server) ([]float64, error) {
	all := make([]float64, len(servers))
	for i, s := range servers {
		t, err := cpu.Of(s.child.Pid())
		if err != nil {
			return nil, err
		}
		all[i] = float64(t.Nanoseconds()) / 1000
	}
	return all, nil
}

// report prints the figures of a mix and returns the finding on its limit.
func report(m mix, servers []*server, costs [][]float64, r *rand.Rand) string {
	for i, s := range servers {
		fmt.Printf("  %-20s %8.2f µs CPU a request (median)\n", s.name, median(costs[i]))
	}
	control, measured := compare(costs[0], costs[1], r), compare(costs[0], costs[2], r)
	show := func(what string, e effect) {
		fmt.Printf("  %-20s %+7.2f %%  [%+.2f, %+.2f]\n", what, 100*e.change, 100*e.low, 100*e.high)
	}
	show("control (A/A)", control)
	show("eider (A/B)", measured)
	finding := judge(measured, control, m.limit)
	fmt.Printf("  limit %.0f %%: %s\n", 100*m.limit, finding)
	if drowned(measured, control) {
		fmt.Println("  the control's interval is as wide as the effect: its size is unresolved")
	}
	return finding
}

// findCaddy returns a Caddy with the module, built if there is none.
func findCaddy(ctx context.Context, path, dir string) (string, error) {
	if path == "" {
		path = filepath.Join("bin", "caddy")
		if _, err := os.Stat(path); err != nil {
			path = filepath.Join(dir, "caddy")
			build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, "github.com/eider-analytics/eider/cmd/caddy")
			build.Stderr = os.Stderr
			if err := build.Run(); err != nil {
				return "", fmt.Errorf("build Caddy: %w", err)
			}
		}
	}
	return filepath.Abs(path)
}

// startAggregator returns where batches go, and how to end it.
func startAggregator(ctx context.Context, binary, dir string) (url string, stop func(), err error) {
	if binary == "" {
		s := httptest.NewServer(http.Handler(acceptor()))
		return s.URL, s.Close, nil
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return "", nil, err
	}
	addr, err := child.FreeAddress()
	if err != nil {
		return "", nil, err
	}
	s, err := child.Start(ctx, child.Config{
		Name: "eider", Path: binary, Args: []string{"serve", "--data", filepath.Join(dir, "data"), "--listen", addr}, Dir: dir,
		Env: append(os.Environ(), "EIDER_EDGE_TOKEN=bench"), Ready: "http://" + addr + "/health",
	})
	if err != nil {
		return "", nil, err
	}
	return "http://" + addr, func() { _ = s.Stop(10 * time.Second) }, nil
}
