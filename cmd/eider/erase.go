package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/eider-analytics/eider/aggregator/erasure"
	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/state"
)

func eraseCommand(o *options) *cobra.Command {
	var request erasure.Request
	var list, asJSON bool
	var forget string
	cmd := &cobra.Command{
		Use:   "erase",
		Short: "Erase a visitor, a person's distinct id, days, or everything of a site",
		Long: `Takes the named rows out of everything that is stored: segments, what waits to
become one, dead letters and the spool; and keeps them from coming back, with
what edges still have, or by a restored backup. Visitor and days are combined:
a visitor within days. What comes after the moment of asking is not concerned.

A distinct id means its rows, and every row of the visitors that it was said of
within the days. A visitor means also the ids that it went on under at midnight.

The ledger of erasures holds keyed digests, never the ids. An erasure can't be
undone; --dry-run only counts. Where no server runs, events that only the spool
has are erased by the next start.

  eider erase --site example.com --visitor 1234567890123456789
  eider erase --site example.com --distinct-id customer-17 --dry-run
  eider erase --site example.com --from 2026-11-01 --to 2026-11-07
  eider erase --list
  eider erase --forget LEDGER_ID    what comes of it is taken again: a new import`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.hasData(); err != nil {
				return err
			}
			named := request != erasure.Request{DryRun: request.DryRun}
			switch {
			case list && forget != "", (list || forget != "") && (named || request.DryRun):
				return errors.New("--list and --forget stand alone")
			case list:
				return o.listErasures(cmd, asJSON)
			case forget != "":
				return o.forgetErasure(cmd, forget, asJSON)
			case request.Site == "":
				return errors.New("say which site: --site")
			}
			return o.erase(cmd, request, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&request.Site, "site", "", "the site (id, UUID or domain)")
	flags.StringVar(&request.Start, "from", "", "from this day of the site on, as 2026-11-22; with --to")
	flags.StringVar(&request.End, "to", "", "to this day of the site, included")
	flags.StringVar(&request.VisitorID, "visitor", "", "a visitor's id, as SQL and exports show it")
	flags.StringVar(&request.DistinctID, "distinct-id", "", "an id that the site gave by identify")
	flags.BoolVar(&request.Everything, "everything", false, "everything of the site up to now")
	flags.BoolVar(&request.DryRun, "dry-run", false, "say what would go, and change nothing")
	flags.BoolVar(&list, "list", false, "list what was erased")
	flags.StringVar(&forget, "forget", "", "let in again what this erasure concerns")
	flags.BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

func (o *options) erase(cmd *cobra.Command, request erasure.Request, asJSON bool) error {
	var report erasure.Report
	err := o.operate(cmd, func(ctx context.Context, c ops.Control) error {
		var err error
		report, err = c.Erase(ctx, request)
		return err
	})
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd, report)
	}
	printErased(cmd.OutOrStdout(), &report)
	return nil
}

func printErased(w io.Writer, r *erasure.Report) {
	verb := "erased"
	if r.DryRun {
		verb = "would be erased"
	}
	fmt.Fprintf(w, "%d events %s, %d of them not in a segment yet; %d set aside; %d dead letters; %d copies in the spool\n",
		r.Events+r.Hot, verb, r.Hot, r.SetAside, r.DeadLetters, r.Spool)
	if r.Visits+r.Rollups > 0 {
		fmt.Fprintf(w, "derived   visits of %d days and rollups of %d days, which are made anew\n", r.Visits, r.Rollups)
	}
	switch {
	case r.DryRun:
	case r.State == state.ErasureDone:
		fmt.Fprintf(w, "ledger    %s, done\n", r.LedgerID)
	default:
		fmt.Fprintf(w, "ledger    %s, open: the rest, in the spool, is erased when the server has taken it\n", r.LedgerID)
	}
	fmt.Fprintf(w, "books     %s\n", r.Accounting)
}

func (o *options) listErasures(cmd *cobra.Command, asJSON bool) error {
	return o.operate(cmd, func(ctx context.Context, c ops.Control) error {
		list, err := c.Erasures(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd, list)
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "LEDGER ID\tSITE\tWHAT\tFROM\tTO\tASKED\tBY\tSTATE\tEVENTS")
		for i := range list {
			e := &list[i]
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", e.ID, e.SiteID, whatOf(e), boundOf(e.From), boundOf(e.To), dateOf(e.AskedAt), e.By,
				stateOf(e), e.Counts.Events+e.Counts.Hot)
		}
		return w.Flush()
	})
}

func whatOf(e *state.Erasure) string {
	switch {
	case e.Both:
		return "visitor and distinct id"
	case e.Distinct != "":
		return "distinct id"
	case len(e.Visitors) > 0:
		return "visitor"
	case e.From == 0 && e.To == math.MaxInt64:
		return "everything"
	}
	return "days"
}

// boundOf shows a bound of times, "-" where there is none.
func boundOf(us int64) string {
	if us == 0 || us == math.MaxInt64 {
		return "-"
	}
	return time.UnixMicro(us).UTC().Format(time.RFC3339)
}

func stateOf(e *state.Erasure) string {
	if e.ForgottenAt != 0 && e.State == state.ErasureDone {
		return "forgotten"
	}
	return e.State
}

func (o *options) forgetErasure(cmd *cobra.Command, id string, asJSON bool) error {
	return o.operate(cmd, func(ctx context.Context, c ops.Control) error {
		entry, err := c.ForgetErasure(ctx, id)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd, entry)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "what erasure %s concerns is taken again when it comes\n", entry.ID)
		return nil
	})
}
