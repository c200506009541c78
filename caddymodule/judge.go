package caddymodule

import (
	"math/rand/v2"
	"net/http"
	"strings"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/classify"
	"github.com/eider-analytics/eider/shared/evidence"
)

// verdict is what was decided about a request by its answer.
type verdict struct {
	judged     bool
	judgedType string // the content type by which it was decided
	result     shared.Result
	kind       shared.Kind
	viewID     uint64 // of a page view or prefetch; 0 = none
}

// settle judges an answer whose header is about to go out, if status and type
// are certain: a body without type has not been looked at yet. What is decided
// here can still be told to the browser; and a page's parts, which browsers ask
// for while it is still being sent, find it noted.
func (h *Handler) settle(w *responseWriter) {
	defer h.guard(&w.asked)
	if w.contentType == "" && w.status != http.StatusNotModified {
		return
	}
	h.judge(w, w.status, w.contentType)
	if h.Script == "" || w.result != shared.ResultPageview && w.result != shared.ResultPrefetch {
		return
	}
	if w.viewID == 0 {
		w.viewID = newViewID()
	}
	w.timing[0] = serverTiming(w.viewID)
	header := w.Header()
	if others := header["Server-Timing"]; len(others) > 0 {
		header["Server-Timing"] = append(others[:len(others):len(others)], w.timing[0])
		return
	}
	header["Server-Timing"] = w.timing[:]
}

// newViewID draws the id of a view: 64 bits that nobody can foresee.
func newViewID() uint64 {
	for {
		if id := rand.Uint64(); id != 0 {
			return id
		}
	}
}

// serverTiming is the header's value, as the script reads it.
func serverTiming(viewID uint64) string {
	const digits, head = "0123456789abcdef", `eider;desc="`
	var b [len(head) + 16 + 1]byte
	copy(b[:], head)
	for i := range 16 {
		b[len(head)+i] = digits[viewID>>(60-4*i)&15]
	}
	b[len(b)-1] = '"'
	return string(b[:])
}

// judge decides what became of the request, and notes who was shown a page.
func (h *Handler) judge(w *responseWriter, status int, contentType string) {
	c := &w.capture
	q := classify.Request{
		Method: c.method, Path: c.path, Query: c.rawQuery, UserAgent: c.userAgent,
		Status: status, ContentType: contentType, Signals: c.signals,
		Switches: h.counted,
	}
	if status == http.StatusNotModified && contentType == "" {
		q.LastType = h.rt.types.Recall(c.site.name, c.path)
	}
	w.result, w.kind = h.answered(w, &q)
	w.result = c.permitted(w.result)
	w.judged, w.judgedType = true, contentType
	switch w.result {
	case shared.ResultPageview, shared.ResultError:
		visitor := h.visitor(w)
		h.showed(w, visitor)
		visitor.Saw(c.target)
	case shared.ResultPrefetch:
		w.viewID = newViewID()
		// Where a page fetches itself ahead, what it asks for later would not
		// tell which of the two is shown.
		if from, ok := refererTarget(c.referer, c.host); !ok || from != c.target {
			h.visitor(w).FetchedAhead(c.target, w.viewID)
		}
	}
}

// visitor is whoever sent the request, for the memory of visitors. Who is
// counted without an identity, or not at all, is not remembered either.
func (h *Handler) visitor(w *responseWriter) evidence.Visitor {
	if h.counted&classify.NoEvidence != 0 || w.anonymous {
		return evidence.Visitor{}
	}
	c := &w.capture
	return c.site.visitors.Visitor(c.client(), c.userAgent, c.started.UnixMicro())
}

// complete learns from a page's part what the page was: that a person's
// browser shows it, or that it is on the screen at last.
func (h *Handler) complete(w *responseWriter) {
	c := &w.capture
	switch w.result {
	case shared.ResultAsset, shared.ResultSubrequest, shared.ResultFragment, shared.ResultFrame, shared.ResultFailed,
		shared.ResultPartial, shared.ResultMethod:
	default:
		return
	}
	visitor := h.visitor(w)
	h.showed(w, visitor)
	if w.result == shared.ResultAsset && h.part(c, w.judgedType) && visitor.FetchedPart() {
		c.site.evidence.Add(1)
		h.pushCompletion(w, shared.CompletionEvidence, 0)
	}
}

// showed records the activation of a page that was fetched ahead, if this
// request comes from it. What is asked for ahead itself proves nothing: a page
// that is prepared out of sight fetches its parts, too.
func (h *Handler) showed(w *responseWriter, visitor evidence.Visitor) {
	c := &w.capture
	if c.signals.Prefetch || c.referer == "" {
		return
	}
	from, ok := refererTarget(c.referer, c.host)
	if !ok {
		return
	}
	if viewID, ok := visitor.Showed(from); ok {
		c.site.activations.Add(1)
		h.pushCompletion(w, shared.CompletionActivation, viewID)
	}
}

// pushCompletion records what a request says about an earlier one: whose it
// was, and nothing else of it.
func (h *Handler) pushCompletion(w *responseWriter, name string, viewID uint64) {
	c := &w.capture
	o := shared.Observation{
		Completion: name, ViewID: viewID, Site: c.site.name, Host: c.host, Time: c.started.UnixMicro(),
		ClientIP: c.client(), UserAgent: c.userAgent, BytesSent: -1, TTFBUS: -1,
		Wishes: c.wishes, Privacy: c.privacy,
	}
	w.texts.take(&o)
	h.rt.ring.push(&o, &w.texts)
}

// part reports whether the request, which was answered, is for what a page is
// made of. Browsers say so; on plain http they do not, and then it is the type,
// if a page of this site asks.
func (h *Handler) part(c *capture, contentType string) bool {
	if c.signals.Part {
		return true
	}
	if c.signals.Dest != classify.DestUnknown || c.signals.Mode != classify.ModeUnknown || !classify.PagePart(c.path, contentType) {
		return false
	}
	host, _ := splitReferer(c.referer)
	if sameHost(host, c.host) {
		return true
	}
	from := h.rt.known.Site(host) // a site can have several domains
	return from != nil && from == h.rt.known.Site(c.site.name)
}

// refererTarget returns path and query of a Referer on the given host.
func refererTarget(referer, host string) (target string, ok bool) {
	from, target := splitReferer(referer)
	return target, sameHost(from, host)
}

// splitReferer returns the host of a Referer, and what was asked for there:
// path and query. A Referer has no fragment. Both are empty of what is none.
func splitReferer(referer string) (host, target string) {
	rest, ok := strings.CutPrefix(referer, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(referer, "http://"); !ok {
			return "", ""
		}
	}
	end := strings.IndexByte(rest, '/')
	if end < 0 {
		return rest, "/"
	}
	return rest[:end], rest[end:]
}

// sameHost compares hosts with their ports. A leading "www." makes no other
// site, as in the registry.
func sameHost(a, b string) bool {
	a, b = withoutWWW(a), withoutWWW(b)
	return a != "" && len(a) == len(b) && strings.EqualFold(a, b)
}

func withoutWWW(host string) string {
	const www = "www."
	if len(host) > len(www) && host[len(www)-1] == '.' && strings.EqualFold(host[:len(www)], www) {
		return host[len(www):]
	}
	return host
}
