package importer

import (
	"hash/fnv"
	"strings"

	"github.com/eider-analytics/eider/shared/accesslog"
	"github.com/eider-analytics/eider/shared/classify"
	"github.com/eider-analytics/eider/shared/evidence"
)

// proofs remembers who was shown a page, so that a request for a page's part
// proves a person: the proxy's rule. Unlike the proxy it has all the memory that
// it needs, and forgets nothing by chance: an import that is interrupted and
// goes on must come to the same result.
//
// Visitors are known by their hashes, which change with the day.
type proofs struct {
	visitors map[uint64]shown
	ahead    map[aheadKey]aheadView // pages that were fetched ahead and not yet seen
}

type aheadKey struct {
	visitor uint64
	page    uint32
}

type aheadView struct {
	id uint64
	at int64 // µs since 1970
}

// shown is what a visitor was shown.
type shown struct {
	pages  [keptPages]uint32 // hashes of the targets, the latest last
	proven bool
}

const (
	keptPages = 4
	// maxVisitors bounds the memory; beyond it all are forgotten, so that some
	// are proved twice, which says no more than once.
	maxVisitors = 1 << 18
	maxAhead    = 1 << 14 // likewise, of pages
)

func newProofs() *proofs {
	return &proofs{visitors: map[uint64]shown{}, ahead: map[aheadKey]aheadView{}}
}

// saw notes that a visitor was shown the page of a target.
func (p *proofs) saw(visitor uint64, target string) {
	if visitor == 0 {
		return
	}
	s, known := p.visitors[visitor]
	if !known && len(p.visitors) >= maxVisitors {
		clear(p.visitors)
	}
	page := hashOf(target)
	delete(p.ahead, aheadKey{visitor, page}) // it is another one that is seen now
	if s.pages[keptPages-1] == page {
		return
	}
	copy(s.pages[:], s.pages[1:])
	s.pages[keptPages-1] = page
	p.visitors[visitor] = s
}

// prove reports whether a part that the page of a target asked for is the first
// proof of its visitor. Where the log does not tell which host the page was of,
// the page must be one that the visitor was shown.
func (p *proofs) prove(visitor uint64, target string, sameHost bool) bool {
	s, known := p.visitors[visitor]
	if !known || s.proven {
		return false
	}
	if !sameHost {
		page, found := hashOf(target), false
		for _, seen := range s.pages {
			found = found || seen == page
		}
		if !found {
			return false
		}
	}
	s.proven = true
	p.visitors[visitor] = s
	return true
}

// idle reports whether no page waits to be seen.
func (p *proofs) idle() bool { return len(p.ahead) == 0 }

// fetchedAhead notes a page that was fetched ahead, under a view id.
func (p *proofs) fetchedAhead(visitor uint64, target string, view uint64, at int64) {
	if visitor == 0 {
		return
	}
	if len(p.ahead) >= maxAhead {
		clear(p.ahead)
	}
	p.ahead[aheadKey{visitor, hashOf(target)}] = aheadView{view, at}
}

// showed notes that the page of a target asked for something. If it had been
// fetched ahead, ok is true, once.
func (p *proofs) showed(visitor uint64, target string, at int64) (view uint64, ok bool) {
	if visitor == 0 || target == "" || len(p.ahead) == 0 {
		return 0, false
	}
	key := aheadKey{visitor, hashOf(target)}
	v, ok := p.ahead[key]
	delete(p.ahead, key)
	if !ok || at-v.at > evidence.PendingFor*60*1_000_000 {
		return 0, false
	}
	s := p.visitors[visitor]
	s.proven = true
	p.visitors[visitor] = s
	return v.id, true
}

func hashOf(target string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(target))
	return max(h.Sum32(), 1)
}

// asksPage returns the page that asked for a part of it, by the line's referrer.
// ok is false for a line that is for no page's part; the page may have asked for
// something else then.
func asksPage(e *accesslog.Entry, s *site, q *classify.Request) (target string, sameHost, ok bool) {
	signs := &q.Signals
	host, target, named := cutReferer(e.Referer)
	if named && e.Host != "" && !strings.EqualFold(host, e.Host) {
		target, named = "", false // a page of elsewhere
	}
	switch {
	case signs.Part: // the browser says so
		sameHost = true
	case signs.Dest != classify.DestUnknown || signs.Mode != classify.ModeUnknown,
		!named || !classify.PagePart(q.Path, q.ContentType):
		return target, false, false
	default:
		sameHost = e.Host != "" || ofSite(host, s)
	}
	return target, sameHost, true
}

// cutReferer parts a Referer's host from its path and query.
func cutReferer(referer string) (host, target string, ok bool) {
	rest, ok := strings.CutPrefix(referer, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(referer, "http://"); !ok {
			return "", "", false
		}
	}
	end := strings.IndexByte(rest, '/')
	if end < 0 {
		return rest, "/", rest != ""
	}
	return rest[:end], rest[end:], end > 0
}

// ofSite reports whether a host is one of the site's domains.
func ofSite(host string, s *site) bool {
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	host = strings.TrimPrefix(host, "www.")
	for _, d := range s.Domains {
		if host == d {
			return true
		}
	}
	return false
}
