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
	flag.IntVar(&o.rounds, "rounds", 24, "rounds for each mix; every server has its turn in each")
	flag.IntVar(&o.requests, "requests", 3000, "requests in one turn")
	flag.IntVar(&o.conns, "connections", 4, "keep-alive connections")
	flag.DurationVar(&o.settle, "settle", 400*time.Millisecond, "pause after a turn in which queued work may end")
	flag.StringVar(&o.memory, "memory", "", "give each Caddy this much memory before it collects garbage, like 96MiB; by default Go's own pace")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64(), "seed of the order of turns and of the traffic")
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
		costs, err := measure(ctx, o, m, servers, r)
		if err != nil {
			return err
		}
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

// measure returns CPU µs a request, by server and round.
func measure(ctx context.Context, o options, m mix, servers []*server, r *rand.Rand) ([][]float64, error) {
	lists := make([][][]byte, len(servers))
	traffic := r.Uint64()
	for i, s := range servers {
		lists[i] = m.requests(s.addr, rand.New(rand.NewPCG(traffic, 0))) // the same for all
		if err := drive(ctx, s.addr, lists[i], o.requests, o.conns); err != nil {
			return nil, err // warming up: caches, heap size, the kernel's
		}
	}
	eider := servers[len(servers)-1]
	before, err := eider.counted(ctx)
	if err != nil {
		return nil, err
	}
	costs := make([][]float64, len(servers))
	for range o.rounds {
		order := r.Perm(len(servers))
		for _, i := range order {
			cost, err := turn(ctx, o, servers[i], lists[i])
			if err != nil {
				return nil, err
			}
			costs[i] = append(costs[i], cost)
		}
	}
	after, err := eider.counted(ctx)
	if err != nil {
		return nil, err
	}
	if want := views(m, lists[0], o) * o.rounds; after-before != want {
		return nil, fmt.Errorf("%s: %d page views were counted, want %d: the figures would say nothing", m.name, after-before, want)
	}
	return costs, nil
}

// views counts the page views of one turn.
func views(m mix, list [][]byte, o options) (n int) {
	for c := range o.conns {
		share := o.requests / o.conns
		if c < o.requests%o.conns {
			share++
		}
		for i := range share {
			if (c*len(list)/o.conns+i)%len(list)%m.pageEvery == 0 {
				n++
			}
		}
	}
	return n
}

func turn(ctx context.Context, o options, s *server, list [][]byte) (float64, error) {
	start, err := cpuTime(s.child.Pid())
	if err != nil {
		return 0, err
	}
	if err := drive(ctx, s.addr, list, o.requests, o.conns); err != nil {
		return 0, err
	}
	select {
	case <-time.After(o.settle):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	end, err := cpuTime(s.child.Pid())
	if err != nil {
		return 0, err
	}
	return float64((end - start).Nanoseconds()) / 1000 / float64(o.requests), nil
}

// report prints the figures of a mix and returns the finding on its limit.
func report(m mix, servers []*server, costs [][]float64, r *rand.Rand) string {
	fmt.Printf("\n%s\n", m.name)
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
