package sqlbox

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/eider-analytics/eider/aggregator/duck"
)

// How times look: ISO 8601, those with a zone in UTC.
const (
	layoutTime  = "15:04:05.999999"
	layoutPlain = "2006-01-02T15:04:05.999999"
	layoutZoned = "2006-01-02T15:04:05.999999Z"
)

// appendJSON appends a value. Numbers of any size are exact, as JSON's are; what
// is no number to JSON (NaN, infinity) is text. Bytes are base64.
func appendJSON(b []byte, v any, t *duck.Type) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int8:
		return strconv.AppendInt(b, int64(v), 10)
	case int16:
		return strconv.AppendInt(b, int64(v), 10)
	case int32:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case uint8:
		return strconv.AppendUint(b, uint64(v), 10)
	case uint16:
		return strconv.AppendUint(b, uint64(v), 10)
	case uint32:
		return strconv.AppendUint(b, uint64(v), 10)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case float32:
		return appendFloat(b, float64(v), 32)
	case float64:
		return appendFloat(b, v, 64)
	case *big.Int:
		return v.Append(b, 10)
	case duck.Decimal:
		return append(b, decimal(v)...)
	case time.Time:
		return append(append(append(b, '"'), v.Format(layoutOf(t))...), '"')
	case []byte:
		return append(append(append(b, '"'), bytesText(v, t)...), '"')
	case []any:
		return appendList(b, v, t)
	case map[string]any:
		return appendStruct(b, v, t)
	case duck.Map:
		return appendMap(b, v, t)
	}
	return appendText(b, text(v))
}

func appendFloat(b []byte, v float64, bits int) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(b, `"-Infinity"`...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, bits)
}

func appendText(b []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings can always be encoded
	}
	return append(b, quoted...)
}

// text is a value of the type VARCHAR.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	b, err := json.Marshal(v) // JSON within a list, which the driver took apart
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func decimal(d duck.Decimal) string {
	digits := new(big.Int).Abs(d.Value).String()
	if d.Scale > 0 {
		if missing := int(d.Scale) + 1 - len(digits); missing > 0 {
			digits = strings.Repeat("0", missing) + digits
		}
		at := len(digits) - int(d.Scale)
		digits = digits[:at] + "." + digits[at:]
	}
	if d.Value.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

func layoutOf(t *duck.Type) string {
	switch t.Kind {
	case "DATE":
		return time.DateOnly
	case "TIME":
		return layoutTime
	case "TIMESTAMPTZ":
		return layoutZoned
	}
	return layoutPlain
}

func bytesText(v []byte, t *duck.Type) string {
	if t.Kind == "UUID" && len(v) == 16 {
		h := hex.EncodeToString(v)
		return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
	}
	return base64.StdEncoding.EncodeToString(v)
}

func appendList(b []byte, list []any, t *duck.Type) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, v, t.Elem)
	}
	return append(b, ']')
}

func appendStruct(b []byte, m map[string]any, t *duck.Type) []byte {
	b = append(b, '{')
	for i, f := range t.Fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, f.Name), ':')
		b = appendJSON(b, m[f.Name], f.Type)
	}
	return append(b, '}')
}

// appendMap writes an object: a key that is no text becomes one.
func appendMap(b []byte, m duck.Map, t *duck.Type) []byte {
	keys, values := m.Keys(), m.Values()
	b = append(b, '{')
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		if t.Key.Kind == "VARCHAR" {
			b = appendText(b, text(key))
		} else {
			b = appendText(b, strings.Trim(string(appendJSON(nil, key, t.Key)), `"`))
		}
		b = append(b, ':')
		b = appendJSON(b, values[i], t.Elem)
	}
	return append(b, '}')
}
