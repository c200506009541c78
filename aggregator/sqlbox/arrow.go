package sqlbox

import (
	"bufio"
	"database/sql/driver"
	"fmt"
	"math/big"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/eider-analytics/eider/aggregator/duck"
)

// batchRows is how many rows are gathered before they are written.
const batchRows = 4096

// wideInteger is what integers of 128 bits are in Arrow and Parquet.
var wideInteger = &arrow.Decimal128Type{Precision: 38}

var arrowTypes = map[string]arrow.DataType{
	"BOOLEAN": arrow.FixedWidthTypes.Boolean, "TINYINT": arrow.PrimitiveTypes.Int8, "SMALLINT": arrow.PrimitiveTypes.Int16,
	"INTEGER": arrow.PrimitiveTypes.Int32, "BIGINT": arrow.PrimitiveTypes.Int64, "UTINYINT": arrow.PrimitiveTypes.Uint8,
	"USMALLINT": arrow.PrimitiveTypes.Uint16, "UINTEGER": arrow.PrimitiveTypes.Uint32, "UBIGINT": arrow.PrimitiveTypes.Uint64,
	"HUGEINT": wideInteger, "UHUGEINT": wideInteger, "FLOAT": arrow.PrimitiveTypes.Float32, "DOUBLE": arrow.PrimitiveTypes.Float64,
	"VARCHAR": arrow.BinaryTypes.String, "UUID": arrow.BinaryTypes.String, "BLOB": arrow.BinaryTypes.Binary, "DATE": arrow.FixedWidthTypes.Date32,
	"TIME": arrow.FixedWidthTypes.Time64us, "TIMESTAMP": &arrow.TimestampType{Unit: arrow.Microsecond},
	"TIMESTAMPTZ": &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"},
}

func arrowType(t *duck.Type) (arrow.DataType, error) {
	switch t.Kind {
	case "DECIMAL":
		return &arrow.Decimal128Type{Precision: int32(t.Width), Scale: int32(t.Scale)}, nil
	case "LIST":
		elem, err := arrowType(t.Elem)
		if err != nil {
			return nil, err
		}
		return arrow.ListOf(elem), nil
	case "MAP":
		key, err := arrowType(t.Key)
		if err != nil {
			return nil, err
		}
		elem, err := arrowType(t.Elem)
		if err != nil {
			return nil, err
		}
		return arrow.MapOf(key, elem), nil
	case "STRUCT":
		fields := make([]arrow.Field, len(t.Fields))
		for i, f := range t.Fields {
			kind, err := arrowType(f.Type)
			if err != nil {
				return nil, err
			}
			fields[i] = arrow.Field{Name: f.Name, Type: kind, Nullable: true}
		}
		return arrow.StructOf(fields...), nil
	}
	if kind, ok := arrowTypes[t.Kind]; ok {
		return kind, nil
	}
	return nil, fmt.Errorf("there is no Arrow type for %s", t.Kind)
}

// batcher gathers rows into batches of Arrow's.
type batcher struct {
	types   []*duck.Type
	builder *array.RecordBuilder
	rows    int
	write   func(arrow.RecordBatch) error
	finish  func() error
}

