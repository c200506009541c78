package accesslog

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

const agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

// said is what tests compare of an entry.
func said(e Entry) string {
	return fmt.Sprintf("%s %s %s %s host=%s %s %d %d ref=%s ua=%s type=%s took=%s", e.RemoteAddr, e.Start().Format(time.RFC3339Nano),
		e.Method, e.URI, e.Host, e.Proto, e.Status, e.Size, e.Referer, e.UserAgent, e.ContentType, e.Duration)
}

// Golden lines as the servers' own documents and installations have them. The
// last line of each log is the one that is compared.
var golden = []struct {
	name, log, want string
	formats         string // the names that it can be said to be in
}{
	{
		"common", `203.0.113.9 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326`,
		"203.0.113.9 2000-10-10T20:55:36Z GET /apache_pb.gif host= HTTP/1.0 200 2326 ref= ua= type= took=0s",
		"common combined auto",
	},
	{
		"combined", `203.0.113.9 - - [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.0" 200 2326 "http://www.example.com/start.html" "` + agent + `"`,
		"203.0.113.9 2000-10-10T20:55:36Z GET /a?b=c host= HTTP/1.0 200 2326 ref=http://www.example.com/start.html ua=" + agent + " type= took=0s",
		"combined nginx auto",
	},
	{
		"vhost_combined", `www.example.com:443 2001:db8::1 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/2.0" 304 - "-" "-"`,
		"2001:db8::1 2000-10-10T13:55:36Z GET / host=www.example.com:443 HTTP/2.0 304 0 ref= ua= type= took=0s",
		"vhost combined auto",
	},
	{
		"Traefik's common format", `203.0.113.9 - - [10/Oct/2000:13:55:36 +0000] "GET /x HTTP/1.1" 200 12 "-" "-" 42 "web@docker" "http://172.17.0.2:80" 7ms`,
		"203.0.113.9 2000-10-10T13:55:36Z GET /x host= HTTP/1.1 200 12 ref= ua= type= took=0s",
		"traefik-clf combined auto",
	},
	{
		"Traefik JSON", `{"ClientAddr":"203.0.113.9:4321","ClientHost":"203.0.113.9","ClientPort":"4321","ClientUsername":"-","DownstreamContentSize":5,` +
			`"DownstreamStatus":200,"Duration":2500000,"OriginDuration":2000000,"OriginStatus":200,"RequestAddr":"shop.example","RequestContentSize":0,` +
			`"RequestCount":7,"RequestHost":"shop.example","RequestMethod":"GET","RequestPath":"/a?b=1","RequestPort":"-","RequestProtocol":"HTTP/2.0",` +
			`"RequestScheme":"https","RouterName":"shop@file","StartLocal":"2024-05-01T12:00:00.123456789+02:00","StartUTC":"2024-05-01T10:00:00.123456789Z",` +
			`"downstream_Content-Type":"text/html; charset=utf-8","request_User-Agent":"` + agent + `","request_Referer":"https://www.example.org/","level":"info","msg":"","time":"2024-05-01T12:00:00+02:00"}`,
		"203.0.113.9 2024-05-01T10:00:00.123456789Z GET /a?b=1 host=shop.example HTTP/2.0 200 5 ref=https://www.example.org/ ua=" + agent + " type=text/html; charset=utf-8 took=2.5ms",
		"traefik auto",
	},
	{
		"Traefik JSON without headers", `{"ClientHost":"203.0.113.9","DownstreamContentSize":5,"DownstreamStatus":404,"RequestHost":"shop.example","RequestMethod":"GET","RequestPath":"/","time":"2024-05-01T10:00:00Z"}`,
		"203.0.113.9 2024-05-01T10:00:00Z GET / host=shop.example  404 5 ref= ua= type= took=0s",
		"traefik auto",
	},
	{
		"Caddy JSON", `{"level":"info","ts":1714557600.5,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"10.0.0.1","client_ip":"203.0.113.9",` +
			`"proto":"HTTP/2.0","method":"GET","host":"shop.example","uri":"/","headers":{"User-Agent":["` + agent + `"]},"tls":{"resumed":false}},` +
			`"duration":0.5,"size":11,"status":200,"resp_headers":{"Content-Type":["text/html"]}}`,
		"203.0.113.9 2024-05-01T10:00:00Z GET / host=shop.example HTTP/2.0 200 11 ref= ua=" + agent + " type=text/html took=500ms",
		"caddy auto",
	},
	{
		"IIS", "#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n#Date: 2024-05-01 10:00:00\r\n" +
			"#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\r\n" +
			"2024-05-01 10:00:01 192.0.2.1 GET /default.aspx id=3 443 - 203.0.113.9 Mozilla/5.0+(Windows+NT+10.0;+Win64;+x64) https://www.example.org/a+b 200 0 0 15\r\n",
		"203.0.113.9 2024-05-01T10:00:00.985Z GET /default.aspx?id=3 host=  200 0 ref=https://www.example.org/a+b ua=Mozilla/5.0 (Windows NT 10.0; Win64; x64) type= took=15ms",
		"w3c auto",
	},
	{
		"CloudFront", "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query " +
			"cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version\n" +
			"2019-12-04\t21:02:31\tLAX1\t392\t203.0.113.9\tGET\td111111abcdef8.cloudfront.net\t/index.html\t200\t-\tMozilla/5.0%20(Windows%20NT%2010.0)%20+http://x.example\t-\t-\tHit\tSOX4xwn4==\tshop.example\thttps\t23\t0.001\t-\tTLSv1.2\tECDHE\tHit\tHTTP/2.0\n",
		"203.0.113.9 2019-12-04T21:02:30.999Z GET /index.html host=shop.example HTTP/2.0 200 392 ref= ua=Mozilla/5.0 (Windows NT 10.0) +http://x.example type= took=1ms",
		"w3c auto",
	},
	{
		"W3C with the day above", "#Date: 1996-01-01\n#Fields: time cs-method cs-uri c-ip sc-status\n#Date: 1996-01-12 00:00:00\n00:34:23 GET /foo/bar.html 203.0.113.9 200\n",
		"203.0.113.9 1996-01-12T00:34:23Z GET /foo/bar.html host=  200 0 ref= ua= type= took=0s",
		"w3c auto",
	},
	{
		"W3C with other columns halfway", "#Fields: date time c-ip cs-method cs-uri-stem sc-status\n2024-05-01 10:00:00 203.0.113.8 GET /a 200\n" +
			"#Fields: date time cs-method cs-uri-stem c-ip sc-status cs-host\n2024-05-01 10:00:01 POST /b 203.0.113.9 201 shop.example\n",
		"203.0.113.9 2024-05-01T10:00:01Z POST /b host=shop.example  201 0 ref= ua= type= took=0s",
		"w3c auto",
	},
}

