package shared

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Schema is the number of the event encoding that this package writes. A
// reader accepts any schema whose number is not higher than its own; within
// one schema, fields that it does not know are skipped.
const Schema = 1

// Wire types. The low two bits of a field's tag say how long its value is, so
// that an unknown field can be skipped.
const (
	wireVarint = 0
	wireFixed8 = 1
	wireBytes  = 2
)

// errMalformed is wrapped by every decoding error.
var errMalformed = errors.New("malformed")

// AppendEvent appends one event: its length as a uvarint, then its fields as
// (number<<2 | wire type, value) in no promised order. Null fields take no
// space. base is the batch's base time in µs; the event's time is written
// relative to it.
func AppendEvent(dst []byte, e *Event, base int64) []byte {
	// The length is written in front once it is known: two bytes hold every
	// ordinary event, and a longer one is moved.
	start := len(dst)
	dst = append(dst, 0, 0)
	dst = appendFields(dst, e, base)
	n := len(dst) - start - 2
	if n < 1<<14 {
		dst[start] = byte(n) | 0x80
		dst[start+1] = byte(n >> 7)
		return dst
	}
	var size [binary.MaxVarintLen64]byte
	w := binary.PutUvarint(size[:], uint64(n))
	dst = append(dst, size[:w-2]...)
	copy(dst[start+w:], dst[start+2:start+2+n])
	copy(dst[start:], size[:w])
	return dst
}

func appendFields(dst []byte, e *Event, base int64) []byte {
	dst = binary.AppendUvarint(dst, timeField<<2|wireVarint)
	dst = binary.AppendVarint(dst, e.Time-base)
	for i := range textFields {
		f := &textFields[i]
		if s := *f.at(e); s != "" {
			dst = appendText(dst, f.num, s)
		}
	}
	for i := range idFields {
		f := &idFields[i]
		if v := *f.at(e); v != 0 {
			dst = binary.AppendUvarint(dst, uint64(f.num)<<2|wireFixed8)
			dst = binary.LittleEndian.AppendUint64(dst, v)
		}
	}
	for i := range intFields {
		f := &intFields[i]
		if v := f.at(e); v.OK {
			dst = binary.AppendUvarint(dst, uint64(f.num)<<2|wireVarint)
			dst = binary.AppendVarint(dst, v.V)
		}
	}
	for i := range boolFields {
		f := &boolFields[i]
		if v := f.at(e); v.OK {
			dst = binary.AppendUvarint(dst, uint64(f.num)<<2|wireVarint)
			var b byte
			if v.V {
				b = 1
			}
			dst = append(dst, b)
		}
	}
	for i := range floatFields {
		f := &floatFields[i]
		if v := f.at(e); v.OK {
			dst = binary.AppendUvarint(dst, uint64(f.num)<<2|wireFixed8)
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.V))
		}
	}
	for i := range e.Props {
		p := &e.Props[i]
		dst = binary.AppendUvarint(dst, propField<<2|wireBytes)
		n := 1 + uvarintLen(uint64(len(p.Key))) + len(p.Key) + len(p.Value)
		dst = binary.AppendUvarint(dst, uint64(n))
		dst = append(dst, byte(p.Type))
		dst = binary.AppendUvarint(dst, uint64(len(p.Key)))
		dst = append(dst, p.Key...)
		dst = append(dst, p.Value...)
	}
	return dst
}

func appendText(dst []byte, num uint8, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(num)<<2|wireBytes)
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func uvarintLen(v uint64) int {
	n := 1
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}

// AppendBlank appends a blank: it takes a sequence, and there is no event. An
// import numbers the lines of a log, most of which make none.
func AppendBlank(dst []byte) []byte { return append(dst, 0) }

// CountEvents returns how many sequences of a payload, from the position from
// on, hold an event, readable or not. It believes the payload's framing.
func CountEvents(payload []byte, from uint64) (events uint64) {
	for i, off := uint64(0), 0; off < len(payload); i++ {
		n, w := binary.Uvarint(payload[off:])
		if w <= 0 || n > uint64(len(payload)-off-w) {
			return events
		}
		off += w + int(n)
		if n > 0 && i >= from {
			events++
		}
	}
	return events
}

