package lake

import (
	"unsafe"

	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/shared"
)

// block is a small run of rows that is turned column by column into values: few
// enough to stay in the processor's cache.
type block struct {
	events []shared.Event
	edges  []string // the events' edges as hexadecimal digits
}

// blockRows is how many rows a block has.
const blockRows = 64

// leaf collects the values of one leaf column of a block. known tells that one
// of them is not null.
type leaf struct {
	values []parquet.Value
	known  bool
}

// rows returns n values to be set, all of them null.
func (l *leaf) rows(n int) []parquet.Value {
	if cap(l.values) < n {
		l.values = make([]parquet.Value, n)
	}
	l.values = l.values[:n]
	clear(l.values)
	return l.values
}

func (l *leaf) null() { l.values = append(l.values, parquet.Value{}) }

func (l *leaf) put(v parquet.Value) {
	l.values = append(l.values, v)
	l.known = true
}

// some marks a value of an optional column as not null.
func some(v parquet.Value) parquet.Value { return v.Level(0, 1, 0) }

// textValue refers to the text's memory; the writer copies what it keeps.
func textValue(s string) parquet.Value {
	return parquet.ByteArrayValue(unsafe.Slice(unsafe.StringData(s), len(s)))
}

// reader appends a block's values of one column to its leaves.
type reader func(b *block, leaves []leaf)

func requiredText(at func(*shared.Event) *string) reader {
	return func(b *block, leaves []leaf) {
		values := leaves[0].rows(len(b.events))
		leaves[0].known = true
		for i := range values {
			values[i] = textValue(*at(&b.events[i]))
		}
	}
}

func edgeHex(b *block, leaves []leaf) {
	values := leaves[0].rows(len(b.events))
	leaves[0].known = true
	for i := range values {
		values[i] = textValue(b.edges[i])
	}
}

func text(at func(*shared.Event) *string) reader {
	return func(b *block, leaves []leaf) {
		values := leaves[0].rows(len(b.events))
		known := false
		for i := range values {
			if s := *at(&b.events[i]); s != "" {
				values[i] = some(textValue(s))
				known = true
			}
		}
		leaves[0].known = known
	}
}

func requiredID(at func(*shared.Event) *uint64) reader {
	return func(b *block, leaves []leaf) {
		values := leaves[0].rows(len(b.events))
		leaves[0].known = true
		for i := range values {
			values[i] = parquet.Int64Value(int64(*at(&b.events[i])))
		}
	}
}

func id(at func(*shared.Event) *uint64) reader {
	return func(b *block, leaves []leaf) {
		values := leaves[0].rows(len(b.events))
		known := false
		for i := range values {
			if v := *at(&b.events[i]); v != 0 {
				values[i] = some(parquet.Int64Value(int64(v)))
				known = true
			}
		}
		leaves[0].known = known
	}
}

func requiredLong(at func(*shared.Event) *int64) reader {
	return func(b *block, leaves []leaf) {
		values := leaves[0].rows(len(b.events))
		leaves[0].known = true
		for i := range values {
			values[i] = parquet.Int64Value(*at(&b.events[i]))
		}
	}
}

// opt reads a column whose values may be unknown.
func opt[T any](at func(*shared.Event) *shared.Opt[T], value func(T) parquet.Value) reader {
	return func(b *block, leaves []leaf) {
		values := leaves[0].rows(len(b.events))
		known := false
		for i := range values {
			if o := at(&b.events[i]); o.OK {
				values[i] = some(value(o.V))
				known = true
			}
		}
		leaves[0].known = known
	}
}

func long(at func(*shared.Event) *shared.Opt[int64]) reader { return opt(at, parquet.Int64Value) }

// short is for numbers that Event.Check keeps within 32 bits.
func short(at func(*shared.Event) *shared.Opt[int64]) reader {
	return opt(at, func(v int64) parquet.Value { return parquet.Int32Value(int32(v)) })
}

func float(at func(*shared.Event) *shared.Opt[float64]) reader { return opt(at, parquet.DoubleValue) }

func flag(at func(*shared.Event) *shared.Opt[bool]) reader { return opt(at, parquet.BooleanValue) }

// mapLevel is the definition level of an entry of an optional map: the map, and
// its repeated entry. An entry after the first has repetition level 1.
const mapLevel = 2

// props reads the custom properties; an event without any has no map.
func props(b *block, leaves []leaf) {
	for i := range b.events {
		repeat := 0
		for _, p := range b.events[i].Props {
			leaves[0].put(textValue(p.Key).Level(repeat, mapLevel, 0))
			leaves[1].put(textValue(p.Value).Level(repeat, mapLevel, 0))
			repeat = 1
		}
		if repeat == 0 {
			leaves[0].null()
			leaves[1].null()
		}
	}
}

// propTypes reads the types of the properties that are not text; an event whose
// properties are all text has no map.
func propTypes(b *block, leaves []leaf) {
	for i := range b.events {
		repeat := 0
		for _, p := range b.events[i].Props {
			if p.Type == shared.PropString {
				continue
			}
			leaves[0].put(textValue(p.Key).Level(repeat, mapLevel, 0))
			leaves[1].put(parquet.Int32Value(int32(p.Type)).Level(repeat, mapLevel, 0))
			repeat = 1
		}
		if repeat == 0 {
			leaves[0].null()
			leaves[1].null()
		}
	}
}
