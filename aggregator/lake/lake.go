package lake

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared/durable"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// ErrClosed is returned once the lake is closing.
var ErrClosed = errors.New("lake is closed")

// Store is what the lake needs of package state.
type Store interface {
	Manifest() (state.Manifest, error)
	Commit(state.Commit) error
}

// Config says where a lake is and how it works. Zero durations and sizes mean
// the defaults.
type Config struct {
	Dir   string // created when it does not exist
	State Store
	// Zone names a site's time zone (IANA); "" is UTC. It must not call the lake.
	Zone   func(siteID string) string
	Logger *zap.Logger
	// SpoolOldest is the first position that the spool still has; 0 = not known.
	SpoolOldest uint64
	// OnCommitted is told the last spool position whose events are in committed
	// segments: what is up to there can be trimmed. It is called by one goroutine.
	OnCommitted func(spoolThrough uint64)
	// Erasures are what Ingest leaves out; nil = nothing. OnErased is told, before
	// OnCommitted, that something of the spool was.
	Erasures Erasures
	OnErased func()

	// HotDelay is how long events gather before they become queryable (250 ms).
	HotDelay time.Duration
	// CutAge is how long events wait for a durable segment (60 s), or up to ten
	// times that while the segments would be very small.
	CutAge time.Duration
	// CutBytes of buffered events make a cut due at once (16 MiB).
	CutBytes int
	// MaxBuffered bounds the events in memory; Ingest waits above it (48 MiB).
	MaxBuffered int
	// RetryMin and RetryMax bound the pause after a failed write (1 s, 30 s).
	RetryMin, RetryMax time.Duration

	now func() time.Time // the clock by which days grow old; nil = time.Now
}

func (c *Config) setDefaults() {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&c.HotDelay, 250*time.Millisecond)
	set(&c.CutAge, time.Duration(failpoint.Setting("lake.cut_age", int64(time.Minute))))
	set(&c.RetryMin, time.Second)
	set(&c.RetryMax, 30*time.Second)
	if c.CutBytes <= 0 {
		c.CutBytes = 16 << 20
	}
	if c.MaxBuffered <= 0 {
		c.MaxBuffered = 48 << 20
	}
	c.MaxBuffered = max(c.MaxBuffered, 2*c.CutBytes)
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.Zone == nil {
		c.Zone = func(string) string { return "" }
	}
	if c.OnErased == nil {
		c.OnErased = func() {}
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.OnCommitted == nil {
		c.OnCommitted = func(uint64) {}
	}
}

// Lake is the open lake. One goroutine writes its files:
//
//	Ingest -> generation.groups[site, day].chunks   rows, encoded, in memory
//	writer -> hot/…            micro-segments of them, every HotDelay
//	       -> events/…         at CutAge or CutBytes the generation as a whole
//	       -> state.Commit     lists the segments, moves marks and spool position
//	       -> views.publish    segments in, micro-segments out, at once
//	       -> OnCommitted      the spool is trimmed
type Lake struct {
	cfg   Config
	log   *zap.Logger
	views *views

	mu        sync.Mutex // guards what follows; never held while writing
	zones     zones
	recent    recent
	gen       *generation // takes what Ingest is given
	cutting   *generation // is being written, or waits for its retry
	ingested  uint64      // last spool position taken
	committed uint64      // last spool position in committed segments
	flushTo   uint64      // position that somebody waits to see committed
	closing   bool
	cutFailed failure
	hotFailed failure
	totals    totals
	spare     [][]byte      // payloads of committed chunks, to be used again
	room      chan struct{} // closed and replaced when waiting makes sense to end

	// The days that rows may make late, by site, and how many ids of open views
	// these hold.
	watched map[string]*siteDays
	openIDs int

	wake     chan struct{} // tells the writer that there may be work
	jobs     chan job      // changes of the list of segments that others ask for
	revising sync.Mutex    // held by Revise and Erase

	stop    context.CancelFunc
	stopped chan struct{}

	// The writer's own.
	segments *encoder
	micros   *encoder
	durable  []File
	days     map[state.DayKey]*state.Day
	shown    []*Day // the same, ordered, as snapshots have them; replaced, never changed
}

// totals are counted since the lake was opened.
type totals struct {
	committed  int64 // events in committed segments
	commits    int64
	bytes      int64 // of segments
	lastCommit time.Time
}

