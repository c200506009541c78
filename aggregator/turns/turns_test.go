package turns

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ask takes a turn for a while and says what came of it.
func ask(ctx context.Context, q *Turns, a Ask, takes time.Duration) error {
	turn, err := q.Enter(With(ctx, a))
	if err != nil {
		return err
	}
	time.Sleep(takes)
	turn.End()
	return nil
}

// TestLightNeverWaitsForHeavy, nor heavy for light: each class has its slots.
func TestLightNeverWaitsForHeavy(t *testing.T) {
	for _, crowd := range []Class{Light, Heavy} {
		t.Run(crowd.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := New(Config{Light: 2, Heavy: 1, Waiting: 100})
				for n := range 50 {
					go func() { _ = ask(t.Context(), q, Ask{Class: crowd, Site: fmt.Sprint(n)}, time.Minute) }()
				}
				synctest.Wait()
				began := time.Now()
				if err := ask(t.Context(), q, Ask{Class: classes - 1 - crowd, Site: "other"}, time.Second); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took != time.Second {
					t.Errorf("the other class took %s", took)
				}
				time.Sleep(time.Hour)
			})
		})
	}
}

// TestSharesOfTime: sites share the time evenly, however many clients they
// have and whatever their statements take; so do a site's clients.
func TestSharesOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Config{Light: 1, Heavy: 1, Waiting: 100})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var mu sync.Mutex
		given := map[string]time.Duration{}
		for _, who := range []struct {
			ask   Ask
			takes time.Duration
			many  int
		}{
			{Ask{Class: Heavy, Site: "a", Client: "crowd", Cost: time.Second}, 10 * time.Second, 20},
			{Ask{Class: Heavy, Site: "a", Client: "two", Cost: time.Second}, time.Second, 2},
			{Ask{Class: Heavy, Site: "b", Client: "two", Cost: time.Minute}, 3 * time.Second, 2}, // said to be worse than it is
		} {
			for range who.many {
				go func() {
					for ask(ctx, q, who.ask, who.takes) == nil {
						mu.Lock()
						given[who.ask.Site] += who.takes
						given[who.ask.Site+"/"+who.ask.Client] += who.takes
						mu.Unlock()
					}
				}()
			}
		}
		time.Sleep(2 * time.Hour)
		cancel()
		synctest.Wait()
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		for _, pair := range [][2]string{{"a", "b"}, {"a/crowd", "a/two"}} {
			if x, y := given[pair[0]], given[pair[1]]; x < y*9/10 || y < x*9/10 {
				t.Errorf("%s was given %s, %s %s", pair[0], x, pair[1], y)
			}
		}
	})
}

// TestNothingIsSavedUp: who was away for an hour is not given an hour.
func TestNothingIsSavedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Config{Light: 1, Heavy: 1, Waiting: 1000})
		var mu sync.Mutex
		var order []string
		put := func(site string, n int) {
			for range n {
				go func() {
					if ask(t.Context(), q, Ask{Site: site, Cost: time.Second}, time.Second) == nil {
						mu.Lock()
						order = append(order, site)
						mu.Unlock()
					}
				}()
			}
			synctest.Wait()
		}
		put("busy", 200)
		time.Sleep(100*time.Second + time.Second/2)
		mu.Lock()
		order = nil
		mu.Unlock()
		put("new", 20)
		time.Sleep(20 * time.Second)
		mu.Lock()
		found := 0
		for _, site := range order {
			if site == "new" {
				found++
			}
		}
		if found < 9 || found > 11 {
			t.Errorf("of the next 20 turns %d are the new one's: %q", found, order)
		}
		mu.Unlock()
		time.Sleep(time.Hour)
	})
}

