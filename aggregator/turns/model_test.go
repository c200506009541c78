package turns

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestModel plays random arrivals against a model that is a plain list: who
// waits, in the order of coming. It knows nothing of accounts, only what the
// package promises.
func TestModel(t *testing.T) {
	for range 30 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

// statement is one of the model.
type statement struct {
	n     int
	ask   Ask
	takes time.Duration
	leave context.CancelFunc
}

type model struct {
	q       *Turns
	slots   [classes]int
	limit   int
	waiting [classes][]*statement
	running [classes]int
}

func play(t *testing.T, r *rand.Rand) {
	m := &model{slots: [classes]int{1 + r.IntN(3), 1 + r.IntN(2)}, limit: 1 + r.IntN(12)}
	m.q = New(Config{Light: m.slots[Light], Heavy: m.slots[Heavy], Waiting: m.limit})
	began, left, refused := make(chan *statement), make(chan *statement), make(chan *statement)
	ended := make(chan *statement)
	count := 0
	drain := func() {
		synctest.Wait()
		for {
			select {
			case s := <-began:
				m.begin(t, s)
			case s := <-ended:
				m.running[s.ask.Class]--
			case s := <-left:
				m.drop(t, s)
			case s := <-refused:
				m.refuse(t, s)
			default:
				m.check(t)
				return
			}
			synctest.Wait()
		}
	}
	for range 400 {
		switch r.IntN(10) {
		case 0, 1, 2, 3, 4, 5:
			count++
			takes := time.Duration(1+r.IntN(500)) * time.Millisecond
			s := &statement{n: count, takes: takes, ask: Ask{
				Class: Class(r.IntN(int(classes))), Site: fmt.Sprint(r.IntN(4)), Client: fmt.Sprint(r.IntN(3)),
				Cost: takes * time.Duration(r.IntN(5)) / 2, // guesses are wrong
			}}
			ctx, cancel := context.WithCancel(t.Context())
			s.leave = cancel
			m.waiting[s.ask.Class] = append(m.waiting[s.ask.Class], s)
			go func() {
				turn, err := m.q.Enter(With(ctx, s.ask))
				var full *FullError
				switch {
				case errors.As(err, &full):
					refused <- s
				case err != nil:
					left <- s
				default:
					began <- s
					time.Sleep(s.takes)
					turn.End()
					ended <- s
				}
			}()
		case 6:
			if list := m.waiting[r.IntN(int(classes))]; len(list) > 0 {
				list[r.IntN(len(list))].leave()
			}
		default:
			time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
		}
		drain()
	}
	for range 100 { // everything comes to its end
		time.Sleep(time.Second)
		drain()
	}
	for c := range classes {
		if len(m.waiting[c]) > 0 || m.running[c] > 0 || len(m.q.lines[c].sites) > 0 {
			t.Errorf("of the %s ones %d wait for ever, %d run, %d sites are remembered", c, len(m.waiting[c]), m.running[c], len(m.q.lines[c].sites))
		}
	}
}

func (m *model) find(t *testing.T, s *statement) (c Class, at int) {
	c = s.ask.Class
	if at = slices.Index(m.waiting[c], s); at < 0 {
		t.Fatalf("statement %d does not wait", s.n)
	}
	return c, at
}

func (m *model) drop(t *testing.T, s *statement) {
	c, at := m.find(t, s)
	m.waiting[c] = slices.Delete(m.waiting[c], at, at+1)
}

// begin: a client's statements begin in their order.
func (m *model) begin(t *testing.T, s *statement) {
	c, at := m.find(t, s)
	for _, other := range m.waiting[c][:at] {
		if other.ask.Site == s.ask.Site && other.ask.Client == s.ask.Client {
			t.Errorf("statement %d overtook %d of the same client", s.n, other.n)
		}
	}
	m.drop(t, s)
	m.running[c]++
}

// refuse: only where the line is full, only of a site that waits for most, of
// it a client that waits for most, and of its statements the newest.
func (m *model) refuse(t *testing.T, s *statement) {
	c, _ := m.find(t, s)
	if len(m.waiting[c]) <= m.limit {
		t.Errorf("refused although %d of %d wait", len(m.waiting[c]), m.limit)
	}
	sites, clients := map[string]int{}, map[string]int{}
	newest := 0
	for _, o := range m.waiting[c] {
		sites[o.ask.Site]++
		if o.ask.Site == s.ask.Site {
			clients[o.ask.Client]++
			if o.ask.Client == s.ask.Client {
				newest = max(newest, o.n)
			}
		}
	}
	for name, n := range sites {
		if n > sites[s.ask.Site] {
			t.Errorf("refused one of %d of site %s, although site %s waits for %d", sites[s.ask.Site], s.ask.Site, name, n)
		}
	}
	for name, n := range clients {
		if n > clients[s.ask.Client] {
			t.Errorf("refused one of %d of client %s, although client %s waits for %d", clients[s.ask.Client], s.ask.Client, name, n)
		}
	}
	if s.n != newest {
		t.Errorf("refused %d, although %d is newer", s.n, newest)
	}
	m.drop(t, s)
}

// check: no more run than may, none waits while a slot is free, no more wait
// than may, and the package says so itself.
func (m *model) check(t *testing.T) {
	for c := range classes {
		if m.running[c] > m.slots[c] || m.running[c] < m.slots[c] && len(m.waiting[c]) > 0 || len(m.waiting[c]) > m.limit {
			t.Errorf("%s: %d of %d run, %d of %d wait", c, m.running[c], m.slots[c], len(m.waiting[c]), m.limit)
		}
		if got := m.q.Load(c); got != (Load{m.running[c], len(m.waiting[c])}) {
			t.Errorf("%s: it says %+v, %d run and %d wait", c, got, m.running[c], len(m.waiting[c]))
		}
	}
}

// TestEvenShares: whatever statements take and however many clients there are,
// what sites that always wait were given differs by a statement of each at most,
// for each slot; so with the clients of a site. The seed is printed.
func TestEvenShares(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { share(t, rand.New(rand.NewPCG(seed, 2))) })
		})
	}
}

