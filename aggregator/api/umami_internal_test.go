package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/stats"
)

// FuzzUmami: whatever the parameters are, they are a question or an error that
// names one of them.
func FuzzUmami(f *testing.F) {
	for _, seed := range []string{
		"startAt=1795132800000&endAt=1795219199999&type=path", "startAt=0&endAt=1&compare=yoy&unit=hour", "startAt=-1", "startAt=1&endAt=99999999999999",
		"startAt=1795132800000&endAt=1795219199999&path=c.a&os=neq.x,y&timezone=Asia/Kolkata&unit=day&compare=prev&page=3&pageSize=1000",
		"startAt=1795132800000&endAt=1795219199999&type=referrer&search=%00&limit=-1&offset=x",
	} {
		f.Add(seed)
	}
	site := stats.Site{ID: "example-com", Zone: time.UTC}
	now := time.Date(2026, 11, 22, 14, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, query string) {
		if _, err := url.ParseQuery(query); err != nil {
			t.Skip()
		}
		for name, parse := range umamiReports {
			r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
			r.URL.RawQuery = query
			q, err := parse(site, r, now)
			var wrong *stats.InvalidError
			switch {
			case errors.As(err, &wrong):
				if wrong.Field == "" {
					t.Errorf("%s: no field is named: %v", name, err)
				}
			case err != nil:
				t.Errorf("%s: %v", name, err)
			case q.ask == nil || q.key == "" || q.from >= q.to:
				t.Errorf("%s: no question: %+v", name, q)
			}
		}
	})
}
