package canary

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/internal/child"
	"github.com/eider-analytics/eider/internal/programs"
)

// What is planted. Each must be found nowhere.
const (
	ip4   = "203.0.113.77"
	ip6   = "2001:db8:7a77:7b77::1234"
	token = "canarytoken-edge-4f1e8a"
	// As links to reset a password have it in their path.
	pathToken = "f3a9c17e5b2d48e0a6c4917bd25e83f0"
	// A reader's browser, and a bot with the product token that is kept.
	agent    = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0; canaryagent-31c7) Gecko/20100101 Firefox/140.0"
	botAgent = "VisibleBot/1.0 (canaryagent-77e2; +https://bot.example/)"
)

var canaries = map[string]string{
	"IPv4 address":            ip4,
	"IPv4 network":            "203.0.113",
	"IPv6 address":            ip6,
	"IPv6 network":            "2001:db8:7a77",
	"bytes of the IPv4":       "ffffcb00714d", // as the last of an IPv4-mapped one
	"bytes of the IPv6":       "20010db87a777b77",
	"user agent":              agent,
	"user agent's comment":    "canaryagent",
	"cookie":                  "canarycookie",
	"token":                   "canarytoken",
	"token in a path":         pathToken,
	"query value":             "canaryquery",
	"query key":               "canarykey",
	"fragment":                "canaryfragment",
	"referrer's query":        "canaryreferrer",
	"referrer's user":         "canaryuser",
	"e-mail address":          "canary.person@",
	"e-mail address, encoded": "canary.person%40",
	"form of a POST":          "canaryform",
	"message that is broken":  "canarybroken",
}

const site = "canary.example"

// rig is an installation in one folder.
type rig struct {
	uuid                    string // of the site
	t                       *testing.T
	dir, data, queue, logs  string
	caddyAddr, aggAddr, bin string
	caddy, aggregator       *child.Server
}