// DecodeEvents calls yield for each event of a payload, in order, with its
// position in the batch. An event that can't be decoded is passed as a nil
// event with its error, and the rest goes on; yield must not keep e, which is
// used again, but may keep its strings. The returned error means that the
// payload as a whole can't be read: its framing is broken or it does not hold
// exactly h.Count events. Nothing was read past the damage then.
func DecodeEvents(h *Header, payload []byte, yield func(i uint64, e *Event, err error)) error {
	if h.Schema > Schema {
		return fmt.Errorf("%w: schema %d is newer than this reader's %d", errMalformed, h.Schema, Schema)
	}
	text := string(payload) // one allocation; every field is a part of it
	var e Event
	var i uint64
	for off := 0; off < len(payload); i++ {
		n, w := binary.Uvarint(payload[off:])
		if w <= 0 || n > uint64(len(payload)-off-w) {
			return fmt.Errorf("%w: event %d runs past the end of the batch", errMalformed, i)
		}
		if i >= h.Count {
			return fmt.Errorf("%w: more than the %d events of the header", errMalformed, h.Count)
		}
		off += w
		if n == 0 {
			continue // a blank: see AppendBlank
		}
		if n > MaxEventRaw {
			yield(i, nil, fmt.Errorf("%w: event of %d bytes, at most %d", errMalformed, n, MaxEventRaw))
			off += int(n)
			continue
		}
		e = Event{Edge: h.Edge, Epoch: h.Epoch, Seq: h.FirstSeq + i}
		end := off + int(n)
		if err := decodeFields(&e, payload[off:end], text[off:end], h.BaseTime); err != nil {
			yield(i, nil, err)
		} else {
			yield(i, &e, nil)
		}
		off = end
	}
	if i != h.Count {
		return fmt.Errorf("%w: %d events, the header says %d", errMalformed, i, h.Count)
	}
	return nil
}

// decodeFields reads one event. text is b as a string, so that fields share
// its memory.
func decodeFields(e *Event, b []byte, text string, base int64) error {
	var sawTime bool
	for off := 0; off < len(b); {
		tag, w := binary.Uvarint(b[off:])
		if w <= 0 {
			return fmt.Errorf("%w: cut in a tag", errMalformed)
		}
		off += w
		num, wire := tag>>2, tag&3
		var kind fieldKind
		if num <= maxField {
			kind = fieldOf[num]
		}
		switch wire {
		case wireVarint:
			v, w := binary.Varint(b[off:])
			if w <= 0 {
				return fmt.Errorf("%w: cut in field %d", errMalformed, num)
			}
			switch kind.table {
			case tableTime:
				e.Time, sawTime = base+v, true
			case tableInt:
				*intFields[kind.index].at(e) = Some(v)
			case tableBool:
				*boolFields[kind.index].at(e) = Some(b[off] != 0)
			}
			off += w
		case wireFixed8:
			if len(b)-off < 8 {
				return fmt.Errorf("%w: cut in field %d", errMalformed, num)
			}
			v := binary.LittleEndian.Uint64(b[off:])
			switch kind.table {
			case tableID:
				*idFields[kind.index].at(e) = v
			case tableFloat:
				*floatFields[kind.index].at(e) = Some(math.Float64frombits(v))
			}
			off += 8
		case wireBytes:
			n, w := binary.Uvarint(b[off:])
			if w <= 0 || n > uint64(len(b)-off-w) {
				return fmt.Errorf("%w: cut in field %d", errMalformed, num)
			}
			off += w
			end := off + int(n)
			switch kind.table {
			case tableText:
				*textFields[kind.index].at(e) = text[off:end]
			case tableProp:
				if err := decodeProp(e, b[off:end], text[off:end]); err != nil {
					return err
				}
			}
			off = end
		default:
			return fmt.Errorf("%w: wire type %d of field %d", errMalformed, wire, num)
		}
	}
	if !sawTime {
		return fmt.Errorf("%w: no time", errMalformed)
	}
	return nil
}

func decodeProp(e *Event, b []byte, text string) error {
	if len(b) < 2 {
		return fmt.Errorf("%w: cut in a property", errMalformed)
	}
	n, w := binary.Uvarint(b[1:])
	if w <= 0 || n > uint64(len(b)-1-w) {
		return fmt.Errorf("%w: cut in a property", errMalformed)
	}
	key := 1 + w
	if len(e.Props) >= MaxProps {
		return fmt.Errorf("%w: more than %d properties", errMalformed, MaxProps)
	}
	e.Props = append(e.Props, Prop{
		Type: PropType(b[0]), Key: text[key : key+int(n)], Value: text[key+int(n):],
	})
	return nil
}
