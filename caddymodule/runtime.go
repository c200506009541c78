package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/beacon"
	"github.com/eider-analytics/eider/shared/classify"
	"github.com/eider-analytics/eider/shared/conduct"
	"github.com/eider-analytics/eider/shared/enrich"
	"github.com/eider-analytics/eider/shared/evidence"
	"github.com/eider-analytics/eider/shared/queue"
	"github.com/eider-analytics/eider/shared/registry"
)

// runtimes holds one runtime for each queue directory, by [poolKey]. Caddy
// provisions a new configuration before it lets the old one go, so that both
// have a share for a moment.
var runtimes = caddy.NewUsagePool()

// How long the end of the process, or of the last configuration with a queue,
// may take in all, and how much of it goes to shipping what is left.
const (
	closeGrace = 9 * time.Second
	drainGrace = 3 * time.Second
)

// reopenInterval is how often a queue is tried again that could not be opened.
const reopenInterval = 2 * time.Second

// runtime is what outlives a configuration: one for each queue directory.
//
//	requests ─▶ ring ─▶ recorder ─▶ enricher ─▶ queue ─▶ shipper ─▶ aggregator
//
// Everything that runs belongs to it and ends in Destruct.
type runtime struct {
	dir   string
	log   *zap.Logger
	ring  *ring
	types classify.Memory
	seen  *evidence.Memory
	spare sync.Pool               // of *exchange, empty
	other *site                   // for hosts that no configuration names
	isBot func(enrich.Signs) bool // by value: a pointer handed to it would be one to the heap
	// conduct remembers what clients do, through every reload.
	conduct *conduct.Table
	salts   *enrich.LocalSalts // kept when the enricher is exchanged: visitors stay who they are
	known   registry.Holder    // the sites and their salts, as the aggregator hands them out
	hosts   registry.Hosts     // asked for, and no site's

	intake    *beacon.Intake
	enriching sync.RWMutex // held while observations are enriched: an exchange waits
	enricher  atomic.Pointer[enrich.Enricher]
	queue     atomic.Pointer[wal] // nil until it is open
	lastPanic atomic.Int64

	sitesMu sync.Mutex // of its own: requests take it, and mu is held while the queue opens
	sites   map[string]*site

	mu       sync.Mutex
	tenants  []tenant      // configurations in force, the latest last
	reads    files         // what the enricher was made of
	limits   beacon.Limits // that the intake has
	shipping *shipping
	waiting  bool   // for the queue to open
	trouble  string // why it does not, as was logged
	closed   bool

	stopReopen context.CancelFunc
	stopRecord context.CancelFunc
	running    sync.WaitGroup // the recorder, and the wait for the queue
}

// tenant is a configuration in force.
type tenant struct {
	app   *App
	sites []shared.SiteHello
}

func newRuntime(dir string) *runtime {
	rt := &runtime{
		dir: dir, log: liveLogger("eider"), ring: newRing(ringSize),
		isBot: func(s enrich.Signs) bool { _, is := enrich.Judge(&s); return is }, conduct: conduct.New(),
		salts: enrich.NewLocalSalts(nil), sites: map[string]*site{},
	}
	rt.seen = evidence.New(rt.identity)
	rt.other = newSite(otherSite, rt.seen)
	rt.intake = newIntake(rt)
	return rt
}

// exchange returns an empty one: they are large, and asked for with each request.
func (rt *runtime) exchange() *exchange {
	if x, ok := rt.spare.Get().(*exchange); ok {
		return x
	}
	return new(exchange)
}

// release takes a writer's exchange back, with nothing of the request in it.
func (rt *runtime) release(w *responseWriter) {
	x := w.exchange
	w.exchange = nil
	x.capture, x.verdict, x.request = capture{}, verdict{}, nil
	if len(x.texts.room) > 0 {
		x.texts.wipe() // the ring did not take it
	}
	rt.spare.Put(x)
}

// identity tells the memory of visitors when a site's identities change: what
// is remembered of a visitor is worth nothing under its next one.
func (rt *runtime) identity(site string, at int64) (evidence.Identity, bool) {
	enricher := rt.enricher.Load()
	if enricher == nil {
		return evidence.Identity{}, false // nothing is in force yet
	}
	salt, ok := enricher.Salt(site, at)
	return evidence.Identity{Until: salt.Until, Mark: evidence.Mark(salt.Key[:])}, ok
}

