package sqlbox

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestResolved: what is learnt later is resolved here as in every answer, also in
// files that do not say what they hold.
func TestResolved(t *testing.T) {
	r := newRig(t, Config{})
	r.files = nil
	r.write(t, "aasite/c.parquet", r.site.ID, []event{
		{Kind: "pageview", Time: at("10:00:00"), VisitorID: p(uint64(1)), Pathname: p("/"), ViewID: p(uint64(5))},
		{Kind: "pageview", Origin: "beacon", Time: at("10:00:01"), VisitorID: p(uint64(1)), Pathname: p("/"), ViewID: p(uint64(5)), LoadID: p(uint64(1)), Title: p("Home")}, // completes it
		{Kind: "pageview", Origin: "beacon", Time: at("10:01:00"), VisitorID: p(uint64(1)), Pathname: p("/"), ViewID: p(uint64(5)), LoadID: p(uint64(2))},                   // from a cache
		{Kind: "pageview", Origin: "beacon", Time: at("10:02:00"), VisitorID: p(uint64(1)), Pathname: p("/"), ViewID: p(uint64(6)), LoadID: p(uint64(3))},                   // forged
		{Kind: "pageview", Origin: "api", Time: at("10:03:00"), VisitorID: p(uint64(2)), Pathname: p("/a"), DedupeKey: p("k")},
		{Kind: "pageview", Origin: "api", Time: at("10:03:01"), VisitorID: p(uint64(2)), Pathname: p("/a"), DedupeKey: p("k")},                      // again
		{Kind: "pageview", Time: at("23:30:00"), VisitorID: p(uint64(4)), PrevVisitorID: p(uint64(2)), Pathname: p("/b")},                           // goes on as 2
		{Kind: "completion", Name: p("identify"), Origin: "api", Time: at("23:31:00"), VisitorID: p(uint64(4)), Props: map[string]string{"a": "b"}}, // of 2
	})
	r.files[0].Facts = nil
	for sql, want := range map[string][]string{
		"SELECT class, title, visitor_id, count(*) FROM events GROUP BY ALL ORDER BY ALL":  {`["cached",null,1,1]`, `["recorded","Home",1,1]`, `["recorded",null,2,1]`, `["script_only",null,2,1]`},
		"SELECT visitor_id, pageviews FROM visits ORDER BY started_at":                     {`[1,2]`, `[2,1]`, `[2,1]`},
		"SELECT day, visitors, visits FROM daily ORDER BY day":                             {`["2026-03-10",2,2]`, `["2026-03-11",1,1]`},
		"SELECT count(*) FROM v_pa_session_data JOIN v_pa_sessions s ON session_id = s.id": {`[1]`},
	} {
		text, _, err := r.ask(t.Context(), Request{SQL: sql})
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if _, got := rows(t, text); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", sql, got, want)
		}
	}
}

// TestVisitsEndAtNight: somebody who never pauses has a visit a day: it ends two
// hours after the local day in which it began, and the next one is of the day on
// which it begins.
func TestVisitsEndAtNight(t *testing.T) {
	r := newRig(t, Config{})
	r.files = nil
	var events []event
	for when := at("00:15:00"); when.Before(at("00:00:00").AddDate(0, 0, 2)); when = when.Add(25 * time.Minute) { // from 01:15 in Berlin, over two nights
		events = append(events, event{Kind: "pageview", Time: when, VisitorID: p(uint64(1)), Pathname: p("/")})
	}
	r.write(t, "aasite/d.parquet", r.site.ID, events)
	text, _, err := r.ask(t.Context(), Request{SQL: "SELECT day, strftime(started_at, '%d %H:%M'), strftime(ended_at, '%d %H:%M'), pageviews FROM visits ORDER BY started_at"})
	if err != nil {
		t.Fatal(err)
	}
	// 01:15 on the 10th and each 25 minutes; 02:00 of the 11th and of the 12th end a visit, that of the 10th does not.
	want := []string{`["2026-03-10","10 01:15","11 01:50",60]`, `["2026-03-11","11 02:15","12 00:45",55]`}
	if _, got := rows(t, text); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestDocumentedExamples runs every example of docs/sql.md as it stands there.
func TestDocumentedExamples(t *testing.T) {
	oneAfterTheOther(t)
	r := newRig(t, Config{})
	page, err := os.ReadFile("../../docs/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```sql\n")[1:]
	if len(blocks) < 5 {
		t.Fatalf("%d examples", len(blocks))
	}
	for _, block := range blocks {
		sql, _, _ := strings.Cut(block, "```")
		if text, a, err := r.ask(t.Context(), Request{SQL: sql}); err != nil || a.Rows == 0 && !strings.Contains(sql, "ai_purpose") {
			t.Errorf("%s: %v %s", sql, err, text)
		}
	}
	for _, view := range views {
		if !strings.Contains(string(page), "`"+view+"`") {
			t.Errorf("%s is not described", view)
		}
	}
}

// TestColumnsAreTheLakes: a column that is added to the files is added here, too.
func TestColumnsAreTheLakes(t *testing.T) {
	source, err := os.ReadFile("../lake/row.go")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for line := range strings.Lines(string(source)) {
		if _, tag, ok := strings.Cut(line, "`parquet:\""); ok {
			name, _, _ := strings.Cut(tag, ",")
			name, _, _ = strings.Cut(name, `"`)
			want = append(want, name)
		}
	}
	for _, c := range columns {
		got = append(got, c.Name)
	}
	if slices.Sort(want); !slices.Equal(want, slices.Sorted(slices.Values(got))) {
		t.Errorf("the files have %v\nhere are %v", want, got)
	}
}
