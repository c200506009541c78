package accesslog

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// combined writes an entry back in the notation of Apache.
func combined(e Entry) string {
	or := func(s string) string {
		if s == "" {
			return "-"
		}
		return escape(s)
	}
	request := e.Method + " " + e.URI
	if e.Proto != "" {
		request += " " + e.Proto
	}
	head := e.RemoteAddr
	if e.Host != "" {
		head = e.Host + " " + head
	}
	return fmt.Sprintf(`%s - - [%s] "%s" %d %d "%s" "%s"`,
		head, e.Time.Format(combinedTime), escape(request), e.Status, e.Size, or(e.Referer), or(e.UserAgent))
}

func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// checkEntry holds what every entry promises, whatever the line was.
func checkEntry(t *testing.T, e Entry) {
	t.Helper()
	if checkMethod(e.Method) != nil || e.URI == "" || e.RemoteAddr == "" || e.Status < 100 || e.Status > 999 || e.Size < 0 ||
		e.Duration < 0 || e.Time.Location() != time.UTC {
		t.Fatalf("an entry breaks its promises: %+v", e)
	}
}

func FuzzCombined(f *testing.F) {
	f.Add(plain)
	f.Add(plain[:len(plain)-5])
	f.Add("www.example.com:443 " + plain)
	f.Add(`h - a [b [01/Jan/1970:00:00:00 -1200] "POST /\x00\"\\ HTTP/1.0" 999 - "\xe4" "`)
	f.Add("[")
	f.Add(`0 [01/MAY/2000:0:00:00 +0000]"A 0 HTTP/ "100`) // a blank behind the protocol
	f.Fuzz(func(t *testing.T, line string) {
		e, ok, err := ParseLine([]byte(line))
		if !ok || err != nil {
			return
		}
		checkEntry(t, e)
		if strings.HasPrefix(strings.TrimSpace(line), "{") {
			return
		}
		// Written out again, the entry reads the same. A cut line is whole then.
		e.Cut = false
		if e.Referer == "-" || e.UserAgent == "-" { // escaped dashes
			return
		}
		again, ok, err := ParseLine([]byte(combined(e)))
		if err != nil || !ok || !equal(again, e) {
			t.Fatalf("%q\nis  %+v\nand %+v (%v)", combined(e), e, again, err)
		}
	})
}

func FuzzCaddyJSON(f *testing.F) {
	f.Add(caddyPlain)
	f.Add(`{"request":{"method":"GET","uri":"/","remote_addr":"[::1]:1"},"ts":"2015-05-17T08:05:03Z","status":200}`)
	f.Add(`{"request":{"headers":{"":[]}},"ts":1e18,"duration":1e-9,"size":1}`)
	f.Fuzz(func(t *testing.T, line string) {
		e, ok, err := parseCaddy([]byte(line), time.UTC)
		if ok != (err == nil && e.Method != "") {
			t.Fatalf("ok %v, error %v, method %q", ok, err, e.Method)
		}
		if ok {
			checkEntry(t, e)
		}
	})
}

func FuzzTraefikJSON(f *testing.F) {
	for _, test := range golden {
		if strings.HasPrefix(test.name, "Traefik JSON") {
			f.Add(test.log)
		}
	}
	f.Add(`{"ClientAddr":"[::1]:1","DownstreamStatus":200,"RequestMethod":"GET","RequestPath":"/","StartUTC":"2024-05-01T10:00:00Z","Duration":-1,"request_":"x","downstream_a":1}`)
	f.Fuzz(func(t *testing.T, line string) {
		e, ok, err := parseTraefik([]byte(line))
		if ok != (err == nil && e.Method != "") {
			t.Fatalf("ok %v, error %v, method %q", ok, err, e.Method)
		}
		if ok {
			checkEntry(t, e)
		}
	})
}

// FuzzW3C reads a log under columns that are fuzzed as well.
func FuzzW3C(f *testing.F) {
	f.Add("date time c-ip cs-method cs-uri-stem sc-status", "2024-05-01 10:00:00 203.0.113.9 GET / 200")
	f.Add("time\tcs-uri cs-method c-dns sc-status time-taken sc-bytes cs(user-agent)", "10:00:00\t/%\tGET\th\t200\t1e300\t-\t%2%")
	f.Fuzz(func(t *testing.T, fields, line string) {
		n := (&Notation{}).Directive([]byte("#Fields: " + fields))
		n = n.Directive([]byte("#Date: 2024-05-01"))
		e, ok, err := n.Parse(line)
		if ok && err != nil {
			t.Fatalf("an entry and %v", err)
		}
		if ok && err == nil {
			checkEntry(t, e)
			_, _, _ = e.Target()
			if !e.Client().IsValid() {
				t.Fatal("no client")
			}
		}
	})
}

func FuzzStream(f *testing.F) {
	f.Add([]byte(plain + "\n" + caddyPlain + "\n"))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Fuzz(func(t *testing.T, log []byte) {
		p := NewParser(strings.NewReader(string(log)))
		for range len(log) + 2 {
			if _, err := p.Next(); err != nil {
				if _, line := err.(*LineError); !line {
					return
				}
			}
		}
		// A gzipped stream may hold more lines than it has bytes.
		if len(log) < 2 || log[0] != 0x1f {
			t.Fatalf("%d bytes gave more than %d lines", len(log), len(log)+2)
		}
	})
}

func BenchmarkCombined(b *testing.B) {
	line := []byte(plain)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, _ := ParseLine(line); !ok {
			b.Fatal("not read")
		}
	}
}

func BenchmarkCaddyJSON(b *testing.B) {
	line := []byte(caddyPlain)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, _ := ParseLine(line); !ok {
			b.Fatal("not read")
		}
	}
}
