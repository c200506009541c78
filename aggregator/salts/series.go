package salts

import (
	"crypto/rand"
	"slices"
	"time"

	"github.com/eider-analytics/eider/shared"
)

const (
	// keptFor is how long a salt outlives its period (µs): completions that are
	// later are ignored, so nothing needs it after.
	keptFor = 48 * hour
	// lead is how long before a period its salt is made (µs): an edge that can't
	// reach its aggregator for a day goes on with the identities that all others
	// have.
	lead = 36 * hour
	// settle is the least time (µs) between the decision to end a period earlier
	// and its end: every edge must have heard of it.
	settle = 10 * hour / 60
)

// salt is one period of one site.
type salt struct {
	Key      []byte `json:"key"`
	From     int64  `json:"from"`  // µs since 1970
	Until    int64  `json:"until"` // µs since 1970, excluded
	Identity string `json:"identity"`
}

func newKey() []byte {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return b[:]
}

// series are the salts of one site in the order of time.
type series []salt

// at is the index of the salt of a time, or -1.
func (s series) at(t int64) int {
	return slices.IndexFunc(s, func(x salt) bool { return x.From <= t && t < x.Until })
}

// destroyed drops what is over for long enough. What was dropped is overwritten
// in memory, too.
func (s series) destroyed(now int64) (kept series, changed bool) {
	for _, x := range s {
		if now < x.Until+keptFor {
			kept = append(kept, x)
			continue
		}
		clear(x.Key)
		changed = true
	}
	return kept, changed
}

// grown makes the salts of now and of the period after, and lets what has not
// begun follow the site's zone and kind.
func (s series) grown(now int64, kind string, zone *time.Location) (grown series, changed bool) {
	grown = slices.Clone(s)
	i := grown.at(now)
	if i < 0 {
		grown, i = grown.insert(now, kind, zone)
		changed = true
	}
	if current := &grown[i]; current.Identity == shared.IdentityMonth && kind == shared.IdentityDay {
		// Who chooses shorter identities means from tonight on, not next month.
		if end := periodEnd(now+settle, kind, zone); end < current.Until {
			current.Until = end
			changed = true
		}
	}
	from := grown[i].Until
	if i+1 == len(grown) {
		if from-now > lead {
			return grown, changed
		}
		grown = append(grown, salt{Key: newKey(), From: from, Until: endAfter(from, kind, zone), Identity: kind})
		return grown, true
	}
	next := &grown[i+1]
	want := salt{Key: next.Key, From: from, Until: endAfter(from, kind, zone), Identity: kind}
	if next.From != want.From || next.Until != want.Until || next.Identity != want.Identity {
		*next = want
		// What was made beyond, before a clock was set back, would overlap.
		for _, x := range grown[i+2:] {
			clear(x.Key)
		}
		grown = grown[:i+2]
		changed = true
	}
	return grown, changed
}

// insert makes a salt of now where there is none: the site is new, or nobody
// was there to make it in time.
func (s series) insert(now int64, kind string, zone *time.Location) (series, int) {
	x := salt{Key: newKey(), From: periodStart(now, kind, zone), Until: periodEnd(now, kind, zone), Identity: kind}
	i := 0
	for i < len(s) && s[i].Until <= now {
		x.From = max(x.From, s[i].Until)
		i++
	}
	if i < len(s) {
		x.Until = min(x.Until, s[i].From)
	}
	return slices.Insert(s, i, x), i
}

// offered is what edges get: the period of now, the one before as long as its
// identities are sent beside, and those to come.
func (s series) offered(now int64) []salt {
	i := slices.IndexFunc(s, func(x salt) bool { return now < x.Until+shared.PrevIdentityFor })
	if i < 0 {
		return nil
	}
	return s[i:]
}

// due is when something is to be done next: a salt to be made, taken from what
// is offered, or destroyed.
func (s series) due(now int64) int64 {
	due := int64(1) << 62
	for i, x := range s {
		for _, at := range []int64{x.Until, x.Until + shared.PrevIdentityFor, x.Until + keptFor} {
			if at > now {
				due = min(due, at)
			}
		}
		if i+1 == len(s) && x.Until-lead > now {
			due = min(due, x.Until-lead)
		}
	}
	return due
}
