package shared

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
)

// PathEdge is where an edge or a collector asks for what it needs to know
// before it can enrich: `GET /v1/edge`, bearer edge token, answered with an
// [EdgeState] and an ETag; If-None-Match with that tag is answered 304.
const PathEdge = "/v1/edge"

// EdgePoll is how often an edge asks, in seconds: a change of the registry is
// known everywhere within twice that.
const EdgePoll = 5

// EdgeState is the registry as one edge token may see it, with the secrets
// that enrichment needs. Sites may be kept on disk; Salts and keys live in
// memory only, on both sides of the wire.
type EdgeState struct {
	Version string       `json:"version"` // changes with any part of it; also the ETag
	Sites   []SiteConfig `json:"sites"`
	// Salts are those of the current period of each site, of the one before as
	// long as its identities are still sent beside (2 hours), and of the next
	// one, ahead of the rotation.
	Salts []Salt `json:"salts"`
	// SigningKey is what the keys of all sites' tokens are derived from
	// ([TokenKey]): for those who may see every site, else empty.
	SigningKey []byte `json:"signing_key,omitempty"`
	// TokenKeys are these keys, by site id, for those who may see some sites.
	TokenKeys map[string]Secret `json:"token_keys,omitempty"`
	// Keys are the API keys with which servers may send batches. They are kept
	// in memory only, as the secrets are, although nobody can use a digest.
	Keys []IngestKey `json:"keys,omitempty"`
}

// TokenKey derives the key that signs one site's tokens of Umami's protocol
// (HS256) from the signing key: who has it can make visitors of that site up, and
// of no other.
func TokenKey(signingKey []byte, siteID string) Secret {
	mac := hmac.New(sha256.New, signingKey)
	_, _ = io.WriteString(mac, "eider umami token\x00"+siteID)
	return Secret(mac.Sum(nil))
}

// IngestKey is an API key as those see it who only need to know it again.
type IngestKey struct {
	Digest string   `json:"digest"`          // SHA-256 of the token, 64 hexadecimal digits
	Sites  []string `json:"sites,omitempty"` // site ids; none = every site
	Until  int64    `json:"until,omitempty"` // µs since 1970; 0 = for ever
}

// EdgeReport is what an edge may tell while it asks: `POST /v1/edge` with one as
// JSON, answered exactly as the GET is, 304 included.
type EdgeReport struct {
	// UnknownHosts were asked for and belong to no site, at most
	// [MaxUnknownHosts], the most frequent of them.
	UnknownHosts []UnknownHost `json:"unknown_hosts,omitempty"`
}

// UnknownHost is a host that requests came for although no site has it. It is
// offered for adding; nothing of it is recorded.
type UnknownHost struct {
	Host     string `json:"host"`      // as it was asked for; what no host can be is left out
	Requests uint64 `json:"requests"`  // since the report before, if that was answered
	LastSeen int64  `json:"last_seen"` // µs since 1970
}

// MaxUnknownHosts bounds an [EdgeReport]: hosts are made up by whoever asks.
const MaxUnknownHosts = 100

// Salt is the key that visitors of one site are hashed with in one period.
type Salt struct {
	Site     string `json:"site"` // the site's id
	Key      Secret `json:"key"`
	From     int64  `json:"from"`     // µs since 1970
	Until    int64  `json:"until"`    // µs since 1970, excluded: the site's local midnight
	Identity string `json:"identity"` // what events say of it: [IdentityDay], [IdentityMonth], …
}

// Kinds of identity, as Event.Identity has them.
const (
	IdentityDay   = "day"
	IdentityMonth = "month"
	// IdentityDayImport and IdentityMonthImport mark identities of an import:
	// under salts of its own, so that they join no others.
	IdentityDayImport   = "day+import"
	IdentityMonthImport = "month+import"
	// IdentityDayLocal marks an identity under a salt that no other edge and no
	// other run of this one has: the edge had not reached its aggregator yet.
	IdentityDayLocal = "day+local"
)

// PrevIdentityFor is how long after a rotation the identity of the period
// before is sent beside the new one, µs.
const PrevIdentityFor = 2 * 3600 * 1_000_000

// SiteConfig is one site of the registry as edges and collectors need it.
type SiteConfig struct {
	ID       string   `json:"id"`
	UUID     string   `json:"uuid"`
	Name     string   `json:"name"`
	Domains  []string `json:"domains"` // normal form: lower case, ASCII, no "www."
	TimeZone string   `json:"time_zone"`
	// AllowedDomains are the hosts whose pages may send to the collection
	// endpoints, `*.example.com` for all below one; empty = any.
	AllowedDomains []string `json:"allowed_domains,omitempty"`
	// Identity is the period of the site's identities: day or month.
	Identity string  `json:"identity"`
	Archived bool    `json:"archived,omitempty"` // keeps its history, takes no events
	Privacy  Privacy `json:"privacy"`
	// Links are the site's short addresses, `/q/` and `/p/` at the collection
	// endpoints.
	Links []Link `json:"links,omitempty"`
}

