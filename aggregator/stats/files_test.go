package stats_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// row is the part of an event that the answers look at.
type row struct {
	SiteID         string    `parquet:"site_id"`
	Seq            uint64    `parquet:"seq"`
	Time           time.Time `parquet:"time,timestamp(microsecond)"`
	Kind           string    `parquet:"kind"`
	Hostname       *string   `parquet:"hostname"`
	Pathname       *string   `parquet:"pathname"`
	VisitorID      *uint64   `parquet:"visitor_id"`
	CountryCode    *string   `parquet:"country_code"`
	Region         *string   `parquet:"region"`
	City           *string   `parquet:"city"`
	Language       *string   `parquet:"language"`
	Browser        *string   `parquet:"browser"`
	BrowserVersion *string   `parquet:"browser_version"`
	OS             *string   `parquet:"os"`
	OSVersion      *string   `parquet:"os_version"`
	DeviceType     *string   `parquet:"device_type"`
	ScreenSize     *string   `parquet:"screen_size"`
	ReferrerDomain *string   `parquet:"referrer_domain"`
	Source         *string   `parquet:"source"`
	Channel        *string   `parquet:"channel"`
	UTMSource      *string   `parquet:"utm_source"`
	UTMMedium      *string   `parquet:"utm_medium"`
	UTMCampaign    *string   `parquet:"utm_campaign"`
	UTMContent     *string   `parquet:"utm_content"`
	UTMTerm        *string   `parquet:"utm_term"`
	Verdict        *string   `parquet:"verdict"`

	// What a file says that holds nothing to resolve.
	Edge          string  `parquet:"edge"`
	Epoch         uint64  `parquet:"epoch"`
	Origin        string  `parquet:"origin"`
	Name          *string `parquet:"name"`
	DedupeKey     *string `parquet:"dedupe_key"`
	PrevVisitorID *uint64 `parquet:"prev_visitor_id"`
	Title         *string `parquet:"title"`
	VerdictReason *string `parquet:"verdict_reason"`
	ViewID        *uint64 `parquet:"view_id"`
	ParentViewID  *uint64 `parquet:"parent_view_id"`
	LoadID        *uint64 `parquet:"load_id"`

	Props           map[string]string `parquet:"props,optional"`
	RevenueAmount   *int64            `parquet:"revenue_amount,optional,decimal(4:18)"`
	RevenueCurrency *string           `parquet:"revenue_currency"`
	Status          *int16            `parquet:"status"`
	BytesSent       *int64            `parquet:"bytes_sent"`
	TTFBUS          *int64            `parquet:"ttfb_us"`
	CacheStatus     *string           `parquet:"cache_status"`
	EngagedMS       *int32            `parquet:"engaged_ms"`
	ScrollDepth     *int16            `parquet:"scroll_depth"`
	LCPMS           *float64          `parquet:"lcp_ms"`
	INPMS           *float64          `parquet:"inp_ms"`
	CLS             *float64          `parquet:"cls"`
	FCPMS           *float64          `parquet:"fcp_ms"`
	NavTTFBMS       *float64          `parquet:"nav_ttfb_ms"`
}

const site = "example-com"

// open opens DuckDB over dir.
func open(t testing.TB, dir string) *stats.Engine {
	t.Helper()
	db, err := duck.Open(duck.Config{Lake: dir, Temp: filepath.Join(t.TempDir(), "tmp")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return stats.NewEngine(db)
}

// write makes the rows one file of a snapshot.
func write(t testing.TB, dir, name string, rows []row) lake.File {
	t.Helper()
	path := filepath.Join(dir, name)
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].Origin = "edge"
	}
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
	f := lake.File{Path: path, SiteID: site, Facts: &state.Facts{}}
	for i, r := range rows {
		at := r.Time.UnixMicro()
		if i == 0 || at < f.MinTime {
			f.MinTime = at
		}
		f.MaxTime = max(f.MaxTime, at)
		if r.PrevVisitorID != nil {
			f.Facts.Carried++
		}
	}
	return f
}

func some[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
