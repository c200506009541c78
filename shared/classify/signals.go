package classify

import "strings"

// Dest is what Sec-Fetch-Dest says a request is for. Browsers send it to
// trustworthy origins only, so that unknown proves nothing on plain http.
type Dest uint8

// The destinations.
const (
	DestUnknown  Dest = iota
	DestDocument      // the page itself
	DestFrame         // iframe, frame, embed, object, fencedframe
	DestScripted      // fetch, XHR, workers, and anything that is not listed
	DestResource      // image, style, script, font, audio, video, track, …
)

// Mode is what Sec-Fetch-Mode says of how a request was made.
type Mode uint8

// The modes.
const (
	ModeUnknown  Mode = iota
	ModeNavigate      // somebody goes to another page
	ModeOther         // cors, no-cors, same-origin, websocket, and anything that is not listed
)

// Accept is what a request's Accept header wants.
type Accept uint8

// The answers of Accept.
const (
	AcceptUnknown Accept = iota // absent, or */* alone: no help
	AcceptHTML                  // names text/html or application/xhtml+xml
	AcceptOther                 // names something else
)

// Range says which part of a file is wanted.
type Range uint8

// The ranges.
const (
	RangeNone  Range = iota
	RangeStart       // from byte 0, and more than a look at the first two bytes
	RangeLater       // anything else, and what can't be read
)

// Signals is what the headers of a request say about its purpose, reduced to
// what the rules ask. The zero value knows nothing.
type Signals struct {
	Dest      Dest
	Mode      Mode
	Accept    Accept
	Range     Range
	Prefetch  bool // fetched ahead: prefetch, prerender, preview
	Fragment  bool // asks for a part of a page
	Soft      bool // asks for a whole page in place of this one: htmx boosted, or restoring its history
	Part      bool // wants a style, script, font or image, as a page that is shown does
	WebSocket bool // a handshake
}

// destination is what the request is for. Clients that fetch without being a
// browser send the mode and leave the destination out.
func (s *Signals) destination() Dest {
	if s.Dest == DestUnknown && s.Mode == ModeOther {
		return DestScripted
	}
	return s.Dest
}

// Embedded reports whether a page asks, and says so by Sec-Fetch-Dest: for one
// of its parts, by a script, or for a frame.
func (s *Signals) Embedded() bool { return s.Dest > DestDocument }

// ReadSignals reads the headers of a request, whose keys must be canonical as
// net/http makes them. It keeps nothing of them.
func ReadSignals(header map[string][]string) Signals {
	var s Signals
	for name, values := range header {
		if len(values) > 0 {
			s.Note(name, values[0])
		}
	}
	return s
}

// Note takes in one header by its canonical name, for callers that walk over
// the headers themselves, and reports whether it is a signal.
func (s *Signals) Note(name, value string) bool {
	switch name {
	case "Accept":
		s.Accept = accept(value)
	case "Range":
		s.Range = parseRange(value)
	case "Sec-Fetch-Dest":
		s.Dest = dest(value)
		s.Part = value == "style" || value == "script" || value == "font" || value == "image"
	case "Sec-Fetch-Mode":
		s.Mode = mode(value)
	case "Upgrade", ":protocol": // the latter is how HTTP/2 and /3 spell it
		s.WebSocket = s.WebSocket || strings.EqualFold(value, "websocket")
	case "Sec-Purpose", "Purpose", "X-Purpose", "X-Sec-Purpose", "X-Moz":
		s.Prefetch = s.Prefetch || ahead(value)
	case "Next-Router-Prefetch":
		s.Prefetch = true
	case "Hx-Preloaded": // of htmx's preload extension
		s.Prefetch = s.Prefetch || isTrue(value)
	case "Hx-Boosted", "Hx-History-Restore-Request":
		s.Soft = s.Soft || isTrue(value)
	case "X-Requested-With":
		// Android web views send their app's name here on every request; that
		// is a reader.
		s.Fragment = s.Fragment || strings.EqualFold(value, "XMLHttpRequest")
	case "Hx-Request", "X-Pjax", "X-Inertia":
		s.Fragment = s.Fragment || !strings.EqualFold(value, "false")
	case "Turbo-Frame", "Rsc", "Next-Router-State-Tree":
		s.Fragment = true
	default:
		return false
	}
	return true
}

// dest maps the value of Sec-Fetch-Dest. Source: the Fetch standard's list of
// request destinations.
func dest(value string) Dest {
	switch value {
	case "":
		return DestUnknown
	case "document":
		return DestDocument
	case "iframe", "frame", "embed", "object", "fencedframe":
		return DestFrame
	case "image", "style", "script", "font", "audio", "video", "track", "manifest", "xslt", "audioworklet",
		"paintworklet", "dictionary", "speculationrules":
		return DestResource
	}
	return DestScripted
}

func mode(value string) Mode {
	switch value {
	case "":
		return ModeUnknown
	case "navigate":
		return ModeNavigate
	}
	return ModeOther
}

// isTrue reads htmx's flags, which are "true" or absent.
func isTrue(value string) bool { return equalFold(value, "true") }

// ahead reads the marks of a page that is fetched before anybody asked for
// it: "prefetch", "prefetch;prerender", "preview" (Safari's top sites),
// "prefetch;anonymous-client-ip".
func ahead(value string) bool {
	return containsFold(value, "prefetch") || containsFold(value, "prerender") || containsFold(value, "preview")
}

func accept(value string) Accept {
	switch {
	case containsFold(value, "text/html"), containsFold(value, "application/xhtml+xml"):
		return AcceptHTML
	case value == "", value == "*/*":
		return AcceptUnknown
	}
	return AcceptOther
}

// parseRange tells whether a Range begins at byte 0. A request for the first
// byte or two is a player's probe, which asks again from 0 right after.
func parseRange(value string) Range {
	const from0 = "bytes=0-"
	switch {
	case value == "":
		return RangeNone
	case len(value) < len(from0) || !strings.EqualFold(value[:len(from0)], from0):
		return RangeLater
	}
	switch value[len(from0):] {
	case "0", "1":
		return RangeLater
	}
	return RangeStart
}

// fragmentURI tells parts of pages that a framework asks for by their address:
// Next.js' data and React server components.
func fragmentURI(path, query string) bool {
	if strings.IndexByte(path, '_') >= 0 && strings.Contains(path, "/_next/data/") {
		return true
	}
	return query != "" && (strings.HasPrefix(query, "_rsc=") || strings.Contains(query, "&_rsc="))
}

// containsFold is strings.Contains for ASCII in any case; part is lower case
// and begins with a letter.
func containsFold(s, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if s[i]|0x20 == part[0] && equalFold(s[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// equalFold is strings.EqualFold for ASCII; lower is lower case.
func equalFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