func newBatcher(rows *duck.Rows) (*batcher, error) {
	fields := make([]arrow.Field, len(rows.Names))
	for i, name := range rows.Names {
		kind, err := arrowType(rows.Types[i])
		if err != nil {
			return nil, err
		}
		fields[i] = arrow.Field{Name: name, Type: kind, Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	return &batcher{types: rows.Types, builder: array.NewRecordBuilder(memory.DefaultAllocator, schema)}, nil
}

// newArrow writes a stream of Arrow's IPC format.
func newArrow(w *bufio.Writer, rows *duck.Rows) (encoder, error) {
	b, err := newBatcher(rows)
	if err != nil {
		return nil, err
	}
	out := ipc.NewWriter(w, ipc.WithSchema(b.builder.Schema()))
	b.write, b.finish = out.Write, out.Close
	return b, nil
}

// rowGroup is how many rows of a Parquet file stand together.
const rowGroup = 64 << 10

func newParquet(w *bufio.Writer, rows *duck.Rows) (encoder, error) {
	b, err := newBatcher(rows)
	if err != nil {
		return nil, err
	}
	out, err := pqarrow.NewFileWriter(b.builder.Schema(), w,
		parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithMaxRowGroupLength(rowGroup)),
		pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		return nil, fmt.Errorf("begin Parquet: %w", err)
	}
	b.write = out.WriteBuffered
	b.finish = out.Close
	return b, nil
}

func (b *batcher) row(values []driver.Value) error {
	for i, v := range values {
		if err := appendArrow(b.builder.Field(i), v, b.types[i]); err != nil {
			return err
		}
	}
	if b.rows++; b.rows%batchRows == 0 {
		return b.flush()
	}
	return nil
}

func (b *batcher) flush() error {
	batch := b.builder.NewRecordBatch()
	defer batch.Release()
	return b.write(batch)
}

func (b *batcher) end(bool) error {
	if b.rows%batchRows != 0 || b.rows == 0 {
		if err := b.flush(); err != nil {
			return err
		}
	}
	return b.finish()
}

// appendArrow adds a value to the column of its type.
func appendArrow(to array.Builder, v any, t *duck.Type) error {
	if v == nil {
		to.AppendNull()
		return nil
	}
	switch to := to.(type) {
	case *array.BooleanBuilder:
		to.Append(v.(bool))
	case *array.Int8Builder:
		to.Append(v.(int8))
	case *array.Int16Builder:
		to.Append(v.(int16))
	case *array.Int32Builder:
		to.Append(v.(int32))
	case *array.Int64Builder:
		to.Append(v.(int64))
	case *array.Uint8Builder:
		to.Append(v.(uint8))
	case *array.Uint16Builder:
		to.Append(v.(uint16))
	case *array.Uint32Builder:
		to.Append(v.(uint32))
	case *array.Uint64Builder:
		to.Append(v.(uint64))
	case *array.Float32Builder:
		to.Append(v.(float32))
	case *array.Float64Builder:
		to.Append(v.(float64))
	case *array.Decimal128Builder:
		return appendDecimal(to, v)
	case *array.StringBuilder:
		if t.Kind == "UUID" {
			to.Append(bytesText(v.([]byte), t))
		} else {
			to.Append(text(v))
		}
	case *array.BinaryBuilder:
		to.Append(v.([]byte))
	case *array.Date32Builder:
		to.Append(arrow.Date32(v.(time.Time).Unix() / 86_400))
	case *array.Time64Builder:
		at := v.(time.Time)
		to.Append(arrow.Time64(at.Sub(time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, at.Location())).Microseconds()))
	case *array.TimestampBuilder:
		to.Append(arrow.Timestamp(v.(time.Time).UnixMicro()))
	default:
		return appendNested(to, v, t)
	}
	return nil
}

func appendNested(to array.Builder, v any, t *duck.Type) error {
	switch to := to.(type) {
	case *array.MapBuilder: // is a list, too
		m := v.(duck.Map)
		to.Append(true)
		keys, values := m.Keys(), m.Values()
		for i := range keys {
			if err := appendArrow(to.KeyBuilder(), keys[i], t.Key); err != nil {
				return err
			}
			if err := appendArrow(to.ItemBuilder(), values[i], t.Elem); err != nil {
				return err
			}
		}
	case *array.ListBuilder:
		to.Append(true)
		for _, elem := range v.([]any) {
			if err := appendArrow(to.ValueBuilder(), elem, t.Elem); err != nil {
				return err
			}
		}
	case *array.StructBuilder:
		to.Append(true)
		m := v.(map[string]any)
		for i, f := range t.Fields {
			if err := appendArrow(to.FieldBuilder(i), m[f.Name], f.Type); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("there is no Arrow column for %s", t)
	}
	return nil
}

func appendDecimal(to *array.Decimal128Builder, v any) error {
	n, ok := v.(*big.Int)
	if d, isDecimal := v.(duck.Decimal); isDecimal {
		n, ok = d.Value, true
	}
	if !ok || n.BitLen() > 127 || new(big.Int).Abs(n).Cmp(widest) >= 0 {
		return refuse("invalid", -1, "a number has more than 38 digits, which these formats do not have: cast it to DOUBLE or VARCHAR")
	}
	to.Append(decimal128.FromBigInt(n))
	return nil
}

var widest = new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil)
