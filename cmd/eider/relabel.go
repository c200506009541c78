package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/relabel"
)

func relabelCommand(o *options) *cobra.Command {
	var opts relabel.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "relabel",
		Short: "Judge stored events anew by the rules of this version: who is a bot, and why",
		Long: `Judges stored events anew by the rules of this version, as far as what is kept
of them tells: the product token of agents that are not browsers, the signs that
a request's headers showed, the browser and its version at the time, the path
and its answer. No address and no whole user agent is kept, so what only these
gave away stays as it is.

Rows, their order and every other column stay. Each segment is replaced in one
step; readers see it as it was or as it is. It can be stopped at any time and
begun again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.hasData(); err != nil {
				return err
			}
			var report relabel.Report
			err := o.operate(cmd, func(ctx context.Context, c ops.Control) error {
				var err error
				report, err = c.Relabel(ctx, opts)
				return err
			})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, report)
			}
			printRelabelled(cmd.OutOrStdout(), &report)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.Site, "site", "", "only this site (id, UUID or domain)")
	flags.StringVar(&opts.From, "from", "", "only from this day of the site on, as 2026-11-22")
	flags.StringVar(&opts.To, "to", "", "only to this day of the site, included")
	flags.BoolVar(&opts.DryRun, "dry-run", false, "say what would change, and change nothing")
	flags.BoolVar(&asJSON, "json", false, "print the account as JSON")
	return cmd
}

func printRelabelled(w io.Writer, r *relabel.Report) {
	verb := "changed"
	if r.DryRun {
		verb = "would change"
	}
	fmt.Fprintf(w, "%d of %d events %s, in %d of %d segments\n", r.Changed, r.Rows, verb, r.Written, r.Segments)
	for _, c := range r.Changes {
		fmt.Fprintf(w, "%8d  %s  ->  %s\n", c.Rows, c.From, c.To)
	}
}
