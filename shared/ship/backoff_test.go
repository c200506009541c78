package ship

import (
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eider-analytics/eider/shared"
)

func TestThreeDaysWithoutAggregator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, agg := newSource(), newAggregator(t)
		agg.before = func(int, *http.Request) *http.Response { return reset() }
		log, lines := logged()
		_, stop := run(t, src, agg, func(c *Config) { c.Logger = log })
		for range 3 * 24 {
			src.add(100)
			time.Sleep(time.Hour)
			synctest.Wait()
		}
		// Full jitter of five minutes is 150 s on average: some 1,700 tries.
		if n := agg.requests; n < 1000 || n > 2600 {
			t.Errorf("%d requests in three days", n)
		}
		if got := lines(); len(got) != 1 {
			t.Errorf("logged %q", got)
		}
		agg.mu.Lock()
		agg.before = nil
		agg.mu.Unlock()
		time.Sleep(maxBackoff + time.Second)
		synctest.Wait()
		agg.wantGot(src)
		stop()
	})
}

func TestWaitsGrowAndAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, agg := newSource(), newAggregator(t)
		agg.before = func(int, *http.Request) *http.Response { return refuse(http.StatusBadGateway, "") }
		_, stop := run(t, src, agg, nil)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		stop()
		var longest time.Duration
		short := 0
		for i := 1; i < len(agg.times); i++ {
			wait := agg.times[i].Sub(agg.times[i-1])
			if ceiling := min(maxBackoff, minBackoff<<min(i-1, 20)); wait > ceiling {
				t.Errorf("wait %d is %s, beyond %s", i, wait, ceiling)
			}
			longest = max(longest, wait)
			if i > 20 && wait < maxBackoff/4 {
				short++
			}
		}
		if longest < maxBackoff/2 || short == 0 {
			t.Errorf("longest %s, %d short ones of %d: that is no full jitter", longest, short, len(agg.times))
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for _, c := range []struct {
		status   int
		value    func() string
		min, max time.Duration
	}{
		{http.StatusTooManyRequests, func() string { return "30" }, 30 * time.Second, 33 * time.Second},
		{http.StatusServiceUnavailable, func() string { return time.Now().Add(time.Minute).UTC().Format(http.TimeFormat) }, 59 * time.Second, 66 * time.Second},
		{http.StatusServiceUnavailable, func() string { return "86400" }, maxBackoff, maxBackoff + maxBackoff/10},
		{http.StatusServiceUnavailable, func() string { return "9999999999999999999" }, 0, minBackoff},
		{http.StatusServiceUnavailable, func() string { return "-5" }, 0, minBackoff},
		{http.StatusServiceUnavailable, func() string { return "soon" }, 0, minBackoff},
		{http.StatusServiceUnavailable, func() string { return "Thu, 01 Jan 1970 00:00:00 GMT" }, 0, minBackoff},
	} {
		synctest.Test(t, func(t *testing.T) {
			src, agg := newSource(), newAggregator(t)
			value := c.value()
			agg.before = func(n int, _ *http.Request) *http.Response {
				if n > 1 {
					return nil
				}
				resp := refuse(c.status, "busy")
				resp.Header = http.Header{"Retry-After": {value}}
				return resp
			}
			_, stop := run(t, src, agg, nil)
			time.Sleep(time.Hour)
			synctest.Wait()
			stop()
			if len(agg.times) < 2 {
				t.Fatalf("%q: never tried again", value)
			}
			if wait := agg.times[1].Sub(agg.times[0]); wait < c.min || wait > c.max {
				t.Errorf("%q: waited %s, want %s to %s", value, wait, c.min, c.max)
			}
		})
	}
}

func TestARequestThatIsTooLargeIsHalved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, agg := newSource(), newAggregator(t)
		for range 200 {
			src.add(5)
		}
		agg.maxBody = 10 * len(src.frames[0].Bytes)
		_, stop := run(t, src, agg, nil)
		synctest.Wait()
		agg.wantGot(src)
		stop()
		if agg.requests > 60 {
			t.Errorf("%d requests for 200 frames, 10 of which fit into one", agg.requests)
		}
	})
}

