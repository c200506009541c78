package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eider-analytics/eider/aggregator"
	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/cmd/eider/importer"
	"github.com/eider-analytics/eider/cmd/internal/program"
	"github.com/eider-analytics/eider/shared/accesslog"
)

// importCommand brings history in from access logs.
func importCommand(o *options) *cobra.Command {
	i := importer.Options{}
	cmd := &cobra.Command{
		Use:   "import LOG…",
		Short: "Bring the history of a site in from access logs",
		Long: `Reads access logs, judges every line by the rules that the proxy has for
requests, and sends what is to be recorded to the aggregator, with the times
that the log has. Logs may be packed by gzip or zstd; a quoted pattern stands
for the files that it matches, and "-" for standard input.

Each log is known by its beginning, and the aggregator knows how far each has
come. So the command may be interrupted and called again, for a log that has
grown or was packed or renamed meanwhile: each line counts once.

The running server of the data directory is found by itself. Another one is
named by --aggregator, with its token in EIDER_EDGE_TOKEN.

Visitors of one import are recognised from log to log by salts of its own, which
lie beside the data until --finish, or until 48 hours after they were used last.
Days that have live events already are refused, because the same requests would
count twice; --overlap imports them all the same.`,
		Example: `  eider import --site example.com /var/log/apache2/access.log*
  eider import --dry-run --site example.com access.log.gz
  eider import '/var/log/caddy/*.log' --finish`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 && !i.Finish {
				return errors.New("name the logs to import, or say --finish to end the import")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			i.Logs, i.Version = args, program.Version()
			i.Terminal = term.IsTerminal(int(os.Stderr.Fd()))
			release, err := o.connect(&i)
			if err != nil {
				return err
			}
			defer release()
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			account, err := importer.Run(ctx, i, cmd.ErrOrStderr())
			if account != nil && account.Lines+account.Earlier > 0 {
				account.Print(cmd.OutOrStdout())
			}
			switch {
			case err != nil && ctx.Err() != nil:
				return errors.New("interrupted: run the command again, it goes on where it was")
			case err != nil:
				return err
			}
			return account.Err()
		},
	}
	f := cmd.Flags()
	f.StringVar(&i.Site, "site", "", "site that every line counts for (default: the site of the line's host)")
	f.StringVar(&i.Format, "format", "auto", "notation of the logs: "+accesslog.FormatNames)
	f.StringVar(&i.Zone, "zone", "", "IANA time zone of times that are written without one (default UTC)")
	f.StringVar(&i.Aggregator, "aggregator", "", "URL of the aggregator (default: the server of the data directory)")
	f.StringVar(&i.Job, "job", "", "file with the salts of the import (default: import/job in the data directory)")
	f.StringVar(&i.GeoIP, "geoip", "", "country or city database in MaxMind's format")
	f.StringVar(&i.Crawlers, "crawlers", "", "file with the address ranges that crawlers publish")
	f.StringArrayVar(&i.Exclude, "exclude", nil, "pattern of paths that are left out, as the directive's exclude; may be repeated")
	f.StringArrayVar(&i.Count, "count", nil, "what is counted or not, as the directive's count: feeds=off; may be repeated")
	f.StringVar(&i.Privacy, "privacy", "", "least that is left out of events, as the directive's privacy: strict or cnil")
	f.BoolVar(&i.Overlap, "overlap", false, "import days that have live events, too")
	f.BoolVar(&i.DryRun, "dry-run", false, "send nothing: only say what would become of the lines")
	f.BoolVar(&i.Finish, "finish", false, "at the end, overwrite and remove the salts of the import")
	return cmd
}

// connect fills in the way to the aggregator, and where the job lies.
func (o *options) connect(i *importer.Options) (release func(), err error) {
	cfg, err := o.load()
	if err != nil {
		return nil, err
	}
	if i.Job == "" {
		i.Job = cfg.ImportJob()
		if _, err := os.Stat(cfg.Data); i.Aggregator != "" && errors.Is(err, os.ErrNotExist) {
			i.Job = remoteJob
		}
	}
	if i.Aggregator != "" {
		i.Token = cfg.EdgeToken
		return func() {}, nil
	}
	return o.connectSocket(i, cfg)
}

// remoteJob is where a machine without a data directory keeps the job.
const remoteJob = "eider-import.job"

// connectSocket speaks to the server that owns the data directory.
func (o *options) connectSocket(i *importer.Options, cfg aggregator.Config) (release func(), err error) {
	client, err := ops.Dial(cfg.Data)
	if err != nil {
		if len(i.Logs) == 0 {
			i.Aggregator = "http://nobody.invalid" // only the job is removed
			return func() {}, nil
		}
		return nil, fmt.Errorf("no server runs on the data directory %s: start `eider serve`, name the directory with --data, "+
			"or name a server elsewhere with --aggregator (%w)", cfg.Data, err)
	}
	// The socket serves without a token: who can open it owns the data.
	i.Aggregator, i.Transport = "http://eider", client.Transport()
	return client.Close, nil
}
