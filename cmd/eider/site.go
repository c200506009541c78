package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator"
	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

func siteCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "site", Short: "List, add, change and archive sites"}
	cmd.AddCommand(siteListCommand(o), siteAddCommand(o), siteEditCommand(o), siteArchiveCommand(o), siteSnippetCommand(o))
	return cmd
}

func siteListCommand(o *options) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the sites",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.operate(cmd, func(ctx context.Context, c ops.Control) error {
				list, err := c.Sites(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd, list)
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "ID\tDOMAINS\tTIME ZONE\tFROM\tIDENTITY\tPRIVACY\tUUID")
				for _, s := range list {
					from := s.Origin
					if s.Archived {
						from += ", archived"
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, strings.Join(s.Domains, ","), s.Zone, from, s.Identity, privacyOf(&s), s.UUID)
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print everything as JSON")
	return cmd
}

// privacyOf names what differs from the default.
func privacyOf(s *state.Site) string {
	b, err := json.Marshal(s.Privacy)
	var options map[string]json.RawMessage
	if err != nil || json.Unmarshal(b, &options) != nil {
		return "?"
	}
	var words []string
	for _, key := range slices.Sorted(maps.Keys(options)) {
		if value := string(options[key]); value != "true" {
			key += "=" + value
		}
		words = append(words, key)
	}
	if len(words) == 0 {
		return "default"
	}
	return strings.Join(words, " ")
}

func siteAddCommand(o *options) *cobra.Command {
	var f siteFlags
	cmd := &cobra.Command{
		Use:   "add DOMAIN",
		Short: "Add a site, or change one that is there",
		Long: `Adds a site. Sites that an edge's Caddyfile names add themselves, so this is
for those that are not there yet, and for other options than the defaults.

A changed time zone or period of identities is for days to come: what was
counted stays where it is.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			change, err := f.change(cmd.Flags())
			if err != nil {
				return err
			}
			return o.operate(cmd, func(ctx context.Context, c ops.Control) error {
				s, err := c.AddSite(ctx, args[0], change)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is the site %s in the time zone %s\n", s.Name, s.ID, s.Zone)
				return nil
			})
		},
	}
	f.register(cmd.Flags())
	return cmd
}

func siteEditCommand(o *options) *cobra.Command {
	var f siteFlags
	cmd := &cobra.Command{
		Use:   "edit SITE",
		Short: "Change a site's names, zone, identities or privacy",
		Long: `Changes a site, named by its id, UUID or one of its domains. What no flag
names stays as it is; a list is given whole, and an empty one ("") empties it.

A changed time zone or period of identities is for days to come: what was
counted stays where it is. Privacy options hold for what is recorded from now
on; edges know them within ten seconds.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			change, err := f.change(cmd.Flags())
			if err != nil {
				return err
			}
			return o.edit(cmd, args[0], change, func(s *state.Site) string {
				return fmt.Sprintf("the site %s is changed", s.ID)
			})
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().BoolVar(&f.archived, "archived", false, "whether the site takes no events any more")
	return cmd
}

func siteArchiveCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "archive SITE",
		Short: "End a site: it keeps its history and takes no events",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			archived := true
			return o.edit(cmd, args[0], sites.Change{Archived: &archived}, func(s *state.Site) string {
				return fmt.Sprintf("the site %s is archived; `eider site edit %s --archived=false` takes it up again", s.ID, s.ID)
			})
		},
	}
}

func siteSnippetCommand(o *options) *cobra.Command {
	var base string
	cmd := &cobra.Command{
		Use:   "snippet SITE",
		Short: "Print the line that a site's pages need for the script",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.operate(cmd, func(ctx context.Context, c ops.Control) error {
				// An empty change finds the site and leaves it as it is.
				s, err := c.EditSite(ctx, args[0], sites.Change{})
				if err != nil {
					return err
				}
				line, err := sites.Snippet(&s, base)
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), line)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&base, "at", sites.DefaultBase, "path of `script` in the site's Caddyfile, or the URL of an aggregator or collector")
	return cmd
}

// edit changes one site and says what became of it.
func (o *options) edit(cmd *cobra.Command, name string, change sites.Change, say func(*state.Site) string) error {
	return o.operate(cmd, func(ctx context.Context, c ops.Control) error {
		s, err := c.EditSite(ctx, name, change)
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), say(&s))
		return nil
	})
}

// siteFlags are a site's options as flags.
type siteFlags struct {
	domains, allowed             []string
	name, zone, identity, preset string
	archived                     bool
}

