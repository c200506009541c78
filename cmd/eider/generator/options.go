package generator

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// Profiles of traffic.
const (
	ProfileProxy   = "proxy"   // what a Caddy alone records
	ProfileBeacons = "beacons" // the same, of a site whose pages load the script
)

// Bounds of the options: what is beyond them is a slip of the keyboard.
const (
	MinEvents = 1_000
	MaxEvents = 10_000_000_000
	maxDays   = 3_660
	maxSites  = 10_000 // as many as the registry takes
	maxCuts   = 96
	maxLate   = 0.5
	// maxPerDay is how many events of an average day there may be, as a day is
	// made in memory.
	maxPerDay = 2_000_000
)

// Options say what to generate, and where. [Defaults] has what the command has.
type Options struct {
	State, Lake string // directories of the aggregator's stores
	Events      int64  // rows of all sites together
	Days        int    // local days
	Until       string // the last of them, as 2026-11-22; "" = yesterday
	Sites       int
	Even        bool // sites are of one size; else Zipf's law
	Seed        uint64
	Zone        string  // IANA name, of all sites
	Identity    string  // shared.IdentityDay or IdentityMonth
	Profile     string  // ProfileProxy or ProfileBeacons
	Late        float64 // share of visits whose rows arrive a day or more later
	Cuts        int     // commits a day, which are segments of each site
	Sums        bool    // sums of requests by result, as the proxy tells each minute
	Terminal    bool    // whether progress may be drawn over itself
	Version     string  // of the software
}

// Defaults are the options of a command without flags.
func Defaults() Options {
	return Options{
		Events: 10_000_000, Days: 365, Sites: 1, Seed: 1, Zone: "Europe/Berlin",
		Identity: shared.IdentityDay, Profile: ProfileProxy, Cuts: 4, Sums: true,
	}
}

// plan is the options, read.
type plan struct {
	*Options
	zone    *time.Location
	first   time.Time // noon of the first day, so that adding days is safe
	beacons bool
	monthly bool
}

// read refuses what cannot work, with what to change.
func (o *Options) read(now time.Time) (*plan, error) {
	p := &plan{Options: o, beacons: o.Profile == ProfileBeacons, monthly: o.Identity == shared.IdentityMonth}
	switch {
	case o.Events < MinEvents || o.Events > MaxEvents:
		return nil, fmt.Errorf("events: want %d to %d, as 500k or 10M, not %d", MinEvents, int64(MaxEvents), o.Events)
	case o.Days < 1 || o.Days > maxDays:
		return nil, fmt.Errorf("days: want 1 to %d, not %d", maxDays, o.Days)
	case o.Events/int64(o.Days) > maxPerDay:
		return nil, fmt.Errorf("events: %d are more than %d a day, which is too much to be made in memory: name more days", o.Events, maxPerDay)
	case o.Sites < 1 || o.Sites > maxSites:
		return nil, fmt.Errorf("sites: want 1 to %d, not %d", maxSites, o.Sites)
	case o.Cuts < 1 || o.Cuts > maxCuts:
		return nil, fmt.Errorf("cuts: want 1 to %d segments a day, not %d", maxCuts, o.Cuts)
	case !(o.Late >= 0 && o.Late <= maxLate):
		return nil, fmt.Errorf("late: want a share from 0 to %g, not %g", maxLate, o.Late)
	case !p.monthly && o.Identity != shared.IdentityDay:
		return nil, fmt.Errorf("identity: want day or month, not %q", o.Identity)
	case !p.beacons && o.Profile != ProfileProxy:
		return nil, fmt.Errorf("profile: want %s or %s, not %q", ProfileProxy, ProfileBeacons, o.Profile)
	}
	var err error
	if p.zone, err = time.LoadLocation(o.Zone); err != nil || o.Zone == "" || o.Zone == "Local" {
		return nil, fmt.Errorf("zone: there is no time zone %q: name it as IANA does, such as Europe/Berlin", o.Zone)
	}
	last := now.In(p.zone).AddDate(0, 0, -1)
	if o.Until != "" {
		if last, err = time.Parse(time.DateOnly, o.Until); err != nil {
			return nil, fmt.Errorf("until: %q is not a day as 2026-11-22", o.Until)
		}
		if last.Format(time.DateOnly) >= now.In(p.zone).Format(time.DateOnly) {
			return nil, fmt.Errorf("until: %s is not over yet in %s: name a day before today", o.Until, o.Zone)
		}
	}
	p.first = time.Date(last.Year(), last.Month(), last.Day()-o.Days+1, 12, 0, 0, 0, time.UTC)
	if p.first.Year() < 2001 {
		return nil, errors.New("until and days: the first day is before 2001, which no event can be")
	}
	return p, nil
}

// Check refuses what cannot work, before anything is made.
func (o *Options) Check() error {
	_, err := o.read(time.Now())
	return err
}

// date is the local day number d as yyyy-mm-dd.
func (p *plan) date(d int) string { return p.first.AddDate(0, 0, d).Format(time.DateOnly) }

// start is when the local day number d begins, µs since 1970.
func (p *plan) start(d int) int64 {
	day := p.first.AddDate(0, 0, d)
	at := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, p.zone)
	for at.Day() != day.Day() { // clocks that are put forward at midnight
		at = at.Add(15 * time.Minute)
	}
	return at.UnixMicro()
}

// period numbers the identity that is in force on the day number d.
func (p *plan) period(d int) uint64 {
	day := p.first.AddDate(0, 0, d)
	if p.monthly {
		return uint64(day.Year()*12 + int(day.Month()))
	}
	return uint64(day.Unix() / 86_400)
}

// rotates reports whether the day number d begins a period of identities.
func (p *plan) rotates(d int) bool { return d == 0 || p.period(d) != p.period(d-1) }

// ParseCount reads a number of events: digits, and k, M or G behind them for
// thousands, millions and thousands of millions.
func ParseCount(text string) (int64, error) {
	unit := 1.0
	digits := text
	if text != "" {
		switch text[len(text)-1] {
		case 'k', 'K':
			unit = 1e3
		case 'm', 'M':
			unit = 1e6
		case 'g', 'G':
			unit = 1e9
		}
		if unit > 1 {
			digits = text[:len(text)-1]
		}
	}
	v, err := strconv.ParseFloat(digits, 64)
	n := v * unit
	if err != nil || strings.ContainsAny(digits, "eExXpP_iInN+-") || n != math.Trunc(n) || n > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is not a number of events: write it as 200000, 500k or 1.5M", text)
	}
	return int64(n), nil
}

// CheckNew refuses a directory in which there is anything: generated traffic
// must never get among real traffic.
func CheckNew(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("data directory: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("the data directory %s is not empty: generated traffic goes into a new one only; name it with --data", dir)
	}
	return nil
}
