package importer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a minimal system has no zones of its own

	"github.com/eider-analytics/eider/aggregator/importjob"
	"github.com/eider-analytics/eider/shared"
)

// site is what the aggregator says of a site, and its calendar.
type site struct {
	shared.SiteConfig
	live map[string]bool // local days with live events

	zone        *time.Location
	from, until int64  // the local day that was asked for last, µs
	day         string // yyyy-mm-dd
}

// dayOf is the local day of a time, µs since 1970.
func (s *site) dayOf(at int64) string {
	if at < s.from || at >= s.until {
		y, m, d := time.UnixMicro(at).In(s.zone).Date()
		s.from = min(time.Date(y, m, d, 0, 0, 0, 0, s.zone).UnixMicro(), at)
		s.until = max(time.Date(y, m, d+1, 0, 0, 0, 0, s.zone).UnixMicro(), at+1)
		s.day = fmt.Sprintf("%04d-%02d-%02d", y, m, d)
	}
	return s.day
}

// maxHosts bounds the memory, and the questions, for hosts that a log names:
// clients make them up. Those beyond it count as unknown.
const maxHosts = 10_000

// sites finds the site of a line. It is used by one goroutine.
type sites struct {
	conn  *connection
	fixed *site            // that all lines count for; nil = by host
	names map[string]*site // by host as it is written, by name and by id; nil = unknown
}

// newSites asks for the site that every line counts for, if there is one.
func newSites(ctx context.Context, conn *connection, name string) (*sites, error) {
	s := &sites{conn: conn, names: map[string]*site{}}
	if name == "" {
		return s, nil
	}
	found, why, err := s.ask(ctx, name)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("site %s: %s", name, why)
	}
	s.fixed = found
	return s, nil
}

// ask asks the aggregator; nil is a site that it does not know, or that this
// token is not for.
func (s *sites) ask(ctx context.Context, name string) (found *site, why string, err error) {
	reply, err := s.conn.about(ctx, shared.ImportRequest{Sites: []string{name}})
	if err != nil {
		return nil, "", err
	}
	if len(reply.Sites) != 1 {
		return nil, "", fmt.Errorf("the aggregator answers with %d sites for one", len(reply.Sites))
	}
	answer := &reply.Sites[0]
	if answer.Site == nil {
		return nil, answer.Error, nil
	}
	if known := s.names[answer.Site.ID]; known != nil {
		return known, "", nil // another of its domains
	}
	zone, err := time.LoadLocation(answer.Site.TimeZone)
	if err != nil {
		return nil, "", fmt.Errorf("time zone of site %s: %w", answer.Site.ID, err)
	}
	found = &site{SiteConfig: *answer.Site, zone: zone, live: make(map[string]bool, len(answer.LiveDays))}
	for _, day := range answer.LiveDays {
		found.live[day] = true
	}
	s.names[found.ID] = found
	return found, "", nil
}

// of returns the site of a line with this host; nil if nobody knows it.
func (s *sites) of(ctx context.Context, host string) (*site, error) {
	if s.fixed != nil {
		return s.fixed, nil
	}
	if host == "" {
		return nil, nil
	}
	if known, ok := s.names[host]; ok {
		return known, nil
	}
	if len(s.names) >= maxHosts || len(host) > shared.MaxHostname {
		return nil, nil
	}
	found, _, err := s.ask(ctx, host)
	if err != nil {
		return nil, err
	}
	s.names[strings.Clone(host)] = found
	return found, nil
}

// Site implements enrich.Sites: judged lines name their site by its id.
func (s *sites) Site(id string) *shared.SiteConfig {
	if found := s.names[id]; found != nil {
		return &found.SiteConfig
	}
	return nil
}

// salts gives out the keys of a job. The days are those of the sites' zones.
type salts struct {
	job   *importjob.Job
	sites *sites
	last  []shared.Salt // those used last: computing one costs as much as a visitor
}

// Salt implements enrich.Salts.
func (s *salts) Salt(siteID string, at int64) (shared.Salt, bool) {
	for i := range s.last {
		if l := &s.last[i]; l.Site == siteID && at >= l.From && at < l.Until {
			return *l, true
		}
	}
	where := s.sites.names[siteID]
	if where == nil {
		return shared.Salt{}, false
	}
	y, m, d := time.UnixMicro(at).In(where.zone).Date()
	next := time.Date(y, m, d+1, 0, 0, 0, 0, where.zone)
	salt := shared.Salt{Site: siteID, Identity: shared.IdentityDayImport}
	if where.Identity == shared.IdentityMonth {
		d, next = 1, time.Date(y, m+1, 1, 0, 0, 0, 0, where.zone)
		salt.Identity = shared.IdentityMonthImport
	}
	// Where clocks are put forward at midnight, the day begins after its first
	// instant by the calendar.
	salt.From = min(time.Date(y, m, d, 0, 0, 0, 0, where.zone).UnixMicro(), at)
	salt.Until = max(next.UnixMicro(), at+1)
	salt.Key = s.job.Salt(siteID, fmt.Sprintf("%s %04d-%02d-%02d", salt.Identity, y, m, d))
	if len(s.last) == keptSalts {
		s.last = slices.Delete(s.last, 0, 1)
	}
	s.last = append(s.last, salt)
	return salt, true
}

// keptSalts covers a few sites around midnight.
const keptSalts = 16
