// Command demo shows Eider on a small made-up site: it starts the aggregator
// and a Caddy with the module, sends some traffic, and prints where to look.
//
//	made-up visitors ──▶ Caddy (examples/demo/Caddyfile) ──▶ eider serve ──▶ dashboard
//	                     site on :8080                        :8787
//
// It owns both servers: Ctrl-C, or the end of either, stops the traffic first,
// then Caddy, which ships what it still has, then the aggregator. What they
// write lies below --data and is used again by the next run.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/eider-analytics/eider/internal/child"
)

// grace is what each server gets to end by itself; both promise ten seconds.
const grace = 12 * time.Second

type options struct {
	site, listen string
	bin, data    string
	quiet        bool
	lasts        time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.site, "site", "127.0.0.1:8080", "address of the demo site")
	flag.StringVar(&o.listen, "listen", "127.0.0.1:8787", "address of the aggregator and its dashboard")
	flag.StringVar(&o.bin, "bin", "bin", "folder of the programs caddy and eider")
	flag.StringVar(&o.data, "data", filepath.Join("data", "demo"), "folder of everything that is written")
	flag.BoolVar(&o.quiet, "no-traffic", false, "send no made-up traffic")
	flag.DurationVar(&o.lasts, "for", 0, "stop by itself after this time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	if o.lasts > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.lasts)
		defer cancel()
	}
	for flagName, addr := range map[string]string{"site": o.site, "listen": o.listen} {
		if err := checkFree(flagName, addr); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(o.data, 0o700); err != nil {
		return fmt.Errorf("make the demo's folder: %w", err)
	}
	aggregator, err := startAggregator(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, aggregator.Stop(grace)) }()
	caddy, err := startCaddy(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, caddy.Stop(grace)) }()

	fmt.Printf("\n  demo site   http://%s/\n  dashboard   http://%s/\n\n", o.site, o.listen)
	trafficCtx, stopTraffic := context.WithCancel(ctx)
	trafficDone := make(chan error, 1)
	if !o.quiet {
		fmt.Println("  Made-up visitors are on their way, with a few bots among them. Ctrl-C stops everything.")
		go func() { trafficDone <- newTraffic("http://"+o.site, time.Now().UnixNano()).run(trafficCtx) }()
	}
	select {
	case <-ctx.Done():
	case <-caddy.Done():
		err = caddy.Ended()
	case <-aggregator.Done():
		err = aggregator.Ended()
	case err = <-trafficDone:
		trafficDone <- nil
	}
	stopTraffic()
	if !o.quiet {
		<-trafficDone
	}
	fmt.Println("\n  stopping")
	return err
}

func startAggregator(ctx context.Context, o options) (*child.Server, error) {
	out, err := logFile(o, "aggregator.log")
	if err != nil {
		return nil, err
	}
	return child.Start(ctx, child.Config{
		Name: "the aggregator", Path: filepath.Join(o.bin, "eider"),
		Args:   []string{"serve", "--data", filepath.Join(o.data, "aggregator"), "--listen", o.listen},
		Env:    environment(o),
		Output: out,
		Ready:  "http://" + o.listen + "/health/ready",
	})
}

func startCaddy(ctx context.Context, o options) (*child.Server, error) {
	out, err := logFile(o, "caddy.log")
	if err != nil {
		return nil, err
	}
	// A free port: another Caddy of the reader may well have the usual one.
	admin, err := child.FreeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(o.site)
	places := filepath.Join(o.data, "places.mmdb")
	if err := writePlaces(places); err != nil {
		return nil, err
	}
	return child.Start(ctx, child.Config{
		Name: "Caddy", Path: filepath.Join(o.bin, "caddy"),
		Args: []string{"run", "--config", filepath.Join("examples", "demo", "Caddyfile"), "--adapter", "caddyfile"},
		Env: append(environment(o), "EIDER_DEMO_ADMIN="+admin, "EIDER_DEMO_SITE="+o.site, "EIDER_DEMO_PORT="+port,
			"EIDER_DEMO_AGGREGATOR=http://"+o.listen, "EIDER_DEMO_DATA="+o.data, `EIDER_DEMO_GEOIP=geoip "`+places+`"`),
		Output: out,
		Ready:  "http://" + admin + "/config/",
	})
}

// token is known to the two servers that this process starts, and to nobody else.
var token = rand.Text()

func environment(options) []string { return append(os.Environ(), "EIDER_EDGE_TOKEN="+token) }

// logFile is closed by the end of the process.
func logFile(o options, name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(o.data, name), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return f, nil
}

// checkFree says which address is taken before a server says it in its own way.
func checkFree(flagName, addr string) error {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l.Close()
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		look := "lsof -i tcp@" + addr
		if runtime.GOOS == "linux" {
			look = "ss -ltnp"
		}
		return fmt.Errorf("%s is in use by another program (see %s): stop it, or choose another address with bin/eider-demo --%s ADDRESS", addr, look, flagName)
	}
	return fmt.Errorf("listen on %s: %w", addr, err)
}