// Link is a short address that counts whoever follows it, or loads it as a
// pixel. Its slug and its UUID are of it alone, among all sites.
type Link struct {
	Slug string `json:"slug"`
	UUID string `json:"uuid"`
	Name string `json:"name,omitempty"` // of the event; "" = the slug
	// URL is where `/q/<slug>` leads; "" = a pixel, `/p/<slug>`.
	URL string `json:"url,omitempty"`
}

// Privacy says what of a site's events is not recorded. The zero value is the
// default: everything in [Event], DNT and GPC counted without an identity.
// Every field is applied before the WAL, on every way in.
type Privacy struct {
	NoVisitorID      bool `json:"no_visitor_id,omitempty"`      // no identity at all
	CountryOnly      bool `json:"country_only,omitempty"`       // no region, no city
	HourTimes        bool `json:"hour_times,omitempty"`         // times are cut to the hour
	NoVersions       bool `json:"no_versions,omitempty"`        // of browser and system
	NoScreen         bool `json:"no_screen,omitempty"`          // no screen size
	ReferrerHostOnly bool `json:"referrer_host_only,omitempty"` // no path of the referrer
	// DNT and GPC say what becomes of a request with the header: "" is
	// [SignalNoIdentity].
	DNT Signal `json:"dnt,omitempty"`
	GPC Signal `json:"gpc,omitempty"`
	// DistinctIDs allows ids and attributes that the site itself sends by
	// identify.
	DistinctIDs bool `json:"distinct_ids,omitempty"`
	// QueryKeys are kept of query strings beside the built-in ones.
	QueryKeys []string `json:"query_keys,omitempty"`
	// Redact are regular expressions (RE2) whose matches in paths and titles
	// are replaced by [redacted].
	Redact []string `json:"redact,omitempty"`
}

// Signal is what a DNT or GPC header does.
type Signal string

// The effects of a signal.
const (
	SignalIgnore     Signal = "ignore"      // nothing
	SignalNoIdentity Signal = "no_identity" // counted without an identity; the default
	SignalRefuse     Signal = "refuse"      // not recorded
)

// Presets of Privacy, by name.
var Presets = map[string]Privacy{
	"strict": {
		NoVisitorID: true, CountryOnly: true, HourTimes: true, NoVersions: true, NoScreen: true, ReferrerHostOnly: true,
		DNT: SignalRefuse, GPC: SignalRefuse,
	},
	// What the French authority's exemption for audience measurement asks for:
	// coarse place, no versions that single out, an opt-out that is respected
	// (https://www.cnil.fr/fr/cookies-et-autres-traceurs/regles/cookies-solutions-pour-les-outils-de-mesure-daudience).
	"cnil": {CountryOnly: false, NoVersions: true, NoScreen: true, ReferrerHostOnly: true, DNT: SignalRefuse, GPC: SignalRefuse},
}

// presets are those that Preset hands out.
var presets = func() map[string]*Privacy {
	all := make(map[string]*Privacy, len(Presets))
	for name, p := range Presets {
		all[name] = &p
	}
	return all
}()

// Preset returns what the name of a preset stands for, beside the options of the
// registry: always the same pointer for the same name, and nil for none.
func Preset(name string) (*Privacy, error) {
	if name == "" {
		return nil, nil
	}
	p, ok := presets[name]
	if !ok {
		return nil, fmt.Errorf("privacy %q: want strict or cnil; single options are the registry's (eider site edit)", name)
	}
	return p, nil
}

// Names of events with the kind completion.
const (
	// CompletionPrefetch is a page fetched ahead, with all that is known of it
	// and a view id. It counts once it is seen.
	CompletionPrefetch = "prefetch"
	// CompletionActivation says that the prefetch with its view id was seen:
	// the page's parts were asked for.
	CompletionActivation = "activation"
	// CompletionEvidence says that its visitor fetches the parts of pages: a
	// person. At most one a visitor, identity period and edge.
	CompletionEvidence = "evidence"
	// CompletionIdentify carries the distinct id of its visitor and, as
	// properties, attributes of it.
	CompletionIdentify = "identify"
	// CompletionRequests carries, as properties, how many requests of its site
	// had which [Result] since the one before it: numbers to add up.
	CompletionRequests = "requests"
)