func share(t *testing.T, r *rand.Rand) {
	slots, sites := 1+r.IntN(3), 2+r.IntN(3)
	q := New(Config{Light: slots, Heavy: 1, Waiting: 1000})
	bySite, byClient := map[string]time.Duration{}, map[string]time.Duration{}
	largest := time.Duration(0)
	type task struct {
		ask   Ask
		takes time.Duration
	}
	var tasks []task
	for site := range sites {
		clients := 1 + r.IntN(3)
		usual := 1 + r.IntN(1000)
		for client := range clients {
			for range slots + 1 { // always waits
				takes := time.Duration(usual+r.IntN(usual)) * time.Millisecond
				cost := takes * time.Duration(r.IntN(5)) / 2
				largest = max(largest, takes, cost)
				tasks = append(tasks, task{Ask{Site: fmt.Sprint(site), Client: fmt.Sprint(client), Cost: cost}, takes})
			}
		}
	}
	ended := make(chan task)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, task := range tasks {
		all.Go(func() {
			for ask(ctx, q, task.ask, task.takes) == nil {
				ended <- task
			}
		})
	}
	for until := time.Now().Add(30 * time.Minute); time.Now().Before(until); {
		task := <-ended
		bySite[task.ask.Site] += task.takes
		byClient[task.ask.Site+"/"+task.ask.Client] += task.takes
	}
	cancel()
	go func() { all.Wait(); close(ended) }()
	for range ended { // the last ones end
	}
	bound := 2 * time.Duration(slots) * largest
	for _, given := range []map[string]time.Duration{bySite, byClient} {
		for a, x := range given {
			for b, y := range given {
				sameSite := len(a) == 1 || a[0] == b[0]
				if sameSite && x-y > bound {
					t.Errorf("%d slots: %s was given %s, %s %s: more than %s apart", slots, a, x, b, y, bound)
				}
			}
		}
	}
}
