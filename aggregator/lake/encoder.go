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

const (
	// rowGroupRows is how many rows a row group has at most; DuckDB scans row
	// groups of this size best.
	rowGroupRows = 122_880
	// blockRows is how many rows are handed to parquet-go at a time: few enough
	// to stay in the processor's cache while it goes through the columns.
	blockRows = 64
)

// encoder writes rows to Parquet, many files after each other, for one
// goroutine. parquet-go goes through a block of rows column by column, so that
// a column without a value costs next to nothing; handing it values of each
// column by hand was a fifth slower.
type encoder struct {
	w       *parquet.GenericWriter[row]
	block   [blockRows]row
	n       int           // rows in the block
	has     presence      // which values they have
	edge    shared.EdgeID // whose hexadecimal digits edgeHex are
	edgeHex string
}

// newEncoder returns an encoder that compresses its files, or not where they
// are written to be removed soon.
func newEncoder(compressed bool) *encoder {
	var codec compress.Codec = &parquet.Uncompressed
	if compressed {
		codec = &zstd.Codec{Level: zstd.SpeedFastest}
	}
	return &encoder{w: parquet.NewGenericWriter[row](io.Discard,
		parquet.Compression(codec),
		parquet.CreatedBy("eider", "schema", strconv.Itoa(Schema)),
		parquet.ColumnIndexSizeLimit(func([]string) int { return 32 }),
		parquet.DictionaryMaxBytes(8<<20), // a column of unique texts is stored plain from there on
		parquet.MaxRowsPerRowGroup(rowGroupRows),
		parquet.PageBufferSize(256<<10),
		parquet.WriteBufferSize(128<<10),
	)}
}

// reset begins a file.
func (e *encoder) reset(out io.Writer) {
	e.w.Reset(out)
	e.n = 0
	e.has = presence{}
}

// add appends one row. The event may be used again; its texts must stay as they
// are until the file is closed.
func (e *encoder) add(ev *shared.Event) error {
	if ev.Edge != e.edge || e.edgeHex == "" {
		e.edge, e.edgeHex = ev.Edge, ev.Edge.String()
	}
	e.block[e.n].set(ev, e.edgeHex)
	e.has.note(&e.block[e.n], e.n)
	if e.n++; e.n < blockRows {
		return nil
	}
	return e.flush()
}

// flush writes the rows of the block.
func (e *encoder) flush() error {
	err := e.write(0, e.n)
	e.n = 0
	e.has = presence{}
	return err
}

// write writes rows of the block, in parts where parquet-go would mistake them.
func (e *encoder) write(from, to int) error {
	if to-from > 2 && e.has.mistaken(from, to) {
		middle := (from + to) / 2
		if err := e.write(from, middle); err != nil {
			return err
		}
		return e.write(middle, to)
	}
	if _, err := e.w.Write(e.block[from:to]); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return nil
}

// close ends the file.
func (e *encoder) close() error {
	if err := e.flush(); err != nil {
		return err
	}
	clear(e.block[:]) // lets go of the texts
	if err := e.w.Close(); err != nil {
		return fmt.Errorf("write footer: %w", err)
	}
	return nil
}
