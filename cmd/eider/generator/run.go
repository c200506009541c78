package generator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/cmd/internal/progress"
	"github.com/eider-analytics/eider/shared"
)

// batchRows is how many events are handed to the lake at once.
const batchRows = 2048

// siteSkew is the exponent of Zipf's law for the sizes of sites.
const siteSkew = 1.0

// run is one call of the command.
type run struct {
	*plan
	model   *model
	state   *state.State
	lake    *lake.Lake
	sites   []*site
	writer  writer
	buckets []*bucket // of today and the days after it
	rows    []map[shared.Kind]int64

	pos    uint64
	edges  [numEdges]state.Edge
	marks  [numEdges]state.Mark
	batch  []shared.Event
	done   atomic.Int64
	total  int64
	arrive int64 // µs since 1970: when the row before arrived
}

// Run generates the traffic. The caller owns the data directory, which is new.
// Progress goes to w; when ctx ends, what is there is of no use.
func Run(ctx context.Context, o Options, w io.Writer) (a *Account, err error) {
	began, used := time.Now(), cpuTime()
	p, err := o.read(began)
	if err != nil {
		return nil, err
	}
	r := &run{plan: p, total: o.Events}
	defer func() {
		if err = errors.Join(err, r.close()); err != nil {
			a = nil
		}
	}()
	if err := r.open(); err != nil {
		return nil, err
	}
	d := progress.Display{W: w, Terminal: o.Terminal, Began: began, State: r.progress}
	stop := d.Show(ctx)
	err = r.generate(ctx)
	stop()
	if err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	a = r.account()
	a.Took, a.CPU = time.Since(began), cpuTime()-used
	return a, nil
}

func (r *run) progress() progress.State {
	n := r.done.Load()
	return progress.State{Share: progress.Share(uint64(n), uint64(r.total)), Count: uint64(n), Of: "events"}
}

// open opens the stores, and makes sites of the registry.
func (r *run) open() error {
	var err error
	if r.model, err = newModel(); err != nil {
		return err
	}
	if r.state, err = state.Open(r.State, zap.NewNop()); err != nil {
		return err
	}
	registry, err := sites.Open(r.state, r.Zone)
	if err != nil {
		return err
	}
	skew := siteSkew
	if r.Even {
		skew = 0
	}
	share, given, told := zipf(r.Sites, skew, 1), 0.0, int64(0)
	for i := range r.Sites {
		domain := fmt.Sprintf("site-%d.example", i+1)
		s, err := registry.Add(domain, sites.Change{Identity: &r.Identity})
		if err != nil {
			return err
		}
		given += share.p[i]
		through := int64(math.Round(given * float64(r.Events)))
		if i == r.Sites-1 {
			through = r.Events
		}
		r.sites = append(r.sites, newSite(r.plan, r.model, i, s.ID, domain, through-told))
		r.rows = append(r.rows, map[shared.Kind]int64{})
		told = through
	}
	for range maxDelay + 1 {
		r.buckets = append(r.buckets, &bucket{})
	}
	for i := range r.edges {
		id := shared.EdgeID{}
		for b := range id {
			id[b] = byte(mix(r.Seed, uint64(i), uint64(b), 8))
		}
		epoch := shared.Epoch(mix(r.Seed, uint64(i), 9))
		r.edges[i] = state.Edge{ID: id, Name: fmt.Sprintf("generated-%d", i+1), Version: r.Version, Epoch: epoch}
		r.marks[i] = state.Mark{Edge: id, Epoch: epoch, EpochFirst: 1, Expected: 1}
	}
	r.writer = writer{plan: r.plan, m: r.model, sites: r.sites, r: stream(r.Seed, 10), seen: newMeasured(r.model)}
	// Nobody asks before the end: rows need not become queryable in between.
	r.lake, err = lake.Open(lake.Config{Dir: r.Lake, State: r.state, Zone: registry.Zone, HotDelay: time.Hour})
	return err
}

// close closes the stores.
func (r *run) close() error {
	var err error
	if r.lake != nil {
		// What was not flushed belongs to a run that failed.
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = r.lake.Close(ctx)
	}
	if r.state != nil {
		err = errors.Join(err, r.state.Close())
	}
	return err
}

// generate makes day after day, and then what is late after the last one.
func (r *run) generate(ctx context.Context) error {
	for d := range r.Days + maxDelay {
		if d < r.Days {
			for _, s := range r.sites {
				s.generate(d, r.buckets)
			}
		}
		today := r.buckets[0]
		slices.SortStableFunc(today.rows, func(a, b row) int { return cmp.Compare(a.at, b.at) })
		if err := r.write(ctx, today, d); err != nil {
			return err
		}
		today.empty()
		copy(r.buckets, r.buckets[1:])
		r.buckets[maxDelay] = today
	}
	return nil
}

