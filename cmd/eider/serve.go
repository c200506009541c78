package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator"
	"github.com/eider-analytics/eider/cmd/internal/program"
)

func serveCommand(o *options) *cobra.Command {
	var listen string
	var insecure bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the aggregator: take events from edges, answer the dashboard",
		Long: `Takes batches of events from edges, keeps them as Parquet files, and answers
the API and the dashboard.

It listens on loopback only. Edges show a token: EIDER_EDGE_TOKEN (or
EIDER_EDGE_TOKEN_FILE, or edge_token in eider.toml) on both sides; without one,
a token is made at the first start and kept in edge_token in the data
directory.

Every key of eider.toml is also an environment variable: EIDER_ and the key in
upper case. SIGTERM and Ctrl-C end it within 10 seconds; every acknowledged
event is then on disk.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load()
			if err != nil {
				return err
			}
			if listen != "" {
				cfg.Listen = listen
			}
			cfg.Insecure = cfg.Insecure || insecure
			limitMemory(heapLimit)
			log := program.Logger()
			defer func() { _ = log.Sync() }()
			a, err := aggregator.Open(cfg, program.Version(), log)
			if err != nil {
				return err
			}
			announce(cmd, &cfg, a, log)
			return a.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", fmt.Sprintf("address of the API, the dashboard and the edges (default %q)", aggregator.DefaultListen))
	cmd.Flags().BoolVar(&insecure, "insecure", false, "allow an address that is not loopback, although there are no accounts")
	return cmd
}

// heapLimit is where Go begins to collect garbage harder: events come in
// bursts, and without it the heap doubles over what the busiest moment needs.
// DuckDB's memory is bounded by query_memory and is not in it.
const heapLimit = 256 << 20

// limitMemory sets a limit, unless GOMEMLIMIT says another.
func limitMemory(bytes int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(bytes)
	}
}

// announce tells what a person needs to go on.
func announce(cmd *cobra.Command, cfg *aggregator.Config, a *aggregator.Aggregator, log *zap.Logger) {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "dashboard: http://%s/\n", a.Addr())
	if path := a.TokenPath(); path != "" {
		fmt.Fprintf(out, "edge token: in %s; give it to Caddy as EIDER_EDGE_TOKEN\n", path)
	}
	fmt.Fprintf(out, "owner token: in %s; it allows everything, over the API\n", a.OwnerPath())
	if cfg.Insecure {
		log.Warn("everybody who reaches the address sees every site", zap.Stringer("listen", a.Addr()))
	}
}
