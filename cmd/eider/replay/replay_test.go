package replay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eider-analytics/eider/cmd/internal/progress"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/accesslog"
)

func entry(t *testing.T, line string) accesslog.Entry {
	t.Helper()
	e, ok, err := accesslog.ParseLine([]byte(line))
	if !ok || err != nil {
		t.Fatalf("%s: %v, %v", line, ok, err)
	}
	return e
}

// combined is a line of the combined format.
func combined(client, request string, status int, size int64) string {
	return fmt.Sprintf(`%s - - [17/May/2015:10:05:03 +0000] "%s" %d %d "http://ref.example/?a=b" "Agent/1.0"`, client, request, status, size)
}

// seen is what arrives at the far end of a connection.
type seen struct {
	method, target, host string
	header               http.Header
}

// listen answers as the origin does and tells what it was asked.
func listen(t *testing.T) (*url.URL, func() []seen) {
	t.Helper()
	var mu sync.Mutex
	var all []seen
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		all = append(all, seen{r.Method, r.RequestURI, r.Host, r.Header.Clone()})
		mu.Unlock()
		serveAnswer(w, r)
	}))
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return base, func() []seen { mu.Lock(); defer mu.Unlock(); return append([]seen(nil), all...) }
}

func options() *Options {
	return &Options{Log: "x", Site: "site.example", Concurrency: 3, Aggregator: DefaultAggregator, Patience: time.Second}
}

func TestRequestsArriveAsLogged(t *testing.T) {
	lines := []struct{ line, target string }{
		{combined("192.0.2.1", "GET /a/b?x=%41&y HTTP/1.1", 200, 17), "/a/b?x=%41&y"},
		{combined("192.0.2.1", "GET //favicon.ico HTTP/1.1", 404, 0), "//favicon.ico"},
		{combined("192.0.2.1", `GET /a b\x01%zz%4#c HTTP/1.1`, 200, 3), "/a%20b%01%25zz%254%23c"},
		{combined("192.0.2.1", `GET /\xe4?q=\xff HTTP/1.1`, 200, 3), "/\xe4?q=\xff"},
		{combined("192.0.2.1", "HEAD /file.pdf HTTP/1.0", 200, 9999), "/file.pdf"},
		{combined("192.0.2.1", "POST /form HTTP/1.1", 500, 5), "/form"},
		{combined("192.0.2.1", "OPTIONS /form HTTP/1.1", 200, 0), "/form"},
		{combined("192.0.2.1", "GET /moved HTTP/1.1", 301, 40), "/moved"},
		{combined("192.0.2.1", "GET /same HTTP/1.1", 304, 0), "/same"},
		{combined("192.0.2.1", "GET /part.zip HTTP/1.1", 206, 70_000), "/part.zip"},
		{combined("192.0.2.1", "GET / HTTP/1.1", 416, 0), "/"},
	}
	base, arrived := listen(t)
	var log strings.Builder
	for _, l := range lines {
		log.WriteString(l.line + "\n")
	}
	s := newSender(options(), base)
	sent, err := s.run(t.Context(), accesslog.NewParser(strings.NewReader(log.String())), 0)
	if err != nil || sent.Answered != uint64(len(lines)) || sent.Failed != 0 || sent.Altered != 0 {
		t.Fatalf("%+v, %v", sent, err)
	}
	for i, got := range arrived() {
		e := entry(t, lines[i].line)
		if got.method != e.Method || got.target != lines[i].target || got.host != "site.example" {
			t.Errorf("%s: arrived as %s %q for %s", lines[i].line, got.method, got.target, got.host)
		}
		for name, want := range map[string]string{
			"X-Forwarded-For": "192.0.2.1", "User-Agent": "Agent/1.0", "Referer": "http://ref.example/?a=b", "Accept-Encoding": "",
		} {
			if v := got.header.Get(name); v != want {
				t.Errorf("line %d: %s: %q, want %q", i+1, name, v, want)
			}
		}
	}
}