func TestGoldenLines(t *testing.T) {
	for _, test := range golden {
		t.Run(test.name, func(t *testing.T) {
			for _, name := range strings.Fields(test.formats) {
				last, err := lastEntry(test.log, name, nil)
				if err != nil || said(last) != test.want {
					t.Errorf("as %s:\n%s, want\n%s (%v)", name, said(last), test.want, err)
				}
			}
			// In another notation it is no line, and never half of one.
			for _, other := range []string{"combined", "caddy", "traefik", "w3c"} {
				if strings.Contains(test.formats, other) {
					continue
				}
				if e, err := lastEntry(test.log, other, nil); err == nil && e.Method != "" {
					t.Errorf("as %s it is %s", other, said(e))
				}
			}
		})
	}
}

// lastEntry reads a log as a format.
func lastEntry(log, format string, zone *time.Location) (last Entry, err error) {
	f, err := ParseFormat(format)
	if err != nil {
		return last, err
	}
	n := &Notation{Format: f, Zone: zone}
	for line := range strings.Lines(log) {
		n = n.Directive([]byte(line))
		e, ok, err := n.Parse(strings.TrimRight(line, "\r\n"))
		if err != nil {
			return last, err
		}
		if ok {
			last = e
		}
	}
	return last, nil
}

// TestZone: times that are written without a zone are in the given one; others
// are not touched.
func TestZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for log, want := range map[string]string{
		"#Fields: date time c-ip cs-method cs-uri sc-status\n2024-07-01 12:00:00 203.0.113.9 GET / 200\n":                                                 "2024-07-01T10:00:00Z",
		`{"ts":"2024/07/01 12:00:00","request":{"client_ip":"203.0.113.9","method":"GET","uri":"/"},"status":200}`:                                        "2024-07-01T10:00:00Z",
		`{"ts":"2024-07-01T12:00:00Z","request":{"client_ip":"203.0.113.9","method":"GET","uri":"/"},"status":200}`:                                       "2024-07-01T12:00:00Z",
		`203.0.113.9 - - [01/Jul/2024:12:00:00 +0000] "GET / HTTP/1.1" 200 0`:                                                                             "2024-07-01T12:00:00Z",
		`{"ClientHost":"203.0.113.9","DownstreamStatus":200,"RequestMethod":"GET","RequestPath":"/","StartUTC":"2024-07-01T12:00:00Z","RequestHost":"x"}`: "2024-07-01T12:00:00Z",
	} {
		e, err := lastEntry(log, "auto", berlin)
		if got := e.Time.Format(time.RFC3339); err != nil || got != want {
			t.Errorf("%s\nis at %s (%v), want %s", log, got, err, want)
		}
	}
}

