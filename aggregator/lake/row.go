package lake

import "github.com/eider-analytics/eider/shared"

// Schema is the number of the set of columns below. It is recorded with each
// segment; columns are only ever added.
const Schema = 1

// SealedSchema is that of sealed segments, which may have more columns: what
// package stats found out of each row. The lake never reads them.
const SealedSchema = 2

// row is one event as a segment has it: a column for each exported field, in
// this order, under the name in its tag. The names are what people query: they
// never change. An optional text or id is null where it is empty or zero, an
// optional number where it is nil.
//
// Texts and visitor ids repeat, so a dictionary holds each once; ids that are
// random and unique gain nothing from one.
type row struct {
	// Key.
	SiteID     string `parquet:"site_id,dict"`
	Edge       string `parquet:"edge,dict"`
	Epoch      uint64 `parquet:"epoch,dict"`
	Seq        uint64 `parquet:"seq,delta"`
	Time       int64  `parquet:"time,delta,timestamp(microsecond)"`
	ReceivedAt int64  `parquet:"received_at,delta,timestamp(microsecond)"`
	SkewMS     *int64 `parquet:"skew_ms,optional"`
	Origin     string `parquet:"origin,dict"`
	DedupeKey  string `parquet:"dedupe_key,optional,dict"`

	// What.
	Kind     string `parquet:"kind,dict"`
	Name     string `parquet:"name,optional,dict"`
	Hostname string `parquet:"hostname,optional,dict"`
	Pathname string `parquet:"pathname,optional,dict"`
	Query    string `parquet:"query,optional,dict"`
	Title    string `parquet:"title,optional,dict"`
	Tag      string `parquet:"tag,optional,dict"`

	// Who.
	VisitorID     uint64 `parquet:"visitor_id,optional,dict"`
	PrevVisitorID uint64 `parquet:"prev_visitor_id,optional,dict"`
	Identity      string `parquet:"identity,optional,dict"`
	DistinctID    string `parquet:"distinct_id,optional,dict"`
	CountryCode   string `parquet:"country_code,optional,dict"`
	Region        string `parquet:"region,optional,dict"`
	City          string `parquet:"city,optional,dict"`
	Language      string `parquet:"language,optional,dict"`

	// Client.
	Browser        string `parquet:"browser,optional,dict"`
	BrowserVersion string `parquet:"browser_version,optional,dict"`
	OS             string `parquet:"os,optional,dict"`
	OSVersion      string `parquet:"os_version,optional,dict"`
	DeviceType     string `parquet:"device_type,optional,dict"`
	ScreenSize     string `parquet:"screen_size,optional,dict"`

	// From.
	ReferrerDomain string `parquet:"referrer_domain,optional,dict"`
	ReferrerPath   string `parquet:"referrer_path,optional,dict"`
	Source         string `parquet:"source,optional,dict"`
	Channel        string `parquet:"channel,optional,dict"`
	UTMSource      string `parquet:"utm_source,optional,dict"`
	UTMMedium      string `parquet:"utm_medium,optional,dict"`
	UTMCampaign    string `parquet:"utm_campaign,optional,dict"`
	UTMContent     string `parquet:"utm_content,optional,dict"`
	UTMTerm        string `parquet:"utm_term,optional,dict"`
	GCLID          string `parquet:"gclid,optional,dict"`
	FBCLID         string `parquet:"fbclid,optional,dict"`
	MSCLKID        string `parquet:"msclkid,optional,dict"`
	TTCLID         string `parquet:"ttclid,optional,dict"`
	LIFatID        string `parquet:"li_fat_id,optional,dict"`
	TWCLID         string `parquet:"twclid,optional,dict"`

	// Custom.
	Props           map[string]string `parquet:"props,optional" parquet-key:",dict" parquet-value:",dict"`
	PropTypes       map[string]int8   `parquet:"prop_types,optional" parquet-key:",dict" parquet-value:",dict"`
	RevenueAmount   *int64            `parquet:"revenue_amount,optional,decimal(4:18)"`
	RevenueCurrency string            `parquet:"revenue_currency,optional,dict"`

	// Proxy.
	Status      *int16 `parquet:"status,optional,dict"`
	Method      string `parquet:"method,optional,dict"`
	ContentType string `parquet:"content_type,optional,dict"`
	BytesSent   *int64 `parquet:"bytes_sent,optional"`
	TTFBUS      *int64 `parquet:"ttfb_us,optional"`
	Protocol    string `parquet:"protocol,optional,dict"`
	CacheStatus string `parquet:"cache_status,optional,dict"`

	// Verdict.
	Verdict       string   `parquet:"verdict,optional,dict"`
	VerdictReason string   `parquet:"verdict_reason,optional,dict"`
	BotName       string   `parquet:"bot_name,optional,dict"`
	BotCategory   string   `parquet:"bot_category,optional,dict"`
	BotOperator   string   `parquet:"bot_operator,optional,dict"`
	AIPurpose     string   `parquet:"ai_purpose,optional,dict"`
	Verified      *bool    `parquet:"verified,optional"`
	AgentToken    string   `parquet:"agent_token,optional,dict"`
	ViewID        uint64   `parquet:"view_id,optional"`
	ParentViewID  uint64   `parquet:"parent_view_id,optional"`
	LoadID        uint64   `parquet:"load_id,optional"`
	Cached        *bool    `parquet:"cached,optional"`
	EngagedMS     *int32   `parquet:"engaged_ms,optional"`
	ScrollDepth   *int16   `parquet:"scroll_depth,optional,dict"`
	LCPMS         *float64 `parquet:"lcp_ms,optional"`
	INPMS         *float64 `parquet:"inp_ms,optional"`
	CLS           *float64 `parquet:"cls,optional"`
	FCPMS         *float64 `parquet:"fcp_ms,optional"`
	NavTTFBMS     *float64 `parquet:"nav_ttfb_ms,optional"`

	// What the optional numbers point to.
	skewMS, revenueAmount, bytesSent, ttfbUS int64
	status, scrollDepth                      int16
	verified, cached                         bool
	engagedMS                                int32
	lcpMS, inpMS, cls, fcpMS, navTTFBMS      float64
}