func TestOriginAnswersAsLogged(t *testing.T) {
	base, _ := listen(t)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, tc := range []struct {
		line, contentType, header, value string
		length                           int64
	}{
		{combined("192.0.2.1", "GET / HTTP/1.1", 200, 70_000), "text/html; charset=utf-8", "Content-Length", "70000", 70_000},
		{combined("192.0.2.1", "GET /?flav=atom HTTP/1.1", 200, 5), "application/atom+xml; charset=utf-8", "", "", 5},
		{combined("192.0.2.1", "GET /x|y HTTP/1.1", 301, 5), "text/html; charset=utf-8", "Location", "/x%7Cy/", 5},
		{combined("192.0.2.1", "GET /x.css HTTP/1.1", 304, 5), "", "Content-Type", "", 0},
		{combined("192.0.2.1", "GET /x.zip HTTP/1.1", 206, 5), "application/zip", "Content-Range", "bytes 5-9/10", 5},
		{combined("192.0.2.1", "HEAD /x.zip HTTP/1.1", 200, 5), "application/zip", "Content-Length", "5", 0},
	} {
		e := entry(t, tc.line)
		req, err := request(t.Context(), base, "site.example", &e)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		n, err := bufio.NewReader(res.Body).WriteTo(discard{})
		_ = res.Body.Close()
		if err != nil || n != tc.length || res.StatusCode != e.Status {
			t.Errorf("%s: %d bytes with %d, %v; want %d", tc.line, n, res.StatusCode, err, tc.length)
		}
		if got := res.Header.Get("Content-Type"); got != tc.contentType {
			t.Errorf("%s: type %q, want %q", tc.line, got, tc.contentType)
		}
		if got := res.Header.Get(tc.header); tc.header != "" && got != tc.value {
			t.Errorf("%s: %s %q, want %q", tc.line, tc.header, got, tc.value)
		}
	}
	res, err := http.Get(base.String())
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("a stranger is answered %d, want 400", res.StatusCode)
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func TestHeadersOfCaddyLogs(t *testing.T) {
	e := entry(t, `{"ts":1.5,"request":{"client_ip":"2001:db8::7","method":"GET","host":"Shop.example:8443","uri":"/","headers":{`+
		`"Accept-Language":["de"],"Sec-Fetch-Dest":["document"],"Cookie":["REDACTED"],"X-Forwarded-For":["203.0.113.9"],"Connection":["close"],`+
		`"Cf-Connecting-Ip":["203.0.113.9"],"User-Agent":["A\u0001B"],"Eider-Replay-Answer":["500|0||"]}},"size":3,"status":200,"resp_headers":{"Content-Type":["text/html"]}}`)
	h := headers(&e)
	for name, want := range map[string]string{
		"Accept-Language": "de", "Sec-Fetch-Dest": "document", "User-Agent": "A B", "X-Forwarded-For": "2001:db8::7",
		"Cookie": "", "Connection": "", "Cf-Connecting-Ip": "", "Referer": "", answerHeader: "",
	} {
		if got := strings.Join(h.Values(name), ","); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := hostOf(&e, "site.example"); got != "Shop.example" {
		t.Errorf("host %q", got)
	}
}

func TestHostNamesStayVisitors(t *testing.T) {
	one := (&accesslog.Entry{RemoteAddr: "one.example"}).Client().String()
	two := (&accesslog.Entry{RemoteAddr: "two.example"}).Client().String()
	if one == two || one[:len("2001:db8:")] != "2001:db8:" || one != (&accesslog.Entry{RemoteAddr: "one.example"}).Client().String() {
		t.Errorf("%s and %s", one, two)
	}
}

func TestLeftOutAndAltered(t *testing.T) {
	base, _ := listen(t)
	log := strings.Join([]string{
		"rubbish",
		combined("192.0.2.1", "CONNECT example.org:443 HTTP/1.1", 405, 0),
		combined("192.0.2.1", "GET http://example.org/ HTTP/1.1", 200, 0),
		combined("192.0.2.1", "GET /chat HTTP/1.1", 101, 0),
		combined("192.0.2.1", "GET /last HTTP/1.1", 200, 10),
	}, "\n")
	s := newSender(options(), base)
	sent, err := s.run(t.Context(), accesslog.NewParser(strings.NewReader(log)), 0)
	if err != nil || sent.Answered != 1 || len(sent.LeftOut) != 4 {
		t.Errorf("%+v, %v", sent, err)
	}

	wrong := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut" {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("half"))
			return
		}
		_, _ = w.Write([]byte("another answer"))
	}))
	defer wrong.Close()
	base, _ = url.Parse(wrong.URL)
	s = newSender(options(), base)
	log = combined("192.0.2.1", "GET /last HTTP/1.1", 200, 10) + "\n" + combined("192.0.2.1", "GET /cut HTTP/1.1", 200, 10)
	sent, err = s.run(t.Context(), accesslog.NewParser(strings.NewReader(log)), 0)
	if err != nil || sent.Answered != 1 || sent.Altered != 1 || sent.Failed != 1 || sent.FirstErr == nil {
		t.Errorf("%+v, %v; want one altered, one failed", sent, err)
	}
}

