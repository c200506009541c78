// Command eider is the aggregator and every operator command.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/eider-analytics/eider/aggregator"
	"github.com/eider-analytics/eider/cmd/internal/collect"
	"github.com/eider-analytics/eider/cmd/internal/program"
)

func main() { os.Exit(program.Run("eider", rootCommand())) }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "eider",
		Short:         "Web analytics recorded in the reverse proxy",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	o := &options{}
	flags := root.PersistentFlags()
	flags.StringVar(&o.config, "config", "", "configuration file (default: eider.toml if there is one)")
	flags.StringVar(&o.data, "data", "", fmt.Sprintf("data directory (default %q)", aggregator.DefaultData))
	root.AddCommand(serveCommand(o), collectorCommand(), siteCommand(o), keyCommand(o), verifyCommand(o), relabelCommand(o), sealCommand(o), sqlCommand(o), sqlChildCommand(), eraseCommand(o), importCommand(o), replayCommand(), benchCommand(o), versionCommand())
	return root
}

// options are the flags that several commands have.
type options struct{ config, data string }

// load reads the configuration; flags win over it.
func (o *options) load() (aggregator.Config, error) {
	c, err := aggregator.LoadConfig(o.config, os.LookupEnv)
	if err != nil {
		return c, err
	}
	if o.data != "" {
		c.Data = o.data
	}
	return c, nil
}

func collectorCommand() *cobra.Command {
	return collect.Command("collector", program.Version(), program.Logger)
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run:   func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), "eider", program.Version()) },
	}
}
