package handout

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/shared"
)

// Bounds of the unknown hosts. Scanners make hosts up without end: those that
// are asked for least make room.
const (
	maxUnknown    = 1000
	forgetUnknown = 30 * 24 * time.Hour
)

// unknown are hosts that edges were asked for and no site has.
type unknown struct {
	mu sync.Mutex
	of map[string]shared.UnknownHost // by normal form
}

// Report takes what an edge saw since its last report. What can't be a host is
// left out.
func (k *Keeper) Report(hosts []shared.UnknownHost) {
	now := k.cfg.Now().UnixMicro()
	u := &k.unknown
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, h := range hosts[:min(len(hosts), shared.MaxUnknownHosts)] {
		host, err := sites.Domain(h.Host)
		if err != nil || h.Requests == 0 {
			continue
		}
		known, ok := u.of[host]
		if !ok && len(u.of) >= maxUnknown {
			u.makeRoom()
		}
		known.Host = host
		known.Requests += min(h.Requests, 1<<40)
		known.LastSeen = max(known.LastSeen, min(h.LastSeen, now))
		u.of[host] = known
	}
}

func (u *unknown) makeRoom() {
	var least string
	for host, h := range u.of {
		if l := u.of[least]; least == "" || h.Requests < l.Requests || h.Requests == l.Requests && h.LastSeen < l.LastSeen {
			least = host
		}
	}
	delete(u.of, least)
}

// Unknown lists the hosts that edges were asked for in the last 30 days and
// that belong to no site now, the most frequent first.
func (k *Keeper) Unknown() []shared.UnknownHost {
	k.current()
	view := k.holder.Load()
	oldest := k.cfg.Now().Add(-forgetUnknown).UnixMicro()
	u := &k.unknown
	u.mu.Lock()
	defer u.mu.Unlock()
	list := []shared.UnknownHost{}
	for host, h := range u.of {
		if h.LastSeen < oldest || view.Site(host) != nil {
			delete(u.of, host)
			continue
		}
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b shared.UnknownHost) int {
		if a.Requests != b.Requests {
			if a.Requests > b.Requests {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Host, b.Host)
	})
	return list
}
