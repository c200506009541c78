package lake

import (
	"fmt"
	"io"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/eider-analytics/eider/shared"
)

// rowGroupRows is how many rows a row group has at most; DuckDB scans row
// groups of this size best.
const rowGroupRows = 122_880

// nullRun is written again and again for columns that nobody uses.
var nullRun = make([]parquet.Value, 1024)

// encoder writes rows to Parquet column by column: it is about twice as fast as
// writing row by row, and a column without a value costs next to nothing. It is
// meant to be used for many files, by one goroutine.
type encoder struct {
	w       *parquet.Writer
	columns []encoderColumn
	block   block
	edge    shared.EdgeID // whose hexadecimal digits edgeHex are
	edgeHex string
	rows    int // in the row group
}

type encoderColumn struct {
	read    reader
	writers []*parquet.ColumnWriter
	leaves  []leaf
	nulls   int // rows not written yet, all of them null
}

// newEncoder returns an encoder that compresses its files, or not where they
// are written to be removed soon.
func newEncoder(compressed bool) *encoder {
	var codec compress.Codec = &parquet.Uncompressed
	if compressed {
		codec = &zstd.Codec{Level: zstd.SpeedFastest}
	}
	w := parquet.NewWriter(io.Discard, eventSchema,
		parquet.Compression(codec),
		parquet.CreatedBy("eider", "schema", strconv.Itoa(Schema)),
		parquet.ColumnIndexSizeLimit(func([]string) int { return 32 }),
		parquet.DictionaryMaxBytes(8<<20), // a column of unique texts is stored plain from there on
		parquet.PageBufferSize(256<<10),
		parquet.WriteBufferSize(128<<10),
	)
	e := &encoder{w: w}
	writers := w.ColumnWriters()
	for _, c := range columns {
		n := leafCount(c.node)
		e.columns = append(e.columns, encoderColumn{read: c.read, writers: writers[:n], leaves: make([]leaf, n)})
		writers = writers[n:]
	}
	return e
}

// reset begins a file.
func (e *encoder) reset(out io.Writer) {
	e.w.Reset(out)
	e.rows = 0
	e.block.events = e.block.events[:0]
	e.block.edges = e.block.edges[:0]
	for i := range e.columns {
		e.columns[i].nulls = 0
	}
}

// add appends one row. The event's texts must stay as they are until the file
// is closed or the next call of flush; the event itself is copied.
func (e *encoder) add(ev *shared.Event) error {
	if ev.Edge != e.edge || e.edgeHex == "" {
		e.edge, e.edgeHex = ev.Edge, ev.Edge.String()
	}
	e.block.events = append(e.block.events, *ev)
	e.block.edges = append(e.block.edges, e.edgeHex)
	if len(e.block.events) < blockRows {
		return nil
	}
	return e.flush()
}

// flush writes the rows of the block.
func (e *encoder) flush() error {
	n := len(e.block.events)
	if n == 0 {
		return nil
	}
	for i := range e.columns {
		if err := e.columns[i].write(&e.block, n); err != nil {
			return fmt.Errorf("write column %s: %w", columns[i].name, err)
		}
	}
	clear(e.block.events) // lets go of the texts
	e.block.events = e.block.events[:0]
	e.block.edges = e.block.edges[:0]
	if e.rows += n; e.rows >= rowGroupRows-blockRows {
		return e.endRowGroup()
	}
	return nil
}

func (e *encoder) endRowGroup() error {
	for i := range e.columns {
		if err := e.columns[i].writeNulls(); err != nil {
			return fmt.Errorf("write column %s: %w", columns[i].name, err)
		}
	}
	e.rows = 0
	if err := e.w.Flush(); err != nil {
		return fmt.Errorf("write row group: %w", err)
	}
	return nil
}

// close ends the file.
func (e *encoder) close() error {
	if err := e.flush(); err != nil {
		return err
	}
	if e.rows > 0 {
		if err := e.endRowGroup(); err != nil {
			return err
		}
	}
	if err := e.w.Close(); err != nil {
		return fmt.Errorf("write footer: %w", err)
	}
	return nil
}

// write writes a block of n rows; nulls are held back until they end, or until
// the row group does.
func (c *encoderColumn) write(b *block, n int) error {
	known := false
	for i := range c.leaves {
		c.leaves[i].values, c.leaves[i].known = c.leaves[i].values[:0], false
	}
	c.read(b, c.leaves)
	for i := range c.leaves {
		known = known || c.leaves[i].known
	}
	if !known {
		c.nulls += n
		return nil
	}
	if err := c.writeNulls(); err != nil {
		return err
	}
	for i, w := range c.writers {
		if _, err := w.WriteRowValues(c.leaves[i].values); err != nil {
			return err
		}
	}
	return nil
}

func (c *encoderColumn) writeNulls() error {
	for ; c.nulls > 0; c.nulls -= min(c.nulls, len(nullRun)) {
		for _, w := range c.writers {
			if _, err := w.WriteRowValues(nullRun[:min(c.nulls, len(nullRun))]); err != nil {
				return err
			}
		}
	}
	return nil
}