// set makes r the event e, whose edge is named edge. The texts stay the event's;
// r must stay where it is as long as it is used, because it points to itself.
func (r *row) set(e *shared.Event, edge string) {
	r.SiteID = e.SiteID
	r.Edge = edge
	r.Epoch = uint64(e.Epoch)
	r.Seq = e.Seq
	r.Time = e.Time
	r.ReceivedAt = e.ReceivedAt
	r.SkewMS = keep(e.SkewMS, &r.skewMS)
	r.Origin = string(e.Origin)
	r.DedupeKey = e.DedupeKey
	r.Kind = string(e.Kind)
	r.Name = e.Name
	r.Hostname = e.Hostname
	r.Pathname = e.Pathname
	r.Query = e.Query
	r.Title = e.Title
	r.Tag = e.Tag
	r.VisitorID = e.VisitorID
	r.PrevVisitorID = e.PrevVisitorID
	r.Identity = e.Identity
	r.DistinctID = e.DistinctID
	r.CountryCode = e.CountryCode
	r.Region = e.Region
	r.City = e.City
	r.Language = e.Language
	r.Browser = e.Browser
	r.BrowserVersion = e.BrowserVersion
	r.OS = e.OS
	r.OSVersion = e.OSVersion
	r.DeviceType = e.DeviceType
	r.ScreenSize = e.ScreenSize
	r.setFrom(e)
	r.RevenueAmount = keep(e.RevenueAmount, &r.revenueAmount)
	r.RevenueCurrency = e.RevenueCurrency
	r.Status = keep(e.Status, &r.status)
	r.Method = e.Method
	r.ContentType = e.ContentType
	r.BytesSent = keep(e.BytesSent, &r.bytesSent)
	r.TTFBUS = keep(e.TTFBUS, &r.ttfbUS)
	r.Protocol = e.Protocol
	r.CacheStatus = e.CacheStatus
	r.Verdict = string(e.Verdict)
	r.VerdictReason = e.VerdictReason
	r.BotName = e.BotName
	r.BotCategory = e.BotCategory
	r.BotOperator = e.BotOperator
	r.AIPurpose = e.AIPurpose
	r.Verified = keepFlag(e.Verified, &r.verified)
	r.AgentToken = e.AgentToken
	r.ViewID = e.ViewID
	r.ParentViewID = e.ParentViewID
	r.LoadID = e.LoadID
	r.Cached = keepFlag(e.Cached, &r.cached)
	r.EngagedMS = keep(e.EngagedMS, &r.engagedMS)
	r.ScrollDepth = keep(e.ScrollDepth, &r.scrollDepth)
	r.LCPMS = keep(e.LCPMS, &r.lcpMS)
	r.INPMS = keep(e.INPMS, &r.inpMS)
	r.CLS = keep(e.CLS, &r.cls)
	r.FCPMS = keep(e.FCPMS, &r.fcpMS)
	r.NavTTFBMS = keep(e.NavTTFBMS, &r.navTTFBMS)
	r.setProps(e.Props)
}

// setFrom sets where the visitor came from.
func (r *row) setFrom(e *shared.Event) {
	r.ReferrerDomain = e.ReferrerDomain
	r.ReferrerPath = e.ReferrerPath
	r.Source = e.Source
	r.Channel = e.Channel
	r.UTMSource = e.UTMSource
	r.UTMMedium = e.UTMMedium
	r.UTMCampaign = e.UTMCampaign
	r.UTMContent = e.UTMContent
	r.UTMTerm = e.UTMTerm
	r.GCLID = e.GCLID
	r.FBCLID = e.FBCLID
	r.MSCLKID = e.MSCLKID
	r.TTCLID = e.TTCLID
	r.LIFatID = e.LIFatID
	r.TWCLID = e.TWCLID
}

// setProps sets the custom properties, and the types of those that are not text.
func (r *row) setProps(props []shared.Prop) {
	r.Props, r.PropTypes = nil, nil
	for i := range props {
		p := &props[i]
		if r.Props == nil {
			r.Props = make(map[string]string, len(props))
		}
		r.Props[p.Key] = p.Value
		if p.Type == shared.PropString {
			continue
		}
		if r.PropTypes == nil {
			r.PropTypes = make(map[string]int8, len(props))
		}
		r.PropTypes[p.Key] = int8(p.Type)
	}
}

// keep stores a known number at at, which Event.Check has made sure it fits, and
// points to it.
func keep[S int64 | float64, T int64 | int32 | int16 | float64](o shared.Opt[S], at *T) *T {
	if !o.OK {
		return nil
	}
	*at = T(o.V)
	return at
}

func keepFlag(o shared.Opt[bool], at *bool) *bool {
	if !o.OK {
		return nil
	}
	*at = o.V
	return at
}
