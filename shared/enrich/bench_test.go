package enrich

import (
	"testing"

	"github.com/eider-analytics/eider/shared"
)

func BenchmarkEnrich(b *testing.B) {
	e := newEnricher(b)
	o := view()
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
