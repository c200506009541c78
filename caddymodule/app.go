package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/handover"
	"github.com/eider-analytics/eider/shared/queue"
)

func init() {
	caddy.RegisterModule(new(App))
}

// The defaults of the app's configuration.
const (
	defaultAggregator = "http://127.0.0.1:8787"
	tokenVariable     = "EIDER_EDGE_TOKEN"
	defaultSealAge    = 50 * time.Millisecond
	defaultSync       = 250 * time.Millisecond
	syncAlways        = "always"
)

// App is what an edge has one of: the queue in which events wait on this
// machine's disk, and the aggregator they are shipped to.
type App struct {
	// The base URL of the aggregator. Default: http://127.0.0.1:8787. Or the
	// socket of a collector on this machine, which then owns the queue:
	// unix//run/eider/collector.sock.
	Aggregator string `json:"aggregator,omitempty"`

	// The token that the aggregator knows this edge by; placeholders are
	// replaced. Default: the environment variable EIDER_EDGE_TOKEN.
	Token string `json:"token,omitempty"`

	// Where and how events are kept until the aggregator has them.
	Queue *QueueConfig `json:"queue,omitempty"`

	// A MaxMind database (City or Country, .mmdb) for countries and cities.
	// Without it they stay unknown. It is read again when another one is put in
	// its place.
	GeoIP string `json:"geoip,omitempty"`

	// A file with the address ranges that crawlers publish, by the crawler's
	// name: {"Googlebot": {"prefixes": [{"ipv4Prefix": "192.0.2.0/27"}]}}. Who
	// names such a crawler from another address is recorded as spoofed. It is
	// read again when it changes.
	Crawlers string `json:"crawlers,omitempty"`

	// What requests are judged by: "agents" (the user agent, always), "headers"
	// (what browsers send beside it), "behavior" (pages per second, dead links,
	// probes). Default: all. Leave out headers where a proxy in front removes
	// them.
	Judge []string `json:"judge,omitempty"`

	// What browsers and clients may send to the endpoints below `script`.
	Collect *CollectConfig `json:"collect,omitempty"`

	ctx      caddy.Context
	log      *zap.Logger
	rt       *runtime
	poolKey  string
	mu       sync.Mutex // guards handlers and warned while modules are provisioned
	handlers []*Handler
	warned   map[*caddyhttp.Server]bool
}

