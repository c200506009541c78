package flight

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eider-analytics/eider/aggregator/turns"
)

// TestOneAnswerForAll: ten ask, the work is done once.
func TestOneAnswerForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string](1)
		var done atomic.Int32
		work := func(context.Context) (string, error) {
			time.Sleep(time.Second)
			return fmt.Sprint(done.Add(1)), nil
		}
		for range 10 {
			go func() {
				if v, err := g.Do(t.Context(), "a", work); v != "1" || err != nil {
					t.Errorf("got %q, %v", v, err)
				}
			}()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if v, _ := g.Do(t.Context(), "a", work); v != "1" {
			t.Errorf("the remembered answer is %q", v)
		}
		if v, _ := g.Do(t.Context(), "b", work); v != "2" {
			t.Errorf("another question's answer is %q", v)
		}
		if v, _ := g.Do(t.Context(), "a", work); v != "3" {
			t.Errorf("the forgotten answer is %q", v)
		}
	})
}

// TestWorkEndsWithTheLastWhoWaits: it goes on for those who stay.
func TestWorkEndsWithTheLastWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string](1)
		var ended atomic.Bool
		work := func(ctx context.Context) (string, error) {
			<-ctx.Done()
			ended.Store(true)
			return "", ctx.Err()
		}
		first, leaveFirst := context.WithCancel(t.Context())
		second, leaveSecond := context.WithCancel(t.Context())
		for _, ctx := range []context.Context{first, second} {
			go func() {
				if _, err := g.Do(ctx, "a", work); !errors.Is(err, context.Canceled) {
					t.Errorf("left with %v", err)
				}
			}()
		}
		synctest.Wait()
		leaveFirst()
		synctest.Wait()
		if ended.Load() {
			t.Error("the work ended although somebody waits")
		}
		leaveSecond()
		synctest.Wait()
		if !ended.Load() {
			t.Error("the work goes on although nobody waits")
		}
	})
}

// TestErrorsAreForgotten: who asks after a failure tries again.
func TestErrorsAreForgotten(t *testing.T) {
	g := New[string](1)
	_, err := g.Do(t.Context(), "a", func(context.Context) (string, error) { return "", errors.New("broken") })
	if err == nil {
		t.Fatal("no error")
	}
	v, err := g.Do(t.Context(), "a", func(context.Context) (string, error) { return "fine", nil })
	if v != "fine" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
}

// TestAPanicIsAnError of whoever asked, and of nobody else.
func TestAPanicIsAnError(t *testing.T) {
	g := New[int](1)
	_, err := g.Do(t.Context(), "a", func(context.Context) (int, error) {
		var none []int
		return none[len(none)], nil
	})
	if err == nil || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("answered with %v", err)
	}
	if v, err := g.Do(t.Context(), "a", func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("the next one: %d, %v", v, err)
	}
}

// TestForgetsWhatNobodyAsksFor: the sizes of what is kept stay within the limit,
// what was asked for last stays, and what would take too much is not kept.
func TestForgetsWhatNobodyAsksFor(t *testing.T) {
	g := Sized(100, func(key, v string) int64 { return int64(len(key) + len(v)) })
	made := 0
	ask := func(key string, size int) {
		t.Helper()
		v, err := g.Do(t.Context(), key, func(context.Context) (string, error) { made++; return strings.Repeat("x", size-1), nil })
		if err != nil || len(v) != size-1 {
			t.Fatalf("%s: %d bytes, %v", key, len(v), err)
		}
	}
	for _, key := range []string{"a", "b", "c", "d"} { // full
		ask(key, 25)
	}
	ask("a", 25)
	ask("e", 25) // b goes
	for _, c := range []struct {
		key  string
		size int
		made bool
	}{
		{"a", 25, false},
		{"c", 25, false},
		{"d", 25, false},
		{"e", 25, false},
		{"b", 25, true},     // a, the oldest, goes
		{"large", 26, true}, // is not kept
		{"large", 26, true},
		{"c", 25, false}, // and costs nobody its place
		{"f", 1, true},
		{"d", 25, true}, // one byte is one too many
	} {
		before := made
		ask(c.key, c.size)
		if (made > before) != c.made {
			t.Errorf("%s: made is %t", c.key, made > before)
		}
		if s := g.Stats(); s.Size > 100 {
			t.Errorf("%d bytes are kept", s.Size)
		}
	}
	if s := g.Stats(); s.Kept != 4 || s.Size != 76 || s.Hits != 6 || s.Made != 10 || s.Shared != 0 {
		t.Errorf("%+v", s)
	}
}

// TestLightOnesTakeWorkOutOfTheHeavyLine: work that is begun by a heavy question
// and joined by a light one does not wait behind heavy ones.
func TestLightOnesTakeWorkOutOfTheHeavyLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		order := turns.New(turns.Config{Light: 1, Heavy: 1})
		busy, err := order.Enter(turns.With(t.Context(), turns.Ask{Class: turns.Heavy}))
		if err != nil {
			t.Fatal(err)
		}
		g := New[turns.Class](1)
		work := func(ctx context.Context) (turns.Class, error) {
			turn, err := order.Enter(ctx)
			if err != nil {
				return 0, err
			}
			time.Sleep(time.Second)
			turn.End()
			return turn.Class, nil
		}
		for _, class := range []turns.Class{turns.Heavy, turns.Light} {
			go func() {
				ctx := turns.With(t.Context(), turns.Ask{Class: class})
				got, err := g.Do(ctx, "a", work)
				if waited, took := turns.Spent(ctx); got != turns.Light || err != nil || waited != time.Minute || took != time.Second {
					t.Errorf("a %s turn, %v, after %s for %s", got, err, waited, took)
				}
			}()
			synctest.Wait()
			if class == turns.Heavy {
				time.Sleep(time.Minute)
			}
		}
		time.Sleep(time.Minute)
		busy.End()
	})
}
