package lake

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/shared"
)

// The columns as people query them. A name that changes breaks their queries.
var names = strings.Fields(`
	site_id edge epoch seq time received_at skew_ms origin dedupe_key
	kind name hostname pathname query title tag
	visitor_id prev_visitor_id identity distinct_id country_code region city language
	browser browser_version os os_version device_type screen_size
	referrer_domain referrer_path source channel utm_source utm_medium utm_campaign utm_content utm_term
	gclid fbclid msclkid ttclid li_fat_id twclid
	props prop_types revenue_amount revenue_currency
	status method content_type bytes_sent ttfb_us protocol cache_status
	verdict verdict_reason bot_name bot_category bot_operator ai_purpose verified agent_token
	view_id parent_view_id load_id cached engaged_ms scroll_depth lcp_ms inp_ms cls fcp_ms nav_ttfb_ms`)

func TestTheFileHasTheColumnsInOrder(t *testing.T) {
	path := writeEvents(t, newTraffic(1, "example").take(1))
	pf := openFile(t, path)
	var got []string
	for _, field := range pf.Schema().Fields() {
		got = append(got, field.Name())
	}
	if !slices.Equal(got, names) {
		t.Errorf("columns\n got %v\nwant %v", got, names)
	}
	for name, want := range map[string]string{
		"visitor_id": "INT(64,false)", "seq": "INT(64,false)", "status": "INT(16,true)", "engaged_ms": "INT(32,true)",
		"time": "TIMESTAMP(isAdjustedToUTC=true,unit=MICROS)", "revenue_amount": "DECIMAL(18,4)", "cls": "DOUBLE",
		"verified": "BOOLEAN", "pathname": "STRING", "props": "MAP",
	} {
		for _, field := range pf.Schema().Fields() {
			if field.Name() == name && field.Type().String() != want {
				t.Errorf("%s is %s, want %s", name, field.Type(), want)
			}
		}
	}
}