// QueueConfig configures the queue. Its settings hold from the first
// configuration that opens the directory until the process ends.
type QueueConfig struct {
	// The directory of the queue, for this process alone. Default: eider/queue
	// in Caddy's data directory.
	Dir string `json:"dir,omitempty"`

	// How many bytes the queue may take. What comes beyond is dropped and
	// counted. Default: 1 GiB.
	MaxSize int64 `json:"max_size,omitempty"`

	// How many bytes of the volume are left free; at least 16 MiB. Default:
	// the larger of 1 GiB and 5 % of the volume.
	ReserveFree int64 `json:"reserve_free,omitempty"`

	// How long events gather before they are written as one batch. Default:
	// 50ms.
	SealAge caddy.Duration `json:"seal_age,omitempty"`

	// How often what is written is forced to the disk: a duration, or
	// "always". Default: 250ms.
	Sync string `json:"sync,omitempty"`

	// What goes when max_size is reached: the "newest" events, or the
	// "oldest". Default: newest.
	Drop string `json:"drop,omitempty"`

	// Queue on a file system that reserves no space (ZFS, btrfs, NFS), where a
	// full disk can end the process.
	UnsafeFS bool `json:"unsafe_fs,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "eider", New: func() caddy.Module { return new(App) }}
}

// Provision sets the defaults and takes a share of the runtime. It opens
// nothing, so that `caddy validate` can run beside a running server.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.log = ctx, ctx.Logger()
	a.warned = map[*caddyhttp.Server]bool{}
	ownQueue := a.Queue != nil
	if err := a.setDefaults(); err != nil {
		return err
	}
	if err := a.check(); err != nil {
		return err
	}
	key, dir, err := a.place(ownQueue)
	if err != nil {
		return err
	}
	value, _, err := runtimes.LoadOrNew(key, func() (caddy.Destructor, error) { return newRuntime(dir), nil })
	if err != nil {
		return err
	}
	a.poolKey, a.rt = key, value.(*runtime)
	return ctx.GetMetricsRegistry().Register(collector{a.rt})
}

// place is where events wait: the queue's directory, or the socket of the
// collector that owns the queue. key is its one name.
func (a *App) place(ownQueue bool) (key, dir string, err error) {
	if socket, ok := handover.Socket(a.Aggregator); ok {
		if ownQueue {
			return "", "", errors.New("queue: the collector behind the socket owns the queue; configure it there")
		}
		return a.Aggregator, socket, nil
	}
	if err := usableDir(a.Queue.Dir); err != nil {
		return "", "", fmt.Errorf("queue: %w", err)
	}
	key, err = poolKey(a.Queue.Dir)
	return key, a.Queue.Dir, err
}

// poolKey is one name for a directory, however it is written, and the same one
// before and after it is made: a second name would be a second queue.
func poolKey(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("queue: %w", err)
	}
	for existing := abs; ; existing = filepath.Dir(existing) {
		if real, err := filepath.EvalSymlinks(existing); err == nil {
			return filepath.Join(real, strings.TrimPrefix(abs, existing)), nil
		}
		if existing == filepath.Dir(existing) {
			return abs, nil
		}
	}
}

func (a *App) setDefaults() error {
	repl := caddy.NewReplacer()
	if a.Queue == nil {
		a.Queue = new(QueueConfig)
	}
	if a.Queue.Dir == "" {
		a.Queue.Dir = filepath.Join(caddy.AppDataDir(), "eider", "queue")
	}
	if a.Aggregator == "" {
		a.Aggregator = defaultAggregator
	}
	if a.Token == "" {
		a.Token = "{env." + tokenVariable + "}"
	}
	for _, f := range []struct {
		name  string
		value *string
	}{{"aggregator", &a.Aggregator}, {"token", &a.Token}, {"queue", &a.Queue.Dir}, {"geoip", &a.GeoIP}, {"crawlers", &a.Crawlers}} {
		out, err := repl.ReplaceOrErr(*f.value, false, false)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		*f.value = out
	}
	if a.Queue.Drop == "" {
		a.Queue.Drop = "newest"
	}
	if a.Queue.Sync == "" {
		a.Queue.Sync = defaultSync.String()
	}
	if a.Queue.SealAge == 0 {
		a.Queue.SealAge = caddy.Duration(defaultSealAge)
	}
	return nil
}

// check applies the rules of what a configuration may say.
func (a *App) check() error {
	if err := checkAggregator(a.Aggregator); err != nil {
		return err
	}
	if err := a.Queue.check(); err != nil {
		return err
	}
	if a.Crawlers != "" {
		if _, err := os.Stat(a.Crawlers); err != nil {
			return fmt.Errorf("crawlers: %w", err)
		}
	}
	_, err := judgeBy(a.Judge)
	return err
}

func checkAggregator(address string) error {
	if socket, ok := handover.Socket(address); ok {
		if !filepath.IsAbs(socket) {
			return errors.New("aggregator: want an absolute path behind unix/, like unix//run/eider/collector.sock")
		}
		return nil
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return errors.New("aggregator: not a URL") // the error would repeat the text, which may hold a password
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("aggregator: want a URL like %s", defaultAggregator)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("aggregator: want a URL without user, query and fragment; the token has an option of its own")
	}
	return nil
}

// check applies the rules of what a queue can be.
func (q *QueueConfig) check() error {
	switch {
	case q.MaxSize < 0:
		return errors.New("queue: max_size is negative")
	case q.MaxSize > 0 && q.MaxSize < queue.LeastMaxSize():
		// The queue itself would say so only when it is opened: a reload would
		// take what keeps the next start from serving any site.
		return fmt.Errorf("queue: max_size is %d bytes, at least %d", q.MaxSize, queue.LeastMaxSize())
	case q.ReserveFree < 0:
		return errors.New("queue: reserve_free is negative")
	case q.ReserveFree > 0 && q.ReserveFree < minReserve:
		return fmt.Errorf("queue: reserve_free is %d bytes, at least %d", q.ReserveFree, minReserve)
	case q.SealAge < caddy.Duration(time.Millisecond) || q.SealAge > caddy.Duration(10*time.Second):
		return fmt.Errorf("queue: seal_age is %s, want 1ms to 10s", time.Duration(q.SealAge))
	case q.Drop != "newest" && q.Drop != "oldest":
		return fmt.Errorf("queue: drop %q, want newest or oldest", q.Drop)
	}
	if q.Sync != syncAlways {
		d, err := caddy.ParseDuration(q.Sync)
		if err != nil || d < time.Millisecond || d > time.Minute {
			return fmt.Errorf("queue: sync %q, want always or 1ms to 1m", q.Sync)
		}
	}
	return nil
}

// minReserve leaves the rest of the machine something to breathe.
const minReserve = 16 << 20

// usableDir tells a directory that can't be the queue's before anything is
// made of it.
func usableDir(dir string) error {
	for probe := filepath.Clean(dir); ; probe = filepath.Dir(probe) {
		info, err := os.Stat(probe)
		switch {
		case errors.Is(err, fs.ErrNotExist) && probe != filepath.Dir(probe):
			continue // it will be made
		case err != nil:
			return err
		case !info.IsDir():
			return fmt.Errorf("%s is not a directory", probe)
		case !writable(probe):
			return fmt.Errorf("%s is not writable for this user", probe)
		}
		return nil
	}
}

// Start puts the configuration into force.
func (a *App) Start() error {
	sites := a.sites()
	if len(sites) == 0 && len(a.handlers) > 0 {
		a.log.Warn("no site has a name: nothing is recorded until eider is told one (site) or the site's address names a host")
	}
	return a.rt.start(a, sites)
}

// sites lists what the configuration names, for the aggregator to register.
func (a *App) sites() []shared.SiteHello {
	var names []string
	for _, h := range a.handlers {
		names = append(names, h.hosts.get(h).names()...)
	}
	slices.Sort(names)
	var sites []shared.SiteHello
	for _, name := range slices.Compact(names) {
		sites = append(sites, shared.SiteHello{Domain: name})
	}
	return sites
}

// files are what the enricher reads.
func (a *App) files() files { return files{a.GeoIP, a.Crawlers} }

// Stop lets the configuration go; the one before, if it is still there, counts
// again.
func (a *App) Stop() error {
	a.rt.stop(a)
	return nil
}

// Cleanup gives the share of the runtime back. The last one closes it.
func (a *App) Cleanup() error {
	if a.rt == nil {
		return nil
	}
	_, err := runtimes.Delete(a.poolKey)
	return err
}

func (a *App) addHandler(h *Handler) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.handlers = append(a.handlers, h)
}

// warnLoose reports whether a warning about the server is still due.
func (a *App) warnLoose(s *caddyhttp.Server) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	due := !a.warned[s]
	a.warned[s] = true
	return due
}

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
