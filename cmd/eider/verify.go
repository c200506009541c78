package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/eider-analytics/eider/aggregator/ops"
)

func verifyCommand(o *options) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Compare the manifest with the files, read the spool, close every edge's books",
		Long: `Compares what the manifest says with the files that are there, reads every
record of the spool that is not yet in a segment, and checks for each edge that
captured = stored + queued + dropped + rejected + lost. Files that were derived
from sealed days are compared with the manifest, too.

It changes nothing. The exit code is 1 if anything is wrong.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.hasData(); err != nil {
				return err
			}
			var report ops.Report
			err := o.operate(cmd, func(ctx context.Context, c ops.Control) error {
				var err error
				report, err = c.Verify(ctx)
				return err
			})
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd, report)
			} else {
				printReport(cmd.OutOrStdout(), &report)
			}
			if n := len(report.Problems); n > 0 && err == nil {
				err = fmt.Errorf("%d problems were found", n)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

// hasData refuses a data directory that nobody has written to: opening it would
// make one, and find everything as it should be.
func (o *options) hasData() error {
	cfg, err := o.load()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(cfg.Data)
	if err == nil && len(entries) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return fmt.Errorf("there is nothing to verify in the data directory %s: %w; name the right one with --data", cfg.Data, err)
	}
	return nil
}

func printReport(w io.Writer, r *ops.Report) {
	fmt.Fprintf(w, "segments  %d with %d events, %d bytes\n", r.Segments, r.Rows, r.Bytes)
	fmt.Fprintf(w, "spool     %d events that are not in a segment yet\n", r.Spooled)
	if r.Erased > 0 {
		fmt.Fprintf(w, "erased    %d events that were accepted: stored = events in segments + erased\n", r.Erased)
	}
	if r.Days > 0 {
		fmt.Fprintf(w, "sealed    %d days, %d of them late, with %d derived files\n", r.Days, r.LateDays, r.Derived)
	}
	for _, e := range r.Edges {
		fmt.Fprintf(w, "edge      %s %s: captured %d = stored %d + queued %d + dropped %d + rejected %d + lost %d\n",
			e.Edge, e.Name, e.Captured, e.Stored, e.Queued, e.Dropped, e.Rejected, e.Lost)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "PROBLEM   %s\n", p)
	}
	if len(r.Problems) == 0 {
		fmt.Fprintln(w, "everything is as it should be")
	}
}
