package erasure

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
)

var testKey = make(key, keyBytes)

// plain is an erasure with its ids, and what it means by the book.
type plain struct {
	entry    state.Erasure
	visitors []uint64
	distinct string
}

func (p *plain) erased(site string, w *lake.Who) bool {
	e := &p.entry
	if e.SiteID != site || w.Time < e.From || w.Time >= e.To {
		return false
	}
	// A done one has to do with what comes: with that its own clock says it is
	// younger than the asking, nothing.
	if w.Time > e.AskedAt && (w.ReceivedAt > e.AskedAt || e.State == state.ErasureDone && p.visitors == nil && p.distinct == "") {
		return false
	}
	visitor := w.VisitorID != 0 && slices.Contains(p.visitors, w.VisitorID) || w.PrevVisitorID != 0 && slices.Contains(p.visitors, w.PrevVisitorID)
	distinct := p.distinct != "" && w.DistinctID == p.distinct
	switch {
	case e.Both:
		return visitor && distinct
	case p.visitors == nil && p.distinct == "":
		return true
	}
	return visitor || distinct
}

func randomPlain(r *rand.Rand) plain {
	p := plain{entry: state.Erasure{
		SiteID: pick(r, "a", "b"), To: math.MaxInt64, AskedAt: r.Int64N(120), State: pick(r, state.ErasureOpen, state.ErasureDone), Key: testKey.name(),
	}}
	e := &p.entry
	if r.IntN(2) == 0 {
		e.From = r.Int64N(100)
		e.To = e.From + r.Int64N(20)
	}
	d := testKey.of(e.SiteID)
	kind := r.IntN(4)
	if kind == 0 && r.IntN(3) > 0 {
		e.From, e.To = 40, 40+r.Int64N(10)
	}
	if kind&1 != 0 {
		for range 1 + r.IntN(3) {
			id := 1 + r.Uint64N(300)
			p.visitors = append(p.visitors, id)
			e.Visitors = append(e.Visitors, d.visitor(id).String())
		}
	}
	if kind&2 != 0 {
		p.distinct = fmt.Sprint("person-", r.IntN(8))
		e.Distinct = d.distinct(p.distinct).String()
	}
	e.Both = kind == 3 && r.IntN(2) == 0
	return p
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// TestRulesAgainstTheBook compares what is looked up with what entries mean.
func TestRulesAgainstTheBook(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	hits := 0
	for range 300 {
		var book []plain
		var entries []state.Erasure
		for range r.IntN(8) {
			p := randomPlain(r)
			book, entries = append(book, p), append(entries, p.entry)
		}
		rules, foreign := compile(testKey, entries)
		if foreign != 0 {
			t.Fatalf("%d entries are of another key", foreign)
		}
		for _, site := range []string{"a", "b", "c"} {
			gone := rules.of(site)
			for range 200 {
				w := lake.Who{Time: r.Int64N(130), VisitorID: r.Uint64N(300), PrevVisitorID: pick(r, 0, 0, r.Uint64N(300)), DistinctID: pick(r, "", "", fmt.Sprint("person-", r.IntN(8)))}
				w.ReceivedAt = w.Time - 10 + r.Int64N(40)
				want := slices.ContainsFunc(book, func(p plain) bool { return p.erased(site, &w) })
				if got := gone != nil && gone(&w); got != want {
					t.Fatalf("site %s, %+v: erased is %v, want %v, by %+v", site, w, got, want, book)
				}
				if want {
					hits++
				}
			}
		}
	}
	if hits == 0 {
		t.Error("nothing was ever erased")
	}
}

func TestDigestsTellNothing(t *testing.T) {
	other := slices.Clone(testKey)
	other[0] = 1
	seen := map[digest]string{}
	for what, d := range map[string]digest{
		"visitor": testKey.of("a").visitor(1), "another": testKey.of("a").visitor(2), "of another site": testKey.of("b").visitor(1),
		"another key": other.of("a").visitor(1), "distinct": testKey.of("a").distinct("1"),
		"distinct of the same bytes": testKey.of("a").distinct("\x00\x00\x00\x00\x00\x00\x00\x01"),
	} {
		if was, twice := seen[d]; twice {
			t.Errorf("%s and %s have one digest", what, was)
		}
		seen[d] = what
		if back, ok := parseDigest(d.String()); !ok || back != d {
			t.Errorf("%s does not come back", d)
		}
	}
	for _, text := range []string{"", "00", "xyz", testKey.of("a").visitor(1).String() + "00"} {
		if _, ok := parseDigest(text); ok {
			t.Errorf("%q is a digest", text)
		}
	}
	entry := state.Erasure{SiteID: "a", To: math.MaxInt64, AskedAt: math.MaxInt64, Key: testKey.name(), Visitors: []string{testKey.of("a").visitor(1).String()}}
	if rules, foreign := compile(other, []state.Erasure{entry}); foreign != 1 || rules.of("a") != nil {
		t.Error("an entry of another key is applied")
	}
	if _, foreign := compile(nil, []state.Erasure{entry}); foreign != 1 {
		t.Error("an entry is applied without a key")
	}
}

// BenchmarkLookUp is what an erasure costs each row that comes in.
func BenchmarkLookUp(b *testing.B) {
	for _, c := range []struct {
		name             string
		entries, persons int
		after            int64 // the last erasure's time
	}{{"none", 0, 0, 0}, {"days=1000", 1000, 0, 0}, {"visitors=100000,now", 1000, 100, 2000}, {"visitors=1,late", 1, 1, 0}, {"visitors=100000,late", 1000, 100, 0}} {
		b.Run(c.name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			var entries []state.Erasure
			d := testKey.of("a")
			for i := range int64(c.entries) {
				e := state.Erasure{SiteID: "a", From: 2 * i, To: 2*i + 1, AskedAt: 2000, Key: testKey.name(), State: state.ErasureDone}
				if c.persons > 0 {
					e.From, e.To = 0, math.MaxInt64
				}
				for range c.persons {
					e.Visitors = append(e.Visitors, d.visitor(r.Uint64()).String())
				}
				entries = append(entries, e)
			}
			rules, _ := compile(testKey, entries)
			rows := make([]lake.Who, 4096)
			for i := range rows {
				rows[i] = lake.Who{Time: c.after + 1 + r.Int64N(1999), VisitorID: r.Uint64() | 1}
				rows[i].ReceivedAt = rows[i].Time
			}
			var n int
			for b.Loop() {
				gone := rules.of("a")
				for i := range rows {
					if gone != nil && gone(&rows[i]) {
						n++
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(rows)), "ns/row")
		})
	}
}