// site returns the counters of a site, the same ones for the same name through
// every reload. Names come from configurations and the registry alone, which
// bounds them.
func (rt *runtime) site(name string) *site {
	rt.sitesMu.Lock()
	defer rt.sitesMu.Unlock()
	s := rt.sites[name]
	if s == nil {
		s = newSite(name, rt.seen)
		rt.sites[name] = s
	}
	return s
}

// start puts a configuration into force. What is wrong with it is an error; a
// volume without room, or a queue whose files are damaged, is not: sites are
// served, drops are counted, and the queue is tried again.
func (rt *runtime) start(app *App, sites []shared.SiteHello) error {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	// The file may have been exchanged since, or mended.
	if err := rt.setEnricher(app.files(), app.GeoIP != ""); err != nil {
		return err
	}
	if rt.queue.Load() == nil && !rt.waiting {
		switch err := rt.open(app); {
		case err == nil:
		case noRoom(err), errors.Is(err, queue.ErrCorrupt):
			// Neither is a mistake of the configuration, and both can come with
			// a reboot: they must not keep sites from being served.
			rt.unavailable(err)
			rt.waitForQueue()
		default:
			return fmt.Errorf("open queue: %w", err)
		}
	} else if len(rt.tenants) > 0 && *rt.tenants[0].app.Queue != *app.Queue {
		rt.log.Warn("changed queue settings take effect when caddy is started anew", zap.String("dir", rt.dir))
	}
	rt.tenants = append(rt.tenants, tenant{app, sites})
	rt.apply()
	return nil
}

// stop lets a configuration go. If it was the latest, as after a failed start,
// the one before it is in force again.
func (rt *runtime) stop(app *App) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	for i, t := range rt.tenants {
		if t.app == app {
			rt.tenants = append(rt.tenants[:i:i], rt.tenants[i+1:]...)
			break
		}
	}
	if len(rt.tenants) == 0 {
		return // at the end, or a moment before the next start: shipping goes on
	}
	if err := rt.setEnricher(rt.tenants[len(rt.tenants)-1].app.files(), false); err != nil {
		rt.log.Warn("geoip and crawlers could not be set back", zap.Error(err))
	}
	rt.apply()
}

// apply brings the shipper in line with the configuration in force. The caller
// holds mu.
func (rt *runtime) apply() {
	q := rt.queue.Load()
	if q == nil || len(rt.tenants) == 0 {
		return
	}
	t := rt.tenants[len(rt.tenants)-1]
	if limits := t.app.Collect.limits(); limits != rt.limits {
		rt.limits = limits
		rt.intake.SetLimits(limits)
	}
	if rt.shipping != nil && rt.shipping.to == t.app.destination() {
		rt.shipping.setSites(t.sites)
		return
	}
	if rt.shipping != nil {
		rt.shipping.stop() // there is never a second one on the same queue
	}
	var err error
	if rt.shipping, err = rt.startShipping(t.app.destination(), t.sites, q); err != nil {
		rt.log.Error("nothing is shipped until this is changed; the queue keeps the events", zap.Error(err))
	}
}

// files are those that the enricher reads.
type files struct{ geoip, crawlers string }

// setEnricher exchanges the enricher if the files are others, or are to be read
// again. The caller holds mu.
func (rt *runtime) setEnricher(from files, again bool) error {
	if rt.enricher.Load() != nil && from == rt.reads && !again {
		return nil
	}
	next, err := enrich.New(enrich.Config{
		GeoIP: from.geoip, Crawlers: from.crawlers, Sites: &rt.known, Salts: &rt.known, Local: rt.salts, Logger: rt.log.Named("enrich"),
	})
	if err != nil {
		return err
	}
	rt.enriching.Lock()
	previous := rt.enricher.Swap(next)
	rt.enriching.Unlock()
	rt.reads = from
	if previous == nil {
		return nil
	}
	return previous.Close()
}

