package shared

// Opt is a value that may be unknown. Unknown is stored as null; it is never
// replaced by an invented zero.
type Opt[T any] struct {
	V  T
	OK bool
}

// Some is a known value.
func Some[T any](v T) Opt[T] { return Opt[T]{V: v, OK: true} }

// Kind says what an event is. The list is closed: an unknown kind is rejected.
type Kind string

// The kinds of event.
const (
	KindPageview   Kind = "pageview"   // a document a reader saw
	KindEvent      Kind = "event"      // a named custom event
	KindError      Kind = "error"      // an HTML document with a 4xx or 5xx status
	KindDownload   Kind = "download"   // a file, once per download
	KindFeed       Kind = "feed"       // a poll of a feed
	KindRequest    Kind = "request"    // any other request of a bot
	KindOutbound   Kind = "outbound"   // a click that left the site
	KindEngagement Kind = "engagement" // time and scroll of a view
	KindVitals     Kind = "vitals"     // web vitals of a view
	KindCompletion Kind = "completion" // completes an earlier event, counts nothing
)

// Valid reports whether k is one of the closed list.
func (k Kind) Valid() bool {
	switch k {
	case KindPageview, KindEvent, KindError, KindDownload, KindFeed, KindRequest,
		KindOutbound, KindEngagement, KindVitals, KindCompletion:
		return true
	}
	return false
}

// Origin says which door an event came in by.
type Origin string

// The origins of events.
const (
	OriginEdge      Origin = "edge"
	OriginBeacon    Origin = "beacon"
	OriginUmami     Origin = "umami"
	OriginPlausible Origin = "plausible"
	OriginAPI       Origin = "api"
	OriginImport    Origin = "import"
)

// Valid reports whether o is one of the closed list.
func (o Origin) Valid() bool {
	switch o {
	case OriginEdge, OriginBeacon, OriginUmami, OriginPlausible, OriginAPI, OriginImport:
		return true
	}
	return false
}

// Verdict says who made a request. People are person and likely.
type Verdict string

// The verdicts.
const (
	VerdictPerson Verdict = "person" // proved: asset evidence or a beacon
	VerdictLikely Verdict = "likely" // a consistent browser, nothing against it
	VerdictBot    Verdict = "bot"    // with a reason
)

// Valid reports whether v is one of the closed list.
func (v Verdict) Valid() bool {
	return v == VerdictPerson || v == VerdictLikely || v == VerdictBot
}

// PropType is the type of a custom property's value; the value itself is kept
// as text. The numbers are Umami's.
type PropType int8

// The property types.
const (
	PropString PropType = 1
	PropNumber PropType = 2
	PropBool   PropType = 3
	PropDate   PropType = 4
	PropArray  PropType = 5
)

// Prop is one custom property.
type Prop struct {
	Key, Value string
	Type       PropType
}

// Event is what is kept of one request or one message: enriched, without an
// address. One Parquet column each; the empty string, the zero id and an unset
// [Opt] are null.
//
// Edge, Epoch and Seq are not encoded with the event: they follow from its
// place in a batch. SiteID, ReceivedAt and SkewMS are set by the aggregator.
type Event struct {
	// Key.
	Site       string // as the sender names it: a domain, UUID or site id; not stored
	SiteID     string // resolved by the aggregator's registry
	Edge       EdgeID
	Epoch      Epoch
	Seq        uint64
	Time       int64      // µs since 1970, UTC, by the sender's clock
	ReceivedAt int64      // µs since 1970, UTC, by the aggregator's clock
	SkewMS     Opt[int64] // sender's clock minus ours at send time, ms
	Origin     Origin
	DedupeKey  string

	// What.
	Kind     Kind
	Name     string // of a custom event
	Hostname string
	Pathname string
	Query    string // allow-listed keys only
	Title    string
	Tag      string

	// Who.
	VisitorID     uint64
	PrevVisitorID uint64
	Identity      string // period kind, "+local" when the salt was the edge's own
	DistinctID    string
	CountryCode   string // ISO 3166-1 alpha-2, upper case
	Region        string // ISO 3166-2 without the country
	City          string
	Language      string // BCP 47, the first of Accept-Language

	// Client.
	Browser        string
	BrowserVersion string
	OS             string
	OSVersion      string
	DeviceType     string // desktop, mobile, tablet, tv, console, wearable
	ScreenSize     string // "1440x900"

	// From.
	ReferrerDomain string
	ReferrerPath   string
	Source         string
	Channel        string
	UTMSource      string
	UTMMedium      string
	UTMCampaign    string
	UTMContent     string
	UTMTerm        string
	GCLID          string
	FBCLID         string
	MSCLKID        string
	TTCLID         string
	LIFatID        string
	TWCLID         string

	// Custom.
	Props           []Prop
	RevenueAmount   Opt[int64] // 1/10,000 of a unit of the currency
	RevenueCurrency string     // ISO 4217, upper case

	// Proxy.
	Status      Opt[int64]
	Method      string
	ContentType string     // media type without parameters
	BytesSent   Opt[int64] // body bytes
	TTFBUS      Opt[int64] // µs from the request to the first byte of the answer
	Protocol    string     // "HTTP/2.0"
	CacheStatus string     // hit, miss, …, from Cache-Status or X-Cache

	// Verdict.
	Verdict       Verdict
	VerdictReason string
	BotName       string
	BotCategory   string
	BotOperator   string
	AIPurpose     string
	Verified      Opt[bool]
	AgentToken    string // product token of an agent that is not a browser

	// Page life.
	ViewID       uint64
	ParentViewID uint64
	LoadID       uint64
	Cached       Opt[bool]
	EngagedMS    Opt[int64]
	ScrollDepth  Opt[int64] // percent
	LCPMS        Opt[float64]
	INPMS        Opt[float64]
	CLS          Opt[float64]
	FCPMS        Opt[float64]
	NavTTFBMS    Opt[float64] // the browser's own time to first byte
}
