package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator"
	"github.com/eider-analytics/eider/aggregator/ops"
)

func siteCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "site", Short: "List and add sites"}
	cmd.AddCommand(siteListCommand(o), siteAddCommand(o))
	return cmd
}

func siteListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the sites",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.operate(cmd, func(ctx context.Context, c ops.Control) error {
				list, err := c.Sites(ctx)
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "ID\tDOMAINS\tTIME ZONE\tFROM\tUUID")
				for _, s := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.ID, strings.Join(s.Domains, ","), s.Zone, s.Origin, s.UUID)
				}
				return w.Flush()
			})
		},
	}
}

func siteAddCommand(o *options) *cobra.Command {
	var zone string
	cmd := &cobra.Command{
		Use:   "add DOMAIN",
		Short: "Add a site, or change the time zone of one",
		Long: `Adds a site. Sites that an edge's Caddyfile names add themselves, so this is
for those that are not there yet, and for another time zone than the default.

A changed time zone is for days to come: what was counted stays where it is.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.operate(cmd, func(ctx context.Context, c ops.Control) error {
				s, err := c.AddSite(ctx, args[0], zone)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is the site %s in the time zone %s\n", s.Name, s.ID, s.Zone)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&zone, "zone", "", "IANA time zone of the site's days, such as Europe/Berlin")
	return cmd
}

// operate runs a command against the running server or the data directory.
func (o *options) operate(cmd *cobra.Command, with func(context.Context, ops.Control) error) error {
	cfg, err := o.load()
	if err != nil {
		return err
	}
	return aggregator.Operate(cmd.Context(), cfg, zap.NewNop(), with)
}
