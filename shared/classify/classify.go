package classify

import "github.com/eider-analytics/eider/shared"

// Request is what the rules look at. The zero value of each field means that
// it is not known.
type Request struct {
	Method    string
	Path      string // of the original URI, decoded
	Query     string // of the original URI, raw
	UserAgent string

	Status      int    // the final one
	ContentType string // as answered, with or without parameters
	// LastType is what this path answered with before; a 304 has no content
	// type of its own. See [Memory].
	LastType Type

	Signals Signals // what the request's headers say; see [ReadSignals]

	Excluded    bool // by the site's own rules
	UnknownHost bool // no configuration names the host
	Bot         bool // the user agent is a bot's

	Switches Switches // what the site counts and what not
}

// Early returns the result of a request that can be told before it is
// answered, and needs no more than that: the first three rules.
func (r *Request) Early() (shared.Result, bool) {
	switch {
	case r.Excluded:
		return shared.ResultExcluded, true
	case healthCheck(r.Path, r.UserAgent):
		return shared.ResultHealthCheck, true
	case r.UnknownHost:
		return shared.ResultUnknownHost, true
	}
	return "", false
}

// Classify returns the request's result, and the kind of the event that it
// becomes if the result is recorded.
func (r *Request) Classify() (shared.Result, shared.Kind) {
	if result, done := r.Early(); done {
		return result, ""
	}
	return r.Answered()
}

// Answered is [Request.Classify] without the rules of [Request.Early], for
// callers that have asked those before.
func (r *Request) Answered() (shared.Result, shared.Kind) {
	result := r.byAnswer()
	if r.Bot {
		if r.Switches.off(shared.ResultBot) {
			return shared.ResultSwitchedOff, ""
		}
		kind := kindOf(result)
		if kind == "" {
			kind = shared.KindRequest
		}
		return shared.ResultBot, kind
	}
	if r.Switches.off(result) {
		return shared.ResultSwitchedOff, ""
	}
	return result, kindOf(result)
}

// kindOf is the kind of event that a recorded result becomes. A page that was
// fetched ahead is a request until a reader is known to have seen it.
func kindOf(result shared.Result) shared.Kind {
	switch result {
	case shared.ResultPageview:
		return shared.KindPageview
	case shared.ResultError:
		return shared.KindError
	case shared.ResultDownload:
		return shared.KindDownload
	case shared.ResultFeed:
		return shared.KindFeed
	case shared.ResultPrefetch:
		return shared.KindRequest
	}
	return ""
}

// byAnswer is the rules from upgrade on.
func (r *Request) byAnswer() shared.Result {
	s := &r.Signals
	switch {
	case s.WebSocket || r.Status == 101:
		return shared.ResultUpgrade
	case r.Method != "GET":
		return shared.ResultMethod
	case r.Status == 206 || r.Status == 416:
		if r.Status == 206 && r.download() {
			return shared.ResultDownload
		}
		return shared.ResultPartial
	case r.Status >= 300 && r.Status <= 399 && r.Status != 304:
		return shared.ResultRedirect
	case r.Status >= 400 && r.Status <= 599:
		if r.navigatedError() {
			return shared.ResultError
		}
		return shared.ResultFailed
	case r.Status != 200 && r.Status != 203 && r.Status != 304:
		return shared.ResultStatus
	}
	if r.Status != 304 && r.download() {
		return shared.ResultDownload
	}
	if r.Status != 304 && s.Range == RangeLater && downloadable(r.Path) {
		return shared.ResultPartial // the server sent all of it, but not to one who begins
	}
	switch r.answeredType() {
	case TypeFeed:
		return shared.ResultFeed
	case TypeHTML:
		return r.document()
	}
	return shared.ResultAsset
}

// document is the rules for an answer that is an HTML document.
func (r *Request) document() shared.Result {
	s := &r.Signals
	dest := s.destination()
	switch {
	case dest == DestResource:
		return shared.ResultAsset
	case s.Soft:
		return r.softNavigation()
	case s.Fragment || fragmentURI(r.Path, r.Query):
		return shared.ResultFragment
	case s.Prefetch:
		return shared.ResultPrefetch
	case dest == DestFrame:
		if r.Switches&CountFrames != 0 {
			return shared.ResultPageview
		}
		return shared.ResultFrame
	case dest == DestScripted:
		return shared.ResultSubrequest
	}
	return shared.ResultPageview
}

// softNavigation is the rules for a page that a script puts in the place of
// the one that is shown. The reader sees a new page and a new address.
func (r *Request) softNavigation() shared.Result {
	switch {
	case r.Switches&NoSoftNavigations != 0:
		return shared.ResultSwitchedOff
	case r.Signals.Prefetch:
		return shared.ResultPrefetch
	}
	return shared.ResultPageview
}

// navigatedError tells an error that a reader met from one that a page's parts
// met. Errors made by a proxy itself have no content type yet when they are
// looked at, so a navigation suffices there.
func (r *Request) navigatedError() bool {
	s := &r.Signals
	soft := s.Soft && r.Switches&NoSoftNavigations == 0
	if s.Fragment && !soft || s.Prefetch || fragmentURI(r.Path, r.Query) {
		return false
	}
	if t := typeOf(r.ContentType); t != TypeUnknown && t != TypeHTML {
		return false
	}
	if soft {
		return true
	}
	switch s.destination() {
	case DestDocument:
		return true
	case DestUnknown:
	default:
		return false
	}
	switch s.Accept {
	case AcceptHTML:
		return true
	case AcceptOther:
		return false
	}
	return typeOfPath(r.Path) == TypeHTML
}

// download tells the request that begins a download of the closed list of
// files: a player that seeks, or a client that resumes, does not begin one.
func (r *Request) download() bool {
	s := &r.Signals
	if s.Range == RangeLater || s.Dest == DestResource || s.Dest == DestFrame || s.Prefetch {
		return false
	}
	if r.Status == 206 && s.Range != RangeStart {
		// A log knows the status but not the range: most parts of a file are
		// not its first, so none is taken for it.
		return false
	}
	if !downloadable(r.Path) {
		return false
	}
	switch typeOf(r.ContentType) {
	case TypeHTML, TypeFeed: // a page about the file, or a polite error
		return false
	}
	return true
}

// answeredType says what the answer was. Where nothing was said, as in a 304
// or in a log, what the path gave before is the best witness, then what was
// asked for, then the path itself.
func (r *Request) answeredType() Type {
	switch t := typeOf(r.ContentType); t {
	case TypeUnknown:
	case TypeXML:
		if feedPath(r.Path) {
			return TypeFeed
		}
		return TypeOther
	default:
		return t
	}
	if r.LastType != TypeUnknown {
		return r.LastType
	}
	if feedPath(r.Path) {
		return TypeFeed
	}
	byPath := typeOfPath(r.Path)
	dest := r.Signals.destination()
	if r.Signals.Soft {
		dest = DestDocument
	}
	switch dest {
	case DestDocument, DestFrame:
		if hasAssetExtension(r.Path) {
			return TypeOther // a picture or a PDF of its own in a tab
		}
		return TypeHTML
	case DestResource:
		return TypeOther
	}
	switch r.Signals.Accept {
	case AcceptHTML:
		if hasAssetExtension(r.Path) {
			return TypeOther
		}
		return TypeHTML
	case AcceptOther:
		return TypeOther
	}
	return byPath
}