func TestAFrameThatNeverPassesIsGivenUpAfterAnHour(t *testing.T) {
	for _, status := range []int{http.StatusRequestEntityTooLarge, http.StatusBadRequest} {
		synctest.Test(t, func(t *testing.T) {
			src, agg := newSource(), newAggregator(t)
			src.add(5)
			src.add(30_000) // the large one
			src.add(5)
			agg.onlyMarkersFor(6, status)
			unheard := true
			agg.after = func(_ int, ack *shared.Ack) (*http.Response, error) {
				if ack.AckedThrough >= 30_005 && unheard { // the marker is there, its sender does not know
					unheard = false
					return nil, errors.New("the answer got lost")
				}
				if ack.AckedThrough >= 30_005 { // as a receiver answers what it knows already
					ack.Undecodable = []shared.Range{{First: 6, Last: 30_005}}
				}
				return respond(http.StatusOK, ack), nil
			}
			_, stop := run(t, src, agg, nil)
			time.Sleep(giveUpAfter - time.Minute)
			synctest.Wait()
			if src.Acked() != 5 {
				t.Fatalf("acknowledged through %d before the hour was over", src.Acked())
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			stop()
			if src.acked != 30_010 || src.lost != 30_000 || src.rejected != 0 {
				t.Errorf("acknowledged %d, lost %d, rejected %d", src.acked, src.lost, src.rejected)
			}
		})
	}
}

func TestABacklogIsPacedAndLiveTrafficIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, agg := newSource(), newAggregator(t)
		const backlog = 1_000_000
		for range backlog / 1000 {
			src.add(1000)
		}
		began := time.Now()
		_, stop := run(t, src, agg, nil)
		for src.Acked() < backlog {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		took := time.Since(began)
		if least := backlog / catchUpFloor * time.Second; took < least*8/10 || took > least*11/10 {
			t.Errorf("a backlog of %d took %s, want about %s", backlog, took, least)
		}
		// Caught up: what comes goes out at once.
		src.add(1000)
		synctest.Wait()
		if src.Acked() != backlog+1000 {
			t.Errorf("live events wait: %d of %d", src.Acked(), src.NextSeq()-1)
		}
		stop()
	})
}

func TestABusySiteCatchesUpAtFourTimesItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, agg := newSource(), newAggregator(t)
		const live = 10_000 // a second
		var away atomic.Bool
		away.Store(true)
		agg.before = func(int, *http.Request) *http.Response {
			if away.Load() {
				return refuse(http.StatusServiceUnavailable, "")
			}
			return nil
		}
		_, stop := run(t, src, agg, nil)
		second := func() {
			for range 10 {
				src.add(live / 10)
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
			}
		}
		for range 60 {
			second()
		}
		away.Store(false)
		var rates []uint64 // over five seconds each, as a window holds most of one
		for range 60 {
			before := src.Acked()
			for range 5 {
				second()
			}
			rates = append(rates, (src.Acked()-before)/5)
		}
		stop()
		if peak := slices.Max(rates); peak < 3*live || peak > 5*live {
			t.Errorf("went out per second: %d", rates)
		}
		if last := rates[len(rates)-1]; last > live*11/10 {
			t.Errorf("still catching up: %d", rates)
		}
	})
}

func TestThePacerForgetsAnOldRate(t *testing.T) {
	p := newPacer(100)
	now := time.Unix(0, 0)
	for i := range 60 {
		p.observe(uint64(i*10_000), now)
		now = now.Add(time.Second)
	}
	if r := p.rate(); r < 39_000 || r > 41_000 {
		t.Errorf("rate %v after a minute of 10,000 a second", r)
	}
	p.observe(60*10_000, now.Add(time.Hour))
	if r := p.rate(); r > 200 {
		t.Errorf("rate %v after an hour of silence", r)
	}
}

func TestTheWindowGrowsBackUnlessItIsLimited(t *testing.T) {
	w := newWindow()
	w.shrink(1<<20, 100)
	if w.bytes != 1<<19 || w.frames != 50 {
		t.Fatalf("%+v", w)
	}
	for range 20 {
		w.grow()
	}
	if w != newWindow() {
		t.Errorf("%+v", w)
	}
	w.limit(1000, 10)
	w.single()
	for range 20 {
		w.grow()
	}
	if w.bytes != 500 || w.frames != 5 {
		t.Errorf("%+v", w)
	}
	for range 20 {
		w.shrink(1, 1)
	}
	if w.bytes != 1 || w.frames != 1 {
		t.Errorf("%+v", w)
	}
}

// onlyMarkersFor refuses requests that hold the data of a sequence.
func (a *aggregator) onlyMarkersFor(seq uint64, status int) {
	a.refuseFrame = func(h *shared.Header) int {
		if h.Kind == shared.BatchData && h.FirstSeq <= seq && seq <= h.LastSeq() {
			return status
		}
		return 0
	}
}