func TestOneClientKeepsItsOrder(t *testing.T) {
	base, arrived := listen(t)
	var log strings.Builder
	const clients, each = 7, 30
	for i := range clients * each {
		log.WriteString(combined(fmt.Sprintf("192.0.2.%d", i%clients), fmt.Sprintf("GET /%d HTTP/1.1", i), 200, 1) + "\n")
	}
	s := newSender(options(), base)
	if sent, err := s.run(t.Context(), accesslog.NewParser(strings.NewReader(log.String())), 0); err != nil || sent.Answered != clients*each {
		t.Fatalf("%+v, %v", sent, err)
	}
	last := map[string]int{}
	for _, got := range arrived() {
		var n int
		_, _ = fmt.Sscanf(got.target, "/%d", &n)
		client := got.header.Get("X-Forwarded-For")
		if n < last[client] {
			t.Errorf("%s: %d after %d", client, n, last[client])
		}
		last[client] = n
	}
}

func TestInterruptedAndLimited(t *testing.T) {
	base, _ := listen(t)
	log := strings.Repeat(combined("192.0.2.1", "GET / HTTP/1.1", 200, 1)+"\n", 100)
	o := options()
	o.Rate = 50
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	sent, err := newSender(o, base).run(ctx, accesslog.NewParser(strings.NewReader(log)), 0)
	if err != nil || sent.Answered < 5 || sent.Answered > 17 || sent.Failed != 0 {
		t.Errorf("%+v, %v; want some 15 answered in 300 ms at 50/s, none failed", sent, err)
	}
	sent, err = newSender(options(), base).run(t.Context(), accesslog.NewParser(strings.NewReader(log)), 12)
	if err != nil || sent.Answered != 12 {
		t.Errorf("%+v, %v; want 12", sent, err)
	}
}

