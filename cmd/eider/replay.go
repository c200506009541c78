package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eider-analytics/eider/cmd/eider/replay"
)

// replayCommand sends an access log through a real Caddy and closes the books.
func replayCommand() *cobra.Command {
	o := replay.Options{}
	cmd := &cobra.Command{
		Use:   "replay LOG",
		Short: "Send an access log through a real Caddy and compare the books",
		Long: `Sends the requests of an access log (combined format or Caddy's JSON, gzipped
or not, "-" for standard input) as real HTTP requests through a Caddy with the
module to a built-in origin, which answers each with the status, size and type
that the log has. Client address, referrer and user agent are the log's; the
requests count as of now.

By default it starts a Caddy of its own, in front of the aggregator at
--aggregator. With --through it uses a running one, which must pass the site's
requests on to --origin-listen, trust this machine's X-Forwarded-For
(trusted_proxies with trusted_proxies_strict), and serve nobody else meanwhile.

The account at the end compares what was sent with the module's metrics and the
aggregator's books (a running Caddy tells its sums of requests at whole minutes,
and is waited for). If the books do not close, the exit code is 1.`,
		Example: `  EIDER_EDGE_TOKEN=… eider replay /var/log/apache2/example.com.log.gz --site example.com
  eider replay access.log --rate 200`,
		Args:          cobra.ExactArgs(1),
		SilenceUsage:  true,
		SilenceErrors: false,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Log = args[0]
			o.Token = os.Getenv("EIDER_EDGE_TOKEN")
			o.Terminal = term.IsTerminal(int(os.Stderr.Fd()))
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			account, err := replay.Run(ctx, o, cmd.ErrOrStderr())
			if account.Site == "" {
				return err // it did not come far enough for an account
			}
			account.Print(cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return account.Err()
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Site, "site", "", "name of the site that the requests count for (default: the log's name if that is a domain, else replay.localhost)")
	f.Float64Var(&o.Rate, "rate", 0, "requests a second; 0 = as fast as possible")
	f.IntVar(&o.Concurrency, "concurrency", replay.DefaultConcurrency, "requests at once; those of one client stay in order")
	f.IntVar(&o.Limit, "limit", 0, "stop after this many requests; 0 = the whole log")
	f.StringVar(&o.Caddy, "caddy", "", "Caddy with the module (default: the one beside this program, else on the PATH)")
	f.StringVar(&o.Queue, "queue", "", "queue directory of the Caddy that is started (default: a temporary one)")
	f.StringVar(&o.Aggregator, "aggregator", replay.DefaultAggregator, "URL of the aggregator")
	f.StringVar(&o.Through, "through", "", "URL of a running Caddy to send the requests to, instead of starting one")
	f.StringVar(&o.OriginListen, "origin-listen", "", "with --through: address that Caddy passes the requests on to")
	f.StringVar(&o.Admin, "admin", replay.DefaultAdmin, "with --through: URL of Caddy's admin endpoint")
	f.DurationVar(&o.Patience, "wait", replay.DefaultPatience, "how long the queue and the aggregator may take to catch up")
	return cmd
}