// write hands the rows that arrive on the day number d to the lake, in Cuts
// commits.
func (r *run) write(ctx context.Context, b *bucket, d int) error {
	from := r.start(min(d, r.Days))
	length := r.start(min(d, r.Days)+1) - from
	if d >= r.Days { // late rows after the last day come right after it
		length = 1
	}
	rows := b.rows
	for cut := range r.Cuts {
		until := from + length*int64(cut+1)/int64(r.Cuts)
		n, _ := slices.BinarySearchFunc(rows, until, func(p row, at int64) int { return cmp.Compare(p.at, at) })
		if cut == r.Cuts-1 {
			n = len(rows)
		}
		if n == 0 {
			continue
		}
		for rest := rows[:n]; len(rest) > 0; {
			taken, err := r.ingest(ctx, b, rest, from)
			if err != nil {
				return err
			}
			rest = rest[taken:]
		}
		if err := r.lake.Flush(ctx); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// edgeOf is the edge that saw a row.
func (b *bucket) edgeOf(p *row) uint8 {
	if p.kind == rowSums {
		return b.sums[p.visit].edge
	}
	return b.visits[p.visit].edge
}

// ingest hands the first rows to the lake, as many as make a batch of one edge,
// and returns how many. Late rows arrive as soon as the day begins.
func (r *run) ingest(ctx context.Context, b *bucket, rows []row, begin int64) (int, error) {
	edge := b.edgeOf(&rows[0])
	n := 1
	for n < min(len(rows), batchRows) && b.edgeOf(&rows[n]) == edge {
		n++
	}
	if cap(r.batch) < batchRows {
		r.batch = make([]shared.Event, batchRows)
	}
	events := r.batch[:n]
	info, mark := &r.edges[edge], &r.marks[edge]
	for i := range events {
		e := &events[i]
		r.writer.event(b, &rows[i], e)
		e.Edge, e.Epoch, e.Seq = info.ID, info.Epoch, mark.Expected
		mark.Expected++
		r.arrive = max(r.arrive, begin, e.Time+15_000) // when its batch is sealed
		e.ReceivedAt = r.arrive + int64(mix(uint64(r.arrive))%40_000)
		e.SkewMS = shared.Some(int64(mix(r.Seed, uint64(edge), uint64(begin))%9) - 4)
		if reason := e.Check(); reason != "" {
			return 0, fmt.Errorf("a generated event is none: %s", reason)
		}
		r.rows[b.siteOf(&rows[i])][e.Kind]++
	}
	mark.Accepted += uint64(n)
	info.LastSeen, info.Counters.Captured, info.Counters.Stored = r.arrive, mark.Accepted, mark.Accepted
	r.pos++
	r.done.Add(int64(n))
	return n, r.lake.Ingest(ctx, lake.Batch{SpoolPos: r.pos, Mark: *mark, Edge: *info, Events: events})
}

// siteOf is the site that a row is of.
func (b *bucket) siteOf(p *row) int32 {
	if p.kind == rowSums {
		return b.sums[p.visit].site
	}
	return b.visits[p.visit].site
}

// account sums up what was generated.
func (r *run) account() *Account {
	e := &Expected{From: r.date(0), To: r.date(r.Days - 1)}
	e.Options.Events, e.Options.Days, e.Options.Seed, e.Options.Zone = r.Events, r.Days, r.Seed, r.Zone
	e.Options.Identity, e.Options.Profile, e.Options.Late = r.Identity, r.Profile, r.Late
	a := &Account{Sites: int64(len(r.sites)), Days: r.Days, Rows: r.done.Load(), Expected: e, Columns: r.writer.seen.columns(r.model)}
	for i, s := range r.sites {
		rows := map[string]int64{}
		for kind, n := range r.rows[i] {
			rows[string(kind)] = n
		}
		e.Sites = append(e.Sites, ExpectedSite{ID: s.id, Domain: s.domain, Rows: rows, Totals: s.books.Totals, Days: s.books.list})
		a.Visitors += s.books.Visitors
		a.Visits += s.books.Visits
	}
	stats := r.lake.Stats()
	a.Bytes, a.Segments = stats.Bytes, stats.Segments
	return a
}

// cpuTime is what the process has used of the processor.
func cpuTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
