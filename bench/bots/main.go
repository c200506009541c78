package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	o := options{log: os.Stderr}
	flag.StringVar(&o.caddy, "caddy", "bin/caddy", "a Caddy with the module")
	flag.StringVar(&o.eider, "eider", "bin/eider", "the aggregator")
	flag.IntVar(&o.agents, "agents", 0, "user agents of each corpus; 0 = all")
	flag.IntVar(&o.pages, "pages", 3, "pages that each client asks for")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	m, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bots:", err)
		os.Exit(1)
	}
	m.print(os.Stdout)
}