func TestOptions(t *testing.T) {
	for log, want := range map[string]string{
		"/var/log/shop.example.log.gz": "shop.example", "Shop.Example-access.log": "shop.example", "access.log": fallbackSite,
		"-": fallbackSite, "we ird.log": fallbackSite, "a.example{.log": fallbackSite,
	} {
		if got := siteOf(log); got != want {
			t.Errorf("%s: %s, want %s", log, got, want)
		}
	}
	for name, change := range map[string]func(*Options){
		"no log":           func(o *Options) { o.Log = "" },
		"negative rate":    func(o *Options) { o.Rate = -1 },
		"no concurrency":   func(o *Options) { o.Concurrency = 0 },
		"no origin":        func(o *Options) { o.Through = "http://127.0.0.1:80" },
		"a path as URL":    func(o *Options) { o.Aggregator = "127.0.0.1:8787" },
		"hostile site":     func(o *Options) { o.Site = "a\n}\nimport /etc/passwd" },
		"placeholder":      func(o *Options) { o.Site = "{env.SECRET}" },
		"hostile queue":    func(o *Options) { o.Queue = "/tmp/a b" },
		"admin is no URL":  func(o *Options) { o.Through, o.OriginListen, o.Admin = "http://a", "127.0.0.1:1", "x" },
		"origin's address": func(o *Options) { o.Through, o.OriginListen, o.Admin = "http://a", "127.0.0.1", DefaultAdmin },
	} {
		o := options()
		change(o)
		if err := o.check(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if err := options().check(); err != nil {
		t.Error(err)
	}
}

func TestEdgeBooks(t *testing.T) {
	text := `# TYPE eider_edge_requests_total counter
eider_edge_requests_total{site="site.example",result="pageview"} 12
eider_edge_requests_total{site="site.example",result="asset"} 30
eider_edge_requests_total{site="other.example",result="pageview"} 99
# TYPE eider_edge_completions_total counter
eider_edge_completions_total{site="site.example",completion="evidence"} 4
eider_edge_completions_total{site="site.example",completion="requests"} 3
eider_edge_completions_total{site="other.example",completion="evidence"} 9
# TYPE eider_edge_events_total counter
eider_edge_events_total{state="captured"} 15
eider_edge_events_total{state="stored"} 10
eider_edge_events_total{state="dropped"} 2
# TYPE eider_edge_queued_events gauge
eider_edge_queued_events 3
`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			_, _ = w.Write([]byte(text))
		}
	}))
	defer server.Close()
	before := edgeBooks{Results: map[shared.Result]uint64{shared.ResultPageview: 2}, Captured: 2, Stored: 2, Completions: 2, Sums: 1}
	now, err := readEdge(t.Context(), server.URL, "site.example")
	if err != nil {
		t.Fatal(err)
	}
	got := now.since(before)
	if got.Results[shared.ResultPageview] != 10 || got.requests() != 40 || got.recorded() != 10 || got.Completions != 5 || got.events() != 13 ||
		got.Captured != 13 || got.Stored != 8 || got.Dropped != 2 || got.Queued != 3 {
		t.Errorf("%+v", got)
	}
	text = "# TYPE caddy_config_last_reload_successful gauge\n"
	if _, err := readEdge(t.Context(), server.URL, "site.example"); err == nil || !strings.Contains(err.Error(), "module") {
		t.Errorf("got %v, want that the module is missing", err)
	}
}

func TestAccount(t *testing.T) {
	good := func() Account {
		results := func() map[shared.Result]uint64 {
			return map[shared.Result]uint64{shared.ResultPageview: 4, shared.ResultBot: 2, shared.ResultAsset: 4}
		}
		return Account{
			Site: "site.example", Sent: Sent{Answered: 10}, Captured: 6, Stored: 6, Events: 6, Results: results(), Earlier: map[shared.Result]uint64{shared.ResultFeed: 1},
			Books: Books{Requests: 10, Results: results(), Events: 6, Views: Views{Recorded: 4, Activated: 3, ScriptOnly: 2, Cached: 2, Reclassified: 1, People: 10}},
		}
	}
	for name, tc := range map[string]struct {
		change func(*Account)
		open   string
	}{
		"all is well": {func(*Account) {}, ""},
		"a drop is counted": {func(a *Account) {
			a.Stored, a.Dropped, a.Books.Events, a.Books.Recorded, a.Books.People = 5, 1, 5, 3, 9
		}, ""},
		"a bot too few": {func(a *Account) { a.Books.Events-- }, "recorded 6 events, the aggregator has 5"},
		"a bot twice":   {func(a *Account) { a.Books.Events++ }, "recorded 6 events, the aggregator has 7"},
		"a drop, and a bot too few": {
			func(a *Account) { a.Stored, a.Dropped, a.Books.Events = 5, 1, 4 }, "recorded 6 events, the aggregator has 4",
		},
		"a result too few":  {func(a *Account) { a.Sent.Answered++ }, "11 requests were answered"},
		"a result too many": {func(a *Account) { a.Sent.Answered-- }, "9 requests were answered"},
		"not captured":      {func(a *Account) { a.Captured, a.Stored = 5, 5 }, "6 requests are to be recorded, and 0 completions"},
		"vanished":          {func(a *Account) { a.Stored-- }, "captured 6 is not"},
		"on its way":        {func(a *Account) { a.Stored, a.Queued = 5, 1 }, "1 events are still in the queue"},
		"a view too few":    {func(a *Account) { a.Books.Recorded-- }, "the aggregator answers 3"},
		"a view twice":      {func(a *Account) { a.Books.Recorded++ }, "the aggregator answers 5"},
		"people too many":   {func(a *Account) { a.Books.People++ }, "11 page views of people, but they are made of 10"},
		"told too few": {
			func(a *Account) { a.Books.Results[shared.ResultAsset]--; a.Books.Requests-- },
			"4 requests the result asset, the aggregator answers 3",
		},
		"told too many": {
			func(a *Account) { a.Books.Results[shared.ResultBot]++; a.Books.Requests++ },
			"2 requests the result bot, the aggregator answers 3",
		},
		"told of earlier":   {func(a *Account) { a.Books.Results[shared.ResultFeed]++; a.Books.Requests++ }, ""},
		"told of none":      {func(a *Account) { a.Books.Requests, a.Books.Results = 0, nil }, "the result pageview, the aggregator answers 0"},
		"sums that are not": {func(a *Account) { a.Books.Requests++ }, "11 requests, but their results sum to 10"},
		"a drop of sums": {func(a *Account) {
			a.Stored, a.Dropped, a.Books.Results[shared.ResultAsset], a.Books.Requests = 5, 1, 0, 6
		}, ""},
		"altered":             {func(a *Account) { a.Sent.Altered = 1 }, "altered"},
		"no answer":           {func(a *Account) { a.Sent.Failed = 1 }, "no complete answer"},
		"aggregator is away":  {func(a *Account) { a.Unknown = errors.New("connection refused") }, "connection refused"},
		"a drop hides no two": {func(a *Account) { a.Stored, a.Dropped, a.Books.Recorded, a.Books.People = 5, 1, 2, 8 }, "the aggregator answers 2"},
	} {
		t.Run(name, func(t *testing.T) {
			a := good()
			tc.change(&a)
			err := a.Err()
			if (err == nil) != (tc.open == "") || err != nil && (!errors.Is(err, ErrOpen) || !strings.Contains(err.Error(), tc.open)) {
				t.Errorf("got %v, want %q", err, tc.open)
			}
			var text strings.Builder
			a.Print(&text)
			if closed := strings.Contains(text.String(), "The books close"); closed != (err == nil) {
				t.Errorf("the account says otherwise:\n%s", text.String())
			}
		})
	}
}

