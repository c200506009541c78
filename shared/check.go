package shared

// Rejection says why the aggregator refused one event. The list is closed: it
// labels a metric and travels back to the edge.
type Rejection string

// The reasons for a rejection.
const (
	RejectMalformed   Rejection = "malformed"    // the bytes are no event
	RejectKind        Rejection = "unknown_kind" // not in the list of kinds
	RejectOrigin      Rejection = "unknown_origin"
	RejectVerdict     Rejection = "unknown_verdict"
	RejectTooLong     Rejection = "field_too_long"
	RejectText        Rejection = "invalid_text" // invalid UTF-8 or control characters
	RejectTime        Rejection = "invalid_time"
	RejectNumber      Rejection = "invalid_number"
	RejectProps       Rejection = "invalid_properties"
	RejectUnknownSite Rejection = "unknown_site"
	RejectSiteDenied  Rejection = "site_not_allowed" // the edge token is not for this site
	RejectArchived    Rejection = "site_archived"    // the site takes no events any more
)

// Rejections lists every reason, for metrics that must exist before the first
// rejection.
var Rejections = []Rejection{
	RejectMalformed, RejectKind, RejectOrigin, RejectVerdict, RejectTooLong, RejectText, RejectTime,
	RejectNumber, RejectProps, RejectUnknownSite, RejectSiteDenied, RejectArchived,
}

// Times that no clock which works can show, µs since 1970: before 2000 and
// after 2200. Tighter bounds need the sender's clock and are the receiver's.
const (
	minTime = 946_684_800_000_000
	maxTime = 7_258_118_400_000_000
)

// Check returns why an event can't be kept, or "" if it can. It looks at form
// only; whether the site exists is the registry's to say.
func (e *Event) Check() Rejection {
	switch {
	case !e.Kind.Valid():
		return RejectKind
	case !e.Origin.Valid():
		return RejectOrigin
	case e.Verdict != "" && !e.Verdict.Valid():
		return RejectVerdict
	case e.Time < minTime || e.Time > maxTime:
		return RejectTime
	case e.Site == "":
		return RejectUnknownSite
	}
	if r := e.checkText(); r != "" {
		return r
	}
	if r := e.checkNumbers(); r != "" {
		return r
	}
	return e.checkProps()
}

func (e *Event) checkText() Rejection {
	for _, f := range textFields {
		s := *f.at(e)
		if len(s) > f.limit {
			return RejectTooLong
		}
		if !clean(s) {
			return RejectText
		}
	}
	return ""
}

func (e *Event) checkNumbers() Rejection {
	within := func(o Opt[int64], lo, hi int64) bool { return !o.OK || (o.V >= lo && o.V <= hi) }
	vital := func(o Opt[float64], hi float64) bool { return !o.OK || (o.V >= 0 && o.V <= hi) }
	const day = 86_400_000
	switch {
	case !within(e.Status, 100, 999),
		!within(e.BytesSent, 0, 1<<50),
		!within(e.TTFBUS, 0, 1000*day),
		!within(e.EngagedMS, 0, day),
		!within(e.ScrollDepth, 0, 100),
		!within(e.RevenueAmount, -(1e17 - 1), 1e17-1),
		!vital(e.LCPMS, 600_000), !vital(e.INPMS, 600_000), !vital(e.FCPMS, 600_000),
		!vital(e.NavTTFBMS, 600_000), !vital(e.CLS, 1000):
		return RejectNumber
	}
	return ""
}

func (e *Event) checkProps() Rejection {
	if len(e.Props) > MaxProps {
		return RejectProps
	}
	for i, p := range e.Props {
		switch {
		case p.Key == "" || p.Type < PropString || p.Type > PropArray:
			return RejectProps
		case len(p.Key) > MaxPropKey || len(p.Value) > MaxPropValue:
			return RejectTooLong
		case !clean(p.Key) || !clean(p.Value):
			return RejectText
		}
		for _, q := range e.Props[:i] {
			if q.Key == p.Key {
				return RejectProps
			}
		}
	}
	return ""
}
