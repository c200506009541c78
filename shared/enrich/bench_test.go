package enrich

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// steady is an enricher with a database of places, and an observation in one.
func steady(tb testing.TB) (*Enricher, shared.Observation) {
	tb.Helper()
	e, err := New(Config{GeoIP: writeDatabase(tb, "GeoLite2-City")})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = e.Close() })
	o := view()
	o.ClientIP = netip.MustParseAddr("198.51.100.1")
	return e, o
}

func BenchmarkEnrich(b *testing.B) {
	e, o := steady(b)
	var dst shared.Event
	b.ReportAllocs()
	for b.Loop() {
		e.Enrich(&o, &dst)
	}
}

func BenchmarkBot(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Bot(chrome)
	}
}

// BenchmarkBotMany asks for many user agents in turn, as a server does: none of
// them stays in the processor's nearest cache.
func BenchmarkBotMany(b *testing.B) {
	var many [1024]string
	for i := range many {
		many[i] = strings.Replace(chrome, "156", fmt.Sprint(i), 1)
		Bot(many[i])
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		Bot(many[i*7919%len(many)])
	}
}

// BenchmarkBotNew is the price of a user agent that was not seen before.
func BenchmarkBotNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		judge(chrome)
	}
}

func BenchmarkClientNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parseClient(chrome)
	}
}

func TestEnrichAllocatesLittle(t *testing.T) {
	e, o := steady(t)
	var dst shared.Event
	if n := testing.AllocsPerRun(1000, func() { e.Enrich(&o, &dst) }); n > 3 {
		t.Errorf("%v allocations an event, want 3 at most", n)
	}
	if dst.City != "Berlin" {
		t.Errorf("city %q: the database was not asked", dst.City)
	}
}
