package state

import "github.com/eider-analytics/eider/shared"

// Segment is one immutable Parquet file of events that the manifest lists.
type Segment struct {
	ID        string `json:"id"`         // unique for ever; the file's name without .parquet
	SiteID    string `json:"site_id"`    // every row's site
	Date      string `json:"date"`       // yyyy-mm-dd, the site's local day under Zone
	Path      string `json:"path"`       // relative to the lake's directory, with slashes
	Rows      int64  `json:"rows"`       //
	Bytes     int64  `json:"bytes"`      // of the file
	MinTime   int64  `json:"min_time"`   // µs since 1970, of the rows' event times
	MaxTime   int64  `json:"max_time"`   // µs since 1970, included
	Zone      string `json:"zone"`       // IANA name in force when the rows came in
	Schema    int    `json:"schema"`     // of the Parquet columns
	CreatedAt int64  `json:"created_at"` // µs since 1970
	// Facts are nil in segments of versions that did not count them.
	Facts *Facts `json:"facts,omitempty"`
	// Sealed segments are sorted by visitor, time and sequence, and may have
	// columns beside an event's own that say what sealing found out of each row.
	Sealed bool `json:"sealed,omitempty"`
}

// Facts say how many of a file's rows take part in what docs/formats/completions.md
// resolves. A question over files without any need not resolve anything.
type Facts struct {
	Keyed    int64 `json:"keyed,omitempty"`    // with a dedupe key
	Ahead    int64 `json:"ahead,omitempty"`    // prefetches and activations
	Loads    int64 `json:"loads,omitempty"`    // a beacon's page views with a view id
	Trackers int64 `json:"trackers,omitempty"` // trackers' page views with neither view id nor parent
	Evidence int64 `json:"evidence,omitempty"` // rows that prove a person
	Carried  int64 `json:"carried,omitempty"`  // with the identity of the period before
	Requests int64 `json:"requests,omitempty"` // sums of requests by result
	Imported int64 `json:"imported,omitempty"` // that an import brought, without sums of requests
}

// Add adds what is known of other rows.
func (f *Facts) Add(o Facts) {
	f.Keyed += o.Keyed
	f.Ahead += o.Ahead
	f.Loads += o.Loads
	f.Trackers += o.Trackers
	f.Evidence += o.Evidence
	f.Carried += o.Carried
	f.Requests += o.Requests
	f.Imported += o.Imported
}

// Manifest is the set of live segments at one version, and the spool position
// up to which their rows make the spool superfluous.
type Manifest struct {
	Segments     []Segment // ordered by site, date, creation
	Days         []Day     // sealed ones, ordered by site, date, zone
	SpoolThrough uint64    // last spool position that is covered; 0 = none
	Version      uint64    // grows by one with each commit; 0 = nothing was ever committed
}

// Mark says how far one epoch of an edge was accepted. Everything before
// Expected is durable here.
type Mark struct {
	Edge       shared.EdgeID `json:"edge"`
	Epoch      shared.Epoch  `json:"epoch"`
	EpochFirst uint64        `json:"epoch_first"`
	Expected   uint64        `json:"expected"` // next sequence to accept
	Accepted   uint64        `json:"accepted"` // cumulative, of this epoch
	Rejected   uint64        `json:"rejected"`
	Lost       uint64        `json:"lost"`
}

// Edge is what is known of one edge.
type Edge struct {
	ID       shared.EdgeID   `json:"id"`
	Name     string          `json:"name"`
	Version  string          `json:"version"`
	LastSeen int64           `json:"last_seen"` // µs since 1970, our clock
	SkewMS   int64           `json:"skew_ms"`
	Epoch    shared.Epoch    `json:"epoch"`
	Counters shared.Counters `json:"counters"` // of its newest batch header
	// Owner is the name that the edge's token is bound to: no other may speak
	// for it. "" = only tokens for all edges have spoken so far.
	Owner string `json:"owner,omitempty"`
}

// IdentityChanged is the reason of an incident that is no loss: at From the
// identities of Count sites began anew, because the salts were lost. It belongs
// to no edge.
const IdentityChanged = "identity_changed"

// Incident is a span of time in which events of an edge were dropped or lost:
// what the dashboard calls incomplete. Each loss is reported once; spans of one
// edge and reason that touch are merged and their counts added.
type Incident struct {
	Edge   shared.EdgeID `json:"edge"`
	Reason string        `json:"reason"` // a DropReason's or LossReason's name, or IdentityChanged
	From   int64         `json:"from"`   // µs since 1970
	To     int64         `json:"to"`     // µs since 1970, included
	Count  uint64        `json:"count"`
}

// Site is one entry of the registry.
type Site struct {
	ID        string   `json:"id"` // generated and safe in a path
	UUID      string   `json:"uuid"`
	Domains   []string `json:"domains"`
	Name      string   `json:"name"`
	Zone      string   `json:"zone"`       // IANA name
	CreatedAt int64    `json:"created_at"` // µs since 1970
	Origin    string   `json:"origin"`     // "caddyfile", "operator"

	// What follows is not in the records of older versions; Sites fills it in.
	UpdatedAt      int64          `json:"updated_at,omitempty"`      // µs since 1970; 0 = never
	AllowedDomains []string       `json:"allowed_domains,omitempty"` // see shared.SiteConfig
	Identity       string         `json:"identity,omitempty"`        // shared.IdentityDay or IdentityMonth
	Archived       bool           `json:"archived,omitempty"`
	Privacy        shared.Privacy `json:"privacy,omitzero"`
	PrivacyChanged int64          `json:"privacy_changed,omitempty"` // µs since 1970; 0 = never
	Links          []shared.Link  `json:"links,omitempty"`           // short addresses; see shared.SiteConfig
	Goals          []Goal         `json:"goals,omitempty"`
}

// Goal is a named condition on a site's events: a page, or a custom event.
type Goal struct {
	Name string `json:"name"`
	// Page is a path, in which * stands for anything without a slash and ** for
	// anything; Event is a custom event's name. One of them is set.
	Page  string            `json:"page,omitempty"`
	Event string            `json:"event,omitempty"`
	Props map[string]string `json:"props,omitempty"` // all of which the event has
}

// Key is what is kept of an API key or an edge token: enough to know it again,
// and nothing that would let anybody use it.
type Key struct {
	ID        string   `json:"id"`      // the part of the token that is shown
	Hash      string   `json:"hash"`    // SHA-256 of the whole token, 64 hexadecimal digits
	Name      string   `json:"name"`    // for people
	Edge      string   `json:"edge"`    // the edge that a token with the scope edge is for
	Scopes    []string `json:"scopes"`  // what it may be used for
	Sites     []string `json:"sites"`   // site ids; nil = every site
	CreatedAt int64    `json:"created"` // µs since 1970
	ExpiresAt int64    `json:"expires"` // µs since 1970; 0 = never
}

// Commit is one atomic change of the manifest and everything that moves with
// it.
type Commit struct {
	Add    []Segment
	Remove []string // segment ids
	// Days are new or instead of those of the same key; at most MaxDays beside
	// anything else.
	Days     []Day
	DropDays []DayKey
	Marks    []Mark
	Edges    []Edge
	// Incidents are new ones; they are merged with those already there.
	Incidents []Incident
	// Erased are accepted rows that are in no segment; they are added to those
	// already counted.
	Erased []Erased
	// SpoolThrough is the last spool position whose rows are in segments. 0
	// leaves it as it is.
	SpoolThrough uint64
}
