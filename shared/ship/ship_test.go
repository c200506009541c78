package ship

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eider-analytics/eider/shared"
)

func TestDeliversInOrderTheSameBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, agg := newSource(), newAggregator(t)
		agg.needsHi = true
		agg.before = func(n int, r *http.Request) *http.Response {
			if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get(shared.HeaderBoot) != src.boot.String() {
				t.Errorf("headers %v", r.Header)
			}
			sent, err := strconv.ParseInt(r.Header.Get(shared.HeaderSentAt), 10, 64)
			if err != nil || sent != time.Now().UnixMicro() {
				t.Errorf("sent at %d, %v", sent, err)
			}
			if !strings.HasPrefix(r.URL.String(), "http://aggregator.test/base/v1/") {
				t.Errorf("sent to %s", r.URL)
			}
			return nil
		}
		for range 5 {
			src.add(3)
		}
		src.restart()
		src.add(4)
		s, stop := run(t, src, agg, nil)
		synctest.Wait()
		src.add(1)
		synctest.Wait()
		agg.wantGot(src)
		if len(agg.hellos) != 1 || agg.hellos[0].Name != "edge" || agg.hellos[0].Boot != src.boot {
			t.Errorf("hellos %+v", agg.hellos)
		}
		if st := s.Status(); st.State != StateConnected || st.Lag != 0 || st.Acked != 20 || st.LastAck.IsZero() {
			t.Errorf("%+v", st)
		}
		stop()
	})
}

func TestCountsWhatIsNewlyAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, agg := newSource(), newAggregator(t)
		agg.rejected[2], agg.rejected[5] = shared.RejectTime, shared.RejectText
		src.add(4)
		src.add(4)
		n := 0
		agg.after = func(_ int, ack *shared.Ack) (*http.Response, error) {
			if n++; n <= 2 {
				return nil, errors.New("the answer got lost")
			}
			// Said twice is counted once; what was not sent is not counted.
			ack.Rejected = append(ack.Rejected, ack.Rejected...)
			ack.Rejected = append(ack.Rejected, shared.Rejected{Seq: 1000, Reason: shared.RejectTime})
			ack.Undecodable = []shared.Range{{First: 7, Last: 2000}}
			return respond(http.StatusOK, ack), nil
		}
		_, stop := run(t, src, agg, nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		stop()
		if src.acked != 8 || src.rejected != 2 || src.lost != 2 {
			t.Errorf("acked %d, rejected %d, lost %d", src.acked, src.rejected, src.lost)
		}
	})
}

func TestAnAnswerThatIsNoneAcknowledgesNothing(t *testing.T) {
	for name, answer := range map[string]func(*shared.Ack) *http.Response{
		"captive portal": func(*shared.Ack) *http.Response { return respond(200, "<html>log in</html>") },
		"other epoch": func(a *shared.Ack) *http.Response {
			return respond(200, shared.Ack{Epoch: a.Epoch + 1, AckedThrough: a.AckedThrough, Expected: a.Expected})
		},
		"nothing reached": func(a *shared.Ack) *http.Response { return respond(200, shared.Ack{Epoch: a.Epoch}) },
		"empty":           func(*shared.Ack) *http.Response { return respond(200, "") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src, agg := newSource(), newAggregator(t)
				src.add(4)
				agg.after = func(_ int, a *shared.Ack) (*http.Response, error) { return answer(a), nil }
				s, stop := run(t, src, agg, nil)
				time.Sleep(time.Hour)
				synctest.Wait()
				if src.Acked() != 0 {
					t.Errorf("acknowledged through %d", src.Acked())
				}
				if st := s.Status(); st.State != StateRefused || st.LastError == "" {
					t.Errorf("%+v", st)
				}
				if n := agg.requests; n > 100 {
					t.Errorf("%d requests in an hour", n)
				}
				stop()
			})
		})
	}
}

func TestAnAcknowledgementBeyondWhatWasSentIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, agg := newSource(), newAggregator(t)
		src.add(4)
		agg.after = func(_ int, a *shared.Ack) (*http.Response, error) {
			a.AckedThrough = 1 << 40
			return respond(200, a), nil
		}
		_, stop := run(t, src, agg, nil)
		synctest.Wait()
		stop()
		if src.acked != 4 {
			t.Errorf("acknowledged through %d", src.acked)
		}
	})
}

func TestAGapIsAnsweredFromWhereItIsExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, agg := newSource(), newAggregator(t)
		for range 10 {
			src.add(5)
		}
		src.acked = 30 // but the aggregator was restored and knows 10
		agg.marks[src.epoch] = 11
		agg.onHello = func(_ *shared.Hello, r *shared.HelloReply) *shared.ErrorBody {
			r.Expected = nil // an aggregator that does not say so at once
			return nil
		}
		_, stop := run(t, src, agg, nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		stop()
		if src.acked != 50 || agg.marks[src.epoch] != 51 {
			t.Errorf("acknowledged %d, aggregator expects %d", src.acked, agg.marks[src.epoch])
		}
	})
}

func TestAHelloSaysWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, agg := newSource(), newAggregator(t)
		for range 10 {
			src.add(5)
		}
		src.acked = 30
		_, stop := run(t, src, agg, nil) // it knows nothing at all
		synctest.Wait()
		agg.wantGot(src)
		// Later it is replaced by an older backup, after a long silence.
		agg.mu.Lock()
		agg.marks[src.epoch] = 21
		agg.got = agg.got[:4]
		agg.mu.Unlock()
		time.Sleep(longBreak + time.Second)
		synctest.Wait()
		src.add(5)
		synctest.Wait()
		agg.wantGot(src)
		if len(agg.hellos) != 2 {
			t.Errorf("%d hellos", len(agg.hellos))
		}
		stop()
	})
}

