package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/cmd/eider/generator"
	"github.com/eider-analytics/eider/cmd/internal/program"
)

func benchCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Short: "Make data to measure with"}
	cmd.AddCommand(generateCommand(o))
	return cmd
}

func generateCommand(o *options) *cobra.Command {
	g := generator.Defaults()
	events, expect := "10M", ""
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Fill a new data directory with made-up traffic",
		Long: `Fills a new data directory with made-up traffic, for benchmarks: visits of
people with their daily and weekly rhythm, few pages with most of the views,
places, browsers, sources and campaigns, bots, errors and downloads, as the
proxy records them and, with --profile beacons, the script. The same seed gives
the same events.

At the end it says how surprising each column was meant to be, and is. --expect
writes what every right answer is: visitors, visits and page views of each site
and day.

Then start the server on the directory: eider serve --data DIR`,
		Example: `  eider bench generate --data /tmp/big --events 10M
  eider bench generate --data /tmp/many --events 5M --days 90 --sites 50 --profile beacons --seed 7`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if g.Events, err = generator.ParseCount(events); err != nil {
				return fmt.Errorf("events: %w", err)
			}
			return o.generate(cmd, g, expect)
		},
	}
	f := cmd.Flags()
	f.StringVar(&events, "events", events, "rows of all sites together, as 500k or 10M")
	f.IntVar(&g.Days, "days", g.Days, "how many days they are of")
	f.StringVar(&g.Until, "until", "", "the last day, as 2026-11-22 (default yesterday)")
	f.IntVar(&g.Sites, "sites", g.Sites, "how many sites there are; the first is the largest, by Zipf's law")
	f.BoolVar(&g.Even, "even", false, "make all sites equally large")
	f.Uint64Var(&g.Seed, "seed", g.Seed, "what everything random follows from")
	f.StringVar(&g.Zone, "zone", g.Zone, "IANA time zone of the sites")
	f.StringVar(&g.Identity, "identity", g.Identity, "how long a visitor's identity lasts: day or month")
	f.StringVar(&g.Profile, "profile", g.Profile, "proxy: what a Caddy alone records; beacons: of a site with the script as well")
	f.Float64Var(&g.Late, "late", 0, "share of visits that arrive one to three days late, as from an edge that was cut off")
	f.IntVar(&g.Cuts, "cuts", g.Cuts, "segments a day of each site")
	f.BoolVar(&g.Sums, "sums", g.Sums, "with the sums of requests that the proxy tells each minute")
	f.StringVar(&expect, "expect", "", "file to write the right answers to, as JSON")
	return cmd
}

// generateLimit is where Go begins to collect garbage harder: the rows of the
// largest day are half of it.
const generateLimit = 400 << 20

// generate fills the data directory, which must be new.
func (o *options) generate(cmd *cobra.Command, g generator.Options, expect string) error {
	cfg, err := o.load()
	if err != nil {
		return err
	}
	if err := generator.CheckNew(cfg.Data); err != nil {
		return err
	}
	if err := g.Check(); err != nil {
		return err
	}
	lock, err := ops.LockData(cfg.Data)
	if err != nil {
		return err
	}
	limitMemory(generateLimit)
	g.State, g.Lake = cfg.Stores()
	g.Terminal, g.Version = term.IsTerminal(int(os.Stderr.Fd())), program.Version()
	account, err := generator.Run(cmd.Context(), g, cmd.ErrOrStderr())
	if err := errors.Join(err, lock.Release()); err != nil {
		return fmt.Errorf("%w; remove %s, which is incomplete, before you try again", err, cfg.Data)
	}
	account.Print(cmd.OutOrStdout())
	if expect == "" {
		return nil
	}
	return account.Expected.Write(expect)
}
