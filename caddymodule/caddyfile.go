package caddymodule

import (
	"math"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/classify"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("eider", parseApp)
	httpcaddyfile.RegisterHandlerDirective("eider", parseHandler)
	// Outside of everything that changes the URI (rewrite, try_files, …) or the
	// body (encode), and of redirects, which count too. Only tracing, which
	// changes nothing, is further out.
	httpcaddyfile.RegisterDirectiveOrder("eider", httpcaddyfile.Before, "map")
}

func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next()
		return nil, d.Err("the global option eider is given twice")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "eider", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile reads the global option:
//
//	eider {
//	    aggregator <url>|unix/<socket>
//	    token      <token>
//	    queue      [<directory>] {
//	        max_size     <size>
//	        reserve_free <size>
//	        seal_age     <duration>
//	        sync         <duration>|always
//	        drop         newest|oldest
//	        unsafe_fs
//	    }
//	    geoip      <file>
//	    crawlers   <file>
//	    judge      agents|headers|behavior...
//	    collect {
//	        rate_per_address <messages a second>|off
//	        rate_per_site    <messages a second>|off
//	    }
//	}
//
// Sizes are like 512MiB or 2GB. What is left out has its default.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return eachOption(d, func(option string) (err error) {
		switch option {
		case "aggregator":
			err = oneArg(d, &a.Aggregator)
		case "token":
			err = oneArg(d, &a.Token)
		case "geoip":
			err = oneArg(d, &a.GeoIP)
		case "crawlers":
			err = oneArg(d, &a.Crawlers)
		case "collect":
			a.Collect = new(CollectConfig)
			err = a.Collect.unmarshal(d)
		case "judge":
			if a.Judge = d.RemainingArgs(); len(a.Judge) == 0 {
				err = d.ArgErr()
			} else if _, wrong := judgeBy(a.Judge); wrong != nil {
				err = d.Err(wrong.Error())
			}
		case "queue":
			a.Queue = new(QueueConfig)
			err = a.Queue.unmarshal(d)
		default:
			err = d.Errf("unknown option %q of eider: it has aggregator, token, queue, geoip, crawlers, judge and collect", option)
		}
		return err
	})
}

func (q *QueueConfig) unmarshal(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		q.Dir = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return eachOption(d, func(option string) (err error) {
		switch option {
		case "max_size":
			err = size(d, &q.MaxSize)
		case "reserve_free":
			err = size(d, &q.ReserveFree)
		case "seal_age":
			err = duration(d, &q.SealAge)
		case "sync":
			err = oneArg(d, &q.Sync)
		case "drop":
			err = oneArg(d, &q.Drop)
		case "unsafe_fs":
			q.UnsafeFS = true
			if d.NextArg() {
				err = d.ArgErr()
			}
		default:
			err = d.Errf("unknown option %q of queue: it has max_size, reserve_free, seal_age, sync, drop and unsafe_fs", option)
		}
		return err
	})
}

func (c *CollectConfig) unmarshal(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	return eachOption(d, func(option string) error {
		var to *float64
		switch option {
		case "rate_per_address":
			to = &c.RatePerAddress
		case "rate_per_site":
			to = &c.RatePerSite
		default:
			return d.Errf("unknown option %q of collect: it has rate_per_address and rate_per_site", option)
		}
		var text string
		if err := oneArg(d, &text); err != nil {
			return err
		}
		if text == "off" {
			*to = -1
			return nil
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n > 0 && n <= 1e9) {
			return d.Errf("%q is not a rate: want messages a second, like 100, or off", text)
		}
		*to = n
		return nil
	})
}

func parseHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return handler, nil
}

