package sqlbox

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
	"github.com/eider-analytics/eider/shared"
)

// The test binary is its own child.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == ChildCommand {
		os.Exit(Child())
	}
	os.Exit(m.Run())
}

// event is a row of a site's files, in the shape of package lake's.
type event struct {
	SiteID         string            `parquet:"site_id"`
	Edge           string            `parquet:"edge"`
	Epoch          uint64            `parquet:"epoch"`
	Seq            uint64            `parquet:"seq"`
	Time           time.Time         `parquet:"time,timestamp(microsecond)"`
	Origin         string            `parquet:"origin"`
	Kind           string            `parquet:"kind"`
	Name           *string           `parquet:"name"`
	Hostname       *string           `parquet:"hostname"`
	Pathname       *string           `parquet:"pathname"`
	Query          *string           `parquet:"query"`
	Title          *string           `parquet:"title"`
	VisitorID      *uint64           `parquet:"visitor_id"`
	PrevVisitorID  *uint64           `parquet:"prev_visitor_id"`
	DistinctID     *string           `parquet:"distinct_id"`
	CountryCode    *string           `parquet:"country_code"`
	Browser        *string           `parquet:"browser"`
	ReferrerDomain *string           `parquet:"referrer_domain"`
	Source         *string           `parquet:"source"`
	UTMCampaign    *string           `parquet:"utm_campaign"`
	Props          map[string]string `parquet:"props,optional"`
	PropTypes      map[string]int8   `parquet:"prop_types,optional"`
	RevenueAmount  *int64            `parquet:"revenue_amount,optional,decimal(4:18)"`
	Verdict        *string           `parquet:"verdict"`
	VerdictReason  *string           `parquet:"verdict_reason"`
	BytesSent      *int64            `parquet:"bytes_sent"`
	ScreenSize     *string           `parquet:"screen_size"`
	DedupeKey      *string           `parquet:"dedupe_key"`
	ViewID         *uint64           `parquet:"view_id"`
	ParentViewID   *uint64           `parquet:"parent_view_id"`
	LoadID         *uint64           `parquet:"load_id"`
}

var edge = shared.EdgeID{0xab, 0xcd, 15: 1}

func p[T any](v T) *T { return &v }

// at is a time of the tests' day, 2026-03-10.
func at(clock string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", "2026-03-10 "+clock)
	if err != nil {
		panic(err)
	}
	return t
}

// rig is a lake of two sites with a runner over it.
type rig struct {
	*Runner
	site, other state.Site
	dir         string
	files       []lake.File
}

// siteOf is a registry's entry.
func siteOfTest(id string) state.Site {
	return state.Site{
		ID: id, UUID: "8f14e45f-ceea-467f-a9b1-0000000000" + id[:2], Name: "The " + id, Zone: "Europe/Berlin",
		Domains: []string{id + ".example"}, AllowedDomains: []string{"x.example"}, CreatedAt: 1_700_000_000_000_000,
	}
}

