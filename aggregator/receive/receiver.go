package receive

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// Sink takes accepted batches in the order of the spool. An error means "not
// taken": the batch is offered again until it is. Events and strings of the
// batch are the receiver's again when Ingest returns.
type Sink interface {
	Ingest(ctx context.Context, b lake.Batch) error
}

// Registry knows the sites.
type Registry interface {
	// Register makes sure that a domain written in an edge's configuration is
	// a site.
	Register(domain string) (state.Site, error)
	// Resolve finds a site by id, UUID or domain.
	Resolve(name string) (state.Site, bool)
}

// State is what was committed.
type State interface {
	Manifest() (state.Manifest, error)
	Marks() ([]state.Mark, error)
	Edges() ([]state.Edge, error)
}

// Spool is the durable log; see package spool.
type Spool interface {
	AppendSync(ctx context.Context, records ...spool.Record) (first uint64, n int, err error)
	Replay(from uint64, fn func(pos uint64, r spool.Record) error) (damaged uint64, err error)
	SkipTo(next uint64) error
	Next() uint64
}

// Config is what a Receiver works with. All but the sizes and the Directory,
// without which /v1/edge is not served, are required.
type Config struct {
	Tokens      Tokens
	Registry    Registry
	Directory   Directory
	State       State
	Spool       Spool
	Sink        Sink
	DeadLetters string // directory, created if missing
	// DeadLetterBytes bounds that directory; 0 = 256 MiB.
	DeadLetterBytes int64
	// ImportKey is the secret under which imports find their logs again. It
	// must stay the same: with another one, a log counts once more.
	ImportKey []byte
	Days      Days // nil = no day has live events
	// Erased recognises, for one goroutine, what dead letters must not keep; nil =
	// nothing.
	Erased     func() Erased
	Registerer prometheus.Registerer
	Logger     *zap.Logger
}

// Bounds of the work in progress. Each names the abuse or accident it stops.
const (
	// pendingEvents bounds the decoded events between spool and sink, about
	// 1 KiB each, so that a slow sink can't fill the memory. The largest batch
	// takes all of it.
	pendingEvents = shared.MaxBatchEvents
	// chunkEvents is how many decoded events share one append to the spool.
	chunkEvents = 4 << 10
	// pendingBodies bounds the bodies that are being read at one time.
	pendingBodies = 64 << 20
	// patience is how long a request waits for room or for its edge's lock
	// before it is told to come back.
	patience = 5 * time.Second
	// retryAfter is what it is told then.
	retryAfter = 3 * time.Second
)

// Receiver is the http.Handler for /v1/. Recover must have returned before it
// serves.
type Receiver struct {
	cfg     Config
	log     *zap.Logger
	mux     *http.ServeMux
	metrics *metrics
	marks   *marks
	boots   *boots
	dead    *deadLetters

	mu    sync.Mutex
	edges map[shared.EdgeID]*edge

	bodies *semaphore.Weighted
	room   *semaphore.Weighted // in events
	hand   *handover

	unauthorized rate.Sometimes // one log line per spell, not per request

	cancel context.CancelFunc
	done   chan struct{} // closed when the goroutine of Recover has ended
}

// New prepares a receiver. It starts nothing and reads nothing.
func New(cfg Config) (*Receiver, error) {
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	dead, err := openDeadLetters(cfg.DeadLetters, cfg.DeadLetterBytes, cfg.Logger)
	if err != nil {
		return nil, err
	}
	r := &Receiver{
		cfg:          cfg,
		log:          cfg.Logger,
		marks:        newMarks(),
		boots:        newBoots(),
		dead:         dead,
		edges:        map[shared.EdgeID]*edge{},
		bodies:       semaphore.NewWeighted(pendingBodies),
		room:         semaphore.NewWeighted(pendingEvents),
		hand:         newHandover(),
		unauthorized: rate.Sometimes{First: 1, Interval: 10 * time.Minute},
	}
	if r.metrics, err = newMetrics(cfg.Registerer, r); err != nil {
		return nil, err
	}
	r.mux = http.NewServeMux()
	r.mux.Handle("POST "+shared.PathHello, r.handle("hello", r.hello))
	r.mux.Handle("POST "+shared.PathBatches, r.handle("batches", r.batches))
	r.mux.Handle("POST "+shared.PathImport, r.handle("import", r.imports))
	r.mux.Handle("POST "+shared.PathObservations, r.handle("observations", r.observations))
	if cfg.Directory != nil {
		r.mux.Handle("GET "+shared.PathEdge, r.handle("edge", r.ask))
		r.mux.Handle("POST "+shared.PathEdge, r.handle("edge", r.report))
	}
	return r, nil
}

