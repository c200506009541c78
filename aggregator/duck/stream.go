package duck

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
	"unsafe"

	duckdb "github.com/duckdb/duckdb-go/v2"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// Stream runs a SELECT as [DB.Query] does, of which each column is a BIGINT or
// UBIGINT without nulls. It calls each with up to some thousand rows at a time, as
// columns; they are valid during the call alone.
//
// It is for millions of rows, which Query takes a microsecond each for. DuckDB
// holds the whole result in memory, beside its memory limit: whoever asks bounds
// the rows.
func (d *DB) Stream(ctx context.Context, files []string, query string, args []any, each func(columns [][]uint64) error) error {
	text, all := define(files, nil, query, args)
	turn, err := d.turns.Enter(ctx)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	defer turn.End()
	return on(ctx, d.of[turn.Class], func(free context.Context, conn *sql.Conn) error {
		return streamOn(ctx, free, conn, text, all, each)
	})
}

// streamOn streams from a connection. ctx ends the stream, free does not.
func streamOn(ctx, free context.Context, conn *sql.Conn, text string, all []any, each func([][]uint64) error) error {
	// What each returns is no error of the connection's: Raw would take a panic
	// and driver.ErrBadConn for one.
	var refused error
	err := conn.Raw(func(raw any) error {
		values := make([]driver.NamedValue, len(all))
		for i, v := range all {
			values[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
		}
		rows, err := raw.(*duckdb.Conn).QueryContext(free, text, values)
		if err != nil {
			return err
		}
		defer rows.Close()
		err = stream(ctx, rows, func(columns [][]uint64) error {
			refused = each(columns)
			return refused
		})
		if refused != nil {
			return nil
		}
		return err
	})
	if refused != nil {
		return refused
	}
	return queryError(ctx, err)
}

// stream hands on the rows in whole chunks.
func stream(ctx context.Context, rows driver.Rows, each func([][]uint64) error) error {
	result := resultOf(rows)
	if result == nil {
		return streamRows(ctx, rows, each)
	}
	columns := make([][]uint64, len(rows.Columns()))
	for i := range columns {
		if t := mapping.ColumnType(result, mapping.IdxT(i)); t != mapping.TypeBigInt && t != mapping.TypeUBigInt {
			return fmt.Errorf("column %d is no 64-bit integer", i+1)
		}
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk := mapping.FetchChunk(*result)
		if chunk.Ptr == nil {
			return nil
		}
		err := eachChunk(chunk, columns, each)
		mapping.DestroyDataChunk(&chunk)
		if err != nil {
			return err
		}
	}
}

func eachChunk(chunk mapping.DataChunk, columns [][]uint64, each func([][]uint64) error) error {
	n := int(mapping.DataChunkGetSize(chunk))
	for i := range columns {
		vector := mapping.DataChunkGetVector(chunk, mapping.IdxT(i))
		columns[i] = unsafe.Slice((*uint64)(mapping.VectorGetData(vector)), n)
	}
	return each(columns)
}

// resultOf is the result behind the driver's rows, which has no other way to its
// chunks; nil where the driver keeps it elsewhere. A test watches that it does not.
func resultOf(rows driver.Rows) *mapping.Result {
	v := reflect.ValueOf(rows)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil
	}
	field := v.Elem().FieldByName("res")
	if !field.IsValid() || field.Type() != reflect.TypeFor[mapping.Result]() {
		return nil
	}
	return (*mapping.Result)(field.Addr().UnsafePointer())
}

// streamRows is the same by way of the driver.
func streamRows(ctx context.Context, rows driver.Rows, each func([][]uint64) error) error {
	const chunk = 2048
	row := make([]driver.Value, len(rows.Columns()))
	columns := make([][]uint64, len(row))
	for {
		for i := range columns {
			columns[i] = columns[i][:0]
		}
		var end error
		for len(columns[0]) < chunk && end == nil {
			if end = rows.Next(row); end != nil {
				break
			}
			for i, v := range row {
				switch v := v.(type) {
				case int64:
					columns[i] = append(columns[i], uint64(v))
				case uint64:
					columns[i] = append(columns[i], v)
				default:
					return fmt.Errorf("column %d is no 64-bit integer", i+1)
				}
			}
		}
		if end != nil && !errors.Is(end, io.EOF) {
			return end
		}
		if len(columns[0]) > 0 {
			if err := each(columns); err != nil {
				return err
			}
		}
		if end != nil {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
