package stats

import (
	"fmt"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// TestSumsOfRequests: counts that no edge could have are left out, and cost
// nobody the books.
func TestSumsOfRequests(t *testing.T) {
	day := Date{2026, time.November, 22}
	most := "9223372036854775807"
	var events []shared.Event
	for i, said := range []string{"7", "3", most, most, "-4", "1e30", "none", ""} {
		events = append(events, shared.Event{
			SiteID: testSite, Edge: shared.EdgeID{1}, Epoch: 1, Seq: uint64(i + 1), Time: day.start(time.UTC) + int64(i), Kind: shared.KindCompletion,
			Name: shared.CompletionRequests, Origin: shared.OriginEdge, DedupeKey: fmt.Sprint("a-", i),
			Props: []shared.Prop{{Key: "pageview", Value: said, Type: shared.PropNumber}},
		})
	}
	e, files := realLake(t, events, 3)
	b, err := e.Books(t.Context(), files, Query{SiteID: testSite, Range: newRange(time.UTC, day, day), Interval: Day, Limit: 10})
	if err != nil || b.Requests == nil || *b.Requests != 10 || b.Results["pageview"] != 10 {
		t.Errorf("%+v, %v, want 10 requests", b, err)
	}
}
