package enrich

import (
	"net/url"
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// maxQueryPairs bounds the work on a hostile query string.
const maxQueryPairs = 200

// campaign holds what a query string says about where a visit came from.
type campaign struct {
	source, ref string // of the parameters with these names
	paidBy      string // the click id's network, where it proves an advertisement
}

// clickNetworks are the sources that a click id proves. fbclid is not among
// them as an advertisement: Meta adds it to every outgoing link.
const (
	paidGoogle    = "Google"
	paidMicrosoft = "Bing"
)

// readQuery reads campaign, click ids and source out of a raw query string and
// keeps of it what is on the allow-list: utm_*, click ids, ref, source, and the
// site's extra keys, which are in lower case. Everything else may be a secret
// and ends here.
func readQuery(raw string, extra map[string]bool, dst *shared.Event) campaign {
	var c campaign
	if raw == "" {
		return c
	}
	var kept queryWriter
	kept.raw = raw
	rest := raw
	for n := 0; rest != "" && n < maxQueryPairs; n++ {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		key, value, _ := strings.Cut(pair, "=")
		field := allowed(key, dst, &c)
		if field == nil && len(extra) > 0 && len(key) <= shared.MaxQueryKey && extra[strings.ToLower(key)] {
			field = &discarded
		}
		if field == nil {
			kept.skip()
			continue
		}
		text := queryText(value)
		clean := redactEmails(cutQuery(text, "?#&;")) // a value can be a link with secrets of its own
		if field != &discarded && *field == "" {
			*field = shared.Cut(strings.TrimSpace(clean), shared.MaxUTM)
		}
		kept.add(key, value, pair, clean != text, clean)
	}
	if rest != "" {
		kept.skip()
	}
	dst.Query = kept.result()
	switch {
	case dst.GCLID != "":
		c.paidBy = paidGoogle
	case dst.MSCLKID != "":
		c.paidBy = paidMicrosoft
	}
	return c
}

// discarded stands for allowed parameters that have no column of their own.
var discarded string

// allowed returns the field that a parameter fills, &discarded if it is only
// kept in the query, or nil if it is not on the list. Keys are compared without
// regard to case: links are written by people.
func allowed(key string, dst *shared.Event, c *campaign) *string {
	if len(key) < 3 || len(key) > 40 {
		return nil
	}
	is := func(name string) bool { return len(key) == len(name) && strings.EqualFold(key, name) }
	switch key[0] | 0x20 {
	case 'u':
		switch {
		case is("utm_source"):
			return &dst.UTMSource
		case is("utm_medium"):
			return &dst.UTMMedium
		case is("utm_campaign"):
			return &dst.UTMCampaign
		case is("utm_content"):
			return &dst.UTMContent
		case is("utm_term"):
			return &dst.UTMTerm
		case len(key) > 4 && strings.EqualFold(key[:4], "utm_") && plainKey(key):
			return &discarded
		}
	case 'g':
		if is("gclid") {
			return &dst.GCLID
		}
	case 'f':
		if is("fbclid") {
			return &dst.FBCLID
		}
	case 'm':
		if is("msclkid") {
			return &dst.MSCLKID
		}
	case 't':
		switch {
		case is("ttclid"):
			return &dst.TTCLID
		case is("twclid"):
			return &dst.TWCLID
		}
	case 'l':
		if is("li_fat_id") {
			return &dst.LIFatID
		}
	case 'r':
		if is("ref") {
			return &c.ref
		}
	case 's':
		if is("source") {
			return &c.source
		}
	}
	return nil
}

// plainKey keeps a hostile "utm_…" from carrying text in its name.
func plainKey(key string) bool {
	for i := 0; i < len(key); i++ {
		if !alnum(key[i]) && key[i] != '_' {
			return false
		}
	}
	return len(key) <= 20
}

// queryText decodes a value; one that is not well encoded is taken as it is.
func queryText(value string) string {
	if strings.IndexByte(value, '%') < 0 && strings.IndexByte(value, '+') < 0 {
		return value
	}
	if text, err := url.QueryUnescape(value); err == nil {
		return text
	}
	return value
}

// queryWriter puts the kept pairs together again. While nothing had to be left
// out it copies nothing: the common query is all campaign, or has none.
type queryWriter struct {
	raw     string
	whole   int  // length of the prefix of raw that is kept as it is
	changed bool // raw's prefix is in b, and b goes on
	skipped bool
	b       strings.Builder
}

func (w *queryWriter) skip() { w.skipped = true }

func (w *queryWriter) add(key, value, pair string, redacted bool, text string) {
	asIs := !redacted && lowerCase(key)
	if asIs && !w.changed && !w.skipped && w.whole+1+len(pair) <= shared.MaxQuery {
		if w.whole > 0 {
			w.whole++
		}
		w.whole += len(pair)
		return
	}
	if !w.changed {
		w.b.WriteString(w.raw[:w.whole])
		w.changed = true
	}
	if redacted {
		value = url.QueryEscape(text)
	}
	if w.b.Len()+len(key)+len(value)+2 > shared.MaxQuery {
		return
	}
	if w.b.Len() > 0 {
		w.b.WriteByte('&')
	}
	w.b.WriteString(strings.ToLower(key))
	w.b.WriteByte('=')
	w.b.WriteString(value)
}

func (w *queryWriter) result() string {
	s := w.raw[:w.whole]
	if w.changed {
		s = w.b.String()
	}
	return shared.Cut(s, shared.MaxQuery)
}

func lowerCase(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'A' && s[i] <= 'Z' {
			return false
		}
	}
	return true
}
