package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/seal"
)

func sealCommand(o *options) *cobra.Command {
	var sel seal.Selection
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "seal",
		Short: "Seal days now instead of when they are due",
		Long: `Seals days now that are due later: days that were never sealed, that got more
events since, or that an older version sealed. The server does so by itself;
this is for after an import, or before a backup. Days that ended less than three
hours ago are left out.

Events are kept as they are, sorted; what is derived from them can be made again.
It can be stopped at any time.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.hasData(); err != nil {
				return err
			}
			var report seal.Report
			err := o.operate(cmd, func(ctx context.Context, c ops.Control) error {
				var err error
				report, err = c.Seal(ctx, sel)
				return err
			})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, report)
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "%d of %d days were sealed, with %d events\n", report.Sealed, report.Days, report.Rows)
			for _, f := range report.Failed {
				fmt.Fprintln(out, f)
			}
			if n := len(report.Failed); n > 0 {
				return fmt.Errorf("%d days could not be sealed", n)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&sel.Site, "site", "", "only this site (id, UUID or domain)")
	flags.StringVar(&sel.From, "from", "", "only from this day of the site on, as 2026-11-22")
	flags.StringVar(&sel.To, "to", "", "only to this day of the site, included")
	flags.BoolVar(&sel.Force, "force", false, "also days that are sealed and got nothing since")
	flags.BoolVar(&asJSON, "json", false, "print the account as JSON")
	return cmd
}
