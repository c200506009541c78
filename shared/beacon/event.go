package beacon

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/enrich"
)

// target is the site that a message is for.
type target struct {
	name string             // as events say it
	site *shared.SiteConfig // nil = not known here, but good
	link *shared.Link       // where the message is of one
}

// resolve finds the site of a message, and says why there is none.
func (q *request) resolve(m *Message) (target, Outcome) {
	view := q.view()
	if name := q.fixedSite(); name != "" {
		return q.open(target{name: name, site: view.Site(name)})
	}
	name := m.Site
	if name == "" {
		name = firstText(hostOf(m.URL), bareHost(m.Hostname))
	}
	t := target{name: name, site: view.Site(name)}
	if t.site == nil {
		if t.link, t.site = view.Link(name); t.link == nil {
			if q.in.cfg.Unresolved && view.Version() == "" && name != "" {
				return t, Taken
			}
			if q.in.cfg.UnknownSite != nil && name != "" {
				q.in.cfg.UnknownSite(strings.Clone(shared.Cut(name, shared.MaxSite)))
			}
			return t, UnknownSite
		}
	}
	return q.open(t)
}

// open refuses sites that take no events any more.
func (q *request) open(t target) (target, Outcome) {
	if t.site == nil {
		return t, Taken
	}
	t.name = t.site.ID
	if t.site.Archived {
		return t, UnknownSite
	}
	if q.sender.keyed && q.sender.grant != nil && !q.sender.grant(t.site.ID) {
		return t, Unauthorized
	}
	return t, Taken
}