func newRig(t *testing.T) *rig {
	t.Helper()
	dir := t.TempDir()
	g := &rig{
		t: t, dir: dir, data: filepath.Join(dir, "data"), queue: filepath.Join(dir, "queue"), logs: filepath.Join(dir, "logs"),
		bin: programs.Build(t, programs.Caddy, programs.Eider), caddyAddr: address(t), aggAddr: address(t),
	}
	for _, d := range []string{g.logs, g.path("caddy")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.NewReplacer("$CADDY", g.caddyAddr, "$AGGREGATOR", g.aggAddr, "$QUEUE", g.queue, "$ADMIN", address(t),
		"$SITE", site).Replace(caddyfile)
	if err := os.WriteFile(g.path("Caddyfile"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, s := range []*child.Server{g.caddy, g.aggregator} {
			if s != nil {
				_ = s.Stop(10 * time.Second)
			}
		}
	})
	return g
}

const caddyfile = `{
	admin $ADMIN
	servers {
		trusted_proxies static 127.0.0.1/32
		trusted_proxies_strict
	}
	eider {
		aggregator http://$AGGREGATOR
		queue $QUEUE {
			max_size 64MiB
			reserve_free 16MiB
			unsafe_fs
		}
	}
}
http://$CADDY {
	eider {
		site $SITE
		script /e
	}
	header /missing* Content-Type text/html
	respond /missing* "nothing here" 404
	respond /healthz 200
	@style path *.css
	header @style Content-Type text/css
	respond @style "p { }"
	@report path *.pdf
	header @report Content-Type application/pdf
	respond @report "%PDF"
	header /feed Content-Type application/rss+xml
	respond /feed "<rss/>"
	@page not path *.css *.pdf /feed
	header @page Content-Type text/html
	respond "<p>a page"
}
`

func address(t *testing.T) string {
	t.Helper()
	addr, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func (g *rig) path(name string) string { return filepath.Join(g.dir, name) }

func (g *rig) env() []string {
	return append(os.Environ(), "EIDER_EDGE_TOKEN="+token, "EIDER_DATA="+g.data, "EIDER_LISTEN="+g.aggAddr,
		"EIDER_TRUSTED_PROXIES=127.0.0.1/32", "XDG_DATA_HOME="+g.path("caddy"), "XDG_CONFIG_HOME="+g.path("caddy"), "HOME="+g.path("caddy"))
}

// start runs a program; everything that it says is kept.
func (g *rig) start(name, ready string, args ...string) *child.Server {
	g.t.Helper()
	log, err := os.OpenFile(filepath.Join(g.logs, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = log.Close() })
	s, err := child.Start(g.t.Context(), child.Config{
		Name: name, Path: filepath.Join(g.bin, name), Args: args, Env: g.env(), Dir: g.dir, Output: log, Ready: ready,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return s
}

func (g *rig) startAggregator() {
	g.aggregator = g.start("eider", "http://"+g.aggAddr+"/health/ready", "serve")
}

func (g *rig) startCaddy() {
	g.caddy = g.start("caddy", "http://"+g.caddyAddr+"/healthz", "run", "--config", "Caddyfile", "--adapter", "caddyfile")
}

func (g *rig) stop(s **child.Server) {
	g.t.Helper()
	if err := (*s).Stop(15 * time.Second); err != nil {
		g.t.Fatal(err)
	}
	*s = nil
}

// kill takes a program away without a warning.
func (g *rig) kill(s **child.Server) {
	g.t.Helper()
	p, err := os.FindProcess((*s).Pid())
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		g.t.Fatal(err)
	}
	<-(*s).Done()
	*s = nil
}

// typed runs a command as an operator does; its output is kept as well.
func (g *rig) typed(args ...string) string {
	g.t.Helper()
	cmd := exec.Command(filepath.Join(g.bin, "eider"), args...)
	cmd.Dir, cmd.Env = g.dir, g.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		g.t.Fatalf("eider %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	if err := os.WriteFile(filepath.Join(g.logs, args[0]+".out"), out, 0o600); err != nil {
		g.t.Fatal(err)
	}
	return string(out)
}

var client = &http.Client{
	Timeout:       10 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// send sends one request with everything planted in it, from one address. What
// is answered in between hardly matters, but a 5xx is never right.
func (g *rig) send(addr, method, target, ip, userAgent, body string, headers ...string) (status int) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, "http://"+addr+target, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	for name, value := range map[string]string{
		"X-Forwarded-For": ip, "X-Real-Ip": ip, "Forwarded": "for=" + ip, "Cf-Connecting-Ip": ip, "True-Client-Ip": ip,
		"User-Agent": userAgent, "Accept": "text/html", "Accept-Language": "de,en;q=0.5",
		"Cookie": "session=canarycookie-77aa; eider=canarycookie-1", "Authorization": "Bearer canarytoken-91ab",
		"Proxy-Authorization": "Basic canarytoken-4", "X-Umami-Cache": "canarytoken-5",
		"Referer": "https://canaryuser:canarytoken@www.example.org/from/canary.person@example.org?canarykey=canaryreferrer#canaryfragment-9",
	} {
		req.Header.Set(name, value)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if res.StatusCode >= 500 {
		g.t.Errorf("%s %s is answered %d", method, target, res.StatusCode)
	}
	return res.StatusCode
}

// secretQuery is what addresses carry and nobody listed.
const secretQuery = "canarykey=canaryquery-1&token=canaryquery-2&password=canaryquery-3&utm_source=visible-source"

// browse asks for every kind of thing, as a reader and as a bot.
func (g *rig) browse() {
	for _, ip := range []string{ip4, ip6} {
		for _, ua := range []string{agent, botAgent} {
			for _, path := range []string{
				"/visible-page", "/missing", "/report.pdf", "/feed", "/u/canary.person@example.org/visible-mail",
				"/u/canary.person%40example.org", "/reset/" + pathToken, "/visible-cart;jsessionid=canarytoken-6",
			} {
				g.send(g.caddyAddr, http.MethodGet, path+"?"+secretQuery, ip, ua, "")
			}
			g.send(g.caddyAddr, http.MethodGet, "/visible-ahead?"+secretQuery, ip, ua, "", "Sec-Purpose: prefetch")
			g.send(g.caddyAddr, http.MethodGet, "/style.css?"+secretQuery, ip, ua, "", "Accept: text/css",
				"Referer: http://"+g.caddyAddr+"/visible-page?"+secretQuery)
			g.send(g.caddyAddr, http.MethodPost, "/login?"+secretQuery, ip, ua, "user=canaryform&password=canaryform")
		}
	}
}

// page is the URL of a page as a script reports it.
func page(path string) string {
	return "http://" + site + path + "?" + secretQuery + "#access_token=canaryfragment-1"
}

const scriptReferrer = "https://canaryuser:canarytoken@www.example.org/?canarykey=canaryreferrer-2#canaryfragment-2"

// messages sends what scripts and trackers send, to Caddy below /e or to the
// aggregator, whole and broken.
func (g *rig) messages(addr, below, native, tag string) {
	title := "Mail of canary.person@example.org"
	plausible := func(name string) string {
		return fmt.Sprintf(`{"name":%q,"n":%q,"url":%q,"u":%[3]q,"domain":%q,"d":%[4]q,"referrer":%q,"r":%[5]q,"title":%[6]q,`+
			`"props":{"link":%[1]q,"list":["https://canaryuser:canarytoken@www.example.org/visible-list?canarykey=canaryquery-4",{"to":["/u/canary.person@example.org?token=canaryquery-5"]}]}}`,
			name, name, page("/visible-plausible-"+tag), site, scriptReferrer, title)
	}
	umami := fmt.Sprintf(`{"type":"event","payload":{"website":%q,"hostname":%q,"url":%q,"referrer":%q,"title":%q,"ip":%q,"userAgent":%q,"language":"de"}}`,
		g.uuid, site, page("/visible-umami-"+tag), scriptReferrer, title, ip4, agent)
	own := fmt.Sprintf(`[{"site":%q,"l":"00000000000000%s","o":0,"n":"pageview","u":%q,"r":%q,"t":%q}]`,
		site, fmt.Sprintf("%02x", len(tag)+0xa0), page("/visible-native-"+tag), scriptReferrer, title)
	for _, ip := range []string{ip4, ip6} {
		post := func(path, body string) int {
			return g.send(addr, http.MethodPost, below+path+"?"+secretQuery, ip, agent, body, "Content-Type: text/plain", "Origin: http://"+site)
		}
		want := func(status int, path, body string) {
			if got := post(path, body); got != status {
				g.t.Errorf("%s%s at the %s is answered %d, want %d", below, path, tag, got, status)
			}
		}
		want(http.StatusAccepted, "/api/event", plausible("pageview"))
		want(http.StatusOK, "/api/send", umami)
		want(http.StatusOK, "/api/batch", "["+umami+"]")
		want(http.StatusAccepted, native, own)
		for _, path := range []string{"/api/event", "/api/send", "/api/batch", native, "/api/events"} {
			for _, broken := range []string{
				`{"canarybroken`, `[{"u":"canarybroken","l":"canarybroken"}]`, `{"type":"canarybroken","payload":{"website":"canarybroken"}}`,
				`{"n":"pageview","u":"http://canarybroken/` + strings.Repeat("x", 70_000) + `"}`,
				`{"n":"pageview","d":"` + site + `","u":"canarybroken://x"}`, "\x00\xffcanarybroken",
			} {
				post(path, broken)
			}
		}
		for _, path := range []string{"/p/canarybroken", "/q/canarybroken", "/api/event"} {
			g.send(addr, http.MethodGet, below+path+"?"+secretQuery, ip, agent, "", "Referer: "+page("/visible-pixel-"+tag))
		}
	}
}

// oldLog is an access log to import, and one line that is none.
func (g *rig) oldLog() string {
	var b strings.Builder
	for i, ip := range []string{ip4, ip6} {
		for _, ua := range []string{agent, botAgent} {
			fmt.Fprintf(&b, "%s - canaryuser [17/May/2015:10:00:%02d +0000] \"GET /visible-import?%s HTTP/1.1\" 200 10 %q %q\n",
				ip, i, secretQuery, scriptReferrer, ua)
		}
		fmt.Fprintf(&b, "%s - - [canarybroken] \"GET / HTTP/1.1\"\n", ip)
	}
	path := filepath.Join(g.t.TempDir(), "access.log") // not among what is searched
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return path
}

// TestNothingThatMustNotStayIsFound sends canaries by every way in, kills both
// sides in between, and looks at what they leave behind: the WAL with what was
// not delivered, the spool, the lake, the state, the dead letters, every log.
func TestNothingThatMustNotStayIsFound(t *testing.T) {
	g := newRig(t)
	g.startAggregator()
	g.typed("site", "add", site)
	g.uuid = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`).FindString(g.typed("site", "list"))
	g.startCaddy()
	g.browse()
	g.messages(g.caddyAddr, "/e", "/event", "edge")
	g.messages(g.aggAddr, "", "/api/e", "aggregator")
	g.typed("import", "--site", site, g.oldLog())
	g.settled(20)
	g.kill(&g.aggregator)
	g.browse()
	g.messages(g.caddyAddr, "/e", "/event", "alone")
	time.Sleep(300 * time.Millisecond) // for the ring and the seal
	g.kill(&g.caddy)
	first := look(t, canaries, g.data, g.queue, g.logs, g.path("caddy"))
	if first.frames < 4 {
		t.Errorf("%d batches were found in WAL and spool: too few for the search to prove anything", first.frames)
	}
	g.wants("a batch", first.decoded.Bytes(), "visible-source", "visible-page", "visible-umami-edge", "visible-native-alone", "visible-plausible-aggregator", "visible-list")

	// Both again, so that everything reaches the lake.
	g.startAggregator()
	g.startCaddy()
	g.settled(40)
	g.typed("verify")
	g.typed("site", "list")
	g.stop(&g.caddy)
	g.stop(&g.aggregator)
	last := look(t, canaries, g.data, g.queue, g.logs, g.path("caddy"))
	if last.rows < 40 {
		t.Errorf("%d rows were found in the lake", last.rows)
	}
	var texts bytes.Buffer
	for text := range last.texts {
		texts.WriteString(text + "\n")
	}
	g.wants("the lake", texts.Bytes(), "visible-source", "/visible-page", "/visible-ahead", "/visible-umami-edge", "/visible-native-alone",
		"/visible-plausible-aggregator", "/visible-pixel-edge", "/visible-import", "example.org", "evidence", "download", "feed", "Firefox", "visible-mail", "/visible-cart")
	t.Logf("%d files, %d batches before and %d after, %d rows", last.files, first.frames, last.frames, last.rows)
}

// wants makes sure that there was something to find.
func (g *rig) wants(where string, b []byte, visible ...string) {
	g.t.Helper()
	for _, v := range visible {
		if !bytes.Contains(b, []byte(v)) {
			g.t.Errorf("%q is not in %s: the search proves nothing about it", v, where)
		}
	}
}

// settled waits until the aggregator has taken so many events and no more come.
func (g *rig) settled(least int) {
	g.t.Helper()
	last, since := -1, time.Now()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		n := g.accepted()
		if n != last {
			last, since = n, time.Now()
		}
		if n >= least && time.Since(since) > time.Second {
			return
		}
	}
	g.t.Fatalf("the aggregator has %d events, want at least %d", last, least)
}

func (g *rig) accepted() (n int) {
	g.t.Helper()
	res, err := client.Get("http://" + g.aggAddr + "/metrics")
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var v float64
		if _, err := fmt.Sscanf(line, "eider_events_accepted_total %g", &v); err == nil {
			n = int(v)
		}
	}
	return n
}
