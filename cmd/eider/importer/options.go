package importer

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/accesslog"
	"github.com/eider-analytics/eider/shared/classify"
)

// Options say what to import, for which site, and to whom.
type Options struct {
	Logs   []string // paths and patterns; "-" is standard input
	Site   string   // that every line counts for; "" = the site of the line's host
	Zone   string   // IANA name, of times that are written without one; "" = UTC
	Format string   // see accesslog.ParseFormat

	Aggregator string            // its URL
	Transport  http.RoundTripper // to it; nil = the network
	Token      string            // edge token; "" over the control socket

	Job   string // file with the secret of the visitors' identities
	GeoIP string // country or city database in MaxMind's format

	Crawlers string // file with the address ranges of crawlers, see enrich.ParseCrawlers

	// What the Caddyfile says of the site: see the module's directive.
	Exclude []string // patterns of paths
	Count   []string // such as feeds=off
	Privacy string   // "", "strict" or "cnil"

	Finish bool // the job is removed at the end, and unfinished last lines count

	Overlap bool // days with live events are imported all the same
	DryRun  bool // nothing is sent

	Terminal bool   // whether progress may be drawn over itself
	Version  string // of the software
}

// standardInput is the path of a log that comes through a pipe.
const standardInput = "-"

// settings are the options, read.
type settings struct {
	*Options
	base     *url.URL
	notation accesslog.Notation
	exclude  classify.Paths
	counted  classify.Switches
	privacy  *shared.Privacy // beside the registry's options
}

// read refuses what cannot work, with what to change.
func (o *Options) read() (*settings, error) {
	s := &settings{Options: o}
	var err error
	if s.base, err = url.Parse(o.Aggregator); err != nil || s.base.Host == "" || s.base.Scheme != "http" && s.base.Scheme != "https" {
		return nil, fmt.Errorf("aggregator: %q is not a URL like http://127.0.0.1:8787", o.Aggregator)
	}
	if s.notation.Format, err = accesslog.ParseFormat(o.Format); err != nil {
		return nil, err
	}
	if o.Zone != "" {
		if s.notation.Zone, err = time.LoadLocation(o.Zone); err != nil || o.Zone == "Local" {
			return nil, fmt.Errorf("there is no time zone %q: name it as IANA does, such as Europe/Berlin", o.Zone)
		}
	}
	if err := s.readSite(); err != nil {
		return nil, err
	}
	if slices.Contains(o.Logs, standardInput) && !o.Overlap {
		return nil, errors.New("standard input can be read only once, so the days in it can't be compared with what is there: " +
			"name a file, or add --overlap if no day of it has live events, or these are wanted twice")
	}
	return s, nil
}

// readSite reads what a Caddyfile would say of the site.
func (s *settings) readSite() (err error) {
	if s.exclude, err = classify.CompilePaths(s.Exclude); err != nil {
		return fmt.Errorf("exclude %w", err)
	}
	for _, c := range s.Count {
		name, to, _ := strings.Cut(c, "=")
		if to != "on" && to != "off" {
			return fmt.Errorf("count %q: want what and whether, as feeds=off", c)
		}
		if err := s.counted.Set(name, to == "on"); err != nil {
			return err
		}
	}
	s.privacy, err = shared.Preset(s.Privacy)
	return err
}

// expand replaces patterns by the files that they match, in the order of their
// names. A file that is named twice is read once.
func expand(patterns []string) ([]string, error) {
	var logs []string
	for _, p := range patterns {
		matches := []string{p}
		if _, err := os.Stat(p); err != nil && p != standardInput && strings.ContainsAny(p, "*?[") {
			if matches, err = filepath.Glob(p); err != nil {
				return nil, fmt.Errorf("log %q: %w", p, err)
			}
			if len(matches) == 0 {
				return nil, fmt.Errorf("no file matches %q", p)
			}
		}
		for _, m := range matches {
			if !slices.Contains(logs, m) {
				logs = append(logs, m)
			}
		}
	}
	return logs, nil
}
