// Command eider is the aggregator and every operator command.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/eider-analytics/eider/aggregator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := rootCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "eider:", err)
		os.Exit(1)
	}
}

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
	root.AddCommand(serveCommand(o), siteCommand(o), keyCommand(o), verifyCommand(o), relabelCommand(o), importCommand(o), replayCommand(), versionCommand())
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

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run:   func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), "eider", version()) },
	}
}

// version is what the build knows of itself: the module's version, or the
// commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(len(s.Value), 12)]
		}
	}
	return "devel"
}

// newLogger writes for people on a terminal, and JSON for machines.
func newLogger(forPeople bool) *zap.Logger {
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.RFC3339TimeEncoder
	encoder := zapcore.NewJSONEncoder(encoding)
	if forPeople {
		encoding.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(encoding)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), zapcore.InfoLevel))
}