// writeEvents writes events as a durable segment of one chunk.
func writeEvents(t testing.TB, events []shared.Event) string {
	t.Helper()
	var c chunk
	for i := range events {
		c.add(&events[i])
	}
	path := filepath.Join(t.TempDir(), "segment.parquet")
	_, err := writeFile(path, true, func(f *os.File) error {
		return encode(newEncoder(true), f, events[0].SiteID, []*chunk{&c}, func() {})
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// bare has only what every event has.
func bare() shared.Event {
	return shared.Event{
		SiteID: "example", Edge: shared.EdgeID{9}, Epoch: 8, Seq: 7, Time: 1_700_000_000_000_001, ReceivedAt: 1_700_000_000_000_002,
		Origin: shared.OriginEdge, Kind: shared.KindPageview,
	}
}

// Every field of an event must reach exactly one column (the properties have two),
// and must not be seen in any other; what is unknown stays null.
func TestEveryFieldHasItsColumn(t *testing.T) {
	plain := readFile(t, writeEvents(t, []shared.Event{bare()}))[0]
	if len(plain) != 8 {
		t.Fatalf("an event with nothing but its key has %d columns: %v", len(plain), plain)
	}
	used := map[string]string{}
	typ := reflect.TypeFor[shared.Event]()
	for i := range typ.NumField() {
		name := typ.Field(i).Name
		if name == "Site" {
			continue // as the sender names it: the resolved site is stored
		}
		e := bare()
		want := set(t, reflect.ValueOf(&e).Elem().Field(i))
		got := readFile(t, writeEvents(t, []shared.Event{e}))[0]
		var changed []string
		for column, values := range got {
			if !reflect.DeepEqual(values, plain[column]) {
				changed = append(changed, column)
			}
		}
		slices.Sort(changed)
		if name == "Props" {
			checkProps(t, got)
			want, changed = "", []string{"props"}
		}
		if len(changed) != 1 {
			t.Errorf("field %s changes the columns %v", name, changed)
			continue
		}
		column := changed[0]
		if other := used[column]; other != "" {
			t.Errorf("fields %s and %s share the column %s", name, other, column)
		}
		used[column] = name
		if want != "" && got[column][0].String() != want {
			t.Errorf("field %s: column %s is %s, want %s", name, column, got[column][0], want)
		}
		if squash(name) != squash(column) {
			t.Errorf("field %s is in column %s", name, column)
		}
	}
	for _, column := range names {
		if used[column] == "" && column != "prop_types" {
			t.Errorf("no field is in column %s", column)
		}
	}
}

// squash makes a field's name and its column's comparable.
func squash(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// set gives a field a value that differs from bare's, and returns it as text.
func set(t *testing.T, f reflect.Value) string {
	t.Helper()
	switch p := f.Addr().Interface().(type) {
	case *string:
		*p = "täxt"
		return *p
	case *shared.Kind, *shared.Origin, *shared.Verdict:
		f.SetString("import")
		return "import"
	case *uint64:
		*p = math.MaxUint64 - 5
		return "-6" // parquet-go shows the bits as a signed number
	case *int64:
		*p = 1_600_000_000_000_000
		return fmt.Sprint(*p)
	case *shared.EdgeID:
		*p = shared.EdgeID{0xab}
		return p.String()
	case *shared.Epoch:
		*p = math.MaxUint64
		return "-1"
	case *shared.Opt[int64]:
		*p = shared.Some[int64](0) // known and zero is not null
		return "0"
	case *shared.Opt[float64]:
		*p = shared.Some(0.125)
		return "0.125"
	case *shared.Opt[bool]:
		*p = shared.Some(false)
		return "false"
	case *[]shared.Prop:
		*p = []shared.Prop{
			{Key: "plan", Value: "pro", Type: shared.PropString},
			{Key: "empty", Value: "", Type: shared.PropString},
			{Key: "seats", Value: "3", Type: shared.PropNumber},
		}
		return ""
	}
	t.Fatalf("type %s is new: give it a column", f.Type())
	return ""
}

func checkProps(t *testing.T, r record) {
	t.Helper()
	for column, want := range map[string]string{
		"props":      "map[empty: plan:pro seats:3]",
		"prop_types": "map[seats:2]",
	} {
		got := map[string]string{}
		values := r[column+".key_value.value"]
		for i, key := range r[column+".key_value.key"] {
			got[key.String()] = values[i].String()
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s is %s, want %s", column, got, want)
		}
	}
}

// Rows keep their order and values across blocks, chunks and row groups.
func TestManyRowsComeBackAsTheyWere(t *testing.T) {
	tr := newTraffic(5, "example")
	events := tr.take(3*blockRows + 7)
	events[3].Props = nil
	got := readFile(t, writeEvents(t, events))
	if len(got) != len(events) {
		t.Fatalf("%d rows, want %d", len(got), len(events))
	}
	for i, r := range got {
		e := &events[i]
		if r.key() != keyOf(e) || r["time"][0].Int64() != e.Time || r["received_at"][0].Int64() != e.ReceivedAt {
			t.Fatalf("row %d is %v", i, r)
		}
		for column, want := range map[string]string{"pathname": e.Pathname, "browser": e.Browser, "name": e.Name, "utm_campaign": e.UTMCampaign} {
			text := ""
			if v := r[column]; v != nil {
				text = v[0].String()
			}
			if text != want {
				t.Fatalf("row %d: %s is %q, want %q", i, column, text, want)
			}
		}
		if (len(e.Props) == 0) != (r["props.key_value.key"] == nil) {
			t.Fatalf("row %d: props are %v, want %v", i, r["props.key_value.key"], e.Props)
		}
	}
}

func TestAColumnNobodyUsesCostsNextToNothing(t *testing.T) {
	events := make([]shared.Event, 50_000)
	for i := range events {
		events[i] = bare()
		events[i].Seq += uint64(i)
	}
	info, err := os.Stat(writeEvents(t, events))
	if err != nil {
		t.Fatal(err)
	}
	// Pages, footer and page index: under half a KiB for a column chunk.
	if limit := int64(512 * len(parquet.SchemaOf(row{}).Columns())); info.Size() > limit {
		t.Errorf("%d rows with eight columns take %d bytes, more than %d", len(events), info.Size(), limit)
	}
}

func TestRowGroupsAreBounded(t *testing.T) {
	events := newTraffic(2, "example").take(rowGroupRows + 5000)
	path := writeEvents(t, events)
	pf := openFile(t, path)
	if n := len(pf.RowGroups()); n != 2 || pf.RowGroups()[0].NumRows() > rowGroupRows {
		t.Errorf("%d row groups, the first of %d rows", n, pf.RowGroups()[0].NumRows())
	}
	if keys := readKeys(t, path); len(keys) != len(events) || keys[len(keys)-1] != keyOf(&events[len(events)-1]) {
		t.Errorf("%d rows", len(keys))
	}
}
