package importer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/http"
	"strings"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/accesslog"
	"github.com/eider-analytics/eider/shared/classify"
	"github.com/eider-analytics/eider/shared/conduct"
	"github.com/eider-analytics/eider/shared/enrich"
)

// Why a line that can be read is no request that could be counted.
var (
	errTarget = errors.New("its target is no path of a site")
	errFuture = errors.New("its time is in the future")
)

// futureTolerated is how far a line's time may be ahead of our clock, µs.
const futureTolerated = 24 * 3600 * 1_000_000

// judge makes events of lines, by the rules that the proxy has for requests. It
// sees every line from a log's start on, in order, also those that are imported
// already, because what a line is can depend on those before it.
type judge struct {
	settings *settings
	sites    *sites
	enricher *enrich.Enricher
	types    pathTypes
	proofs   *proofs
	conduct  *conduct.Table
	now      int64 // µs since 1970
}

// judged is what became of one line.
type judged struct {
	result shared.Result // "" = the line is malformed
	err    error         // why it is malformed
	site   *site         // nil = unknown
	proof  string        // the completion that the line is, of no result of its own
	event  bool          // dst is set
}

// line judges one request. Of a line that is imported already, wanted is false:
// it is only learnt from. The error is the aggregator's.
func (j *judge) line(ctx context.Context, e *accesslog.Entry, edge shared.EdgeID, number uint64, wanted bool, dst *shared.Event) (v judged, err error) {
	path, query, ok := e.Target()
	if !ok && e.Method != http.MethodConnect && e.Method != http.MethodOptions {
		return judged{err: errTarget}, nil
	}
	if e.Start().UnixMicro() > j.now+futureTolerated {
		return judged{err: errFuture}, nil
	}
	s, err := j.sites.of(ctx, e.Host)
	if err != nil {
		return judged{}, err
	}
	q := classify.Request{
		Method: e.Method, Path: path, Query: query, UserAgent: e.UserAgent, Status: e.Status,
		ContentType: e.AnsweredType(), Signals: signalsOf(e), UnknownHost: s == nil,
		Excluded: j.settings.exclude.Match(path), Switches: j.settings.counted,
	}
	if early, done := q.Early(); done {
		return judged{result: early, site: s}, nil
	}
	o := observation(e, s, path, query)
	o.Privacy = j.settings.privacy
	if declined := s.Declines(o.Privacy, o.Wishes); declined != "" {
		return judged{result: declined, site: s}, nil
	}
	j.types.complete(&q, e, s)
	j.answered(&q, &o)
	v = judged{result: o.Result, site: s}
	if !o.Result.Recorded() {
		v.proof = j.completes(e, s, &q, &o, dst)
		v.event = v.proof != "" && wanted
		return v, nil
	}
	page, ahead := o.Result == shared.ResultPageview || o.Result == shared.ResultError, o.Result == shared.ResultPrefetch
	if !wanted && !page && !ahead {
		return v, nil // nothing to learn from
	}
	if ahead {
		o.ViewID = viewID(edge, number)
	}
	j.enricher.Enrich(&o, dst)
	switch target := targetOf(e, path, query); {
	case page:
		j.proofs.saw(dst.VisitorID, target)
	case ahead:
		// Where a page fetches itself ahead, what it asks for later would not
		// tell which of the two is shown.
		if _, from, _ := cutReferer(e.Referer); from != target {
			j.proofs.fetchedAhead(dst.VisitorID, target, o.ViewID, o.Time)
		}
	}
	v.event = wanted
	return v, nil
}

// answered fixes what the request counts as: by the user agent and the headers,
// as far as they are known, and by what its client did lately.
func (j *judge) answered(q *classify.Request, o *shared.Observation) {
	signs := enrich.SignsOf(o)
	_, q.Bot = enrich.Judge(&signs)
	o.Result, o.Kind = q.Answered()
	if q.Bot {
		return
	}
	seen := conduct.Request{
		UserAgent: o.UserAgent, At: o.Time, Path: o.Path, Status: o.Status, Result: o.Result,
		Embedded: q.Signals.Embedded(),
	}
	if q.Switches&classify.NoEvidence == 0 { // where no visitor is to be remembered, the path alone says something
		seen.Addr = o.ClientIP
	}
	o.BotReason = j.conduct.Observe(&seen)
	if o.BotReason != "" {
		q.Bot = true
		o.Result, o.Kind = q.Answered()
	}
}

