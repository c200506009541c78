package generator

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/enrich"
)

// writer makes events of rows, in the order in which they arrive.
type writer struct {
	*plan
	m     *model
	sites []*site
	r     *rand.Rand
	seen  *measured
}

// event makes the event of a row of b.
func (w *writer) event(b *bucket, p *row, e *shared.Event) {
	*e = shared.Event{Time: p.at, Origin: shared.OriginEdge}
	if p.kind == rowSums {
		w.sums(b, p, e)
		return
	}
	v := &b.visits[p.visit]
	s := w.sites[v.site]
	e.Site, e.SiteID, e.Hostname = s.domain, s.id, s.domain
	if v.www {
		e.Hostname = "www." + s.domain
	}
	e.VisitorID, e.Identity = v.id, w.Identity
	if p.at < v.prevUntil {
		e.PrevVisitorID = v.prev
	}
	if p.kind == rowEvidence {
		e.Kind, e.Name = shared.KindCompletion, shared.CompletionEvidence
		e.Verdict, e.VerdictReason = shared.VerdictPerson, enrich.ReasonAssets
		return
	}
	w.setPlace(v, e)
	if v.robot >= 0 {
		w.robot(v, p, e)
		return
	}
	w.setClient(v, e)
	e.Verdict, e.VerdictReason = shared.VerdictLikely, enrich.ReasonBrowser
	e.Channel = enrich.ChannelDirect
	e.Pathname = w.m.pageOf[p.page%int32(len(w.m.pageOf))].path
	switch p.kind {
	case rowView:
		w.view(v, p, e)
	case rowError:
		e.Kind, e.Pathname = shared.KindError, w.m.goneOf[p.page]
		e.ReferrerDomain, e.ReferrerPath = e.Hostname, w.m.pageOf[p.n].path
		w.answer(v, e, 404, "text/html", 2_140)
	case rowDownload:
		e.Kind, e.Pathname = shared.KindDownload, fmt.Sprintf("/files/paper-%02d.pdf", p.page)
		w.answer(v, e, 200, "application/pdf", 180_000+int64(p.page)*41_317)
	default:
		w.script(v, p, e)
	}
}

func (w *writer) setPlace(v *visit, e *shared.Event) {
	c := &w.m.placeOf[v.place]
	e.CountryCode, e.Region, e.City, e.Language = c.CountryCode, c.Region, c.City, c.Language
}

func (w *writer) setClient(v *visit, e *shared.Event) {
	c := &w.m.clientOf[v.client]
	e.Browser, e.BrowserVersion, e.OS, e.OSVersion, e.DeviceType = c.Browser, c.BrowserVersion, c.OS, c.OSVersion, c.DeviceType
}

// setOrigin fills in where the visit came from, which the first view knows.
func (w *writer) setOrigin(v *visit, e *shared.Event) {
	o := &w.m.originOf[v.origin]
	f := &o.event
	e.ReferrerDomain, e.ReferrerPath, e.Source, e.Channel, e.Query = f.ReferrerDomain, f.ReferrerPath, f.Source, f.Channel, f.Query
	e.UTMSource, e.UTMMedium, e.UTMCampaign, e.UTMContent, e.UTMTerm = f.UTMSource, f.UTMMedium, f.UTMCampaign, f.UTMContent, f.UTMTerm
	if o.click == "" {
		return
	}
	id := fmt.Sprintf("Cj0KCQ%016x%016x", v.salt, mix(v.salt))
	e.Query = strings.TrimSuffix(f.Query, "x") + id
	switch o.click {
	case "gclid":
		e.GCLID = id
	case "fbclid":
		e.FBCLID = id
	case "msclkid":
		e.MSCLKID = id
	}
}