func TestRefusedW3CLines(t *testing.T) {
	const fields = "#Fields: date time c-ip cs-method cs-uri-stem sc-status sc-bytes\n"
	for line, want := range map[string]error{
		"2024-05-01 10:00:00 203.0.113.9 GET / 99 0":  ErrStatus,
		"2024-05-01 10:00:00 203.0.113.9 GET / x 0":   ErrStatus,
		"2024-05-01 10:00:00 203.0.113.9 GET / - 0":   ErrStatus,
		"2024-05-01 10:00:00 203.0.113.9 GET - 200 0": ErrRequest,
		"2024-05-01 10:00:00 203.0.113.9 - / 200 0":   ErrRequest,
		"2024-05-01 10:00:00 - GET / 200 0":           ErrNoClient,
		"2024-13-01 10:00:00 203.0.113.9 GET / 200 0": ErrTime,
		"- 10:00:00 203.0.113.9 GET / 200 0":          ErrTime,
		"2024-05-01 10:00:00 203.0.113.9 GET / 200 x": ErrSize,
		"2024-05-01": ErrRequest,
	} {
		if _, err := lastEntry(fields+line+"\n", "w3c", nil); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", line, err, want)
		}
	}
	if _, err := lastEntry("2024-05-01 10:00:00 203.0.113.9 GET / 200 0\n", "w3c", nil); !errors.Is(err, ErrFields) {
		t.Errorf("without columns: %v", err)
	}
	if _, err := ParseFormat("squid"); err == nil || !strings.Contains(err.Error(), "w3c") {
		t.Errorf("%v: want the names that there are", err)
	}
}

func TestTarget(t *testing.T) {
	for uri, want := range map[string]string{
		"/":                           "/ ? true",
		"/a%20b/%C3%A9?x=%20":         "/a b/é ?x=%20 true",
		"/bad%zz":                     "/bad%zz ? true",
		"http://h.example/a?b":        "/a ?b true",
		"HTTPS://h.example":           "/ ? true",
		"*":                           " ? false",
		"h.example:443":               " ? false",
		"ftp://h.example/a":           " ? false",
		"//double/slash":              "//double/slash ? true",
		"android-app://com.x/http://": " ? false",
	} {
		e := Entry{URI: uri}
		p, q, ok := e.Target()
		if got := fmt.Sprintf("%s ?%s %v", p, q, ok); got != want {
			t.Errorf("%s is %q, want %q", uri, got, want)
		}
	}
}

// TestPackedStreams are read like what they hold.
func TestPackedStreams(t *testing.T) {
	text := []byte(strings.Repeat(plain+"\n", 100))
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	_, err := w.Write(text)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	zw, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, stream := range map[string][]byte{"plain": text, "gzip": gz.Bytes(), "zstd": zw.EncodeAll(text, nil)} {
		p := NewParser(bytes.NewReader(stream))
		n := 0
		for {
			if _, err := p.Next(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			n++
		}
		if n != 100 {
			t.Errorf("%s: %d lines", name, n)
		}
		_, packed, err := Decompress(bytes.NewReader(stream))
		if err != nil || packed != (name != "plain") {
			t.Errorf("%s: packed %v, %v", name, packed, err)
		}
	}
}
