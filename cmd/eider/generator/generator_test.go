package generator

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
	"github.com/eider-analytics/eider/shared"
)

// small is four days with a change of the clocks in them.
func small(t testing.TB) Options {
	dir := t.TempDir()
	o := Defaults()
	o.State, o.Lake = filepath.Join(dir, "state"), filepath.Join(dir, "lake")
	o.Events, o.Days, o.Until, o.Cuts, o.Seed = 20_000, 4, "2025-10-27", 2, 11
	return o
}

func generate(t testing.TB, o Options) *Account {
	t.Helper()
	t.Logf("seed %d", o.Seed)
	a, err := Run(context.Background(), o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// stores opens what was generated as the server does.
func stores(t testing.TB, o Options) (*state.State, *lake.Lake) {
	t.Helper()
	s, err := state.Open(o.State, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	l, err := lake.Open(lake.Config{Dir: o.Lake, State: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = l.Close(context.Background())
		_ = s.Close()
	})
	return s, l
}

// The answers to questions are what the generator says they must be, of every
// day and of all of them, and the books close.
func TestExpected(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"proxy":           func(*Options) {},
		"proxy by months": func(o *Options) { o.Identity, o.Seed = shared.IdentityMonth, 12 },
		"beacons":         func(o *Options) { o.Profile, o.Seed = ProfileBeacons, 13 },
		"beacons, two sites": func(o *Options) {
			o.Profile, o.Sites, o.Identity, o.Late = ProfileBeacons, 2, shared.IdentityMonth, 0.05
		},
		"late, elsewhere": func(o *Options) {
			o.Late, o.Zone, o.Even, o.Sites, o.Until = 0.1, "America/Sao_Paulo", true, 2, "2018-11-05"
		},
		"tiny sites": func(o *Options) { o.Events, o.Sites, o.Sums = 3_000, 5, false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := small(t)
			change(&o)
			a := generate(t, o)
			s, l := stores(t, o)
			verify(t, o, s, a)
			db, err := duck.Open(duck.Config{Lake: o.Lake, Temp: filepath.Join(t.TempDir(), "tmp"), Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			snap := l.Snapshot()
			defer snap.Release()
			e := stats.NewEngine(db)
			for i := range a.Expected.Sites {
				site := &a.Expected.Sites[i]
				compare(t, e, snap.Files, o, site, a.Expected.From, a.Expected.To, site.Totals)
				for _, d := range site.Days {
					compare(t, e, snap.Files, o, site, d.Date, d.Date, d.Totals)
				}
			}
		})
	}
}

func compare(t *testing.T, e *stats.Engine, files []lake.File, o Options, site *ExpectedSite, from, to string, want Totals) {
	t.Helper()
	zone, err := time.LoadLocation(o.Zone)
	if err != nil {
		t.Fatal(err)
	}
	q, err := stats.Parse(stats.Site{ID: site.ID, Zone: zone}, url.Values{"start_date": {from}, "end_date": {to}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Main(context.Background(), files, q)
	if err != nil {
		t.Fatal(err)
	}
	got := Totals{Visitors: int64(m.Visitors), Visits: int64(m.Visits), Pageviews: m.Pageviews, Events: want.Events}
	if got != want {
		t.Errorf("%s from %s to %s: %+v, want %+v", site.ID, from, to, got, want)
	}
}

func verify(t *testing.T, o Options, s *state.State, a *Account) {
	t.Helper()
	sp, err := spool.Open(spool.Config{Dir: filepath.Join(t.TempDir(), "spool")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sp.Close() }()
	report, err := ops.Verify(context.Background(), ops.Stores{LakeDir: o.Lake, State: s, Spool: sp})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Problems) > 0 {
		t.Errorf("problems: %v", report.Problems)
	}
	rows := int64(0)
	for _, site := range a.Expected.Sites {
		for _, n := range site.Rows {
			rows += n
		}
	}
	if report.Rows != a.Rows || rows != a.Rows {
		t.Errorf("%d rows are in segments, %d in the account, %d by kind", report.Rows, a.Rows, rows)
	}
	if off := a.Rows - o.Events; off < -int64(o.Sites) || off > 0 {
		t.Errorf("%d rows, want %d", a.Rows, o.Events)
	}
}

// rowsOf is a digest of all rows in the order of the files, without what is of
// the run: names of files alone.
func rowsOf(t *testing.T, o Options) (digest string, rows int) {
	t.Helper()
	_, l := stores(t, o)
	snap := l.Snapshot()
	defer snap.Release()
	h := sha256.New()
	lines := map[string]bool{}
	for _, f := range snap.Files {
		list, err := parquet.ReadFile[struct {
			Seq        uint64  `parquet:"seq"`
			Edge       string  `parquet:"edge"`
			Time       int64   `parquet:"time"`
			ReceivedAt int64   `parquet:"received_at"`
			Kind       string  `parquet:"kind"`
			VisitorID  *uint64 `parquet:"visitor_id"`
			Pathname   *string `parquet:"pathname"`
			Source     *string `parquet:"source"`
			ViewID     *uint64 `parquet:"view_id"`
			TTFB       *int64  `parquet:"ttfb_us"`
			Query      *string `parquet:"query"`
			Revenue    *int64  `parquet:"revenue_amount"`
		}](f.Path)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			b, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			lines[string(b)] = true
			rows++
		}
	}
	if len(lines) != rows {
		t.Errorf("%d different rows of %d", len(lines), rows)
	}
	sum := [32]byte{}
	for line := range lines { // in any order: files may be cut elsewhere
		h.Reset()
		_, _ = io.WriteString(h, line)
		for i, b := range h.Sum(nil) {
			sum[i] ^= b
		}
	}
	return fmt.Sprintf("%x", sum), rows
}

func TestSameSeedSameRows(t *testing.T) {
	digest := func(seed uint64, cuts int) string {
		o := small(t)
		o.Seed, o.Cuts, o.Profile, o.Late, o.Events = seed, cuts, ProfileBeacons, 0.03, 8_000
		generate(t, o)
		d, _ := rowsOf(t, o)
		return d
	}
	one := digest(5, 1)
	if again := digest(5, 3); again != one {
		t.Errorf("the same seed gives other rows: %s and %s", one, again)
	}
	if other := digest(6, 1); other == one {
		t.Errorf("another seed gives the same rows")
	}
}

// What was written is as surprising as was declared, and looks like traffic.
func TestShape(t *testing.T) {
	o := small(t)
	o.Events = 60_000
	a := generate(t, o)
	for _, c := range a.Columns {
		// The long tails are seen in part.
		if d := math.Abs(c.Declared - c.Measured); d > 0.06+0.03*c.Declared || c.Values < 2 {
			t.Errorf("%s: %.3f bits declared, %.3f measured, %d values", c.Name, c.Declared, c.Measured, c.Values)
		}
	}
	site := a.Expected.Sites[0]
	if share := float64(site.Pageviews) / float64(site.Visits); share < 1.8 || share > 4 {
		t.Errorf("%.2f views a visit", share)
	}
	if a.Visits <= a.Visitors {
		t.Errorf("%d visits of %d visitors: nobody came again", a.Visits, a.Visitors)
	}
	for _, kind := range []shared.Kind{shared.KindPageview, shared.KindError, shared.KindDownload, shared.KindFeed, shared.KindRequest, shared.KindCompletion} {
		if site.Rows[string(kind)] == 0 {
			t.Errorf("there is no row of kind %s", kind)
		}
	}
	if a.Segments < 2*o.Days {
		t.Errorf("%d segments of %d days, of each two", a.Segments, o.Days)
	}
	var b strings.Builder
	a.Print(&b)
	if !strings.Contains(b.String(), "pathname") || !strings.Contains(b.String(), "bytes an event") {
		t.Errorf("account:\n%s", &b)
	}
}

// The model's user agents are what they are meant to be.
func TestModel(t *testing.T) {
	m, err := newModel()
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.clientOf {
		if c := &m.clientOf[i]; c.Verdict != shared.VerdictLikely || c.Browser == "" || c.OS == "" || c.DeviceType == "" || c.BrowserVersion == "" {
			t.Errorf("client %d is %s: %s %s on %s, %s", i, c.Verdict, c.Browser, c.BrowserVersion, c.OS, c.DeviceType)
		}
	}
	for i := range m.robotOf {
		if b := &m.robotOf[i]; b.Verdict != shared.VerdictBot || b.VerdictReason == "" || b.BotCategory == "" {
			t.Errorf("robot %q is %s, %s, %s", robots[i].agent, b.Verdict, b.VerdictReason, b.BotCategory)
		}
	}
	ai := 0
	for i := range m.robotOf {
		if m.robotOf[i].AIPurpose != "" {
			ai++
		}
	}
	if ai < 5 {
		t.Errorf("only %d robots have a purpose of AI", ai)
	}
	paths := map[string]bool{}
	for _, p := range m.pageOf {
		paths[p.path] = true
	}
	if len(paths) != pageCount {
		t.Errorf("%d different pages, want %d", len(paths), pageCount)
	}
	for i := range m.originOf {
		if o := &m.originOf[i]; o.click != "" && !strings.HasSuffix(o.event.Query, o.click+"=x") {
			t.Errorf("query %q has no place for a click id at its end", o.event.Query)
		}
	}
}

func TestOptions(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*Options)
		want   string // part of the error; "" = none
	}{
		"the defaults":     {func(*Options) {}, ""},
		"few events":       {func(o *Options) { o.Events = 999 }, "events: want 1000 to"},
		"too many":         {func(o *Options) { o.Events = MaxEvents + 1 }, "events: want"},
		"a full day":       {func(o *Options) { o.Events, o.Days = maxPerDay, 1 }, ""},
		"an overfull one":  {func(o *Options) { o.Events, o.Days = maxPerDay+1, 1 }, "more than 2000000 a day"},
		"no day":           {func(o *Options) { o.Days = 0 }, "days: want 1 to 3660, not 0"},
		"ages":             {func(o *Options) { o.Days = 3661 }, "days: want"},
		"no site":          {func(o *Options) { o.Sites = 0 }, "sites: want 1 to 10000, not 0"},
		"no cut":           {func(o *Options) { o.Cuts = 0 }, "cuts: want 1 to 96"},
		"all late":         {func(o *Options) { o.Late = 0.6 }, "late: want a share from 0 to 0.5"},
		"no number":        {func(o *Options) { o.Late = math.NaN() }, "late: want"},
		"a week":           {func(o *Options) { o.Identity = "week" }, `identity: want day or month, not "week"`},
		"profile":          {func(o *Options) { o.Profile = "" }, "profile: want proxy or beacons"},
		"zone":             {func(o *Options) { o.Zone = "Berlin" }, `there is no time zone "Berlin"`},
		"this machine's":   {func(o *Options) { o.Zone = "Local" }, "there is no time zone"},
		"a day that isn't": {func(o *Options) { o.Until = "2026-02-30" }, "is not a day as"},
		"today":            {func(o *Options) { o.Until = "2026-03-01" }, "is not over yet"},
		"long ago":         {func(o *Options) { o.Until = "2001-01-02" }, "before 2001"},
	} {
		o := Defaults()
		c.change(&o)
		_, err := o.read(now)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	p, err := (&Options{Events: MinEvents, Days: 2, Sites: 1, Cuts: 1, Zone: "America/New_York", Identity: "day", Profile: "proxy"}).read(now)
	if err != nil || p.date(1) != "2026-02-27" || p.date(0) != "2026-02-26" {
		t.Errorf("yesterday in New York: %v, %v", p, err)
	}
}

func TestParseCount(t *testing.T) {
	for text, want := range map[string]int64{
		"10M": 10_000_000, "500k": 500_000, "1.5M": 1_500_000, "200000": 200_000, "1G": 1_000_000_000, "0": 0, "2K": 2_000,
		"": -1, "M": -1, "-1M": -1, "ten": -1, "1e6": -1, "1.5": -1, "0x10": -1, "10 M": -1, "inf": -1, "1_000": -1, "99999999999G": -1,
	} {
		got, err := ParseCount(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestCheckNew(t *testing.T) {
	dir := t.TempDir()
	if err := CheckNew(dir); err != nil {
		t.Errorf("an empty directory: %v", err)
	}
	if err := CheckNew(filepath.Join(dir, "none")); err != nil {
		t.Errorf("no directory: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckNew(dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a directory with something in it: %v", err)
	}
}

func TestWriteExpected(t *testing.T) {
	e := Expected{From: "2026-01-01", Sites: []ExpectedSite{{ID: "a", Totals: Totals{Visits: 3}, Days: []ExpectedDay{{Date: "2026-01-01"}}}}}
	path := filepath.Join(t.TempDir(), "x.json")
	if err := e.Write(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var back Expected
	if err := json.Unmarshal(b, &back); err != nil || back.Sites[0].Visits != 3 || back.Sites[0].Days[0].Date != e.From {
		t.Errorf("%v: %s", err, b)
	}
}

// A visit never begins so late that its first page would be shown tomorrow.
func TestNoVisitBeginsAtMidnight(t *testing.T) {
	o := small(t)
	p, err := o.read(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m, err := newModel()
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(p, m, 0, "a", "a.example", o.Events)
	s.r = stream(o.Seed)
	v, midnight := s.newVisitor(0), p.start(1)
	for at, want := range map[int64]bool{midnight - quiet - 1: true, midnight - quiet: false, midnight - 1: false} {
		s.planned = s.planned[:0]
		if _, ok := s.planViews(&v, at, midnight, math.MaxInt64/4); ok != want {
			t.Errorf("a visit %d µs before midnight: %t, want %t", midnight-at, ok, want)
		}
	}
}

// A run that is interrupted says so.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a, err := Run(ctx, small(t), io.Discard)
	if !errors.Is(err, context.Canceled) || a != nil {
		t.Errorf("%v, %v", a, err)
	}
}