func TestSaysHelloWhenAskedAndWhenSitesChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, agg := newSource(), newAggregator(t)
		agg.needsHi = true
		sites := []shared.SiteHello{{Domain: "one.example"}}
		s, stop := run(t, src, agg, func(c *Config) { c.Sites = func() []shared.SiteHello { return sites } })
		synctest.Wait()
		sites = append(sites, shared.SiteHello{Domain: "two.example"})
		s.SitesChanged()
		synctest.Wait()
		if len(agg.hellos) != 2 || !slices.Equal(agg.hellos[1].Sites, sites) {
			t.Fatalf("hellos %+v", agg.hellos)
		}
		// The aggregator restarts twice in a row and has forgotten who we are.
		for i := range 3 {
			agg.mu.Lock()
			agg.greeted = false
			agg.mu.Unlock()
			src.add(2)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if len(agg.hellos) != 3+i {
				t.Fatalf("%d hellos", len(agg.hellos))
			}
		}
		agg.wantGot(src)
		stop()
	})
}

func TestACopiedQueueTakesANewIdentityOnce(t *testing.T) {
	for _, where := range []string{"hello", "batches"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src, agg := newSource(), newAggregator(t)
				src.add(3)
				inUse := &shared.ErrorBody{Error: shared.ErrorDetail{Code: shared.CodeEdgeInUse}}
				if where == "hello" {
					agg.onHello = func(h *shared.Hello, _ *shared.HelloReply) *shared.ErrorBody {
						if h.Edge == (shared.EdgeID{1}) {
							return inUse
						}
						return nil
					}
				} else {
					agg.before = func(_ int, r *http.Request) *http.Response {
						if strings.HasSuffix(r.URL.Path, shared.PathBatches) && src.Edge() == (shared.EdgeID{1}) {
							return respond(http.StatusConflict, inUse)
						}
						return nil
					}
				}
				_, stop := run(t, src, agg, nil)
				synctest.Wait()
				src.add(3)
				synctest.Wait()
				stop()
				agg.wantGot(src) // what was sealed under the old id as well
				if src.renamed != 1 || agg.hellos[len(agg.hellos)-1].Edge != src.id {
					t.Errorf("%d new identities, hellos %+v", src.renamed, agg.hellos)
				}
			})
		})
	}
}

func TestAWrongTokenIsLoggedOnceAndTriedSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, agg := newSource(), newAggregator(t)
		src.add(3)
		var wrong atomic.Bool
		wrong.Store(true)
		agg.before = func(int, *http.Request) *http.Response {
			if wrong.Load() {
				return refuse(http.StatusUnauthorized, shared.CodeUnauthorized)
			}
			return nil
		}
		log, lines := logged()
		s, stop := run(t, src, agg, func(c *Config) { c.Logger = log })
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := agg.requests; n < 30 || n > 130 {
			t.Errorf("%d requests in an hour", n)
		}
		if st := s.Status(); st.State != StateUnauthorized || !st.BackoffUntil.After(time.Now()) {
			t.Errorf("%+v", st)
		}
		if got := lines(); len(got) != 1 || !strings.HasPrefix(got[0], "error ") {
			t.Errorf("logged %q", got)
		}
		wrong.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		agg.wantGot(src)
		if got := lines(); len(got) != 2 {
			t.Errorf("logged %q", got)
		}
		stop()
	})
}

func TestAQueueThatCantBeReadOrWrittenIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, agg := newSource(), newAggregator(t)
		src.add(3)
		src.readErr = errors.New("input/output error")
		s, stop := run(t, src, agg, nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if st := s.Status(); st.State != StateQueue {
			t.Errorf("%+v", st)
		}
		src.mu.Lock()
		src.readErr, src.ackErr = nil, errors.New("no space left on device")
		src.mu.Unlock()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		src.mu.Lock()
		src.ackErr = nil
		src.mu.Unlock()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		agg.wantGot(src)
		stop()
	})
}

func TestDrainDeliversWhatIsLeftOrSaysWhyNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, agg := newSource(), newAggregator(t)
		s, stop := run(t, src, agg, nil)
		synctest.Wait()
		stop()
		for range 100 {
			src.add(1000)
		}
		began := time.Now()
		if err := s.Drain(context.Background()); err != nil {
			t.Fatal(err)
		}
		agg.wantGot(src)
		if took := time.Since(began); took != 0 {
			t.Errorf("draining was paced: %s", took)
		}
		if err := s.Drain(context.Background()); err != nil { // nothing left
			t.Error(err)
		}

		src.add(1)
		agg.before = func(int, *http.Request) *http.Response { return reset() }
		if err := s.Drain(context.Background()); err == nil {
			t.Error("drained into nothing")
		}
		agg.before = nil
		src.mu.Lock()
		src.next++ // an event that never becomes durable
		src.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func TestNewRefusesWhatCantWork(t *testing.T) {
	for _, url := range []string{"", "aggregator:8787", "ftp://a", "http://", "http://a/?token=x", "http://a b/"} {
		if _, err := New(Config{URL: url, Token: "t"}, newSource()); err == nil {
			t.Errorf("%q was accepted", url)
		}
	}
	if _, err := New(Config{URL: "http://a"}, newSource()); err == nil {
		t.Error("no token was accepted")
	}
}
