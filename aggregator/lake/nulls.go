package lake

import (
	"math/bits"
	"reflect"
	"strings"
	"unsafe"
)

// parquet-go (v0.32.0, writeRowsFuncOfOptional) finds the nulls of a block of
// rows in words of 64 bits, and mistakes one pattern: where the last run of
// values begins at row y and is exactly y rows long, the rows after it are
// written as values too: an empty text or a zero instead of null, and nobody a
// visitor. presence knows which values a block has, so that a block with the
// pattern can be written in parts that do not have it.
//
// A part of two rows has it never; TestNullsStayNull would tell of more.
type presence [maxOptional]uint64

// maxOptional bounds the columns that parquet-go treats so.
const maxOptional = 64

// optionalWords are the offsets, within row, of the words that parquet-go takes
// for null where they are 0: of a text its length, of an id the id, of a map its
// pointer. Numbers behind pointers are written by other code.
var optionalWords = func() (list []uintptr) {
	t := reflect.TypeFor[row]()
	for i := range t.NumField() {
		f := t.Field(i)
		if !strings.Contains(f.Tag.Get("parquet"), ",optional") {
			continue
		}
		switch f.Type.Kind() {
		case reflect.String:
			list = append(list, f.Offset+unsafe.Sizeof(uintptr(0)))
		case reflect.Uint64, reflect.Map:
			list = append(list, f.Offset)
		}
	}
	if len(list) > maxOptional {
		panic("lake: maxOptional is too small for the columns")
	}
	return list
}()

// note notes which values the block's n-th row has.
func (p *presence) note(r *row, n int) {
	for i, at := range optionalWords {
		var bit uint64
		if *(*uint64)(unsafe.Add(unsafe.Pointer(r), at)) != 0 {
			bit = 1
		}
		p[i] |= bit << n
	}
}

// mistaken reports whether the rows [from, to) have the pattern.
func (p *presence) mistaken(from, to int) bool {
	n := to - from
	for _, m := range p[:len(optionalWords)] {
		m = m >> from & (^uint64(0) >> (64 - n))
		end := bits.Len64(m) // the last run ends there
		if end == n || end == 0 || end%2 != 0 {
			continue
		}
		if y := end / 2; m>>y == 1<<y-1 && m>>(y-1)&1 == 0 {
			return true
		}
	}
	return false
}