// answer fills in what the proxy knows of an answer.
func (w *writer) answer(v *visit, e *shared.Event, status int64, kind string, bytes int64) {
	e.Status, e.Method, e.ContentType = shared.Some(status), "GET", kind
	e.BytesSent, e.Protocol = shared.Some(bytes), protocols[v.protocol].text
	cache := w.m.cache.draw(w.r)
	e.CacheStatus = cacheStatuses[cache].text
	median := 14_000.0
	if e.CacheStatus == "hit" || e.CacheStatus == "stale" {
		median = 900
	}
	e.TTFBUS = shared.Some(int64(min(logNormal(w.r, median, 0.9), 30e6)))
}

func (w *writer) view(v *visit, p *row, e *shared.Event) {
	e.Kind, e.ViewID = shared.KindPageview, p.view
	if p.entry {
		w.setOrigin(v, e)
	}
	w.seen.view(v, p)
	if w.r.Float64() < notModified {
		w.answer(v, e, 304, "", 0)
		return
	}
	w.answer(v, e, 200, "text/html", w.m.pageOf[p.page].bytes[v.salt>>7&1])
}

// script makes what the beacon says.
func (w *writer) script(v *visit, p *row, e *shared.Event) {
	e.Origin, e.Verdict, e.VerdictReason = shared.OriginBeacon, shared.VerdictPerson, "beacon"
	e.ViewID, e.LoadID = p.view, p.load
	e.DedupeKey = fmt.Sprintf("%016x-%d", p.load, p.ordinal)
	switch p.kind {
	case rowLoad, rowCached, rowSoft:
		w.shown(v, p, e)
	case rowEngagement:
		e.Kind, e.EngagedMS = shared.KindEngagement, shared.Some(int64(p.n))
		e.ScrollDepth = shared.Some(int64(min(100, 5*(3+w.r.IntN(18)))))
	case rowVitals:
		e.Kind = shared.KindVitals
		w.vitals(e)
	case rowCustom:
		w.custom(p, e)
	case rowOutbound:
		e.Kind = shared.KindOutbound
		e.Props = []shared.Prop{{Key: "url", Value: fmt.Sprintf("https://%s/p%d", outboundHosts[p.view%uint64(len(outboundHosts))], p.view%97), Type: shared.PropString}}
	}
}

func (w *writer) shown(v *visit, p *row, e *shared.Event) {
	e.Kind, e.Title = shared.KindPageview, w.m.pageOf[p.page].title
	e.ScreenSize = w.m.screenText[v.client][v.screen]
	switch p.kind {
	case rowCached:
		e.Cached = shared.Some(true)
	case rowSoft:
		e.ViewID, e.ParentViewID = 0, p.view
	}
	if p.entry {
		w.setOrigin(v, e)
	}
}

func (w *writer) vitals(e *shared.Event) {
	ms := func(median float64) shared.Opt[float64] {
		return shared.Some(float64(int64(min(logNormal(w.r, median, 0.6), 60_000))))
	}
	e.FCPMS, e.LCPMS, e.NavTTFBMS = ms(900), ms(1_500), ms(180)
	e.CLS = shared.Some(float64(int64(min(logNormal(w.r, 0.03, 1.2), 3)*1000)) / 1000)
	if w.r.IntN(3) > 0 { // nobody else pressed anything
		e.INPMS = ms(90)
	}
}