// privacyFlags are the options of shared.Privacy that are on or off.
var privacyFlags = []struct{ name, key, usage string }{
	{"no-visitor-id", "no_visitor_id", "record no identity at all"},
	{"country-only", "country_only", "record no region and no city"},
	{"hour-times", "hour_times", "cut times to the hour"},
	{"no-versions", "no_versions", "record no versions of browser and system"},
	{"no-screen", "no_screen", "record no screen size"},
	{"referrer-host-only", "referrer_host_only", "record of referrers the host only"},
	{"distinct-ids", "distinct_ids", "record the ids and attributes that the site sends by identify"},
}

func (f *siteFlags) register(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.domains, "domains", nil, "all domains of the site, the first of which names it")
	flags.StringVar(&f.name, "name", "", "name for people")
	flags.StringVar(&f.zone, "zone", "", "IANA time zone of the site's days, such as Europe/Berlin")
	flags.StringSliceVar(&f.allowed, "allowed-domains", nil, "hosts whose pages may send events, *.example.com for all below one (default: any)")
	flags.StringVar(&f.identity, "identity", "", "how long an identity lives: day or month")
	flags.StringVar(&f.preset, "preset", "", "all privacy options at once: strict, cnil or default")
	for _, p := range privacyFlags {
		flags.Bool(p.name, false, p.usage)
	}
	flags.String("dnt", "", "what becomes of requests with DNT: ignore, no_identity or refuse")
	flags.String("gpc", "", "what becomes of requests with Sec-GPC: ignore, no_identity or refuse")
	flags.StringArray("link", nil, "short address: SLUG=URL to be followed at /q/SLUG, or SLUG for a pixel at /p/SLUG; can be given several times")
	flags.StringSlice("query-keys", nil, "parameters of query strings to keep beside the built-in ones")
	flags.StringArray("redact", nil, "expression (RE2) whose matches in paths and titles are redacted; can be given several times")
}

// change is what the flags that were given say.
func (f *siteFlags) change(flags *pflag.FlagSet) (c sites.Change, err error) {
	set(flags, "domains", &c.Domains, &f.domains)
	set(flags, "name", &c.Name, &f.name)
	set(flags, "zone", &c.TimeZone, &f.zone)
	set(flags, "allowed-domains", &c.AllowedDomains, &f.allowed)
	set(flags, "identity", &c.Identity, &f.identity)
	set(flags, "preset", &c.Preset, &f.preset)
	set(flags, "archived", &c.Archived, &f.archived)
	if flags.Changed("link") {
		given, err := flags.GetStringArray("link")
		if err != nil {
			return c, err
		}
		c.Links = readLinks(given)
	}
	privacy := map[string]any{}
	for _, p := range privacyFlags {
		if flags.Changed(p.name) {
			privacy[p.key], err = flags.GetBool(p.name)
		}
	}
	for _, name := range []string{"dnt", "gpc"} {
		if flags.Changed(name) {
			privacy[name], err = flags.GetString(name)
		}
	}
	if flags.Changed("query-keys") {
		privacy["query_keys"], err = flags.GetStringSlice("query-keys")
	}
	if flags.Changed("redact") {
		patterns, getErr := flags.GetStringArray("redact")
		if len(patterns) == 1 && patterns[0] == "" {
			patterns = []string{} // how a shell says "none"
		}
		privacy["redact"], err = patterns, getErr
	}
	if err != nil || len(privacy) == 0 {
		return c, err
	}
	c.Privacy, err = json.Marshal(privacy)
	return c, err
}

// readLinks reads SLUG=URL and SLUG; a single empty one stands for none.
func readLinks(given []string) *[]shared.Link {
	links := []shared.Link{}
	for _, text := range given {
		if len(given) == 1 && text == "" {
			break
		}
		slug, to, _ := strings.Cut(text, "=")
		links = append(links, shared.Link{Slug: slug, URL: to})
	}
	return &links
}

// set points at a flag's value if the flag was given.
func set[T any](flags *pflag.FlagSet, name string, to **T, value *T) {
	if flags.Changed(name) {
		*to = value
	}
}

func printJSON(cmd *cobra.Command, v any) error {
	encoder := json.NewEncoder(cmd.OutOrStdout())
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// operate runs a command against the running server or the data directory.
func (o *options) operate(cmd *cobra.Command, with func(context.Context, ops.Control) error) error {
	cfg, err := o.load()
	if err != nil {
		return err
	}
	return aggregator.Operate(cmd.Context(), cfg, zap.NewNop(), with)
}
