// Package flight lets everybody who asks the same at one time wait for one
// answer, and remembers the newest answers.
//
// It promises that work is done once for each key while somebody waits for it,
// that it ends when the last one who waits has gone, that an error is never
// remembered, and that a panic is an error of those who asked. It refuses to
// know when an answer gets stale: a key must name what the answer is made of.
package flight

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// Group is a set of answers. The zero Group is not usable: see New.
type Group[V any] struct {
	keep int

	mu    sync.Mutex
	calls map[string]*call[V]
	kept  map[string]V
	order []string // of kept, oldest first
}

type call[V any] struct {
	waiting int // guarded by Group.mu
	cancel  context.CancelFunc
	done    chan struct{} // closed when value and err are set
	value   V
	err     error
}

// New makes a group that remembers up to keep answers.
func New[V any](keep int) *Group[V] {
	return &Group[V]{keep: keep, calls: map[string]*call[V]{}, kept: map[string]V{}}
}

// Do returns the answer for key: a remembered one, the one that is being made,
// or work's. The context that work gets ends when nobody waits any more.
func (g *Group[V]) Do(ctx context.Context, key string, work func(context.Context) (V, error)) (V, error) {
	g.mu.Lock()
	if v, ok := g.kept[key]; ok {
		g.mu.Unlock()
		return v, nil
	}
	c, ok := g.calls[key]
	if !ok {
		c = g.start(ctx, key, work)
	}
	c.waiting++
	g.mu.Unlock()
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		g.leave(key, c)
		var none V
		return none, ctx.Err()
	}
}

// start begins the work. The caller holds g.mu.
func (g *Group[V]) start(ctx context.Context, key string, work func(context.Context) (V, error)) *call[V] {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &call[V]{cancel: cancel, done: make(chan struct{})}
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

// remember keeps an answer and forgets the oldest. The caller holds g.mu.
func (g *Group[V]) remember(key string, v V) {
	if _, ok := g.kept[key]; ok || g.keep == 0 {
		return
	}
	if len(g.order) == g.keep {
		delete(g.kept, g.order[0])
		g.order = g.order[1:]
	}
	g.kept[key] = v
	g.order = append(g.order, key)
}
