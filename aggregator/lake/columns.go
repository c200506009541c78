package lake

import (
	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/shared"
)

// Schema is the number of the set of columns below. It is recorded with each
// segment; columns are only ever added.
const Schema = 1

// column is one column of a segment. read appends a block's values to each of
// its leaves: one, or two for a map. Unknown is null, which is the zero Value.
type column struct {
	name string
	node parquet.Node
	read reader
}

// Leaf types. Texts and visitor ids repeat: a dictionary holds each once. Ids
// that are random and unique gain nothing from one.
var (
	textNode    = parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
	visitorNode = parquet.Encoded(parquet.Uint(64), &parquet.RLEDictionary)
	randomNode  = parquet.Uint(64)
	countNode   = parquet.Encoded(parquet.Uint(64), &parquet.DeltaBinaryPacked)
	timeNode    = parquet.Encoded(parquet.Timestamp(parquet.Microsecond), &parquet.DeltaBinaryPacked)
	longNode    = parquet.Int(64)
	intNode     = parquet.Int(32)
	smallNode   = parquet.Encoded(parquet.Int(16), &parquet.RLEDictionary)
	tinyNode    = parquet.Encoded(parquet.Int(8), &parquet.RLEDictionary)
	floatNode   = parquet.Leaf(parquet.DoubleType)
	flagNode    = parquet.Leaf(parquet.BooleanType)
	moneyNode   = parquet.Decimal(4, 18, parquet.Int64Type)
)

func optional(n parquet.Node) parquet.Node { return parquet.Optional(n) }

