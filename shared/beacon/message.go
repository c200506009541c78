package beacon

import (
	"net/netip"

	"github.com/eider-analytics/eider/shared"
)

// Message is one thing that a browser or a client said, in whichever dialect:
// what [shared.Event] has no proxy's word for. Texts are cut to their limits
// and properties flattened by the parser that made it; URLs are as sent.
type Message struct {
	Origin shared.Origin // beacon, umami, plausible, api
	Kind   shared.Kind
	Name   string // of a custom event or completion
	Time   int64  // µs since 1970; 0 = now. Only where the sender may say so.

	Site string // as named by the sender: a domain, UUID or id; "" = by the route or URL
	URL  string // absolute, or a path on Hostname
	// Hash says that the whole fragment is part of the page's path, not only
	// one that begins like a route.
	Hash     bool
	Hostname string
	Referrer string
	Title    string
	Tag      string
	Screen   string // "1440x900"
	Language string

	DistinctID string
	Props      []shared.Prop
	// DroppedProps is how many properties were over the limits.
	DroppedProps    int
	RevenueAmount   shared.Opt[int64] // 1/10,000 of a unit
	RevenueCurrency string

	// DedupeKey names the message for ever within its site: the same key counts
	// once. For the beacon it is "<load id>-<ordinal>" in hexadecimal.
	DedupeKey    string
	ViewID       uint64
	ParentViewID uint64
	LoadID       uint64
	Cached       bool // the browser says that the page came from a cache

	EngagedMS, ScrollDepth              shared.Opt[int64]
	LCPMS, INPMS, CLS, FCPMS, NavTTFBMS shared.Opt[float64]

	Override Override
}

// Override is what a sender says of somebody else's request. It is honoured
// only with an API key or from a trusted peer.
type Override struct {
	IP              netip.Addr
	UserAgent       string
	Browser         string
	OS              string
	Device          string
	Country, Region string
	City            string
}