func TestProgress(t *testing.T) {
	s := &sender{}
	s.answered.Add(40)
	s.failed.Add(10)
	if got, want := s.state(200), (progress.State{Share: 0.25, Count: 50, Of: "of 200 requests"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := s.state(0), (progress.State{Share: -1, Count: 50, Of: "requests"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestSilentAggregatorIsUnknown: no answer is not an answer of 0.
func TestSilentAggregatorIsUnknown(t *testing.T) {
	views, assets := 7, 20
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/sites" {
			_, _ = w.Write([]byte(`[{"site_id":"s","domains":["Site.example"]}]`))
			return
		}
		_, _ = fmt.Fprintf(w, `{"requests":%d,"results":{"asset":%d},"events":%d,"pageviews":{"recorded":%d,"people":%d}}`, assets, assets, views, views, views)
	}))
	defer server.Close()
	o := options()
	o.Aggregator = server.URL
	const patience = 300 * time.Millisecond
	before := Books{Requests: 10, Results: map[shared.Result]uint64{shared.ResultAsset: 10}, Events: 5, Views: Views{Recorded: 5, People: 5}}
	edge := edgeBooks{Results: map[shared.Result]uint64{shared.ResultPageview: 9, shared.ResultAsset: 11}}
	if got, err := settled(t.Context(), o, patience, before, edge); got.Recorded != 2 || got.Requests != 10 || err != nil {
		t.Errorf("got %+v, %v; want what there is, for the account to compare", got, err)
	}
	views, assets = 14, 21
	delete(edge.Results, shared.ResultPageview)
	if got, err := settled(t.Context(), o, patience, before, edge); got.Recorded != 9 || got.People != 9 || got.Results[shared.ResultAsset] != 11 || err != nil {
		t.Errorf("got %+v, %v; want 9 views and 11 requests", got, err)
	}
	edge.Completions = 10
	began := time.Now()
	if got, err := settled(t.Context(), o, patience, before, edge); got.Events != 9 || err != nil || time.Since(began) < patience {
		t.Errorf("got %+v, %v; want 9 events after having waited for 10", got, err)
	}
	server.Close()
	if got, err := settled(t.Context(), o, patience, before, edge); err == nil {
		t.Errorf("got %+v without an error from nobody", got)
	}
}
