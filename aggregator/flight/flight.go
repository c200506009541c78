// Package flight lets everybody who asks the same at one time wait for one
// answer, and remembers the answers that were asked for last.
//
// It promises that work is done once for each key while somebody waits for it,
// that it ends when the last one who waits has gone, that what is remembered is
// bounded, that an error is never remembered, and that a panic is an error of
// those who asked. It refuses to know when an answer gets stale: a key must name
// what the answer is made of.
package flight

import (
	"container/list"
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/eider-analytics/eider/aggregator/turns"
)

// Group is a set of answers. The zero Group is not usable: see New and Sized.
type Group[V any] struct {
	limit int64
	size  func(key string, v V) int64

	mu    sync.Mutex
	calls map[string]*call[V]
	kept  map[string]*list.Element // of order
	order *list.List               // of *memory[V], the one that was asked for last in front
	stats Stats
}

// Stats is what became of the questions of a group.
type Stats struct {
	Hits   uint64 // were answered from memory
	Shared uint64 // waited for an answer that was being made
	Made   uint64 // began work
	Kept   int    // answers that are remembered
	Size   int64  // of them, as the group measures
}

type call[V any] struct {
	waiting int // guarded by Group.mu
	ctx     context.Context
	cancel  context.CancelFunc
	done    chan struct{} // closed when value and err are set
	value   V
	err     error
}

type memory[V any] struct {
	key   string
	value V
	size  int64
}

// New makes a group that remembers up to keep answers.
func New[V any](keep int) *Group[V] {
	return Sized(int64(keep), func(string, V) int64 { return 1 })
}

// Sized makes a group that remembers answers whose sizes are no more than limit
// together. One that is larger than a quarter of it is not remembered: it would
// cost many others their place.
func Sized[V any](limit int64, size func(key string, v V) int64) *Group[V] {
	return &Group[V]{limit: limit, size: size, calls: map[string]*call[V]{}, kept: map[string]*list.Element{}, order: list.New()}
}

// Stats tells what became of all questions so far.
func (g *Group[V]) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.stats
	s.Kept = len(g.kept)
	return s
}

// Do returns the answer for key: a remembered one, the one that is being made,
// or work's. The context that work gets ends when nobody waits any more. Work
// takes the turns of the lightest question that waits for it (package turns).
func (g *Group[V]) Do(ctx context.Context, key string, work func(context.Context) (V, error)) (V, error) {
	g.mu.Lock()
	if e, ok := g.kept[key]; ok {
		g.order.MoveToFront(e)
		g.stats.Hits++
		g.mu.Unlock()
		return e.Value.(*memory[V]).value, nil
	}
	c, ok := g.calls[key]
	if ok {
		g.stats.Shared++
		turns.Join(c.ctx, ctx)
	} else {
		g.stats.Made++
		c = g.start(ctx, key, work)
	}
	c.waiting++
	g.mu.Unlock()
	select {
	case <-c.done:
		turns.Settle(ctx, c.ctx)
		return c.value, c.err
	case <-ctx.Done():
		g.leave(key, c)
		var none V
		return none, ctx.Err()
	}
}

// start begins the work. The caller holds g.mu.
func (g *Group[V]) start(ctx context.Context, key string, work func(context.Context) (V, error)) *call[V] {
	ctx, cancel := context.WithCancel(turns.Share(context.WithoutCancel(ctx)))
	c := &call[V]{ctx: ctx, cancel: cancel, done: make(chan struct{})}
	g.calls[key] = c
	go func() {
		defer cancel()
		c.value, c.err = guarded(ctx, work)
		g.mu.Lock()
		if g.calls[key] == c {
			delete(g.calls, key)
		}
		if c.err == nil {
			g.remember(key, c.value)
		}
		g.mu.Unlock()
		close(c.done)
	}()
	return c
}

// guarded turns a panic into an error: nobody's question may end the process.
func guarded[V any](ctx context.Context, work func(context.Context) (V, error)) (value V, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return work(ctx)
}

// leave ends the work if nobody else waits for it.
func (g *Group[V]) leave(key string, c *call[V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.waiting--; c.waiting > 0 {
		return
	}
	c.cancel()
	if g.calls[key] == c { // who asks now begins anew
		delete(g.calls, key)
	}
}

// remember keeps an answer and forgets those that nobody asked for the longest.
// The caller holds g.mu.
func (g *Group[V]) remember(key string, v V) {
	size := g.size(key, v)
	if _, ok := g.kept[key]; ok || size > g.limit || size > 1 && size > g.limit/4 {
		return
	}
	for g.stats.Size+size > g.limit {
		oldest := g.order.Back()
		m := g.order.Remove(oldest).(*memory[V])
		delete(g.kept, m.key)
		g.stats.Size -= m.size
	}
	g.kept[key] = g.order.PushFront(&memory[V]{key, v, size})
	g.stats.Size += size
}