// observation is what a line says of a request to a site.
func observation(e *accesslog.Entry, s *site, path, query string) shared.Observation {
	o := shared.Observation{
		Site: s.ID, Time: e.Start().UnixMicro(), Origin: shared.OriginImport, Wishes: wishesOf(e),
		ClientIP: e.Client(), Host: e.Host, Path: path, RawQuery: query, Method: e.Method, Protocol: e.Proto,
		Status: e.Status, ContentType: e.AnsweredType(), BytesSent: e.Size, TTFBUS: -1, UserAgent: e.UserAgent, Referer: e.Referer,
		Secure: e.Secure,
	}
	if h := e.Header; h != nil {
		// A log that leaves out some headers leaves out one that all browsers send.
		o.HeadersKnown = first(h, "Accept") != ""
		o.SecFetch = first(h, "Sec-Fetch-Mode") != "" || first(h, "Sec-Fetch-Dest") != ""
		o.AcceptLanguage, o.SecFetchSite = first(h, "Accept-Language"), first(h, "Sec-Fetch-Site")
		o.CHUA, o.CHUAMobile, o.CHUAPlatform = first(h, "Sec-Ch-Ua"), first(h, "Sec-Ch-Ua-Mobile"), first(h, "Sec-Ch-Ua-Platform")
		o.CHUAPlatformVer, o.CHUAModel = first(h, "Sec-Ch-Ua-Platform-Version"), first(h, "Sec-Ch-Ua-Model")
	}
	if a := e.Answer; a != nil {
		if o.CacheStatus = first(a, "Cache-Status"); o.CacheStatus == "" {
			o.CacheStatus = first(a, "X-Cache")
		}
	}
	return o
}

// completes makes dst what a line says of an earlier one, and returns what that
// is: "" where it says nothing. The rules are the proxy's, but a line has one
// event: one that shows a page which was fetched ahead proves its visitor by
// that.
func (j *judge) completes(e *accesslog.Entry, s *site, q *classify.Request, o *shared.Observation, dst *shared.Event) (proof string) {
	if q.Bot || q.Signals.Prefetch || q.Switches&classify.NoEvidence != 0 {
		return ""
	}
	target, sameHost, part := asksPage(e, s, q)
	part = part && o.Result == shared.ResultAsset
	if !part && j.proofs.idle() {
		return ""
	}
	about := shared.Observation{
		Completion: shared.CompletionEvidence, Site: o.Site, Host: o.Host, Time: o.Time, Origin: o.Origin, Wishes: o.Wishes,
		ClientIP: o.ClientIP, UserAgent: o.UserAgent, BytesSent: -1, TTFBUS: -1, Privacy: o.Privacy,
	}
	j.enricher.Enrich(&about, dst)
	if view, ok := j.proofs.showed(dst.VisitorID, target, o.Time); ok {
		dst.Name, dst.ViewID = shared.CompletionActivation, view
		return dst.Name
	}
	if part && j.proofs.prove(dst.VisitorID, target, sameHost) {
		return dst.Name
	}
	return ""
}

// targetOf is the path and the query as they were sent, which is how a Referer
// has them.
func targetOf(e *accesslog.Entry, path, query string) string {
	switch {
	case strings.HasPrefix(e.URI, "/"):
		return e.URI
	case query == "":
		return path
	}
	return path + "?" + query
}

// viewID names a prefetched page, the same in every attempt.
func viewID(edge shared.EdgeID, number uint64) uint64 {
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(edge[:], number))
	return max(binary.LittleEndian.Uint64(sum[:]), 1)
}

func signalsOf(e *accesslog.Entry) classify.Signals {
	if e.Header == nil {
		return classify.Signals{}
	}
	return classify.ReadSignals(e.Header)
}

func wishesOf(e *accesslog.Entry) shared.Wishes {
	if e.Header == nil {
		return shared.Wishes{}
	}
	return shared.Wishes{
		DNT: first(e.Header, "Dnt") == "1", GPC: first(e.Header, "Sec-Gpc") == "1",
		OptOut: strings.Contains(first(e.Header, "Cookie"), shared.OptOutCookie+"=1"),
	}
}

func first(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// pathTypes remembers what paths were answered with, in logs that say so, for
// the 304s after it. What it can hold depends on the log alone.
type pathTypes map[pathKey]string

type pathKey struct{ site, path string }

// maxTypes bounds it: paths that come after are judged by themselves.
const maxTypes = 1 << 16

// complete gives a 304 the type of the answer that it confirms.
func (t pathTypes) complete(q *classify.Request, e *accesslog.Entry, s *site) {
	if e.Method != http.MethodGet {
		return
	}
	key := pathKey{s.ID, q.Path}
	switch {
	case e.Status == http.StatusNotModified && q.ContentType == "":
		if q.ContentType = t[key]; q.ContentType == "" && e.Header == nil {
			q.ContentType = accesslog.TypeOf(e.URI)
		}
	case e.Status == http.StatusOK && e.ContentType != "":
		if _, known := t[key]; known || len(t) < maxTypes {
			key.path = strings.Clone(key.path)
			t[key] = strings.Clone(e.ContentType)
		}
	}
}
