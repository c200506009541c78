package enrich

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/internal/cpu"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/registry"
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

// BenchmarkEnrich is the steady state: of a site that nobody knows yet, of one
// with a salt of the aggregator's, of one in the hours after midnight, when the
// identity before goes along, and of one with patterns of its own.
func BenchmarkEnrich(b *testing.B) {
	unknown, o := steady(b)
	plain, _, _ := known(b, shared.Privacy{}, "Europe/Berlin")
	patterns, _, _ := known(b, shared.Privacy{HourTimes: true, CountryOnly: true, Redact: []string{`/user/\d+`, `(?i)invoice-[a-z0-9]+`}}, "Europe/Berlin")
	midnight := o
	midnight.Time = noon - 2*3600e6 // the salt begins three hours before noon
	for _, c := range []struct {
		name string
		e    *Enricher
		o    shared.Observation
	}{{"unknown", unknown, o}, {"known", plain, o}, {"after-midnight", rotated(b), midnight}, {"patterns", patterns, o}} {
		b.Run(c.name, func(b *testing.B) {
			var dst shared.Event
			b.ReportAllocs()
			report := cpu.Report(b)
			for b.Loop() {
				c.e.Enrich(&c.o, &dst)
			}
			report()
			if (dst.PrevVisitorID != 0) != (c.name == "after-midnight") || dst.VisitorID == 0 || dst.CountryCode != "DE" {
				b.Errorf("%+v", dst)
			}
		})
	}
}

// rotated is an enricher for a site whose salt began an hour before midnight's
// observation, and that has the one before.
func rotated(b *testing.B) *Enricher {
	e, holder, _ := known(b, shared.Privacy{}, "UTC")
	s := stateWith(shared.Privacy{}, "UTC")
	s.Salts = append(s.Salts, shared.Salt{Site: "shop", Key: [32]byte{6}, From: noon - 27*3600e6, Until: noon - 3*3600e6, Identity: shared.IdentityDay})
	holder.Store(registry.NewView(s))
	return e
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
	known, _, _ := known(t, shared.Privacy{CountryOnly: true, HourTimes: true}, "Europe/Berlin")
	for _, e := range []*Enricher{known, e} {
		if n := testing.AllocsPerRun(1000, func() { e.Enrich(&o, &dst) }); n > 3 {
			t.Errorf("%v allocations an event, want 3 at most", n)
		}
	}
	if dst.City != "Berlin" {
		t.Errorf("city %q: the database was not asked", dst.City)
	}
}
