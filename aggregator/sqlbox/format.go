package sqlbox

import (
	"bufio"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"

	"github.com/eider-analytics/eider/aggregator/duck"
)

// Format is how an answer is written.
type Format string

// The formats.
const (
	JSON    Format = "json"
	CSV     Format = "csv"
	Arrow   Format = "arrow"
	Parquet Format = "parquet"
)

// formats are all of them, with their media types.
var formats = []struct {
	format Format
	media  string
}{
	{JSON, "application/json"},
	{CSV, "text/csv"},
	{Arrow, "application/vnd.apache.arrow.stream"},
	{Parquet, "application/vnd.apache.parquet"},
}

// ContentType is the header of an answer.
func (f Format) ContentType() string {
	for _, known := range formats {
		if known.format == f {
			if f == JSON || f == CSV {
				return known.media + "; charset=utf-8"
			}
			return known.media
		}
	}
	return ""
}

// ParseFormat finds the format that is asked for by name, or by an Accept header;
// JSON where neither says anything.
func ParseFormat(name, accept string) (Format, error) {
	var names []string
	for _, known := range formats {
		if string(known.format) == name {
			return known.format, nil
		}
		names = append(names, string(known.format))
	}
	if name != "" {
		return "", refuse("invalid_parameter", -1, "format must be one of %s", strings.Join(names, ", "))
	}
	for part := range strings.SplitSeq(accept, ",") {
		media, _, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		for _, known := range formats {
			if media == known.media {
				return known.format, nil
			}
		}
	}
	return JSON, nil
}

// encoder writes rows in one format.
type encoder interface {
	row(values []driver.Value) error
	end(truncated bool) error
}

// write writes at most the job's limit of rows. There is one more where the
// answer was cut.
func write(ctx context.Context, w *bufio.Writer, rows *duck.Rows, j *job) (verdict, error) {
	var v verdict
	e, err := newEncoder(w, rows, j.Format)
	if err != nil {
		return v, err
	}
	for {
		row, err := rows.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return v, err
		}
		if v.Rows == int64(j.Limit) {
			v.Truncated = true
			break
		}
		v.Rows++
		if err := e.row(row); err != nil {
			return v, err
		}
	}
	return v, e.end(v.Truncated)
}

func newEncoder(w *bufio.Writer, rows *duck.Rows, f Format) (encoder, error) {
	switch f {
	case JSON:
		return newJSON(w, rows)
	case CSV:
		return newCSV(w, rows)
	case Arrow:
		return newArrow(w, rows)
	case Parquet:
		return newParquet(w, rows)
	}
	return nil, fmt.Errorf("there is no format %q", f)
}

// jsonEncoder writes {"columns": [{"name", "type"}], "rows": [[…], …], "truncated"}.
type jsonEncoder struct {
	w     *bufio.Writer
	types []*duck.Type
	buf   []byte
	rows  int
}

func newJSON(w *bufio.Writer, rows *duck.Rows) (encoder, error) {
	type column struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	columns := make([]column, len(rows.Names))
	for i := range columns {
		columns[i] = column{rows.Names[i], rows.Types[i].String()}
	}
	head, err := json.Marshal(columns)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(w, `{"columns":%s,"rows":[`, head)
	return &jsonEncoder{w: w, types: rows.Types}, err
}

func (e *jsonEncoder) row(values []driver.Value) error {
	b := e.buf[:0]
	if e.rows > 0 {
		b = append(b, ',')
	}
	e.rows++
	b = append(b, '\n', '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, v, e.types[i])
	}
	e.buf = append(b, ']')
	_, err := e.w.Write(e.buf)
	return err
}

func (e *jsonEncoder) end(truncated bool) error {
	_, err := fmt.Fprintf(e.w, "\n],\"truncated\":%t}\n", truncated)
	return err
}

// csvEncoder writes RFC 4180. Null is an empty field, an empty text a quoted one.
type csvEncoder struct {
	w     *bufio.Writer
	types []*duck.Type
	buf   []byte
}

func newCSV(w *bufio.Writer, rows *duck.Rows) (encoder, error) {
	e := &csvEncoder{w: w, types: rows.Types}
	for i, name := range rows.Names {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.buf = appendField(e.buf, harmless(name))
	}
	e.buf = append(e.buf, '\r', '\n')
	_, err := w.Write(e.buf)
	return e, err
}

// harmless is a text that no spreadsheet takes for a formula.
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// appendField quotes a text where it has to be.
func appendField(b []byte, s string) []byte {
	if s != "" && !strings.ContainsAny(s, "\",\r\n") && s[0] != ' ' && s[len(s)-1] != ' ' {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(s, `"`, `""`)...)
	return append(b, '"')
}

func (e *csvEncoder) row(values []driver.Value) error {
	b := e.buf[:0]
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		if v == nil {
			continue
		}
		switch t := e.types[i]; t.Kind {
		case "VARCHAR":
			b = appendField(b, harmless(text(v)))
		case "LIST", "MAP", "STRUCT":
			b = appendField(b, harmless(string(appendJSON(nil, v, t))))
		default: // numbers and times need no quotes, and are no formulas
			b = append(b, strings.Trim(string(appendJSON(nil, v, t)), `"`)...)
		}
	}
	e.buf = append(b, '\r', '\n')
	_, err := e.w.Write(e.buf)
	return err
}

func (e *csvEncoder) end(bool) error { return nil }
