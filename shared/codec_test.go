package shared

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// fill sets every field of an event to a random value that Check accepts.
func fill(t testing.TB, r *rand.Rand, density float64) Event {
	t.Helper()
	var e Event
	v := reflect.ValueOf(&e).Elem()
	for i := range v.NumField() {
		if r.Float64() > density {
			continue
		}
		f := v.Field(i)
		switch p := f.Addr().Interface().(type) {
		case *string:
			*p = strings.Repeat("ä", r.IntN(2)) + fmt.Sprintf("%c", 'a'+rune(r.IntN(26)))
		case *uint64:
			*p = r.Uint64()
		case *Opt[int64]:
			*p = Some(100 + r.Int64N(900))
		case *Opt[float64]:
			*p = Some(r.Float64() * 1000)
		case *Opt[bool]:
			*p = Some(r.IntN(2) == 0)
		case *[]Prop:
			for j := range 1 + r.IntN(3) {
				*p = append(*p, Prop{Key: fmt.Sprint("k", j), Value: strings.Repeat("v", r.IntN(9)), Type: PropType(1 + r.IntN(5))})
			}
		case *Kind, *Origin, *Verdict, *EdgeID, *Epoch, *int64:
		default:
			t.Fatalf("field %s has a type that this test does not know", v.Type().Field(i).Name)
		}
	}
	e.Site, e.Kind, e.Origin, e.Verdict = "example.com", KindPageview, OriginEdge, VerdictLikely
	e.Time = 1_700_000_000_000_000 + r.Int64N(1e12)
	e.CountryCode, e.RevenueCurrency = "DE", "EUR"
	e.ScrollDepth = Some(r.Int64N(101))
	return e
}

// notEncoded are the fields that follow from the batch or are the aggregator's.
func notEncoded(e Event) Event {
	e.SiteID, e.Edge, e.Epoch, e.Seq, e.ReceivedAt, e.SkewMS = "", EdgeID{}, 0, 0, 0, Opt[int64]{}
	return e
}

func TestEveryFieldSurvivesTheCodec(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 300 {
		base := int64(1_700_000_000_000_000)
		var want []Event
		var raw []byte
		for range r.IntN(20) {
			e := fill(t, r, r.Float64())
			if reason := e.Check(); reason != "" {
				t.Fatalf("Check refuses %+v: %s", e, reason)
			}
			want = append(want, e)
			raw = AppendEvent(raw, &e, base)
		}
		h := Header{Schema: Schema, Edge: NewEdgeID(), Epoch: NewEpoch(), FirstSeq: 7, Count: uint64(len(want)), BaseTime: base}
		n := 0
		err := DecodeEvents(&h, raw, func(i uint64, e *Event, err error) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Seq != 7+i || e.Edge != h.Edge || e.Epoch != h.Epoch {
				t.Fatalf("event %d is named %s/%s/%d", i, e.Edge, e.Epoch, e.Seq)
			}
			if got, w := notEncoded(*e), notEncoded(want[i]); !reflect.DeepEqual(got, w) {
				t.Fatalf("event %d\n got %+v\nwant %+v", i, got, w)
			}
			n++
		})
		if err != nil || n != len(want) {
			t.Fatalf("decoded %d of %d: %v", n, len(want), err)
		}
	}
}

