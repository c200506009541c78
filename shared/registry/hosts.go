package registry

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// Hosts counts the hosts that were asked for and that no configuration names,
// between two reports. It keeps shared.MaxUnknownHosts of them; whoever makes
// up more is not listened to. A nil *Hosts keeps none.
type Hosts struct {
	mu   sync.Mutex
	seen map[string]sightings
}

type sightings struct {
	requests uint64
	last     int64 // µs since 1970
}

// Seen counts a request for a host, as it stands in its Host header. What can't
// be a host's name is not kept.
func (h *Hosts) Seen(host string) {
	if h == nil || host == "" || len(host) > shared.MaxHostname+6 { // a port
		return
	}
	host = normal(host)
	if !hostLike(host) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(host, sightings{1, time.Now().UnixMicro()})
}

func (h *Hosts) add(host string, s sightings) {
	before, known := h.seen[host]
	if !known {
		if len(h.seen) >= shared.MaxUnknownHosts {
			return
		}
		if h.seen == nil {
			h.seen = map[string]sightings{}
		}
		host = strings.Clone(host) // not the request's memory
	}
	h.seen[host] = sightings{before.requests + s.requests, max(before.last, s.last)}
}

// take returns what was counted, in order, and begins anew.
func (h *Hosts) take() []shared.UnknownHost {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []shared.UnknownHost
	for host, s := range h.seen {
		all = append(all, shared.UnknownHost{Host: host, Requests: s.requests, LastSeen: s.last})
	}
	clear(h.seen)
	slices.SortFunc(all, func(a, b shared.UnknownHost) int { return strings.Compare(a.Host, b.Host) })
	return all
}

// Add counts what somebody else has counted: a report that could not be
// delivered, or a proxy's to its collector.
func (h *Hosts) Add(hosts []shared.UnknownHost) {
	if h == nil || len(hosts) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, u := range hosts {
		if hostLike(u.Host) {
			h.add(u.Host, sightings{u.Requests, u.LastSeen})
		}
	}
}

// hostLike reports whether a text in normal form can be a DNS name of two
// labels or more: addresses and single words are nobody's site to add.
func hostLike(host string) bool {
	if host == "" || len(host) > shared.MaxHostname || host[0] == '.' || host[0] == '-' {
		return false
	}
	letters, dots := false, 0
	for i := 0; i < len(host); i++ {
		c := host[i]
		switch {
		case c >= 'a' && c <= 'z':
			letters = true
		case c == '.':
			if host[i-1] == '.' {
				return false
			}
			dots++
		case c >= '0' && c <= '9' || c == '-' || c == '_':
		default:
			return false
		}
	}
	return letters && dots > 0 && host[len(host)-1] != '.'
}
