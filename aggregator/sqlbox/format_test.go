package sqlbox

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// everything has a column of each type, a row of values and a row of nulls.
const everything = `SELECT 18446744073709551615::UBIGINT AS u64, (-9223372036854775808)::BIGINT AS i64, 7::TINYINT AS i8, 200::UTINYINT AS u8, -5::SMALLINT AS i16,
	170141183460469231731687303715884105727::HUGEINT // 10 AS huge, -0.0500::DECIMAL(18,4) AS dec, 1.5::FLOAT AS f32, 0.1::DOUBLE AS f64, true AS yes,
	'é "x", y' AS txt, '=1+1' AS formula, 'ab'::BLOB AS raw, '8f14e45f-ceea-467f-a9b1-000000000001'::UUID AS id, DATE '1969-12-31' AS d, TIME '10:11:12.5' AS tm,
	TIMESTAMP '2026-03-10 10:00:00.000001' AS ts, TIMESTAMPTZ '2026-03-10 10:00:00+00' AS tz, [1, NULL, 3] AS list, MAP {'b': 1.5, 'a': NULL} AS map,
	{'x': 1, 'y': ['q', NULL]} AS struct, INTERVAL 3 MONTH AS iv, '{"b":1,"a":2}'::JSON AS js, 'red'::ENUM('red', 'blue') AS colour, '' AS empty, 'nan'::DOUBLE AS nan, n FROM (SELECT 1 AS n) WHERE n = 1`

// withNulls is it with a second row.
const withNulls = "SELECT * EXCLUDE (n, k) FROM (" + everything + ") RIGHT JOIN (VALUES (1), (2)) t(k) ON n = k ORDER BY k"

const wantRow = `[18446744073709551615,-9223372036854775808,7,200,-5,17014118346046923173168730371588410572,-0.0500,1.5,0.1,true,"é \"x\", y","=1+1","YWI=","8f14e45f-ceea-467f-a9b1-000000000001",` +
	`"1969-12-31","10:11:12.5","2026-03-10T10:00:00.000001","2026-03-10T10:00:00Z",[1,null,3],{"b":1.5,"a":null},{"x":1,"y":["q",null]},"3 months","{\"b\":1,\"a\":2}","red","","NaN"]`

