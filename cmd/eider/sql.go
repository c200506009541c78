package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/sqlbox"
)

func sqlCommand(o *options) *cobra.Command {
	q := ops.SQLQuery{}
	var format, file string
	cmd := &cobra.Command{
		Use:   "sql [STATEMENT]",
		Short: "Ask the running server a SELECT about one site",
		Long: `Runs one SELECT over the views of one site (events, visits, daily, v_pa_…; see
docs/sql.md) in the running server, and prints the answer. The statement is the
argument, or a file (--file), or standard input (--file -).`,
		Example: `  eider sql --site example.com "SELECT day, visitors FROM daily ORDER BY day"
  eider sql --site example.com --format parquet --limit 1000000 "FROM visits" > visits.parquet`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if q.SQL, err = statementOf(cmd, args, file); err != nil {
				return err
			}
			known, err := sqlbox.ParseFormat(format, "")
			if err != nil {
				return err
			}
			q.Format = string(known)
			return o.operate(cmd, func(ctx context.Context, c ops.Control) error { return c.SQL(ctx, q, cmd.OutOrStdout()) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&q.Site, "site", "", "the site: its id, UUID or domain")
	flags.StringVar(&format, "format", "csv", "json, csv, arrow or parquet")
	flags.StringVar(&file, "file", "", "file with the statement; - is standard input")
	flags.IntVar(&q.Limit, "limit", 0, fmt.Sprintf("rows at most, up to %d (default %d)", sqlbox.MaxRows, sqlbox.DefaultRows))
	_ = cmd.MarkFlagRequired("site")
	return cmd
}

// statementOf is what the command line says, in one of its ways.
func statementOf(cmd *cobra.Command, args []string, file string) (string, error) {
	switch {
	case len(args) > 0 && file != "":
		return "", errors.New("give the statement as the argument or by --file, not both")
	case len(args) > 0:
		return args[0], nil
	case file == "":
		return "", errors.New(`give a statement: eider sql --site SITE "SELECT …", or --file FILE`)
	}
	in := cmd.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("read statement: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, sqlbox.MaxText+1))
	if err != nil {
		return "", fmt.Errorf("read statement: %w", err)
	}
	return string(text), nil
}

// sqlChildCommand is the process in which a statement runs; nobody but the server
// starts it.
func sqlChildCommand() *cobra.Command {
	return &cobra.Command{
		Use:    sqlbox.ChildCommand,
		Hidden: true,
		Args:   cobra.NoArgs,
		Run:    func(*cobra.Command, []string) { os.Exit(sqlbox.Child()) },
	}
}
