// Package collect is the command line of the collector, which is a command of
// eider and a program of its own.
package collect

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared/beacon"
	"github.com/eider-analytics/eider/shared/collector"
	"github.com/eider-analytics/eider/shared/queue"
)

// Command runs a collector. use is what the command is called, version the
// software's.
func Command(use, version string, log func() *zap.Logger) *cobra.Command {
	cfg := collector.Config{Version: version}
	var trusted []string
	var maxSize, reserve, sync string
	cmd := &cobra.Command{
		Use:   use,
		Short: "Run a collector: take events in, queue them, ship them to an aggregator",
		Long: `Serves the collection endpoints without proxy, dashboard and DuckDB: messages are
answered once they are in the queue on this machine's disk, and shipped to the
aggregator from there. Several behind a load balancer count as one.

With --socket it also takes over the events of a Caddy on this machine, whose
Caddyfile says: aggregator unix/SOCKET. The queue then lives outside of Caddy.

It shows the aggregator's edge token: EIDER_EDGE_TOKEN, or a file that
EIDER_EDGE_TOKEN_FILE names. SIGTERM and Ctrl-C end it within 10 seconds.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Token, err = collector.ReadSecret("EIDER_EDGE_TOKEN"); err != nil {
				return fmt.Errorf("edge token: %w", err)
			}
			if cfg.TrustedProxies, err = beacon.ParseProxies(trusted); err != nil {
				return err
			}
			if cfg.MaxSize, err = size("max-size", maxSize); err != nil {
				return err
			}
			if cfg.ReserveFree, err = size("reserve-free", reserve); err != nil {
				return err
			}
			if cfg.Sync, err = syncInterval(sync); err != nil {
				return err
			}
			l := log()
			defer func() { _ = l.Sync() }()
			c, err := collector.Open(cfg, l)
			if err != nil {
				return err
			}
			if addr := c.Addr(); addr != nil {
				fmt.Fprintf(cmd.OutOrStdout(), "collector: http://%s/\n", addr)
			}
			if cfg.Socket != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "socket: give it to Caddy as: aggregator unix/%s\n", cfg.Socket)
			}
			return c.Run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Aggregator, "aggregator", collector.DefaultAggregator, "base URL of the aggregator")
	f.StringVar(&cfg.Dir, "dir", collector.DefaultDir, "directory of the queue")
	f.StringVar(&cfg.Listen, "listen", collector.DefaultListen, `address of the collection endpoints; "" for none`)
	f.StringVar(&cfg.Socket, "socket", "", "unix socket for a Caddy on this machine, as an absolute path")
	f.StringVar(&cfg.GeoIP, "geoip", "", "MaxMind database (.mmdb) for countries and cities")
	f.StringSliceVar(&trusted, "trusted-proxies", []string{"127.0.0.0/8", "::1"}, "addresses or networks whose X-Forwarded-For is believed")
	f.StringVar(&maxSize, "max-size", "1GiB", "how much the queue may take")
	f.StringVar(&reserve, "reserve-free", "", "how much of the volume stays free (default: the larger of 1GiB and 5 %)")
	f.StringVar(&sync, "sync", "250ms", "how often what is written is forced to the disk: a duration, or always")
	f.BoolVar(&cfg.UnsafeFS, "unsafe-fs", false, "queue on a file system that reserves no space")
	return cmd
}

func size(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > 1<<62 {
		return 0, fmt.Errorf("--%s: %q is not a size: want one like 512MiB", flag, text)
	}
	return int64(n), nil
}

func syncInterval(text string) (time.Duration, error) {
	if text == "always" {
		return queue.SyncAlways, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Millisecond || d > time.Minute {
		return 0, fmt.Errorf("--sync: %q, want always or 1ms to 1m", text)
	}
	return d, nil
}
