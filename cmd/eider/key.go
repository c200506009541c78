package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/state"
)

func keyCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "List, make and revoke API keys and edge tokens",
		Long: `A key is for one or more purposes, its scopes: edge (deliver batches, ask for
sites and salts), ingest (send events from servers), stats:read (ask questions),
admin (everything but to be an edge). Its token is shown once, when it is made;
what is stored lets nobody use it.`,
	}
	cmd.AddCommand(keyListCommand(o), keyAddCommand(o), keyRevokeCommand(o))
	return cmd
}

func keyListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys, without their tokens",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.operate(cmd, func(ctx context.Context, c ops.Control) error {
				list, err := c.Keys(ctx)
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "KEY\tNAME\tSCOPES\tSITES\tMADE\tEXPIRES")
				for _, k := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", auth.Prefix(k.ID), k.Name, purposeOf(&k), sitesOf(&k), dateOf(k.CreatedAt), expiryOf(&k))
				}
				return w.Flush()
			})
		},
	}
}

func keyAddCommand(o *options) *cobra.Command {
	var n auth.New
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Make a key and print its token, once",
		Long: `Makes a key and prints its token on standard output; it can't be shown again.

With --edge it is the token of that edge: give it to its Caddy as
EIDER_EDGE_TOKEN. An edge's queue that was delivered with it is that edge's from
then on, and no other bound token may speak for it.`,
		Example: `  eider key add --edge shop --sites shop.example.com
  eider key add --scope ingest --sites shop.example.com --name backend --expires 90d`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.operate(cmd, func(ctx context.Context, c ops.Control) error {
				key, err := c.AddKey(ctx, n)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "%s is for %s, sites: %s, expires: %s. This is its token; nobody can show it again:\n",
					auth.Prefix(key.ID), purposeOf(&key.Key), sitesOf(&key.Key), expiryOf(&key.Key))
				fmt.Fprintln(cmd.OutOrStdout(), key.Token)
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&n.Edge, "edge", "", "make the token of the edge of this name")
	flags.StringVar(&n.Name, "name", "", "name for people (default: the edge's)")
	flags.StringSliceVar(&n.Scopes, "scope", nil, "what it is for: ingest, stats:read or admin; several with commas")
	flags.StringSliceVar(&n.Sites, "sites", nil, "sites that it is for (default: all)")
	flags.StringVar(&n.Expire, "expires", "", "when it ends: 90d, 12h or a date such as 2027-01-31 (default: never)")
	return cmd
}

func keyRevokeCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke KEY",
		Short: "End a key at once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.operate(cmd, func(ctx context.Context, c ops.Control) error {
				key, err := c.RevokeKey(ctx, args[0])
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is revoked\n", auth.Prefix(key.ID))
				return nil
			})
		},
	}
}

func purposeOf(k *state.Key) string {
	text := strings.Join(k.Scopes, ",")
	if k.Edge != "" {
		text += " " + k.Edge
	}
	return text
}

func sitesOf(k *state.Key) string {
	if k.Sites == nil {
		return "all"
	}
	return strings.Join(k.Sites, ",")
}

func dateOf(us int64) string { return time.UnixMicro(us).UTC().Format("2006-01-02 15:04Z") }

func expiryOf(k *state.Key) string {
	if k.ExpiresAt == 0 {
		return "never"
	}
	return dateOf(k.ExpiresAt)
}