// columns lists every column in the order of the files. The names are what
// people query: they never change.
var columns = []column{
	// Key.
	{"site_id", textNode, requiredText(func(e *shared.Event) *string { return &e.SiteID })},
	{"edge", textNode, edgeHex},
	{"epoch", visitorNode, requiredID(func(e *shared.Event) *uint64 { return (*uint64)(&e.Epoch) })},
	{"seq", countNode, requiredID(func(e *shared.Event) *uint64 { return &e.Seq })},
	{"time", timeNode, requiredLong(func(e *shared.Event) *int64 { return &e.Time })},
	{"received_at", timeNode, requiredLong(func(e *shared.Event) *int64 { return &e.ReceivedAt })},
	{"skew_ms", optional(longNode), long(func(e *shared.Event) *shared.Opt[int64] { return &e.SkewMS })},
	{"origin", textNode, requiredText(func(e *shared.Event) *string { return (*string)(&e.Origin) })},
	{"dedupe_key", optional(textNode), text(func(e *shared.Event) *string { return &e.DedupeKey })},

	// What.
	{"kind", textNode, requiredText(func(e *shared.Event) *string { return (*string)(&e.Kind) })},
	{"name", optional(textNode), text(func(e *shared.Event) *string { return &e.Name })},
	{"hostname", optional(textNode), text(func(e *shared.Event) *string { return &e.Hostname })},
	{"pathname", optional(textNode), text(func(e *shared.Event) *string { return &e.Pathname })},
	{"query", optional(textNode), text(func(e *shared.Event) *string { return &e.Query })},
	{"title", optional(textNode), text(func(e *shared.Event) *string { return &e.Title })},
	{"tag", optional(textNode), text(func(e *shared.Event) *string { return &e.Tag })},

	// Who.
	{"visitor_id", optional(visitorNode), id(func(e *shared.Event) *uint64 { return &e.VisitorID })},
	{"prev_visitor_id", optional(visitorNode), id(func(e *shared.Event) *uint64 { return &e.PrevVisitorID })},
	{"identity", optional(textNode), text(func(e *shared.Event) *string { return &e.Identity })},
	{"distinct_id", optional(textNode), text(func(e *shared.Event) *string { return &e.DistinctID })},
	{"country_code", optional(textNode), text(func(e *shared.Event) *string { return &e.CountryCode })},
	{"region", optional(textNode), text(func(e *shared.Event) *string { return &e.Region })},
	{"city", optional(textNode), text(func(e *shared.Event) *string { return &e.City })},
	{"language", optional(textNode), text(func(e *shared.Event) *string { return &e.Language })},

	// Client.
	{"browser", optional(textNode), text(func(e *shared.Event) *string { return &e.Browser })},
	{"browser_version", optional(textNode), text(func(e *shared.Event) *string { return &e.BrowserVersion })},
	{"os", optional(textNode), text(func(e *shared.Event) *string { return &e.OS })},
	{"os_version", optional(textNode), text(func(e *shared.Event) *string { return &e.OSVersion })},
	{"device_type", optional(textNode), text(func(e *shared.Event) *string { return &e.DeviceType })},
	{"screen_size", optional(textNode), text(func(e *shared.Event) *string { return &e.ScreenSize })},

	// From.
	{"referrer_domain", optional(textNode), text(func(e *shared.Event) *string { return &e.ReferrerDomain })},
	{"referrer_path", optional(textNode), text(func(e *shared.Event) *string { return &e.ReferrerPath })},
	{"source", optional(textNode), text(func(e *shared.Event) *string { return &e.Source })},
	{"channel", optional(textNode), text(func(e *shared.Event) *string { return &e.Channel })},
	{"utm_source", optional(textNode), text(func(e *shared.Event) *string { return &e.UTMSource })},
	{"utm_medium", optional(textNode), text(func(e *shared.Event) *string { return &e.UTMMedium })},
	{"utm_campaign", optional(textNode), text(func(e *shared.Event) *string { return &e.UTMCampaign })},
	{"utm_content", optional(textNode), text(func(e *shared.Event) *string { return &e.UTMContent })},
	{"utm_term", optional(textNode), text(func(e *shared.Event) *string { return &e.UTMTerm })},
	{"gclid", optional(textNode), text(func(e *shared.Event) *string { return &e.GCLID })},
	{"fbclid", optional(textNode), text(func(e *shared.Event) *string { return &e.FBCLID })},
	{"msclkid", optional(textNode), text(func(e *shared.Event) *string { return &e.MSCLKID })},
	{"ttclid", optional(textNode), text(func(e *shared.Event) *string { return &e.TTCLID })},
	{"li_fat_id", optional(textNode), text(func(e *shared.Event) *string { return &e.LIFatID })},
	{"twclid", optional(textNode), text(func(e *shared.Event) *string { return &e.TWCLID })},

	// Custom.
	{"props", optional(parquet.Map(textNode, textNode)), props},
	{"prop_types", optional(parquet.Map(textNode, tinyNode)), propTypes},
	{"revenue_amount", optional(moneyNode), long(func(e *shared.Event) *shared.Opt[int64] { return &e.RevenueAmount })},
	{"revenue_currency", optional(textNode), text(func(e *shared.Event) *string { return &e.RevenueCurrency })},

	// Proxy.
	{"status", optional(smallNode), short(func(e *shared.Event) *shared.Opt[int64] { return &e.Status })},
	{"method", optional(textNode), text(func(e *shared.Event) *string { return &e.Method })},
	{"content_type", optional(textNode), text(func(e *shared.Event) *string { return &e.ContentType })},
	{"bytes_sent", optional(longNode), long(func(e *shared.Event) *shared.Opt[int64] { return &e.BytesSent })},
	{"ttfb_us", optional(longNode), long(func(e *shared.Event) *shared.Opt[int64] { return &e.TTFBUS })},
	{"protocol", optional(textNode), text(func(e *shared.Event) *string { return &e.Protocol })},
	{"cache_status", optional(textNode), text(func(e *shared.Event) *string { return &e.CacheStatus })},

	// Verdict.
	{"verdict", optional(textNode), text(func(e *shared.Event) *string { return (*string)(&e.Verdict) })},
	{"verdict_reason", optional(textNode), text(func(e *shared.Event) *string { return &e.VerdictReason })},
	{"bot_name", optional(textNode), text(func(e *shared.Event) *string { return &e.BotName })},
	{"bot_category", optional(textNode), text(func(e *shared.Event) *string { return &e.BotCategory })},
	{"bot_operator", optional(textNode), text(func(e *shared.Event) *string { return &e.BotOperator })},
	{"ai_purpose", optional(textNode), text(func(e *shared.Event) *string { return &e.AIPurpose })},
	{"verified", optional(flagNode), flag(func(e *shared.Event) *shared.Opt[bool] { return &e.Verified })},
	{"agent_token", optional(textNode), text(func(e *shared.Event) *string { return &e.AgentToken })},

	// Page life.
	{"view_id", optional(randomNode), id(func(e *shared.Event) *uint64 { return &e.ViewID })},
	{"parent_view_id", optional(randomNode), id(func(e *shared.Event) *uint64 { return &e.ParentViewID })},
	{"load_id", optional(randomNode), id(func(e *shared.Event) *uint64 { return &e.LoadID })},
	{"cached", optional(flagNode), flag(func(e *shared.Event) *shared.Opt[bool] { return &e.Cached })},
	{"engaged_ms", optional(intNode), short(func(e *shared.Event) *shared.Opt[int64] { return &e.EngagedMS })},
	{"scroll_depth", optional(smallNode), short(func(e *shared.Event) *shared.Opt[int64] { return &e.ScrollDepth })},
	{"lcp_ms", optional(floatNode), float(func(e *shared.Event) *shared.Opt[float64] { return &e.LCPMS })},
	{"inp_ms", optional(floatNode), float(func(e *shared.Event) *shared.Opt[float64] { return &e.INPMS })},
	{"cls", optional(floatNode), float(func(e *shared.Event) *shared.Opt[float64] { return &e.CLS })},
	{"fcp_ms", optional(floatNode), float(func(e *shared.Event) *shared.Opt[float64] { return &e.FCPMS })},
	{"nav_ttfb_ms", optional(floatNode), float(func(e *shared.Event) *shared.Opt[float64] { return &e.NavTTFBMS })},
}