// open opens the queue and sets the recorder on it. The caller holds mu.
func (rt *runtime) open(app *App) error {
	q, err := openWAL(app, rt.log)
	if err != nil {
		return err
	}
	rt.ring.open(q)
	rt.queue.Store(q)
	ctx, cancel := context.WithCancel(context.Background())
	rt.stopRecord = cancel
	rt.running.Go(func() { rt.record(ctx, q) })
	rt.running.Go(func() { rt.tellSums(ctx, q) })
	return nil
}

// waitForQueue tries the queue again until it opens. The caller holds mu.
func (rt *runtime) waitForQueue() {
	ctx, cancel := context.WithCancel(context.Background())
	rt.waiting, rt.stopReopen = true, cancel
	rt.running.Go(func() {
		tick := time.NewTicker(reopenInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if rt.tryAgain() {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
}

// tryAgain reports whether the waiting is over.
func (rt *runtime) tryAgain() bool {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.closed {
		return true
	}
	if len(rt.tenants) == 0 {
		return false
	}
	err := rt.open(rt.tenants[len(rt.tenants)-1].app)
	if err != nil {
		rt.unavailable(err)
		return false
	}
	rt.waiting, rt.trouble = false, ""
	rt.log.Info("queue is open", zap.String("dir", rt.dir))
	rt.apply()
	return true
}

// unavailable counts what comes as dropped until the queue is open, and says
// why, once. The caller holds mu.
func (rt *runtime) unavailable(err error) {
	say, reason := rt.log.Error, shared.DropError
	if noRoom(err) {
		say, reason = rt.log.Warn, shared.DropDisk
	}
	rt.ring.unavailable(reason)
	if rt.trouble == err.Error() {
		return
	}
	rt.trouble = err.Error()
	say("queue can't be opened: sites are served, events are dropped and counted", zap.String("dir", rt.dir), zap.Error(err))
}

// noRoom tells a full volume from everything that needs a person.
func noRoom(err error) bool {
	return errors.Is(err, queue.ErrNoSpace) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, errQuota)
}

// settings are what a configuration means to the queue.
func (c *QueueConfig) settings(log *zap.Logger) queue.Config {
	s := queue.Config{
		Dir: c.Dir, MaxSize: c.MaxSize, ReserveFree: c.ReserveFree, SealAge: time.Duration(c.SealAge),
		UnsafeFS: c.UnsafeFS, Logger: log,
	}
	if c.Sync == syncAlways {
		s.Sync = queue.SyncAlways
	} else {
		s.Sync, _ = caddy.ParseDuration(c.Sync) // checked at Provision
	}
	if c.Drop == "oldest" {
		s.Drop = queue.DropOldest
	}
	return s
}

// Destruct ships what can be shipped quickly and keeps the rest for the next
// start. It ends within closeGrace.
func (rt *runtime) Destruct() error {
	// Nothing here hangs on a configuration's context, which has ended.
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	rt.mu.Lock()
	rt.closed = true
	rt.mu.Unlock()

	rt.ring.close()
	for _, stop := range []context.CancelFunc{rt.stopReopen, rt.stopRecord} {
		if stop != nil {
			stop()
		}
	}
	drained := make(chan struct{})
	go func() { rt.running.Wait(); close(drained) }()
	select {
	case <-drained:
		if q := rt.queue.Load(); q != nil {
			rt.writeSums(ctx, q, time.Now())
		}
	case <-ctx.Done():
		rt.log.Error("recorder did not end in time; events in memory are lost")
	}

	var err error
	if q := rt.queue.Load(); q != nil {
		err = rt.closeQueue(ctx, q)
	}
	if e := rt.enricher.Load(); e != nil {
		err = errors.Join(err, e.Close())
	}
	return err
}

func (rt *runtime) closeQueue(ctx context.Context, q *wal) error {
	if err := q.Flush(ctx); err != nil {
		rt.log.Warn("flush of the queue at the end", zap.Error(err))
	}
	if rt.shipping != nil {
		rt.shipping.finish(ctx, drainGrace)
	}
	rt.ring.detach()
	if err := q.Close(ctx); err != nil {
		return fmt.Errorf("close queue: %w", err)
	}
	return nil
}
