package enrich

import (
	"fmt"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
)

// Config of an [Enricher]. The zero value works: no places, no site known,
// salts of its own.
type Config struct {
	GeoIP    string // path of a country or city database in MaxMind's format; "" = none
	Crawlers string // path of a file as ParseCrawlers reads it, read again when it changes; "" = none
	Sites    Sites  // nil = none is known
	Salts    Salts  // the aggregator's; nil = none
	// Local salts are used for what happens now, where Salts has none: the edge
	// has not reached its aggregator in this period. nil with Salts = no
	// identities then; nil without = NewLocalSalts(nil).
	Local  *LocalSalts
	Logger *zap.Logger // nil = silent
}

// Enricher makes events of observations. It is safe for concurrent use.
type Enricher struct {
	clients  *memo[client]
	places   *places
	crawlers *crawlerFile
	policies policies
	stop     chan struct{}
	stopped  sync.WaitGroup
}

// New makes an enricher. A GeoIP file that is missing or damaged is a warning
// in the log; one that holds no places is an error.
func New(cfg Config) (*Enricher, error) {
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	if cfg.Salts == nil {
		if cfg.Local == nil {
			cfg.Local = NewLocalSalts(nil)
		}
		cfg.Salts = nothing{}
	}
	if cfg.Sites == nil {
		cfg.Sites = nothing{}
	}
	p, err := openPlaces(cfg.GeoIP, cfg.Logger)
	if err != nil {
		return nil, fmt.Errorf("enrich: %w", err)
	}
	e := &Enricher{
		stop: make(chan struct{}), clients: newMemo[client](), places: p, crawlers: watchCrawlers(cfg.Crawlers, cfg.Logger),
		policies: policies{sites: cfg.Sites, salts: cfg.Salts, local: cfg.Local, log: cfg.Logger, all: map[policyKey]*policy{}},
	}
	e.stopped.Go(func() { e.policies.sweeping(e.stop) })
	return e, nil
}

// nothing knows no site and has no salt.
type nothing struct{}

func (nothing) Site(string) *shared.SiteConfig         { return nil }
func (nothing) Salt(string, int64) (shared.Salt, bool) { return shared.Salt{}, false }

// Close lets go of the files. No Enrich may be running or follow.
func (e *Enricher) Close() error {
	close(e.stop)
	e.stopped.Wait()
	e.crawlers.close()
	return e.places.close()
}

// unnamedSite is the site of observations that name none and have no host.
const unnamedSite = "_other"

// Enrich overwrites dst with the event that an observation makes. The event
// shares strings with the observation and with the enricher's memory, which keeps
// none of the observation's; it holds no form of the address.
//
// The site's privacy options are applied. Whether the request may be recorded
// at all is the caller's to ask before: [shared.SiteConfig.Declines].
//
// dst passes shared.Event.Check, whatever bytes the observation holds, if
// o.Time is a possible time.
func (e *Enricher) Enrich(o *shared.Observation, dst *shared.Event) {
	*dst = shared.Event{Origin: o.Origin, Time: o.Time}
	if !dst.Origin.Valid() {
		dst.Origin = shared.OriginEdge
	}
	dst.Hostname = shared.Cut(hostname(o.Host), shared.MaxHostname)
	dst.Site = shared.Cut(o.Site, shared.MaxSite)
	if dst.Site == "" {
		dst.Site = dst.Hostname
	}
	if dst.Site == "" {
		dst.Site = unnamedSite
	}
	p := e.policies.of(dst.Site, o.Privacy)
	setKind(o, dst)
	if o.Completion == "" {
		e.setFacts(o, dst, p)
	} else {
		dst.Verdict, dst.VerdictReason = shared.VerdictPerson, ReasonAssets
	}
	if !p.WithoutIdentity(o.Wishes) {
		p.visitors.visitor(dst, o.ClientIP, cutUserAgent(o.UserAgent), o.Time, happensNow(o.Origin))
	}
	dst.ViewID = o.ViewID
	p.apply(dst)
}

// happensNow reports whether an event's time is our own clock's. Others' times
// get no local salts: an identity in a past that nobody counted in joins
// nothing, and many of them would drive today's salt out.
func happensNow(origin shared.Origin) bool {
	return origin != shared.OriginAPI && origin != shared.OriginImport
}

// setPlace takes the place that a trusted proxy names, and what that leaves
// open from the database.
func (e *Enricher) setPlace(o *shared.Observation, dst *shared.Event) {
	if o.Country == tor {
		return // where the exit stands says nothing of the reader
	}
	named := namedPlace(o)
	if named.country == "" || named.region == "" && named.city == "" {
		if where := e.places.find(o.ClientIP); named.country == "" || named.country == where.country {
			named = where
		}
	}
	dst.CountryCode, dst.Region, dst.City = named.country, named.region, named.city
}

// setFacts fills what a request of its own says. A completion has none of it:
// it says something about another event.
func (e *Enricher) setFacts(o *shared.Observation, dst *shared.Event, p *policy) {
	dst.Pathname = shared.Cut(p.clean(redactPath(o.Path)), shared.MaxPath)
	dst.Title = shared.Cut(p.clean(redactTitle(o.Title)), shared.MaxTitle)
	dst.ScreenSize = screen(o.Screen)
	dst.Language = language(o.AcceptLanguage)
	setProxy(o, dst)
	e.setVerdict(o, dst)
	c := e.describe(o, dst)
	setSource(o, dst, c, p)
	e.setPlace(o, dst)
}

// setKind takes the observation's kind, or the one that its result implies.
//
// A prefetched page is written as a completion: it becomes a view only if it
// is seen, and until something says so no report may count it. Its view id
// lets the activation find it.
func setKind(o *shared.Observation, dst *shared.Event) {
	dst.Kind = o.Kind
	switch {
	case o.Completion != "":
		dst.Kind, dst.Name = shared.KindCompletion, o.Completion
	case o.Result == shared.ResultPrefetch:
		dst.Kind, dst.Name = shared.KindCompletion, shared.CompletionPrefetch
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

// setSource fills referrer, campaign, source and channel.
func setSource(o *shared.Observation, dst *shared.Event, c *client, p *policy) {
	tagged := readQuery(o.RawQuery, p.keys, dst)
	ref := parseReferrer(o.Referer)
	if spamReferrer(ref.domain) {
		ref = referrer{} // the visit is there all the same
	}
	fetchSite := ""
	if dst.Origin == shared.OriginEdge {
		fetchSite = o.SecFetchSite // a message's own is that of the script
	}
	internal := fetchSite == "same-origin" || ref.domain != "" && (selfReferral(ref.domain, dst) || p.ownDomain(ref.domain))
	// Who met an error wants to know of the link that led there, most of all
	// when it is one of the site's own.
	if !internal || dst.Kind == shared.KindError {
		dst.ReferrerDomain = shared.Cut(ref.domain, shared.MaxHostname)
		dst.ReferrerPath = shared.Cut(p.clean(ref.path), shared.MaxPath)
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
	case c.app != "" && fetchSite != "same-site":
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