// Open opens the lake in cfg.Dir: it compares the files with the manifest,
// removes what an interrupted commit left, and empties hot/.
func Open(cfg Config) (*Lake, error) {
	cfg.setDefaults()
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open lake: %w", err)
	}
	cfg.Dir = dir
	m, err := prepare(&cfg)
	if err != nil {
		return nil, fmt.Errorf("open lake: %w", err)
	}
	l := &Lake{
		cfg: cfg, log: cfg.Logger,
		zones:    zones{log: cfg.Logger, loaded: map[string]*time.Location{}},
		recent:   newRecent(),
		gen:      newGeneration(),
		ingested: m.SpoolThrough, committed: m.SpoolThrough,
		room: make(chan struct{}),
		wake: make(chan struct{}, 1), jobs: make(chan job),
		watched: map[string]*siteDays{}, days: map[state.DayKey]*state.Day{},
		stopped:  make(chan struct{}),
		segments: newEncoder(true),
		micros:   newEncoder(false),
	}
	for i := range m.Segments {
		l.durable = append(l.durable, l.fileOf(&m.Segments[i]))
	}
	// Versions go on growing over restarts, as answers are cached by them.
	l.openDays(m.Days)
	l.views = newViews(l.log, uint64(time.Now().UnixMicro()), l.durable, l.shown)
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	go l.write(ctx)
	return l, nil
}

// prepare makes the directory what the manifest says.
func prepare(cfg *Config) (state.Manifest, error) {
	m, err := cfg.State.Manifest()
	if err != nil {
		return m, err
	}
	for _, dir := range []string{cfg.Dir, filepath.Join(cfg.Dir, eventsDir)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return m, err
		}
	}
	removed, aside, err := reconcile(cfg.Dir, m, cfg.SpoolOldest)
	if err != nil {
		return m, err
	}
	if aside > 0 {
		cfg.Logger.Error("state is older than the lake: segments that it does not list were moved aside; edges are asked for what they still keep",
			zap.Int("segments", aside), zap.String("path", filepath.Join(cfg.Dir, asideDir)))
	}
	derived, err := reconcileDerived(cfg, &m)
	if err != nil {
		return m, err
	}
	if removed += derived; removed > 0 {
		cfg.Logger.Info("files of an interrupted commit were removed", zap.Int("files", removed))
	}
	hot := filepath.Join(cfg.Dir, hotDir)
	if err := os.RemoveAll(hot); err != nil {
		return m, err
	}
	if err := os.Mkdir(hot, 0o700); err != nil {
		return m, err
	}
	if err := durable.SyncDir(cfg.Dir); err != nil {
		return m, err
	}
	if m.Version == 0 {
		// From now on a new state beside old files can be told from a new lake.
		if err := cfg.State.Commit(state.Commit{}); err != nil {
			return m, err
		}
	}
	return m, nil
}

func (l *Lake) fileOf(seg *state.Segment) File {
	return File{
		Path: l.path(seg.Path), SiteID: seg.SiteID, Date: seg.Date,
		Zone: seg.Zone, MinTime: seg.MinTime, MaxTime: seg.MaxTime, Rows: seg.Rows, Facts: seg.Facts, Sealed: seg.Sealed,
	}
}

// Snapshot returns the newest consistent list of files. The caller releases it.
func (l *Lake) Snapshot() *Snapshot { return l.views.acquire() }

// Close commits what the lake has and ends its goroutine. When ctx ends first,
// what is not committed stays in the spool and is replayed at the next start.
func (l *Lake) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closing = true
	l.changed()
	l.mu.Unlock()
	err := l.flush(ctx)
	l.stop()
	<-l.stopped
	if err != nil {
		return fmt.Errorf("close lake: %w", err)
	}
	return nil
}

// Flush commits everything that Ingest has taken before the call.
func (l *Lake) Flush(ctx context.Context) error {
	if err := l.flush(ctx); err != nil {
		return fmt.Errorf("flush lake: %w", err)
	}
	return nil
}

func (l *Lake) flush(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	target := l.ingested
	l.flushTo = max(l.flushTo, target)
	l.signal()
	for l.committed < target {
		if err := l.wait(ctx); err != nil {
			return errors.Join(err, l.cutFailed.err)
		}
	}
	return nil
}

// wait gives up l.mu until something changed that a caller may wait for.
func (l *Lake) wait(ctx context.Context) error {
	room := l.room
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.stopped:
		return ErrClosed
	}
}

// changed wakes everybody in wait. The caller holds l.mu.
func (l *Lake) changed() {
	close(l.room)
	l.room = make(chan struct{})
}

// signal wakes the writer.
func (l *Lake) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
