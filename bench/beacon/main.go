// Command beacon measures what a message to the collection endpoints costs: how
// many POSTs a second a Caddy answers once they are in its queue, beside how
// many the same Caddy answers at once after reading their bodies, in turns, in
// one run; and how long they take at half of that rate.
//
//	go run ./bench/beacon -caddy bin/caddy -eider bin/eider
//
// The clients are in this process and take their part of the machine in both
// cases alike. The aggregator is away: nothing is shipped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eider-analytics/eider/internal/child"
)

func main() {
	caddy := flag.String("caddy", "bin/caddy", "the binary of Caddy with the module; empty = batches alone")
	rounds := flag.Int("rounds", 6, "rounds; each measures both")
	seconds := flag.Float64("seconds", 3, "of each measurement")
	connections := flag.Int("connections", 128, "that send at once")
	eider := flag.String("eider", "", "the aggregator's binary, to measure batches of servers with; empty = not")
	flag.Parse()
	var err error
	if *caddy != "" {
		err = run(context.Background(), *caddy, *rounds, time.Duration(*seconds*float64(time.Second)), *connections)
	}
	if err == nil && *eider != "" {
		err = batches(context.Background(), *eider, time.Duration(*rounds)*time.Duration(*seconds*float64(time.Second)), 4)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/beacon:", err)
		os.Exit(1)
	}
}

const caddyfile = `{
	admin off
	persist_config off
	auto_https off
	default_bind 127.0.0.1
	storage file_system %[1]s/storage
	log {
		output file %[1]s/caddy.log
		level WARN
	}
	eider {
		aggregator http://127.0.0.1:1
		token bench
		queue %[1]s/queue {
			reserve_free 16MiB
			drop oldest
		}
		collect {
			rate_per_address off
			rate_per_site off
		}
	}
}
http://bench.localhost:%[2]s {
	eider {
		script /e
	}
}
http://127.0.0.1:%[2]s {
	respond "ready"
}
http://bare.localhost:%[2]s {
	vars body {http.request.body}
	respond 202
}
`

func run(ctx context.Context, caddy string, rounds int, each time.Duration, connections int) error {
	dir, err := os.MkdirTemp("", "eider-bench-beacon-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	addr, err := child.FreeAddress()
	if err != nil {
		return err
	}
	_, port, _ := strings.Cut(addr, ":")
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, fmt.Appendf(nil, caddyfile, dir, port), 0o600); err != nil {
		return err
	}
	server, err := child.Start(ctx, child.Config{
		Name: "caddy", Path: caddy, Args: []string{"run", "--config", file, "--adapter", "caddyfile"}, Ready: "http://" + addr + "/",
		Env: append(os.Environ(), "HOME="+dir),
	})
	if err != nil {
		return err
	}
	defer func() { _ = server.Stop(15 * time.Second) }()

	load := &load{addr: addr, connections: connections}
	beacon, bare := request("bench.localhost:"+port), request("bare.localhost:"+port)
	var ratios, beacons, bares []float64
	for i := range rounds + 1 {
		a, err := load.asFastAsPossible(bare, each)
		if err != nil {
			return err
		}
		b, err := load.asFastAsPossible(beacon, each)
		if err != nil {
			return err
		}
		if i == 0 {
			continue // files, caches and the heap have grown to their size
		}
		fmt.Printf("round %d: bare %6.0f/s, in the queue %6.0f/s, %3.0f %%\n", i, a, b, 100*b/a)
		ratios, bares, beacons = append(ratios, b/a), append(bares, a), append(beacons, b)
	}
	rate := median(beacons)
	fmt.Printf("median: bare %.0f/s, answered once in the queue %.0f/s, %.0f %% (goal: 60 %%)\n", median(bares), rate, 100*median(ratios))
	// Beside them the bare answers: what of it is the machine's and the clients'.
	for range 2 {
		for name, req := range map[string][]byte{"bare": bare, "in the queue (goal: p99 below 10 ms)": beacon} {
			took, err := load.paced(req, rate/2, each*time.Duration(rounds)/2)
			if err != nil {
				return err
			}
			if len(took) == 0 {
				return errors.New("nothing was answered")
			}
			slices.Sort(took)
			at := func(q float64) float64 { return ms(took[min(int(q*float64(len(took))), len(took)-1)]) }
			fmt.Printf("at %.0f/s, %s: p50 %.2f ms, p90 %.2f, p99 %.2f, longest %.1f, of %d\n", rate/2, name, at(0.5), at(0.9), at(0.99), at(1), len(took))
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)/2]
}
