package enrich

import (
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
)

// Config of an [Enricher]. The zero value works: no places, salts of its own.
type Config struct {
	GeoIP  string      // path of a country or city database in MaxMind's format; "" = none
	Salts  Salts       // nil = NewLocalSalts(nil)
	Logger *zap.Logger // nil = silent
}

// Enricher makes events of observations. It is safe for concurrent use.
type Enricher struct {
	clients *memo[client]
	places  *places
	hashers *hashers
}

// New makes an enricher. A GeoIP file that is missing or damaged is a warning
// in the log; one that holds no places is an error.
func New(cfg Config) (*Enricher, error) {
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	if cfg.Salts == nil {
		cfg.Salts = NewLocalSalts(nil)
	}
	p, err := openPlaces(cfg.GeoIP, cfg.Logger)
	if err != nil {
		return nil, fmt.Errorf("enrich: %w", err)
	}
	return &Enricher{clients: newMemo[client](), places: p, hashers: newHashers(cfg.Salts)}, nil
}

// Close lets go of the GeoIP file. No Enrich may be running or follow.
func (e *Enricher) Close() error { return e.places.close() }

// unnamedSite is the site of observations that name none and have no host.
const unnamedSite = "_other"

// Enrich overwrites dst with the event that an observation makes. The event
// shares strings with the observation and with the enricher's memory; it holds
// no form of the address.
//
// PrevVisitorID stays unset: the identity of the day before may only travel to
// an aggregator that drops it where it continues no visit.
//
// dst passes shared.Event.Check, whatever bytes the observation holds, if
// o.Time is a possible time.
func (e *Enricher) Enrich(o *shared.Observation, dst *shared.Event) {
	*dst = shared.Event{Origin: shared.OriginEdge, Time: o.Time}
	dst.Hostname = shared.Cut(hostname(o.Host), shared.MaxHostname)
	dst.Site = shared.Cut(o.Site, shared.MaxSite)
	if dst.Site == "" {
		dst.Site = dst.Hostname
	}
	if dst.Site == "" {
		dst.Site = unnamedSite
	}
	setKind(o, dst)
	dst.Pathname = shared.Cut(redactPath(o.Path), shared.MaxPath)
	dst.Language = language(o.AcceptLanguage)
	setProxy(o, dst)
	setVerdict(o, dst)
	c := e.describe(o, dst)
	setSource(o, dst, c)
	where := e.places.find(o.ClientIP)
	dst.CountryCode, dst.Region, dst.City = where.country, where.region, where.city
	dst.VisitorID, dst.Identity = e.hashers.visitor(dst.Site, o.ClientIP, cutUserAgent(o.UserAgent), o.Time)
	dst.ViewID = o.ViewID
}

// prefetchName is the name of completions that stand for a prefetched page.
const prefetchName = "prefetch"

// setKind takes the observation's kind, or the one that its result implies.
//
// A prefetched page is written as a completion: it becomes a view only if it
// is seen, and until something says so no report may count it. Its view id
// lets the activation find it.
func setKind(o *shared.Observation, dst *shared.Event) {
	dst.Kind = o.Kind
	switch {
	case o.Result == shared.ResultPrefetch:
		dst.Kind, dst.Name = shared.KindCompletion, prefetchName
	case dst.Kind.Valid():
	case o.Result == shared.ResultPageview:
		dst.Kind = shared.KindPageview
	case o.Result == shared.ResultError:
		dst.Kind = shared.KindError
	case o.Result == shared.ResultDownload:
		dst.Kind = shared.KindDownload
	case o.Result == shared.ResultFeed:
		dst.Kind = shared.KindFeed
	default:
		dst.Kind = shared.KindRequest
	}
}

// setProxy fills what only the proxy knows. Numbers that no answer can have
// are unknown.
func setProxy(o *shared.Observation, dst *shared.Event) {
	if o.Status >= 100 && o.Status <= 999 {
		dst.Status = shared.Some(int64(o.Status))
	}
	if o.BytesSent >= 0 && o.BytesSent <= 1<<50 {
		dst.BytesSent = shared.Some(o.BytesSent)
	}
	const day = 24 * 3600 * 1_000_000
	if o.TTFBUS >= 0 && o.TTFBUS <= day {
		dst.TTFBUS = shared.Some(o.TTFBUS)
	}
	dst.Method = shared.Cut(o.Method, shared.MaxShort)
	dst.Protocol = shared.Cut(o.Protocol, shared.MaxShort)
	dst.ContentType = shared.Cut(mediaType(o.ContentType), shared.MaxShort)
	dst.CacheStatus = cacheStatus(o.CacheStatus)
}

// setVerdict says who asked, by the user agent alone.
func setVerdict(o *shared.Observation, dst *shared.Event) {
	bot, is := Bot(o.UserAgent)
	if !is && o.Result != shared.ResultBot {
		dst.Verdict, dst.VerdictReason = shared.VerdictLikely, ReasonBrowser
		return
	}
	if !is {
		bot = BotInfo{Category: CategoryOther, Reason: ReasonUnlisted}
	}
	dst.Verdict, dst.VerdictReason = shared.VerdictBot, bot.Reason
	dst.BotName, dst.BotCategory, dst.BotOperator = shared.Cut(bot.Name, shared.MaxShort), bot.Category, bot.Operator
	dst.AIPurpose, dst.AgentToken = bot.AIPurpose, bot.Token
}

// setSource fills referrer, campaign, source and channel.
func setSource(o *shared.Observation, dst *shared.Event, c *client) {
	tagged := readQuery(o.RawQuery, dst)
	ref := parseReferrer(o.Referer)
	internal := o.SecFetchSite == "same-origin" || ref.domain != "" && selfReferral(ref.domain, dst)
	if !internal {
		dst.ReferrerDomain = shared.Cut(ref.domain, shared.MaxHostname)
		dst.ReferrerPath = shared.Cut(ref.path, shared.MaxPath)
	}
	tag := firstNonEmpty(dst.UTMSource, tagged.source, tagged.ref)
	var from source
	switch {
	case tag != "":
		from = sourceOfTag(tag)
	case tagged.paidBy != "":
		from = source{tagged.paidBy, classSearch}
	case internal:
	case ref.app && ref.domain != "":
		from = sourceOfPackage(ref.domain)
	case ref.domain != "":
		from = sourceOfHost(ref.domain)
	case c.app != "" && o.SecFetchSite != "same-site":
		from = sourceByWord[strings.ToLower(c.app)]
	}
	dst.Source = shared.Cut(from.name, shared.MaxUTM)
	dst.Channel = channel(dst, tag, from.class, tagged.paidBy)
}

// selfReferral reports whether a referrer is the site itself.
func selfReferral(domain string, dst *shared.Event) bool {
	return domain == dst.Hostname || domain == dst.Site || domain == hostname(dst.Site)
}

func firstNonEmpty(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
