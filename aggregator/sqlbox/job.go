package sqlbox

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// job is what a child is given on its standard input.
type job struct {
	Relations stats.Relations
	Site      state.Site
	SQL       string
	Args      []any // of the statement: string, int64, float64, bool or nil
	Limit     int
	Format    Format
	Memory    int64
	Threads   int
	Time      time.Duration
	MaxBytes  int64
	// Unchecked leaves the walk over the statement's tree out. Tests set it, to see
	// what the rest holds.
	Unchecked bool
}

// verdict is what the child says at its end, on its third descriptor.
type verdict struct {
	Rows      int64  `json:"rows"`
	Truncated bool   `json:"truncated"`
	Code      string `json:"code,omitempty"` // "" = all went well
	Message   string `json:"message,omitempty"`
}

// value is an argument with its type, which JSON alone would lose.
type value struct {
	Kind    string          `json:"k"`
	Content json.RawMessage `json:"v"`
}

func packArgs(args []any) ([]value, error) {
	list := make([]value, len(args))
	for i, a := range args {
		kind := ""
		switch v := a.(type) {
		case nil:
			kind = "null"
		case string:
			kind = "s"
		case bool:
			kind = "b"
		case int:
			a, kind = int64(v), "i"
		case int64:
			kind = "i"
		case float64:
			kind = "f"
		case time.Time:
			a, kind = v.UnixMicro(), "t"
		case []string:
			kind = "ss"
		case []uint64:
			kind = "uu"
		default:
			return nil, fmt.Errorf("an argument is of the type %T", a)
		}
		content, err := json.Marshal(a)
		if err != nil {
			return nil, err
		}
		list[i] = value{kind, content}
	}
	return list, nil
}

func unpackArgs(list []value) ([]any, error) {
	args := make([]any, len(list))
	for i, v := range list {
		var err error
		switch v.Kind {
		case "null":
		case "s":
			args[i], err = unpack[string](v.Content)
		case "b":
			args[i], err = unpack[bool](v.Content)
		case "i":
			args[i], err = unpack[int64](v.Content)
		case "f":
			args[i], err = unpack[float64](v.Content)
		case "t":
			var us int64
			us, err = unpack[int64](v.Content)
			args[i] = time.UnixMicro(us).UTC()
		case "ss":
			args[i], err = unpack[[]string](v.Content)
		case "uu":
			args[i], err = unpack[[]uint64](v.Content)
		default:
			err = fmt.Errorf("there is no kind of argument %q", v.Kind)
		}
		if err != nil {
			return nil, err
		}
	}
	return args, nil
}

func unpack[T any](content json.RawMessage) (v T, err error) {
	err = json.Unmarshal(content, &v)
	return v, err
}

// MarshalJSON and UnmarshalJSON keep the types of arguments.
func (j job) MarshalJSON() ([]byte, error) {
	type plain job // without these methods
	r := &j.Relations
	packed := struct {
		Job     plain
		Args    []value
		Related [3][]value
	}{Job: plain(j)}
	var err error
	if packed.Args, err = packArgs(j.Args); err != nil {
		return nil, err
	}
	for i, args := range []*[]any{&r.Counted.Args, &r.Interactions.Args, &r.Said.Args} {
		if packed.Related[i], err = packArgs(*args); err != nil {
			return nil, err
		}
	}
	p := &packed.Job
	p.Args, p.Relations.Counted.Args, p.Relations.Interactions.Args, p.Relations.Said.Args = nil, nil, nil, nil
	return json.Marshal(packed)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (j *job) UnmarshalJSON(text []byte) error {
	type plain job
	var packed struct {
		Job     plain
		Args    []value
		Related [3][]value
	}
	err := json.Unmarshal(text, &packed)
	if err != nil {
		return err
	}
	*j = job(packed.Job)
	if j.Args, err = unpackArgs(packed.Args); err != nil {
		return err
	}
	r := &j.Relations
	for i, args := range []*[]any{&r.Counted.Args, &r.Interactions.Args, &r.Said.Args} {
		if *args, err = unpackArgs(packed.Related[i]); err != nil {
			return err
		}
	}
	return nil
}
