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
