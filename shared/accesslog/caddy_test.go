package accesslog

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

const caddyPlain = `{"level":"info","ts":1431849903.25,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"127.0.0.1",` +
	`"remote_port":"41342","client_ip":"192.0.2.7","proto":"HTTP/2.0","method":"GET","host":"example.com","uri":"/a?b=c","headers":{"User-Agent":["Mozilla/5.0"],` +
	`"Referer":["http://example.org/"],"Cookie":["REDACTED"]}},"bytes_read":0,"user_id":"jane","duration":0.0015,"size":512,"status":200,` +
	`"resp_headers":{"Content-Type":["text/html; charset=utf-8"]}}`

func equal(a, b Entry) bool { return reflect.DeepEqual(a, b) }

func TestCaddy(t *testing.T) {
	base := Entry{
		RemoteAddr: "192.0.2.7", AtEnd: true, Time: time.Date(2015, 5, 17, 8, 5, 3, 250_000_000, time.UTC), Method: "GET", URI: "/a?b=c",
		Proto: "HTTP/2.0", Host: "example.com", Status: 200, Size: 512, Referer: "http://example.org/", UserAgent: "Mozilla/5.0",
		ContentType: "text/html; charset=utf-8", Duration: 1500 * time.Microsecond,
		Header: http.Header{"User-Agent": {"Mozilla/5.0"}, "Referer": {"http://example.org/"}, "Cookie": {"REDACTED"}},
		Answer: http.Header{"Content-Type": {"text/html; charset=utf-8"}},
	}
	with := func(change func(*Entry)) Entry { e := base; change(&e); return e }
	replace := func(from, to string) string {
		if !strings.Contains(caddyPlain, from) {
			t.Fatalf("%q is not in the sample", from)
		}
		return strings.Replace(caddyPlain, from, to, 1)
	}
	const ts = "1431849903.25"
	for _, tc := range []struct {
		name, line string
		want       Entry
		err        error
	}{
		{"plain", caddyPlain, base, nil},
		{"without client_ip", replace(`"client_ip":"192.0.2.7",`, ""), with(func(e *Entry) { e.RemoteAddr = "127.0.0.1" }), nil},
		{
			"before 2.5", strings.Replace(replace(`"client_ip":"192.0.2.7",`, ""), `"remote_ip":"127.0.0.1"`, `"remote_addr":"[2001:db8::1]:99"`, 1),
			with(func(e *Entry) { e.RemoteAddr = "2001:db8::1" }), nil,
		},
		{"rfc3339", replace(ts, `"2015-05-17T10:05:03.25+02:00"`), base, nil},
		{"iso8601", replace(ts, `"2015-05-17T10:05:03.250+0200"`), base, nil},
		{"wall", replace(ts, `"2015/05/17 08:05:03.25"`), base, nil},
		{"milliseconds", replace(ts, `1431849903250`), base, nil},
		{"nanoseconds", replace(ts, `1431849903250000000`), base, nil},
		{"duration as text", replace("0.0015", `"1.5ms"`), base, nil},
		{"duration unreadable", replace("0.0015", `"soon"`), with(func(e *Entry) { e.Duration = 0 }), nil},
		{"nothing written", replace(`"status":200`, `"status":0`), base, nil},
		{"unknown fields", replace(`"bytes_read":0`, `"extra":{"a":[1,{}]}`), base, nil},

		{"cut", caddyPlain[:len(caddyPlain)-9], Entry{}, ErrJSON},
		{"time in prose", replace(ts, `"noon"`), Entry{}, ErrTime},
		{"time below zero", replace(ts, `-1`), Entry{}, ErrTime},
		{"time beyond all", replace(ts, `1e300`), Entry{}, ErrTime},
		{"no time", replace(`"ts":`+ts+`,`, ""), Entry{}, ErrTime},
		{"status 7", replace(`"status":200`, `"status":7`), Entry{}, ErrStatus},
		{"size below zero", replace(`"size":512`, `"size":-1`), Entry{}, ErrSize},
		{"size with a fraction", replace(`"size":512`, `"size":5.5`), Entry{}, ErrSize},
		{"no target", replace("/a?b=c", ""), Entry{}, ErrRequest},
		{"rubbish method", replace(`"GET"`, `"G\u0001T"`), Entry{}, ErrRequest},
		{"headers of another shape", replace(`["Mozilla/5.0"]`, `"Mozilla/5.0"`), Entry{}, ErrJSON},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok, err := ParseLine([]byte(tc.line))
			if !errors.Is(err, tc.err) || ok != (tc.err == nil) {
				t.Fatalf("got %v, %v; want error %v", ok, err, tc.err)
			}
			if err == nil && !equal(got, tc.want) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

func TestOtherMessagesOfCaddyArePassedOver(t *testing.T) {
	for _, line := range []string{
		`{"level":"info","ts":1.5,"msg":"server running","name":"srv0"}`, `{}`, `{"request":null,"status":200}`, `{"request":{}}`,
	} {
		if _, ok, err := ParseLine([]byte(line)); ok || err != nil {
			t.Errorf("%s: got %v, %v; want it passed over", line, ok, err)
		}
	}
}
