package replay

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Options say what to replay, through what, and how fast.
type Options struct {
	Log         string  // path of the log; "-" is standard input
	Site        string  // name of the site that the requests count for
	Rate        float64 // requests a second; 0 = as fast as possible
	Concurrency int     // requests at once
	Limit       int     // requests at most; 0 = all

	// A Caddy of our own is started with this program, unless Through is set.
	Caddy string
	Queue string // its queue directory; empty = a temporary one
	Token string // edge token

	// Through is the URL of a running Caddy that passes the site's requests on
	// to OriginListen and trusts this machine's X-Forwarded-For.
	Through      string
	OriginListen string
	Admin        string // URL of that Caddy's admin endpoint, which has the metrics

	Aggregator string        // URL of the aggregator
	Patience   time.Duration // for the queue to drain and the API to catch up

	Terminal bool // whether progress may be drawn over itself
}

// The defaults of Options.
const (
	DefaultAggregator  = "http://127.0.0.1:8787"
	DefaultAdmin       = "http://127.0.0.1:2019"
	DefaultConcurrency = 8
	DefaultPatience    = 30 * time.Second
	fallbackSite       = "replay.localhost"
)

// check completes the options and refuses what cannot work.
func (o *Options) check() error {
	if o.Log == "" {
		return errors.New("no log is given")
	}
	if o.Rate < 0 || o.Concurrency < 1 || o.Concurrency > 1024 {
		return fmt.Errorf("rate %v, concurrency %d: a rate is not below 0, a concurrency between 1 and 1024", o.Rate, o.Concurrency)
	}
	if o.Site == "" {
		o.Site = siteOf(o.Log)
	}
	urls := map[string]string{"aggregator": o.Aggregator}
	if o.Through != "" {
		if o.OriginListen == "" {
			return errors.New("--through needs --origin-listen: the address that the running Caddy passes requests on to")
		}
		if _, _, err := net.SplitHostPort(o.OriginListen); err != nil {
			return fmt.Errorf("origin-listen: %w", err)
		}
		urls["through"], urls["admin"] = o.Through, o.Admin
	}
	for name, value := range urls {
		u, err := url.Parse(value)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("%s: %q is not a URL like http://127.0.0.1:8787", name, value)
		}
	}
	// These become words of a Caddyfile, where placeholders are replaced.
	for name, value := range map[string]string{"site": o.Site, "queue": o.Queue, "aggregator": o.Aggregator} {
		if strings.ContainsAny(value, "{}\"\\`\r\n\t ") {
			return fmt.Errorf("%s: %q has blanks, quotes or braces in it", name, value)
		}
	}
	return nil
}

// siteOf takes the site's name from the log's: shop.example.log.gz holds the
// traffic of shop.example, access.log that of nobody in particular.
func siteOf(log string) string {
	name := strings.ToLower(filepath.Base(log))
	for _, ext := range []string{".gz", ".log", ".json", ".txt", "-access", ".access", "_access"} {
		name = strings.TrimSuffix(name, ext)
	}
	if !strings.Contains(name, ".") || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		return fallbackSite
	}
	return name
}
