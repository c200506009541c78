package shared

import (
	"encoding/json"
	"fmt"
	"testing"
)

// TestBlanksTakeASequence: what is read between them keeps its place.
func TestBlanksTakeASequence(t *testing.T) {
	event := Event{Site: "example.com", Time: 1, Kind: KindPageview, Origin: OriginImport, Verdict: VerdictLikely}
	var raw []byte
	for _, c := range "..e.ee..e." {
		if c == '.' {
			raw = AppendBlank(raw)
		} else {
			raw = AppendEvent(raw, &event, 0)
		}
	}
	h := Header{Schema: Schema, FirstSeq: 101, Count: 10}
	var at []uint64
	err := DecodeEvents(&h, raw, func(i uint64, e *Event, err error) {
		if err != nil || e.Seq != 101+i {
			t.Errorf("at %d: %+v, %v", i, e, err)
		}
		at = append(at, e.Seq)
	})
	if err != nil || fmt.Sprint(at) != "[103 105 106 109]" {
		t.Errorf("events at %v (%v)", at, err)
	}
	for from, want := range map[uint64]uint64{0: 4, 2: 4, 3: 3, 5: 2, 9: 0, 99: 0} {
		if got := CountEvents(raw, from); got != want {
			t.Errorf("%d events from %d on, want %d", got, from, want)
		}
	}
	h.Count = 11
	if err := DecodeEvents(&h, raw, func(uint64, *Event, error) {}); err == nil {
		t.Error("10 sequences were taken for 11")
	}
	if got := CountEvents([]byte{0, 200, 1, 2}, 0); got != 0 {
		t.Errorf("%d events behind broken framing", got)
	}
}

func TestImportPrint(t *testing.T) {
	p := ImportPrint{1, 2, 31: 255}
	text, err := json.Marshal(ImportRequest{Prints: []ImportPrint{p}})
	if err != nil {
		t.Fatal(err)
	}
	var back ImportRequest
	if err := json.Unmarshal(text, &back); err != nil || back.Prints[0] != p {
		t.Errorf("%s came back as %v (%v)", text, back, err)
	}
	for _, bad := range []string{`"00"`, `""`, `"` + fmt.Sprintf("%064s", "x") + `"`, `[1]`} {
		if err := json.Unmarshal([]byte(`{"prints":[`+bad+`]}`), &back); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