func firstText(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// admit decides whether a message for a site is taken, by everything but what it
// says; nil is a link's, or a server's that says what it means.
func (q *request) admit(t target, m *Message, anyOrigin bool) Outcome {
	if t.site != nil && !anyOrigin {
		// What is no page, and may speak for others, has no origin.
		host := q.pageHost()
		if !(host == "" && q.sender.honoured) && !allowed(t.site, host) {
			return WrongOrigin
		}
	}
	switch t.site.Declines(q.h.mount.Privacy, q.sender.wishes) {
	case "":
		if q.excludes(m) {
			return ExcludedPage
		}
		return Taken
	case shared.ResultPrivacy:
		return RefusedSignal
	}
	return UnknownSite
}

// excludes reports whether a message is of a page that the place leaves out: one
// whose request counts as excluded must not come back as the script's view.
func (q *request) excludes(m *Message) bool {
	if q.h.mount.Excluded == nil || m == nil || m.Kind == shared.KindOutbound { // the latter's URL may be where it leads
		return false
	}
	l, _ := splitURL(m.URL, false)
	path, _, _ := strings.Cut(l.path, "#") // a route behind it is the script's
	return q.h.mount.Excluded(path)
}

// pageHost is the host of the page that sends. A pixel has no Origin, but a
// Referer.
func (q *request) pageHost() string {
	if origin := q.r.Header.Get("Origin"); origin != "" {
		return hostOf(origin)
	}
	return hostOf(q.r.Header.Get("Referer"))
}

// What a verdict on a message is founded on, beside the reasons of package enrich.
const (
	reasonBeacon = "beacon" // a script ran
	reasonServer = "server" // a client of the protocol spoke for itself, or a server for its visitor
)

// clientAgent begins the user agent of Umami's own client for servers. No
// browser calls itself so, and it is no bot: its events are the site's own.
const clientAgent = "Mozilla/5.0 Umami/"

// make turns a message into its event. ok is false where there is nothing to
// write, as the site does not allow what it is about.
func (q *request) make(m *Message, t target, e *shared.Event) (ok bool) {
	s := &q.sender
	var o shared.Observation
	q.observe(m, t, &o)
	q.in.cfg.Enrich(&o, e)
	q.in.counts.props.Add(uint64(m.DroppedProps))

	e.Kind, e.Name, e.Tag = m.Kind, shared.Cut(m.Name, shared.MaxName), shared.Cut(m.Tag, shared.MaxTag)
	e.Props, e.DedupeKey = m.Props, shared.Cut(m.DedupeKey, shared.MaxShort)
	q.in.cfg.CleanProps(e, q.h.mount.Privacy)
	e.RevenueAmount, e.RevenueCurrency = m.RevenueAmount, m.RevenueCurrency
	e.ViewID, e.ParentViewID, e.LoadID = m.ViewID, m.ParentViewID, m.LoadID
	if m.Cached {
		e.Cached = shared.Some(true)
	}
	e.EngagedMS, e.ScrollDepth = m.EngagedMS, m.ScrollDepth
	e.LCPMS, e.INPMS, e.CLS, e.FCPMS, e.NavTTFBMS = m.LCPMS, m.INPMS, m.CLS, m.FCPMS, m.NavTTFBMS
	q.judge(m, &o, e)
	if s.honoured {
		override(&m.Override, e)
	}
	ids := t.site != nil && s.identifies(t.site, q.h.mount.Privacy)
	if ids {
		e.DistinctID = shared.Cut(m.DistinctID, shared.MaxDistinct)
	}
	if m.Kind == shared.KindCompletion {
		return ids && e.VisitorID != 0
	}
	return true
}

// identifies reports whether the sender's own ids and attributes may be kept.
func (s *sender) identifies(site *shared.SiteConfig, extra *shared.Privacy) bool {
	p := site.Privacy.Stricter(extra)
	return p.DistinctIDs && !p.WithoutIdentity(s.wishes)
}

// observe makes of a message what the enrichment works on.
func (q *request) observe(m *Message, t target, o *shared.Observation) {
	s, h := &q.sender, q.r.Header
	*o = shared.Observation{
		Site: t.name, Kind: m.Kind, Origin: m.Origin, Time: s.time(m), Status: 0, BytesSent: -1, TTFBUS: -1,
		ClientIP: s.addr, Referer: cutTo(m.Referrer, maxURL), Title: m.Title, Screen: m.Screen, Wishes: s.wishes, Privacy: q.h.mount.Privacy,
		UserAgent: cutTo(h.Get("User-Agent"), maxAgent), AcceptLanguage: cutTo(h.Get("Accept-Language"), maxHeader),
	}
	if s.honoured && m.Time != 0 {
		o.Origin = shared.OriginAPI // whose times are left as they are
	}
	if m.Language != "" {
		o.AcceptLanguage = m.Language
	}
	q.page(m, o)
	own := m.Origin != shared.OriginAPI
	if s.honoured {
		if m.Override.IP.IsValid() {
			o.ClientIP = m.Override.IP
		} else if !own {
			o.ClientIP = netip.Addr{} // the server's: all its visitors would be one
		}
		if m.Override.UserAgent != "" {
			o.UserAgent, o.AcceptLanguage, own = m.Override.UserAgent, m.Language, false
		} else if !own {
			o.UserAgent, o.AcceptLanguage = "", m.Language
		}
		o.Country, o.Region, o.City = m.Override.Country, m.Override.Region, m.Override.City
	}
	if own {
		o.CHUA, o.CHUAMobile = cutTo(h.Get("Sec-Ch-Ua"), maxHeader), cutTo(h.Get("Sec-Ch-Ua-Mobile"), maxHeader)
		o.CHUAPlatform = cutTo(h.Get("Sec-Ch-Ua-Platform"), maxHeader)
		o.CHUAPlatformVer = cutTo(h.Get("Sec-Ch-Ua-Platform-Version"), maxHeader)
		o.CHUAModel = cutTo(h.Get("Sec-Ch-Ua-Model"), maxHeader)
		q.namedPlace(o)
	}
}

// page fills in what the message's URL says.
func (q *request) page(m *Message, o *shared.Observation) {
	// Our own script sends a fragment only where it was told that it is part
	// of the path.
	l, ok := splitURL(m.URL, m.Hash || m.Origin == shared.OriginBeacon)
	if !ok {
		l = location{}
	}
	o.Host, o.Path, o.RawQuery = l.host, l.path, cutTo(l.query, maxURL)
	if o.Host == "" {
		o.Host = m.Hostname
	}
	o.Path = cutTo(o.Path, 2*shared.MaxPath)
}

// futureTolerated is how far a sender's time may lie ahead of ours.
const futureTolerated = 10 * time.Minute

// time is when the message happened: now, unless the sender may say so.
func (s *sender) time(m *Message) int64 {
	if !s.honoured || m.Time == 0 || m.Time > s.now.Add(futureTolerated).UnixMicro() {
		return s.now.UnixMicro()
	}
	return m.Time
}

// judge completes the verdict on who sent a message: what runs our script is no
// reader of the page alone, and what is no browser may still be welcome.
func (q *request) judge(m *Message, o *shared.Observation, e *shared.Event) {
	bot := e.Verdict == shared.VerdictBot
	switch {
	case m.Origin == shared.OriginAPI && o.UserAgent == "",
		m.Origin == shared.OriginUmami && strings.HasPrefix(o.UserAgent, clientAgent):
		e.Verdict, e.VerdictReason = shared.VerdictLikely, reasonServer
		e.BotName, e.BotCategory, e.BotOperator, e.AIPurpose, e.AgentToken = "", "", "", "", ""
		e.Verified = shared.Opt[bool]{}
	case bot:
	case m.Origin == shared.OriginAPI, q.sender.honoured && m.Override.UserAgent != "":
		e.VerdictReason = reasonServer
	case q.r.Method == http.MethodPost:
		e.Verdict, e.VerdictReason = shared.VerdictPerson, reasonBeacon
	}
}

// override takes over what a sender who may says of the visitor's browser.
func override(o *Override, e *shared.Event) {
	for _, f := range []struct {
		from string
		to   *string
	}{{o.Browser, &e.Browser}, {o.OS, &e.OS}, {o.Device, &e.DeviceType}} {
		if f.from != "" {
			*f.to = shared.Cut(f.from, shared.MaxShort)
		}
	}
}

// cutTo bounds a text that is looked at, not kept.
func cutTo(s string, limit int) string {
	if len(s) > limit {
		return s[:limit]
	}
	return s
}

// namedPlace takes the place that a network before us names of the visitor, if
// it is one that is trusted and the message itself names none.
func (q *request) namedPlace(o *shared.Observation) {
	if o.Country != "" || q.in.cfg.Trusted == nil || !q.in.cfg.Trusted(q.r) {
		return
	}
	var p enrich.ProxyPlace
	for name, values := range q.r.Header {
		if len(values) > 0 {
			p.Note(name, cutTo(values[0], maxHeader))
		}
	}
	p.Tell(o)
}