func TestJSON(t *testing.T) {
	r := newRig(t, Config{})
	text, a, err := r.ask(t.Context(), Request{SQL: withNulls})
	if err != nil {
		t.Fatal(err)
	}
	_, got := rows(t, text)
	if a.Rows != 2 || got[0] != wantRow || got[1] != "["+strings.TrimSuffix(strings.Repeat("null,", 26), ",")+"]" {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), wantRow)
	}
	var answer struct {
		Columns   []struct{ Name, Type string } `json:"columns"`
		Truncated *bool                         `json:"truncated"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Truncated == nil {
		t.Fatal(err, text)
	}
	types := map[string]string{}
	for _, c := range answer.Columns {
		types[c.Name] = c.Type
	}
	for name, want := range map[string]string{
		"u64": "UBIGINT", "dec": "DECIMAL(18,4)", "map": "MAP(VARCHAR, DECIMAL(2,1))", "list": "INTEGER[]", "tz": "TIMESTAMPTZ",
		"struct": `STRUCT("x" INTEGER, "y" VARCHAR[])`, "iv": "VARCHAR", "js": "VARCHAR", "id": "UUID",
	} {
		if types[name] != want {
			t.Errorf("%s is %s, want %s", name, types[name], want)
		}
	}
}

func TestCSV(t *testing.T) {
	r := newRig(t, Config{})
	text, _, err := r.ask(t.Context(), Request{SQL: withNulls, Format: CSV})
	if err != nil {
		t.Fatal(err)
	}
	want := "u64,i64,i8,u8,i16,huge,dec,f32,f64,yes,txt,formula,raw,id,d,tm,ts,tz,list,map,struct,iv,js,colour,empty,nan\r\n" +
		"18446744073709551615,-9223372036854775808,7,200,-5,17014118346046923173168730371588410572,-0.0500,1.5,0.1,true,\"é \"\"x\"\", y\",'=1+1,YWI=,8f14e45f-ceea-467f-a9b1-000000000001," +
		"1969-12-31,10:11:12.5,2026-03-10T10:00:00.000001,2026-03-10T10:00:00Z,\"[1,null,3]\",\"{\"\"b\"\":1.5,\"\"a\"\":null}\",\"{\"\"x\"\":1,\"\"y\"\":[\"\"q\"\",null]}\",3 months,\"{\"\"b\"\":1,\"\"a\"\":2}\",red,\"\",NaN\r\n" +
		strings.Repeat(",", 25) + "\r\n"
	if text != want {
		t.Errorf("got  %q\nwant %q", text, want)
	}
	for _, begin := range []string{"=", "+", "-", "@", "\t", "\r"} {
		if got := harmless(begin + "x"); got != "'"+begin+"x" {
			t.Errorf("%q is %q", begin+"x", got)
		}
	}
}

// columnsOf are the columns of a table of Arrow's, as JSON.
func checkArrow(t *testing.T, batch arrow.RecordBatch) {
	t.Helper()
	if batch.NumRows() != 2 || batch.NumCols() != 26 {
		t.Fatalf("%d rows of %d columns", batch.NumRows(), batch.NumCols())
	}
	for i := range int(batch.NumCols()) {
		if c := batch.Column(i); c.IsNull(0) || !c.IsNull(1) {
			t.Errorf("%s: nulls are not where they were", batch.ColumnName(i))
		}
	}
	value := func(name string) string {
		at := batch.Schema().FieldIndices(name)
		return batch.Column(at[0]).ValueStr(0)
	}
	for name, want := range map[string]string{
		"u64": "18446744073709551615", "i64": "-9223372036854775808", "huge": "17014118346046923173168730371588410572", "dec": "-0.05", "f64": "0.1", "yes": "true",
		"txt": `é "x", y`, "formula": "=1+1", "id": "8f14e45f-ceea-467f-a9b1-000000000001", "d": "1969-12-31", "tm": "10:11:12.500000", "ts": "2026-03-10T10:00:00.000001Z",
		"tz": "2026-03-10T10:00:00Z", "list": "[1,null,3]", "struct": `{"x":1,"y":["q",null]}`, "map": `[{"key":"b","value":"1.5"},{"key":"a","value":null}]`, "empty": "",
	} {
		if got := value(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if kind := batch.Schema().Field(batch.Schema().FieldIndices("tz")[0]).Type.String(); kind != "timestamp[us, tz=UTC]" {
		t.Errorf("tz is a %s", kind)
	}
}

func TestArrow(t *testing.T) {
	r := newRig(t, Config{})
	text, _, err := r.ask(t.Context(), Request{SQL: withNulls, Format: Arrow})
	if err != nil {
		t.Fatal(err)
	}
	in, err := ipc.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Release()
	if !in.Next() {
		t.Fatal(in.Err())
	}
	checkArrow(t, in.RecordBatch())
	if in.Next() || in.Err() != nil {
		t.Error("there is more:", in.Err())
	}
}

func TestParquet(t *testing.T) {
	r := newRig(t, Config{})
	text, _, err := r.ask(t.Context(), Request{SQL: withNulls, Format: Parquet})
	if err != nil {
		t.Fatal(err)
	}
	table, err := pqarrow.ReadTable(t.Context(), bytes.NewReader([]byte(text)), nil, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	in := array.NewTableReader(table, 10)
	defer in.Release()
	if !in.Next() {
		t.Fatal(in.Err())
	}
	checkArrow(t, in.RecordBatch())
}

// TestManyRows: an answer of several batches and row groups is whole, and one of
// none is an answer as well.
func TestManyRows(t *testing.T) {
	r := newRig(t, Config{})
	for _, n := range []int64{0, 1, batchRows, 3*rowGroup + 1} {
		q := Request{SQL: "SELECT range AS n, CASE WHEN range % 3 = 0 THEN range::VARCHAR END AS s FROM range($1) ORDER BY n", Args: []any{n}, Limit: MaxRows, Format: Parquet}
		text, a, err := r.ask(t.Context(), q)
		if err != nil || a.Rows != n {
			t.Fatal(n, err)
		}
		f, err := file.NewParquetReader(bytes.NewReader([]byte(text)))
		if err != nil || f.NumRows() != n {
			t.Errorf("Parquet of %d rows: %v", n, err)
		}
		q.Format = Arrow
		if text, _, err = r.ask(t.Context(), q); err != nil {
			t.Fatal(n, err)
		}
		in, err := ipc.NewReader(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		got := int64(0)
		for in.Next() {
			got += in.RecordBatch().NumRows()
		}
		if err := in.Err(); got != n || err != nil && err != io.EOF {
			t.Errorf("Arrow: %d rows, want %d: %v", got, n, err)
		}
		in.Release()
	}
}

func TestParseFormat(t *testing.T) {
	for _, c := range []struct {
		name, accept string
		want         Format
	}{
		{"", "", JSON},
		{"", "*/*", JSON},
		{"csv", "application/json", CSV},
		{"", "text/html, text/csv;q=0.9", CSV},
		{"", "application/vnd.apache.arrow.stream", Arrow},
		{"", "application/vnd.apache.parquet", Parquet},
		{"xml", "", ""},
	} {
		got, err := ParseFormat(c.name, c.accept)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q, %q: %s, %v", c.name, c.accept, got, err)
		}
	}
}
