package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/accesslog"
)

// pieces reads at most so many bytes at a time.
type pieces struct {
	r      io.Reader
	random *rand.Rand
}

func (p pieces) Read(b []byte) (int, error) {
	return p.r.Read(b[:min(len(b), 1+p.random.IntN(100_000))])
}

// TestCutterKeepsEveryLine compares the blocks of random logs with a split of
// the whole text: numbers, contents, and lines that are too long.
func TestCutterKeepsEveryLine(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	for round := range 40 {
		var b strings.Builder
		for range random.IntN(3000) {
			switch random.IntN(100) {
			case 0:
				b.WriteString(strings.Repeat("x", accesslog.MaxLine+random.IntN(2*blockSize)))
			case 1:
				b.WriteString("#Fields: date time c-ip cs-method cs-uri sc-status")
			case 2:
				b.WriteString("# nothing")
			case 3:
			default:
				b.WriteString(strings.Repeat("y", random.IntN(400)))
			}
			b.WriteString([]string{"\n", "\r\n"}[random.IntN(2)])
		}
		if round%2 == 0 {
			b.WriteString("the last line has no end")
		}
		text, whole := b.String(), round%4 < 2
		want := strings.SplitAfter(text, "\n")
		left := len(want) > 0 && want[len(want)-1] != "" && !whole
		if n := len(want) - 1; left || want[n] == "" {
			want = want[:n]
		}
		next := uint64(1)
		c := cutter{as: &accesslog.Notation{}, next: 1, emit: func(b *block) bool {
			if b.first != next {
				t.Fatalf("a block begins with line %d, want %d", b.first, next)
			}
			lines := strings.SplitAfter(b.text, "\n")
			if b.tooLong {
				if len(want[next-1]) <= accesslog.MaxLine {
					t.Fatalf("line %d is not too long", next)
				}
				next++
				return true
			}
			for _, l := range lines {
				if l == "" {
					continue
				}
				if l != want[next-1] {
					t.Fatalf("line %d is %.50q, want %.50q", next, l, want[next-1])
				}
				next++
			}
			return true
		}}
		tail, err := c.cut(pieces{strings.NewReader(text), random}, whole)
		if err != nil || tail != left || next != uint64(len(want))+1 {
			t.Fatalf("round %d: %d lines of %d, tail %v (want %v), %v", round, next-1, len(want), tail, left, err)
		}
	}
}

// TestAReaderThatFails: what it gave before is cut, and the error says where.
func TestAReaderThatFails(t *testing.T) {
	broken := errors.New("broken")
	lines := 0
	c := cutter{as: &accesslog.Notation{}, next: 1, emit: func(b *block) bool { lines += strings.Count(b.text, "\n"); return true }}
	_, err := c.cut(io.MultiReader(strings.NewReader("a\nb\nc"), iotest.ErrReader(broken)), true)
	var where *readError
	if !errors.As(err, &where) || !errors.Is(err, broken) || where.line != 2 || lines != 2 {
		t.Errorf("%v, %d lines", err, lines)
	}
}

// FuzzPrints: a log that has grown is known by what it was known by.
func FuzzPrints(f *testing.F) {
	f.Add([]byte("#a\nb\n\nc\nd"), 3)
	f.Add([]byte("\n\n\n"), 1)
	f.Fuzz(func(t *testing.T, head []byte, n int) {
		whole := prints(head, false)
		part := prints(head[:min(max(n, 0), len(head))], false)
		if len(part) > len(whole) {
			t.Fatalf("%d prints of a part, %d of the whole", len(part), len(whole))
		}
		for i := range part {
			if part[i] != whole[i] {
				t.Fatalf("print %d is another one for the part", i)
			}
		}
	})
}

// TestTwoAtOnce import the same log: each line counts once, whoever wins.
func TestTwoAtOnce(t *testing.T) {
	g := newRig(t, testSite)
	path := write(t, "access.log", []byte(strings.Repeat(visits(3000), 10)))
	var all sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		all.Go(func() { _, errs[i] = Run(context.Background(), g.options(path), io.Discard) })
	}
	all.Wait()
	done := 0
	for _, err := range errs {
		switch {
		case err == nil:
			done++
		case !strings.Contains(err.Error(), "another import of the same log"):
			t.Error(err)
		}
	}
	if done == 0 {
		t.Fatalf("none came to an end: %v", errs)
	}
	rows := map[uint64]int{}
	for _, r := range g.rows() {
		rows[r.Seq]++
	}
	for line := range uint64(30_000) {
		if rows[sequenceOf(line+1)] != 1 {
			t.Fatalf("line %d counts %d times", line+1, rows[sequenceOf(line+1)])
		}
	}
	if got := fmt.Sprint(g.sums()); got == "map[]" || !strings.Contains(got, string(shared.ResultPageview)) && !strings.Contains(got, string(shared.ResultBot)) {
		t.Errorf("sums %s", got)
	}
}