// custom gives a custom event its properties.
func (w *writer) custom(p *row, e *shared.Event) {
	r := w.r
	e.Kind, e.Name = shared.KindEvent, customs[p.n].text
	text := func(key, value string) {
		e.Props = append(e.Props, shared.Prop{Key: key, Value: value, Type: shared.PropString})
	}
	number := func(key string, n int) {
		e.Props = append(e.Props, shared.Prop{Key: key, Value: strconv.Itoa(n), Type: shared.PropNumber})
	}
	switch e.Name {
	case "Search":
		number("results", int(logNormal(r, 12, 1)))
		text("scope", [...]string{"all", "blog", "docs", "shop"}[min(int(r.ExpFloat64()*1.2), 3)])
	case "Add to Cart", "Purchase":
		text("sku", fmt.Sprintf("SKU-%05d", w.m.product.draw(r)))
		number("quantity", 1+int(r.ExpFloat64()*0.6))
	case "Newsletter Signup":
		text("form", [...]string{"footer", "popup", "inline"}[r.IntN(3)])
	case "Video Play":
		text("video", fmt.Sprintf("video-%02d", int(r.ExpFloat64()*6)))
	case "Share":
		text("network", [...]string{"mastodon", "facebook", "x", "email", "link"}[min(int(r.ExpFloat64()*1.5), 4)])
	case "Signup":
		text("plan", [...]string{"free", "pro", "team"}[min(int(r.ExpFloat64()), 2)])
		e.Props = append(e.Props, shared.Prop{Key: "trial", Value: strconv.FormatBool(r.IntN(4) > 0), Type: shared.PropBool})
	}
	if e.Name == "Purchase" {
		cents := int64(logNormal(r, 3_900, 0.8))
		e.RevenueAmount = shared.Some(cents * 100)
		e.RevenueCurrency = [...]string{"EUR", "USD", "GBP"}[min(int(r.ExpFloat64()*0.8), 2)]
	}
}

// robot makes a request of an automaton.
func (w *writer) robot(v *visit, p *row, e *shared.Event) {
	c := &w.m.robotOf[v.robot]
	w.seen.robots[v.robot]++
	e.Language, e.Channel = "", c.Channel
	e.Browser, e.BrowserVersion, e.OS, e.OSVersion, e.DeviceType = c.Browser, c.BrowserVersion, c.OS, c.OSVersion, c.DeviceType
	e.Verdict, e.VerdictReason, e.BotName, e.BotCategory = c.Verdict, c.VerdictReason, c.BotName, c.BotCategory
	e.BotOperator, e.AIPurpose, e.AgentToken = c.BotOperator, c.AIPurpose, c.AgentToken
	size := int64(0)
	if p.n <= botUnchanged {
		e.Pathname, size = w.m.pageOf[p.page].path, w.m.pageOf[p.page].bytes[0]
	}
	switch p.n {
	case botPage:
		e.Kind = shared.KindPageview
		w.answer(v, e, 200, "text/html", size)
	case botUnchanged:
		e.Kind = shared.KindPageview
		w.answer(v, e, 304, "", 0)
	case botGone:
		e.Kind, e.Pathname = shared.KindError, w.m.goneOf[p.page]
		w.answer(v, e, 404, "text/html", 2_140)
	case botProbe:
		e.Kind, e.Pathname = shared.KindError, probes[p.page]
		w.answer(v, e, 404, "text/html", 2_140)
	case botAsset:
		e.Kind, e.Pathname = shared.KindRequest, fmt.Sprintf("/assets/img-%02d.webp", p.page)
		w.answer(v, e, 200, "image/webp", 30_000+int64(p.page)*1_733)
	case botDownload:
		e.Kind, e.Pathname = shared.KindDownload, fmt.Sprintf("/files/paper-%02d.pdf", p.page)
		w.answer(v, e, 200, "application/pdf", 180_000+int64(p.page)*41_317)
	case botFeed:
		e.Kind, e.Pathname, e.Props = shared.KindFeed, "/feed.xml", c.Props
		w.answer(v, e, 200, "application/rss+xml", 48_211)
	}
}

// sums makes the row with a minute's requests by result.
func (w *writer) sums(b *bucket, p *row, e *shared.Event) {
	m := &b.sums[p.visit]
	s := w.sites[m.site]
	e.Site, e.SiteID = s.domain, s.id
	e.Kind, e.Name = shared.KindCompletion, shared.CompletionRequests
	e.DedupeKey = fmt.Sprintf("%016x-%d", mix(w.Seed, uint64(m.site), uint64(m.edge), 7), m.minute/minute)
	for i, n := range m.counts {
		if n > 0 {
			e.Props = append(e.Props, shared.Prop{Key: string(summed[i]), Value: strconv.FormatUint(uint64(n), 10), Type: shared.PropNumber})
		}
	}
}
