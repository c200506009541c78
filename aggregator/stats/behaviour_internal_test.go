package stats

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/behavior"
	"github.com/eider-analytics/eider/shared"
)

var wellKnown = Site{
	ID: "example-com", Zone: time.UTC, Identity: shared.IdentityDay,
	Goals: []Goal{{Name: "Signup", Event: "signup"}},
}

// TestConditions: what is written is what is asked for, and what can't be
// understood is refused with its place.
func TestConditions(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"page:/a", "page:/a"},
		{"page:/a*,event:signup", "page:/a* | event:signup"},
		{`page:/a\,b,page:/c\\`, `page:/a,b | page:/c\`},
		{"prop:plan=pro=1", "prop:plan=pro=1"},
		{"goal:Signup", "goal:Signup"},
		{`[{"kind":"page","op":"is","value":"/a"}]`, "page:/a"},
		{`[{"kind":"property","key":"plan","value":"pro"}]`, "prop:plan=pro"},
		{` [{"kind":"page","op":"contains","value":"/a"},["is","event:page",["/b"]]]`, `page:/a | ["is","event:page",["/b"]]`},
		{"", "steps: must be 1 to 32 conditions"},
		{strings.Repeat("page:/,", 40) + "page:/", "steps: must be 1 to 32 conditions"},
		{"[" + strings.Repeat(`{"kind":"page","value":"/"},`, 40) + `{"kind":"page","value":"/"}]`, "steps: must be at most 32 conditions"},
		{"page", "steps[0]: must be kind:value"},
		{"page:/,colour:red", "steps[1]: unknown kind"},
		{"page:", "steps[0][2][0]: "},
		{"prop:plan", "steps[0]: must be prop:key=value"},
		{"prop:=pro", "steps[0][1]: "},
		{"goal:Nothing", "steps[0]: the site has no such goal"},
		{"page:\xff", "steps: is not UTF-8"},
		{"[1]", "steps[0]: must be {"},
		{"[", "steps: must be a list of conditions"},
		{`[{"kind":"page"}]`, "steps[0]: must be {"},
		{`[{"kind":"page","op":"resembles","value":"/"}]`, "steps[0][0]: must be one of"},
		{`[{"kind":"page","op":"and","value":"/"}]`, "steps[0]: the operator must be a comparison"},
		{`[{"kind":"page","key":"x","value":"/"}]`, "steps[0].key: only a property has a key"},
		{`[{"kind":"page","value":"/","colour":1}]`, "steps[0]: must be {"},
		{`[["has_done",["is","event:page",["/b"]]]]`, "steps[0]: a step is one event"},
		{`[["is","event:bot",["x"]]]`, "steps[0][1]: "},
		{`[["matches","event:page",["("]]]`, "steps[0][2][0]: must be a regular expression"},
		{"[" + strings.Repeat(`["or",[`+strings.Repeat(`["is","event:page",["/"]],`, 14)+`["is","event:page",["/"]]]],`, 7) + `["is","event:page",["/"]]]`, "steps: at most 100 comparisons"},
	} {
		list, err := wellKnown.parseConditions("steps", c.text, 1, behavior.MaxConditions)
		var got []string
		for i := range list {
			got = append(got, list[i].String())
		}
		text := strings.Join(got, " | ")
		if err != nil {
			if wrong := (*InvalidError)(nil); !errors.As(err, &wrong) {
				t.Errorf("%s: %T is no answer", c.text, err)
			}
			text = err.Error()
		}
		if text != c.want && (err == nil || !strings.HasPrefix(text, c.want)) {
			t.Errorf("%.80s: %s, want %s", c.text, text, c.want)
		}
	}
}

// TestBehaviourParameters: each endpoint names the parameter that it can't use.
func TestBehaviourParameters(t *testing.T) {
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	funnel := func(p url.Values) error { _, err := ParseFunnel(wellKnown, p, now); return err }
	retention := func(p url.Values) error { _, err := ParseRetention(wellKnown, p, now); return err }
	sequence := func(p url.Values) error { _, err := ParseSequence(wellKnown, p, now); return err }
	flow := func(p url.Values) error { _, err := ParseFlow(wellKnown, p, now); return err }
	journeys := func(p url.Values) error { _, err := ParseJourneys(wellKnown, p, now); return err }
	attribution := func(p url.Values) error { _, err := ParseAttribution(wellKnown, p, now); return err }
	for _, c := range []struct {
		parse       func(url.Values) error
		query, want string // want is how the error begins; "" = none
	}{
		{funnel, "steps=page:/,page:/a", ""},
		{funnel, "steps=page:/,page:/a&window=90m&modes=strict_order,allow_reentry&breakdown=prop:plan", ""},
		{funnel, "steps=page:/", "steps"},
		{funnel, "steps=page:/,page:/a&window=367 days", "window"},
		{funnel, "steps=page:/,page:/a&window=1 fortnight", "window"},
		{funnel, "steps=page:/,page:/a&window=0s", "window"},
		{funnel, "steps=page:/,page:/a&modes=allow_reentry", "modes"},
		{funnel, "steps=page:/,page:/a&breakdown=shoes", "breakdown"},
		{funnel, "steps=page:/,page:/a&breakdown=bots", "breakdown"},
		{funnel, "steps=page:/,page:/a&period=8d", "period"},
		{funnel, "steps=page:/,page:/a&limit=0", "limit"},
		{retention, "", ""},
		{retention, "period=month&weeks=3&start=event:a&return=page:/**&end_date=2026-02-28", ""},
		{retention, "period=30d", "period"},
		{retention, "weeks=1", "weeks"},
		{retention, "start_date=2026-01-01", "start_date"},
		{retention, "end_date=soon", "end_date"},
		{retention, "start=page:/,page:/a", "start"},
		{retention, "return=x", "return"},
		{sequence, "steps=page:/,page:/a&pattern=(%3F1)(%3Ft<=60)(%3F2)", ""},
		{sequence, "steps=page:/&pattern=x", "pattern: at byte 0"},
		{sequence, "pattern=(%3F1)", "steps"},
		{flow, "page=/**&direction=backward&base=last_match&depth=7&limit=50", ""},
		{flow, "page=/&limit=1000", ""},
		{flow, "", "page"},
		{flow, "page=%ff", "page"},
		{flow, "page=/&direction=up", "direction"},
		{flow, "page=/&base=tail", "base"},
		{flow, "page=/&depth=8", "depth"},
		{flow, "page=/&depth=2&limit=51", "limit"},
		{journeys, "entry=/&length=10", ""},
		{journeys, "length=0", "length"},
		{journeys, "entry=%ff", "entry"},
		{attribution, "conversion=goal:Signup&by=channels&lookback=7d", ""},
		{attribution, "", "conversion"},
		{attribution, "conversion=event:a&by=browsers", "by"},
		{attribution, "conversion=event:a&lookback=181d", "lookback"},
	} {
		p, err := url.ParseQuery(strings.ReplaceAll(c.query, " ", "+"))
		if err != nil {
			t.Fatal(err)
		}
		err = c.parse(p)
		var wrong *InvalidError
		switch {
		case c.want == "" && err != nil, c.want != "" && err == nil:
			t.Errorf("%s: %v", c.query, err)
		case err != nil && (!errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", c.query, err, c.want)
		}
	}
}

// TestRetentionRanges: periods are those of the calendar, the last one runs.
func TestRetentionRanges(t *testing.T) {
	for _, c := range []struct{ query, now, want string }{
		{"weeks=2", "2026-03-31", "2026-03-23 2026-03-31"}, // a Tuesday
		{"weeks=2", "2026-03-30", "2026-03-23 2026-03-30"},
		{"weeks=2", "2026-03-29", "2026-03-16 2026-03-29"},
		{"period=day&weeks=3", "2026-03-01", "2026-02-27 2026-03-01"},
		{"period=month&weeks=3", "2026-03-31", "2026-01-01 2026-03-31"},
		{"period=month&weeks=2&end_date=2026-01-05", "2026-03-31", "2025-12-01 2026-01-05"},
	} {
		p, _ := url.ParseQuery(c.query)
		now, _ := time.Parse(time.DateOnly, c.now)
		q, err := ParseRetention(wellKnown, p, now)
		if got := fmt.Sprint(q.Range.First, " ", q.Range.Last); err != nil || got != c.want {
			t.Errorf("%s at %s: %s, %v, want %s", c.query, c.now, got, err, c.want)
		}
	}
}

func TestSpans(t *testing.T) {
	for _, c := range []struct {
		seconds      []float64
		median, mean float64
	}{
		{[]float64{5}, 5, 5},
		{[]float64{1, 2.5}, 1.5, 1.75},
		{[]float64{9, 1, 1}, 1, 11.0 / 3},
		{[]float64{100_000, 1}, 49_980.5, 50_000.5}, // to the minute: 99,960
	} {
		var s spans
		for _, v := range c.seconds {
			s.add(int64(v * 1e6))
		}
		if m, mean := s.median(), s.mean(); *m != c.median || *mean != c.mean {
			t.Errorf("%v: median %v and mean %v, want %v and %v", c.seconds, *m, *mean, c.median, c.mean)
		}
	}
	var none spans
	if none.median() != nil || none.mean() != nil {
		t.Error("nothing has a median or mean")
	}
}

// TestBounded: what is counted stays bounded, and nobody is lost.
func TestBounded(t *testing.T) {
	const many = maxFlowNodes + 1000
	tree := &flowTree{nodes: make([]flowCount, 1), index: map[flowKey]int32{}}
	tally := &journeyTally{length: 2, ways: map[string]int64{}}
	values := newRanking(func() *int { return new(int) })
	for i := range uint64(many) {
		tree.add([]uint64{i, 1, 2}, 3)
		tally.add([]uint64{i, i, i + 1, 3})
		*values.of(i)++
	}
	if len(tree.nodes) > maxFlowNodes || len(tally.ways) > maxJourneys || len(values.values) > rankingSize {
		t.Errorf("%d nodes, %d ways, %d values", len(tree.nodes), len(tally.ways), len(values.values))
	}
	root, _ := tree.answer(&FlowQuery{depth: 3, Query: Query{Limit: maxBranches}})
	sum := root.Ended + root.Other
	for _, child := range root.Children {
		sum += int64(child.Visitors)
	}
	if sum != many || root.Visitors != many {
		t.Errorf("%d of %d visitors went somewhere", sum, root.Visitors)
	}
	counted := tally.other
	for _, n := range tally.ways {
		counted += n
	}
	if counted != many || tally.visits != many {
		t.Errorf("%d of %d visits took some way", counted, tally.visits)
	}
	if *values.other != many-rankingSize {
		t.Errorf("%d values are others", *values.other)
	}
}

// TestMarks: bits and times come back as they were, in one column or two.
func TestMarks(t *testing.T) {
	for _, conditions := range []int{1, 10, 17, 32} {
		r := Range{From: 1_700_000_000_000_000, To: 1_700_000_000_000_000 + 366*dayMicros}
		m := newMarks(r, make([]Condition, conditions))
		if want := conditions <= 17; m.packed != want {
			t.Errorf("%d conditions are packed: %t", conditions, m.packed)
		}
		mask, since := uint64(1)<<conditions-1, uint64(366*dayMicros-1)
		trail := [][]uint64{{since}, {mask}}
		if m.packed {
			trail = [][]uint64{{since<<conditions | mask}}
		}
		if e := m.decode(trail)[0]; e.Time != r.To-1 || uint64(e.Mask) != mask {
			t.Errorf("%d conditions: %d, %x", conditions, e.Time, e.Mask)
		}
	}
}

// FuzzConditions: no text of conditions panics or gets into SQL.
func FuzzConditions(f *testing.F) {
	for _, text := range []string{
		"page:/a*,event:signup", `page:/a\,b`, "prop:plan=pro", `[{"kind":"page","op":"is","value":"/a"}]`,
		`[["or",[["is","event:page",["/b"]],["matches","event:props:x",["^a"]]]]]`, "page:'; DROP TABLE events; --",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := wellKnown.parseConditions("steps", text, 1, behavior.MaxConditions)
		if err != nil {
			if wrong := (*InvalidError)(nil); !errors.As(err, &wrong) {
				t.Fatalf("%T is no answer", err)
			}
			return
		}
		if strings.IndexFunc(text, func(r rune) bool { return r > 127 }) < 0 {
			return // plain letters are in the SQL anyway
		}
		b := &builder{}
		q := &Query{}
		sql := newMarks(Range{To: 1}, list).mask(newPlan(q, Range{Zone: time.UTC, To: 1}, b))
		for _, r := range text {
			if r > 127 && strings.ContainsRune(sql, r) {
				t.Fatalf("%q of %q is in %s", r, text, sql)
			}
		}
	})
}

// FuzzSpan: no text of a span panics, and what is read is within bounds.
func FuzzSpan(f *testing.F) {
	for _, text := range []string{"1 day", "90m", "7d", "999999999999999999999 s", " 5 s", "5"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseSpan("window", text, time.Hour); err == nil && (d < time.Second || d > maxSpan) {
			t.Fatalf("%q is %s", text, d)
		}
	})
}