func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	r := &rig{site: siteOfTest("aasite"), other: siteOfTest("bbsite"), dir: t.TempDir()}
	r.write(t, "aasite/a.parquet", r.site.ID, story())
	r.write(t, "bbsite/b.parquet", r.other.ID, []event{{Kind: "pageview", Time: at("10:00:00"), VisitorID: p(uint64(99)), Pathname: p("/canary")}})
	db, err := duck.Open(duck.Config{Lake: r.dir, Temp: filepath.Join(t.TempDir(), "tmp"), Memory: 64 << 20, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	cfg.Engine, cfg.Temp = stats.NewEngine(db), t.TempDir()
	cfg.Snapshot = func() ([]lake.File, func()) { return r.files, func() {} }
	r.Runner = New(cfg)
	return r
}

// write makes events a file of the rig.
func (r *rig) write(t testing.TB, name, site string, events []event) {
	t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	f := lake.File{Path: path, SiteID: site, Facts: &state.Facts{}, Rows: int64(len(events))}
	for i := range events {
		e := &events[i]
		e.SiteID, e.Edge, e.Epoch, e.Seq = site, edge.String(), 7, uint64(i+1)
		if e.Origin == "" {
			e.Origin = "edge"
		}
		us := e.Time.UnixMicro()
		if f.MinTime == 0 || us < f.MinTime {
			f.MinTime = us
		}
		f.MaxTime = max(f.MaxTime, us)
		if e.PrevVisitorID != nil {
			f.Facts.Carried++
		}
	}
	if err := parquet.WriteFile(path, events); err != nil {
		t.Fatal(err)
	}
	r.files = append(r.files, f)
}

// story is few enough rows to count them by hand. The site's zone is an hour
// east of UTC. The day: visitor 1 has two visits of 10:00 and 11:00 UTC, 2 bounces,
// 3 only sends an event, a view has no visitor, and a bot comes by.
func story() []event {
	return []event{
		{Kind: "pageview", Time: at("10:00:00"), VisitorID: p(uint64(1)), Hostname: p("aa.example"), Pathname: p("/"), Source: p("Google"), ReferrerDomain: p("google.com"), Browser: p("Firefox"), CountryCode: p("DE"), BytesSent: p(int64(9007199254740993))},
		{Kind: "pageview", Time: at("10:05:00"), VisitorID: p(uint64(1)), Pathname: p("/pricing"), Query: p("q=1"), Title: p("=cmd()")},
		{
			Kind: "event", Name: p("signup"), Time: at("10:06:30"), VisitorID: p(uint64(1)), Pathname: p("/pricing"), RevenueAmount: p(int64(123456)),
			Props: map[string]string{"plan": "pro", "seats": "3.5", "since": "2026-01-02T03:04:05+01:00", "agreed": "true"}, PropTypes: map[string]int8{"seats": 2, "since": 4, "agreed": 3},
		},
		{Kind: "pageview", Time: at("11:00:00"), VisitorID: p(uint64(1)), Pathname: p("/"), UTMCampaign: p("spring")},
		{Kind: "pageview", Time: at("12:00:00"), VisitorID: p(uint64(2)), Pathname: p("/"), Verdict: p("likely")},
		{Kind: "event", Name: p("ping"), Time: at("12:30:00"), VisitorID: p(uint64(3))},
		{Kind: "pageview", Time: at("13:00:00"), Pathname: p("/nobody")},
		{Kind: "pageview", Time: at("13:30:00"), VisitorID: p(uint64(4)), Pathname: p("/bot"), Verdict: p("bot"), VerdictReason: p("user_agent")},
		{Kind: "completion", Name: p("identify"), Time: at("13:40:00"), Origin: "api", VisitorID: p(uint64(1)), DistinctID: p("u-1"), Props: map[string]string{"team": "red"}},
		{Kind: "completion", Name: p("identify"), Time: at("13:50:00"), Origin: "api", VisitorID: p(uint64(1)), DistinctID: p("u-1"), Props: map[string]string{"team": "blue"}},
	}
}

// ask runs a statement about the rig's first site.
func (r *rig) ask(ctx context.Context, q Request) (string, *Answer, error) {
	if q.Site.ID == "" {
		q.Site = r.site
	}
	if q.Format == "" {
		q.Format = JSON
	}
	a, err := r.Run(ctx, q)
	if err != nil {
		return "", nil, err
	}
	defer a.Close()
	b, err := io.ReadAll(a)
	if err == nil && int64(len(b)) != a.Size {
		err = fmt.Errorf("%d bytes are said to be %d", len(b), a.Size)
	}
	return string(b), a, err
}

// rows are an answer's, each as its JSON.
func rows(t *testing.T, text string) (columns, list []string) {
	t.Helper()
	var answer struct {
		Columns []struct{ Name, Type string } `json:"columns"`
		Rows    []json.RawMessage             `json:"rows"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for _, c := range answer.Columns {
		columns = append(columns, c.Name)
	}
	for _, r := range answer.Rows {
		list = append(list, string(r))
	}
	return columns, list
}

// listen is an address that counts who comes.
func listen(t *testing.T) (addr string, came func() bool) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hits := make(chan struct{}, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			hits <- struct{}{}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String(), func() bool { return len(hits) > 0 }
}

// oneAfterTheOther leaves a test out where only races are looked for: it runs many
// statements, each in a process of its own, and nothing at the same time.
func oneAfterTheOther(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("nothing happens at the same time here: not with -short")
	}
}
