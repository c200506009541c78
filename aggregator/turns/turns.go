package turns

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"
)

// Class is which slots a statement may take.
type Class uint8

// The classes, the lightest first.
const (
	Light Class = iota
	Heavy
	classes
)

func (c Class) String() string { return [...]string{"light", "heavy"}[c] }

// Ask is who asks for a turn.
type Ask struct {
	Class  Class
	Site   string
	Client string        // whoever is to be told apart within a site
	Cost   time.Duration // what the statement is expected to take
}

// Config has defaults for zeros.
type Config struct {
	Light   int // slots of the light class; 0 = one for each CPU
	Heavy   int // slots of the heavy class; 0 = one for each two CPUs
	Waiting int // bound of each line; 0 = DefaultWaiting
}

// DefaultWaiting bounds each line. An overview is some seven statements, so this
// is nine people who open one at the same moment.
const DefaultWaiting = 64

// Turns is the order. It is safe for concurrent use.
type Turns struct {
	metrics metrics

	mu    sync.Mutex
	lines [classes]line
	count uint64 // of tickets
}

// New makes an order in which nobody waits yet.
func New(cfg Config) *Turns {
	cpus := runtime.GOMAXPROCS(0)
	if cfg.Light <= 0 {
		cfg.Light = cpus
	}
	if cfg.Heavy <= 0 {
		cfg.Heavy = max(1, cpus/2)
	}
	if cfg.Waiting <= 0 {
		cfg.Waiting = DefaultWaiting
	}
	t := &Turns{metrics: newMetrics()}
	for c, slots := range [classes]int{Light: cfg.Light, Heavy: cfg.Heavy} {
		t.lines[c] = line{slots: slots, limit: cfg.Waiting, sites: map[string]*account{}}
	}
	return t
}

// Slots is how many statements of a class run at once.
func (t *Turns) Slots(c Class) int { return t.lines[c].slots }

// FullError says that the line is full.
type FullError struct {
	Class Class
	After time.Duration // whole seconds after which to come back
}

func (e *FullError) Error() string {
	return fmt.Sprintf("too many %s statements wait; come back in %s", e.Class, e.After)
}

// WaitError says that the context ended before the turn came.
type WaitError struct {
	Class Class
	cause error
}

func (e *WaitError) Error() string { return "waited for a turn: " + e.cause.Error() }

// Unwrap is what the context ended with.
func (e *WaitError) Unwrap() error { return e.cause }

// Turn is a slot that is held until End.
type Turn struct {
	Class Class // which it became: see [Join]

	turns *Turns
	party *party
	t     *ticket
}

// Enter waits for a turn of whoever [With] says; without, it is a light one of
// nobody. The error is a [FullError] or a [WaitError].
func (t *Turns) Enter(ctx context.Context) (*Turn, error) {
	p := partyOf(ctx)
	if err := ctx.Err(); err != nil {
		return nil, &WaitError{p.class(), err}
	}
	k := p.arrive(t)
	defer p.forget(k)
	select {
	case <-k.ready:
	case <-ctx.Done():
		class := t.withdraw(k)
		p.add(time.Since(k.came), 0)
		return nil, &WaitError{class, ctx.Err()}
	}
	if k.refused > 0 {
		return nil, &FullError{k.ask.Class, k.refused}
	}
	waited := time.Since(k.came)
	p.add(waited, 0)
	t.metrics.waited[k.ask.Class].Observe(waited.Seconds())
	return &Turn{Class: k.ask.Class, turns: t, party: p, t: k}, nil
}

// End gives the slot back. It is called once.
func (t *Turn) End() {
	took := t.turns.end(t.t)
	t.party.add(0, took)
	t.turns.metrics.took[t.Class].Observe(took.Seconds())
}

// arrive puts somebody into line, and lets begin who can.
func (t *Turns) arrive(a Ask) *ticket {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count++
	k := &ticket{ask: a, number: t.count, came: time.Now(), ready: make(chan struct{})}
	t.enter(k)
	return k
}

// enter takes a ticket into the line of its class. The caller holds t.mu.
func (t *Turns) enter(k *ticket) {
	l := &t.lines[k.ask.Class]
	l.push(k)
	t.begin(l)
	if l.waiting > l.limit {
		k := l.longest()
		l.remove(k)
		k.refused = l.patience()
		t.metrics.refused[k.ask.Class].Inc()
		close(k.ready)
	}
}

// begin fills the free slots. The caller holds t.mu.
func (t *Turns) begin(l *line) {
	for l.running < l.slots && l.waiting > 0 {
		k := l.next()
		l.take(k)
		k.began = time.Now()
		close(k.ready)
	}
}

// withdraw takes back a ticket whose owner does not wait any more.
func (t *Turns) withdraw(k *ticket) Class {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := &t.lines[k.ask.Class]
	k.gone = true
	switch {
	case k.refused > 0:
	case k.began.IsZero():
		l.remove(k)
	default: // its turn came at the same moment
		l.end(k, 0)
		t.begin(l)
	}
	return k.ask.Class
}

func (t *Turns) end(k *ticket) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := &t.lines[k.ask.Class]
	took := time.Since(k.began)
	l.end(k, took)
	l.learn(took)
	t.begin(l)
	return took
}

// promote moves a ticket that still waits into the line of a lighter class,
// unless that one is full.
func (t *Turns) promote(k *ticket, a Ask) {
	t.mu.Lock()
	defer t.mu.Unlock()
	to := &t.lines[a.Class]
	if k.gone || k.refused > 0 || !k.began.IsZero() || a.Class >= k.ask.Class || to.waiting >= to.limit {
		return
	}
	t.lines[k.ask.Class].remove(k)
	k.ask = a
	t.enter(k)
}

// Load is how busy a class is.
type Load struct{ Running, Waiting int }

// Load tells it of a class.
func (t *Turns) Load(c Class) Load {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Load{t.lines[c].running, t.lines[c].waiting}
}

// patience is after how many seconds the line, as it is, will have been served.
func (l *line) patience() time.Duration {
	seconds := math.Ceil((time.Duration(l.waiting) * l.usual / time.Duration(l.slots)).Seconds())
	return time.Duration(min(max(seconds, 1), 60)) * time.Second
}

// learn keeps what a statement usually takes: the mean, in which the last eight
// count most.
func (l *line) learn(took time.Duration) { l.usual += (took - l.usual) / 8 }