// TestFullLine: the newest of whoever waits for most has to go, and is told for
// how long.
func TestFullLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Config{Light: 1, Heavy: 1, Waiting: 10})
		refused := make(chan string, 100)
		put := func(site, client string) {
			go func() {
				err := ask(t.Context(), q, Ask{Class: Heavy, Site: site, Client: client}, 2*time.Second)
				var full *FullError
				if errors.As(err, &full) {
					if full.Class != Heavy || full.After < time.Second || full.After > time.Minute || full.After%time.Second != 0 {
						t.Errorf("refused with %+v", full)
					}
					refused <- site + "/" + client
				} else if err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		want := func(who string) {
			t.Helper()
			synctest.Wait()
			if got := q.Load(Heavy); got != (Load{1, 10}) {
				t.Errorf("running and waiting are %+v", got)
			}
			select {
			case got := <-refused:
				if got != who {
					t.Errorf("refused is %s, want %s", got, who)
				}
			default:
				if who != "" {
					t.Errorf("nobody was refused")
				}
			}
		}
		put("a", "greedy") // runs
		put("a", "modest")
		for range 9 {
			put("a", "greedy")
		}
		want("")
		put("b", "x")
		want("a/greedy")
		put("a", "greedy")
		want("a/greedy")
		put("a", "modest")
		want("a/greedy")
		put("b", "x")
		want("a/greedy")
		time.Sleep(time.Hour)
	})
}

// TestLeaving: who goes while waiting costs nobody anything, and is told so.
func TestLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Config{Light: 1, Heavy: 1})
		go func() { _ = ask(t.Context(), q, Ask{}, 10*time.Second) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := ask(ctx, q, Ask{Site: "impatient"}, time.Hour)
		var wait *WaitError
		if !errors.As(err, &wait) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("left with %v", err)
		}
		if got := q.Load(Light); got != (Load{1, 0}) {
			t.Errorf("running and waiting are %+v", got)
		}
		time.Sleep(time.Minute)
		if got := q.Load(Light); got != (Load{}) {
			t.Errorf("in the end running and waiting are %+v", got)
		}
	})
}

// TestJoin: work that somebody lighter joins does not wait in the heavy line.
func TestJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Config{Light: 1, Heavy: 1})
		for range 3 {
			go func() { _ = ask(t.Context(), q, Ask{Class: Heavy, Site: "other"}, time.Hour) }()
		}
		synctest.Wait()
		work := Share(With(t.Context(), Ask{Class: Heavy, Site: "a"}))
		began := time.Now()
		done := make(chan Class, 1)
		go func() {
			turn, err := q.Enter(work)
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(time.Second)
			turn.End()
			done <- turn.Class
		}()
		time.Sleep(10 * time.Second)
		Join(work, With(t.Context(), Ask{Class: Heavy, Site: "b"}))
		synctest.Wait()
		if got := q.Load(Light); got != (Load{}) {
			t.Errorf("one who is not lighter changed the class: %+v", got)
		}
		light := With(t.Context(), Ask{Class: Light, Site: "b"})
		Join(work, light)
		if class := <-done; class != Light || time.Since(began) != 11*time.Second {
			t.Errorf("a %s turn ended after %s", class, time.Since(began))
		}
		Settle(light, work)
		if waited, took := Spent(light); waited != 10*time.Second || took != time.Second {
			t.Errorf("it cost %s of waiting and %s", waited, took)
		}
		time.Sleep(5 * time.Hour)
	})
}

// TestRegister: names of metrics are not taken twice.
func TestRegister(t *testing.T) {
	r := prometheus.NewRegistry()
	q := New(Config{})
	if err := q.Register(r); err != nil {
		t.Fatal(err)
	}
	if err := ask(t.Context(), q, Ask{Class: Heavy}, 0); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil || len(families) != 5 {
		t.Fatalf("%d families, %v", len(families), err)
	}
	for _, f := range families {
		if len(f.Metric) != 2 {
			t.Errorf("%s has %d classes", f.GetName(), len(f.Metric))
		}
		if f.GetName() == "eider_query_seconds" && f.Metric[0].Histogram.GetSampleCount() != 1 { // heavy comes first
			t.Errorf("a turn was not observed: %v", f)
		}
	}
}