// UnmarshalCaddyfile reads the directive:
//
//	eider [<matcher>] {
//	    site    <name>
//	    exclude <path>...
//	    count   errors|downloads|feeds|bots|prefetches|soft_navigations|evidence|frames on|off
//	    script  <path> {
//	        file     <name>
//	        endpoint <name>
//	    }
//	    privacy strict|cnil
//	}
//
// site is the request's host by default. exclude may be repeated; its paths
// are matched as by Caddy's path matcher. count may be repeated; all but frames
// are on by default.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		switch d.Val() {
		case "site":
			if h.Site != "" {
				return d.Err("site is given twice")
			}
			if err := oneArg(d, &h.Site); err != nil {
				return err
			}
			if _, err := siteName(h.Site); err != nil && !placeholder(h.Site) {
				return d.Err(err.Error())
			}
		case "exclude":
			paths := d.RemainingArgs()
			if len(paths) == 0 {
				return d.ArgErr()
			}
			if _, err := classify.CompilePaths(paths); err != nil {
				return d.Errf("exclude %v", err)
			}
			h.Exclude = append(h.Exclude, paths...)
		case "count":
			if err := h.unmarshalCount(d); err != nil {
				return err
			}
		case "script":
			if err := h.unmarshalScript(d); err != nil {
				return err
			}
		case "privacy":
			if h.Privacy != "" {
				return d.Err("privacy is given twice")
			}
			if err := oneArg(d, &h.Privacy); err != nil {
				return err
			}
			if _, err := shared.Preset(h.Privacy); err != nil {
				return d.Err(err.Error())
			}
		default:
			return d.Errf("unknown subdirective %q of eider: it has site, exclude, count, script and privacy", d.Val())
		}
	}
	return nil
}

// unmarshalScript reads `script <path>` and the names below it.
func (h *Handler) unmarshalScript(d *caddyfile.Dispenser) error {
	if h.Script != "" {
		return d.Err("script is given twice")
	}
	if err := oneArg(d, &h.Script); err != nil {
		return err
	}
	if err := scriptPath(h.Script); err != nil {
		return d.Err(err.Error())
	}
	return eachOption(d, func(option string) error {
		var to *string
		switch option {
		case "file":
			to = &h.ScriptFile
		case "endpoint":
			to = &h.ScriptEndpoint
		default:
			return d.Errf("unknown option %q of script: it has file and endpoint", option)
		}
		if err := oneArg(d, to); err != nil {
			return err
		}
		if err := scriptName(*to); err != nil {
			return d.Err(err.Error())
		}
		return nil
	})
}

// unmarshalCount reads `count <what> on|off`.
func (h *Handler) unmarshalCount(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Err("count wants what and whether: count errors off")
	}
	if args[1] != "on" && args[1] != "off" {
		return d.Errf("count %s %q: want on or off", args[0], args[1])
	}
	if _, twice := h.Count[args[0]]; twice {
		return d.Errf("count %s is given twice", args[0])
	}
	if h.Count == nil {
		h.Count = map[string]bool{}
	}
	h.Count[args[0]] = args[1] == "on"
	if _, err := readCount(h.Count); err != nil {
		return d.Err(err.Error())
	}
	return nil
}

// eachOption calls read for each option of the block that follows, and refuses
// one that is given a second time.
func eachOption(d *caddyfile.Dispenser, read func(option string) error) error {
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] {
			return d.Errf("%s is given twice", option)
		}
		seen[option] = true
		if err := read(option); err != nil {
			return err
		}
	}
	return nil
}

func oneArg(d *caddyfile.Dispenser, to *string) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	*to = d.Val()
	if *to == "" {
		return d.Err("an empty value")
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

func size(d *caddyfile.Dispenser, to *int64) error {
	var text string
	if err := oneArg(d, &text); err != nil {
		return err
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > math.MaxInt64 {
		return d.Errf("%q is not a size: want one like 512MiB", text)
	}
	*to = int64(n)
	return nil
}

// placeholder reports whether a value is known only when it is loaded.
func placeholder(s string) bool { return strings.ContainsAny(s, "{}") }

func duration(d *caddyfile.Dispenser, to *caddy.Duration) error {
	var text string
	if err := oneArg(d, &text); err != nil {
		return err
	}
	v, err := caddy.ParseDuration(text)
	if err != nil || v <= 0 {
		return d.Errf("%q is not a duration: want one like 50ms", text)
	}
	*to = caddy.Duration(v)
	return nil
}

// Interface guards.
var (
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ caddyfile.Unmarshaler = (*Handler)(nil)
)
