package lake

import (
	"fmt"
	"math/rand/v2"

	"github.com/eider-analytics/eider/shared"
)

// traffic makes up events as a busy site sends them: most of them pageviews of
// people, a quarter of bots, a few custom events and errors.
type traffic struct {
	r     *rand.Rand
	edge  shared.EdgeID
	epoch shared.Epoch
	seq   uint64
	now   int64 // µs since 1970
	site  string
}

func newTraffic(seed uint64, site string) *traffic {
	return &traffic{
		r: rand.New(rand.NewPCG(seed, 2)), edge: shared.EdgeID{1, 2, byte(seed)}, epoch: shared.Epoch(seed | 1),
		now: 1_795_305_600_000_000, site: site, // 2026-11-22 00:00 UTC
	}
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// next returns the next event of the stream.
func (t *traffic) next() shared.Event {
	r := t.r
	t.seq++
	t.now += r.Int64N(20_000)
	visitor := r.Uint64N(20_000)*0x9E3779B97F4A7C15 + 1
	e := shared.Event{
		Site: "example.com", SiteID: t.site, Edge: t.edge, Epoch: t.epoch, Seq: t.seq, Time: t.now, ReceivedAt: t.now + 50_000,
		SkewMS: shared.Some[int64](3), Origin: shared.OriginEdge, Kind: shared.KindPageview, Hostname: "example.com",
		Pathname: fmt.Sprintf("/articles/%d/how-to-keep-eiders", r.IntN(1500)), VisitorID: visitor, Identity: "day",
		CountryCode: pick(r, "DE", "FR", "US", "IS", "NO"), Region: pick(r, "BY", "BE", "HH"), City: pick(r, "Berlin", "Reykjavík", "Oslo", "Paris"),
		Language: pick(r, "de", "en-GB", "fr"), Browser: pick(r, "Firefox", "Chrome", "Safari"), BrowserVersion: fmt.Sprint(120 + r.IntN(20)),
		OS: pick(r, "Windows", "macOS", "Linux", "iOS"), OSVersion: pick(r, "10", "11", "14.1"), DeviceType: pick(r, "desktop", "mobile"),
		Status: shared.Some[int64](200), Method: "GET", ContentType: "text/html", BytesSent: shared.Some(r.Int64N(90_000)),
		TTFBUS: shared.Some(r.Int64N(40_000)), Protocol: "HTTP/2.0", Verdict: shared.VerdictLikely, ViewID: r.Uint64() | 1,
	}
	switch n := r.IntN(100); {
	case n < 25:
		e.Kind, e.Verdict, e.VerdictReason = shared.KindRequest, shared.VerdictBot, "user_agent"
		e.BotName, e.BotCategory, e.BotOperator = pick(r, "GPTBot", "Googlebot", "AhrefsBot"), "crawler", "somebody"
		e.Browser, e.BrowserVersion, e.OS, e.OSVersion, e.DeviceType, e.ViewID = "", "", "", "", "", 0
	case n < 28:
		e.Kind, e.Status = shared.KindError, shared.Some[int64](404)
	case n < 32:
		e.Kind, e.Name = shared.KindEvent, "signup"
		e.Props = []shared.Prop{{Key: "plan", Value: "pro", Type: shared.PropString}, {Key: "seats", Value: "3", Type: shared.PropNumber}}
		e.RevenueAmount, e.RevenueCurrency = shared.Some(r.Int64N(1_000_000)), "EUR"
	case n < 65:
		e.ReferrerDomain, e.ReferrerPath, e.Source, e.Channel = "www.google.com", "/", "Google", "Organic Search"
	case n < 70:
		e.UTMSource, e.UTMMedium, e.UTMCampaign = "newsletter", "email", pick(r, "autumn", "winter")
	}
	return e
}

func (t *traffic) take(n int) []shared.Event {
	list := make([]shared.Event, n)
	for i := range list {
		list[i] = t.next()
	}
	return list
}