// ServeHTTP answers the paths of package shared's protocol.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.mux.ServeHTTP(w, req) }

// Recover takes up where the last process ended: the marks are what was
// committed plus what the spool holds beyond it, and those records go to the
// sink again. It then starts handing over. Call it once, before serving.
func (r *Receiver) Recover(ctx context.Context) error {
	through, err := r.load()
	if err != nil {
		return fmt.Errorf("recover receiver: %w", err)
	}
	if err := r.cfg.Spool.SkipTo(through + 1); err != nil {
		return fmt.Errorf("recover receiver: %w", err)
	}
	if err := r.replay(ctx, through); err != nil {
		return fmt.Errorf("recover receiver: %w", err)
	}
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.done = make(chan struct{})
	r.hand.begin(r.cfg.Spool.Next())
	go r.run(ctx)
	return nil
}

// load reads what was committed and returns the last covered spool position.
func (r *Receiver) load() (through uint64, err error) {
	manifest, err := r.cfg.State.Manifest()
	if err != nil {
		return 0, err
	}
	marks, err := r.cfg.State.Marks()
	if err != nil {
		return 0, err
	}
	edges, err := r.cfg.State.Edges()
	if err != nil {
		return 0, err
	}
	for _, m := range marks {
		r.marks.put(m)
	}
	for _, info := range edges {
		e := r.edge(info.ID)
		e.info = info
		e.publish(r.marks)
	}
	return manifest.SpoolThrough, nil
}

// run hands over until Close, and looks after the dead letters.
func (r *Receiver) run(ctx context.Context) {
	defer close(r.done)
	prune := time.NewTicker(time.Hour)
	defer prune.Stop()
	for {
		b, ok := r.hand.take()
		if ok {
			if !r.ingest(ctx, b) {
				return
			}
			continue
		}
		if r.hand.closed() {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-prune.C:
			r.dead.prune(time.Now())
		case <-r.hand.ready:
		}
	}
}

// ingest offers b to the sink until it is taken, and reports false when ctx
// ended before.
func (r *Receiver) ingest(ctx context.Context, b pending) bool {
	defer b.release()
	var failing bool
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := r.cfg.Sink.Ingest(ctx, b.batch)
		if err == nil {
			r.hand.done.Store(b.batch.SpoolPos)
			failpoint.Hit("receive.ingested")
			if failing {
				r.log.Info("lake takes events again")
			}
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if !failing {
			failing = true
			r.log.Error("lake does not take events, they wait in the spool", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
}

// Close ends the hand-over: what is on its way still goes to the sink until
// ctx ends; the rest is in the spool and comes back with the next Recover.
// Requests must have ended.
func (r *Receiver) Close(ctx context.Context) error {
	if r.cancel == nil {
		return nil
	}
	defer r.cancel()
	r.hand.close()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		r.cancel()
		<-r.done
		return nil
	}
}

// EdgeHealth is the receiver's view of one edge.
type EdgeHealth struct {
	state.Edge
	LagMS    int64 // age of the newest batch when it arrived
	Expected uint64
	Accepted uint64 // of all epochs, with what is not yet committed
	Rejected uint64
	Lost     uint64
}

// Edges returns what is known of every edge, in the order of their ids.
func (r *Receiver) Edges() []EdgeHealth {
	r.mu.Lock()
	list := make([]EdgeHealth, 0, len(r.edges))
	for _, e := range r.edges {
		if h := e.health.Load(); h != nil {
			list = append(list, *h)
		}
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b EdgeHealth) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return list
}

// PendingEvents is how many events are between spool and sink.
func (r *Receiver) PendingEvents() int64 { return r.hand.events.Load() }
