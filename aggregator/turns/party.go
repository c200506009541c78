package turns

import (
	"context"
	"sync"
	"time"
)

// party is who waits for one piece of work, and what the work has cost so far.
type party struct {
	mu      sync.Mutex
	ask     Ask
	tickets map[*ticket]*Turns // that wait
	waited  time.Duration
	took    time.Duration
}

type partyKey struct{}

func partyOf(ctx context.Context) *party {
	if p, ok := ctx.Value(partyKey{}).(*party); ok {
		return p
	}
	return &party{tickets: map[*ticket]*Turns{}}
}

// With says who asks for the turns of a piece of work.
func With(ctx context.Context, a Ask) context.Context {
	return context.WithValue(ctx, partyKey{}, &party{ask: a, tickets: map[*ticket]*Turns{}})
}

// Share is the context of work for which several may wait: it begins with the
// turns of whoever waits first.
func Share(ctx context.Context) context.Context {
	p := partyOf(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	return With(ctx, p.ask)
}

// Join tells shared work that somebody else waits for it. If their questions are
// of a lighter class, so is the work from then on, also where it waits for a
// turn already: nobody light waits in a heavy line.
func Join(work, joiner context.Context) {
	w, p := partyOf(work), partyOf(joiner)
	p.mu.Lock()
	a := p.ask
	p.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.Class >= w.ask.Class {
		return
	}
	w.ask = Ask{a.Class, a.Site, a.Client, w.ask.Cost}
	for k, t := range w.tickets {
		t.promote(k, w.ask)
	}
}

// Settle adds what shared work has cost to what the questions of one who waited
// for it have.
func Settle(joiner, work context.Context) {
	waited, took := Spent(work)
	partyOf(joiner).add(waited, took)
}

// Spent is how long the work's statements waited for their turns, and how long
// they ran.
func Spent(ctx context.Context) (waited, took time.Duration) {
	p := partyOf(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waited, p.took
}

func (p *party) class() Class {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ask.Class
}

func (p *party) add(waited, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waited, p.took = p.waited+waited, p.took+took
}

func (p *party) arrive(t *Turns) *ticket {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := t.arrive(p.ask)
	p.tickets[k] = t
	return k
}

func (p *party) forget(k *ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.tickets, k)
}