func TestLongEventsKeepTheirFraming(t *testing.T) {
	for _, size := range []int{100, 127, 128, 16_000, 16_383, 16_384, 20_000} {
		e := Event{Time: 1e15, Title: strings.Repeat("x", size)}
		raw := AppendEvent([]byte("before"), &e, 0)
		h := Header{Schema: Schema, Count: 1}
		err := DecodeEvents(&h, raw[len("before"):], func(_ uint64, e *Event, err error) {
			if err != nil || len(e.Title) != size {
				t.Fatalf("size %d: %v", size, err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnknownFieldsAreSkipped(t *testing.T) {
	e := Event{Time: 5, Name: "n"}
	body := appendFields(nil, &e, 0)
	body = append(body, 0xFC, 0x07, 0x05)           // field 255, varint
	body = appendText(body, 200, "from the future") // field 200, bytes
	raw := append([]byte{byte(len(body))}, body...)
	h := Header{Schema: Schema, Count: 1}
	err := DecodeEvents(&h, raw, func(_ uint64, e *Event, err error) {
		if err != nil || e.Name != "n" || e.Time != 5 {
			t.Fatalf("%+v, %v", e, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOneBadEventDoesNotHideTheOthers(t *testing.T) {
	good := Event{Time: 5, Name: "good"}
	raw := AppendEvent(nil, &good, 0)
	raw = append(raw, 2, 0xFF, 0xFF) // two bytes of rubbish
	raw = AppendEvent(raw, &good, 0)
	h := Header{Schema: Schema, Count: 3}
	var got []string
	err := DecodeEvents(&h, raw, func(i uint64, e *Event, err error) {
		if err != nil {
			got = append(got, "bad")
			return
		}
		got = append(got, e.Name)
	})
	if want := []string{"good", "bad", "good"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v, %v", got, err)
	}
}

func TestHeaderSurvivesAndRefusesNonsense(t *testing.T) {
	h := Header{
		Kind: BatchData, Compression: CompressZstd, Schema: 1, Edge: NewEdgeID(), Epoch: NewEpoch(), EpochFirst: 3, FirstSeq: 9,
		Count: 4, RawLen: 100, PayloadLen: 50, BaseTime: 1e15,
		Counters: Counters{Captured: 1 << 40, Queued: 2, Stored: 3, Rejected: 4, Lost: 5},
	}
	h.Counters.Dropped[DropDisk] = Dropped{Count: 7, From: 1e15, To: 2e15}
	b := AppendHeader(nil, &h)
	got, err := ParseHeader(b)
	if err != nil || got != h {
		t.Fatalf("%v\n got %+v\nwant %+v", err, got, h)
	}
	for cut := range len(b) {
		if _, err := ParseHeader(b[:cut]); err == nil {
			t.Fatalf("a header cut at %d of %d was read", cut, len(b))
		}
	}
	for name, break_ := range map[string]func(*Header){
		"no edge":      func(h *Header) { h.Edge = EdgeID{} },
		"no epoch":     func(h *Header) { h.Epoch = 0 },
		"empty":        func(h *Header) { h.Count = 0 },
		"seq overflow": func(h *Header) { h.FirstSeq = 1<<64 - 2 },
		"before epoch": func(h *Header) { h.EpochFirst = 10 },
		"too many":     func(h *Header) { h.Count = MaxBatchEvents + 1 },
		"too large":    func(h *Header) { h.RawLen = MaxBatchRaw + 1 },
		"kind":         func(h *Header) { h.Kind = 9 },
		"compression":  func(h *Header) { h.Compression = 9 },
		"loss reason":  func(h *Header) { h.Kind, h.RawLen, h.PayloadLen = BatchLost, 0, 0 },
	} {
		bad := h
		break_(&bad)
		if _, err := ParseHeader(AppendHeader(nil, &bad)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"plain", 10, "plain"},
		{"plain", 3, "pla"},
		{"ä", 1, ""},
		{"aä", 2, "a"},
		{"a\x00b\nc\x7f\u0085", 10, "abc"},
		{"a\xffb", 10, "a\uFFFDb"},
	} {
		if got := Cut(c.in, c.limit); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	good := Event{Site: "a", Kind: KindPageview, Origin: OriginEdge, Time: 1e15}
	for want, break_ := range map[Rejection]func(*Event){
		"":                func(*Event) {},
		RejectKind:        func(e *Event) { e.Kind = "x" },
		RejectOrigin:      func(e *Event) { e.Origin = "" },
		RejectVerdict:     func(e *Event) { e.Verdict = "x" },
		RejectTime:        func(e *Event) { e.Time = 0 },
		RejectUnknownSite: func(e *Event) { e.Site = "" },
		RejectTooLong:     func(e *Event) { e.Title = strings.Repeat("x", MaxTitle+1) },
		RejectText:        func(e *Event) { e.Title = "a\x00" },
		RejectNumber:      func(e *Event) { e.ScrollDepth = Some[int64](101) },
		RejectProps:       func(e *Event) { e.Props = []Prop{{"k", "v", 1}, {"k", "v", 1}} },
	} {
		e := good
		break_(&e)
		if got := e.Check(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzDecodeEvents(f *testing.F) {
	e := Event{Time: 5, Name: "n", Props: []Prop{{"k", "v", PropNumber}}, LCPMS: Some(1.5)}
	f.Add(AppendEvent(nil, &e, 0), uint64(1))
	f.Fuzz(func(t *testing.T, raw []byte, count uint64) {
		h := Header{Schema: Schema, Count: count}
		_ = DecodeEvents(&h, raw, func(_ uint64, e *Event, err error) {
			if err != nil {
				return
			}
			if e.Check() != "" {
				return
			}
			// What is accepted must survive being written again.
			again := AppendEvent(nil, e, 0)
			h := Header{Schema: Schema, Count: 1}
			if err := DecodeEvents(&h, again, func(_ uint64, e2 *Event, err error) {
				if err != nil || !reflect.DeepEqual(notEncoded(*e), notEncoded(*e2)) {
					t.Fatalf("%v\n%+v\n%+v", err, e, e2)
				}
			}); err != nil {
				t.Fatal(err)
			}
		})
	})
}

func BenchmarkAppendEvent(b *testing.B) {
	e := fill(b, rand.New(rand.NewPCG(1, 2)), 0.4)
	var raw []byte
	b.ReportAllocs()
	for b.Loop() {
		raw = AppendEvent(raw[:0], &e, 1e15)
	}
	b.SetBytes(int64(len(raw)))
}
