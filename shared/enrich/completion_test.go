package enrich

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// A completion has the visitor and the view that it is about, and nothing of
// the request that told.
func TestCompletionsSayWhoseAndNothingElse(t *testing.T) {
	e := newEnricher(t)
	page := view()
	var seen shared.Event
	e.Enrich(&page, &seen)
	for _, c := range []struct {
		name   string
		viewID uint64
	}{{shared.CompletionEvidence, 0}, {shared.CompletionActivation, 42}} {
		o := page
		o.Completion, o.Result, o.Kind, o.ViewID = c.name, "", "", c.viewID
		var got shared.Event
		e.Enrich(&o, &got)
		want := shared.Event{
			Site: "example.com", Hostname: "example.com", Time: noon, Origin: shared.OriginEdge, Kind: shared.KindCompletion, Name: c.name,
			Verdict: shared.VerdictPerson, VerdictReason: ReasonAssets,
			VisitorID: seen.VisitorID, Identity: seen.Identity, ViewID: c.viewID,
		}
		if !reflect.DeepEqual(got, want) || seen.VisitorID == 0 {
			t.Errorf("%s became\n%+v, want\n%+v", c.name, got, want)
		}
		if why := got.Check(); why != "" {
			t.Errorf("%s: %s", c.name, why)
		}
	}
}

// A prefetch has all that a page view has, and is none.
func TestAPrefetchIsACompletionWithAllOfAPage(t *testing.T) {
	e := newEnricher(t)
	page := view()
	ahead := page
	ahead.Result, ahead.Kind = shared.ResultPrefetch, shared.KindRequest
	var want, got shared.Event
	e.Enrich(&page, &want)
	e.Enrich(&ahead, &got)
	want.Kind, want.Name = shared.KindCompletion, shared.CompletionPrefetch
	if !reflect.DeepEqual(got, want) || got.ViewID != 42 {
		t.Errorf("became\n%+v, want\n%+v", got, want)
	}
}

// Of an error the page is kept that led there, the site's own first of all; it
// is no source for that.
func TestErrorsKeepTheirReferrer(t *testing.T) {
	e := newEnricher(t)
	for _, c := range []struct {
		kind                 shared.Kind
		referer, fetchSite   string
		domain, path, source string
	}{
		{shared.KindError, "https://www.example.com/the/broken/link?x=SECRET", "same-origin", "example.com", "/the/broken/link", ""},
		{shared.KindError, "https://blog.example.org/post", "cross-site", "blog.example.org", "/post", "blog.example.org"},
		{shared.KindError, "", "none", "", "", ""},
		{shared.KindPageview, "https://www.example.com/before", "same-origin", "", "", ""},
	} {
		o := shared.Observation{
			Site: "example.com", Host: "www.example.com", Kind: c.kind, Time: noon, ClientIP: netip.MustParseAddr("192.0.2.1"),
			Path: "/gone", Method: "GET", Status: 404, UserAgent: chrome, Referer: c.referer, SecFetchSite: c.fetchSite,
		}
		var got shared.Event
		e.Enrich(&o, &got)
		if got.ReferrerDomain != c.domain || got.ReferrerPath != c.path || got.Source != c.source {
			t.Errorf("%s from %q: %q %q, source %q", c.kind, c.referer, got.ReferrerDomain, got.ReferrerPath, got.Source)
		}
	}
}
