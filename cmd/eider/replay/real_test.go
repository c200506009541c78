package replay

import (
	"bufio"
	"compress/gzip"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/internal/child"
	"github.com/eider-analytics/eider/internal/programs"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/enrich"
)

const (
	sample = "../../../../shared/data/access.log.gz"
	site   = "semicomplete.com" // as the log's referrers have it: its pages ask for their parts
)

// installation is a real aggregator and the programs.
func installation(t *testing.T) Options {
	t.Helper()
	bin := programs.Build(t, programs.Caddy, programs.Eider)
	addr, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	const token = "a-token-for-the-replay-test"
	aggregator, err := child.Start(t.Context(), child.Config{
		Name: "the aggregator", Path: filepath.Join(bin, "eider"),
		Args:  []string{"serve", "--data", t.TempDir(), "--listen", addr},
		Env:   append(os.Environ(), "EIDER_EDGE_TOKEN="+token),
		Ready: "http://" + addr + "/health/ready",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := aggregator.Stop(grace); err != nil {
			t.Error(err)
		}
	})
	return Options{
		Site: site, Concurrency: DefaultConcurrency, Caddy: filepath.Join(bin, "caddy"), Token: token,
		Aggregator: "http://" + addr, Patience: 2 * DefaultPatience,
	}
}

// testLog writes to the test's log.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

// TestRealLog sends a real day of a real site through everything that is real,
// and compares the outcome, the module's and the aggregator's, with a count made
// from the log alone.
func TestRealLog(t *testing.T) {
	t.Parallel()
	lines := sampleLines(t)
	oneDay()
	o := installation(t)
	o.Log = sample
	account, err := Run(t.Context(), o, testLog{t})
	if err != nil {
		t.Fatal(err)
	}
	account.Print(testLog{t})
	if err := account.Err(); err != nil {
		t.Error(err)
	}
	if account.Sent.Answered != 10_000 || account.Requests() != 10_000 || account.missing() != 0 {
		t.Errorf("answered %d, with a result %d, missing %d; want 10000, 10000, 0",
			account.Sent.Answered, account.Requests(), account.missing())
	}
	// With the same judgement of who is a bot, each result must agree to the request.
	want := map[shared.Result]uint64{}
	bots, naiveBots := 0, 0
	for _, l := range lines {
		result := l.result()
		_, bot := enrich.Bot(l.userAgent)
		if bot {
			result = shared.ResultBot
			bots++
		}
		if l.bot() {
			naiveBots++
		}
		want[result]++
	}
	for _, result := range shared.Results {
		if got := account.Results[result]; got != want[result] {
			t.Errorf("%s: the module counted %d, the log has %d", result, got, want[result])
		}
		if got := account.Books.Results[result]; got != want[result] {
			t.Errorf("%s: the aggregator answers %d, the log has %d", result, got, want[result])
		}
	}
	compareViews(t, &account.Books, lines, int64(want[shared.ResultPageview]))
	// Who asked for a page and then for a part of one is proved, once. Requests
	// that were sent at the same time may have come in another order.
	least, most := evidence(lines)
	t.Logf("%d rows of evidence; %d readers of the log fetch parts, %d of them after a page", account.Evidence, most, least)
	if got := account.Evidence; least == 0 || got < uint64(least*9/10) || got > uint64(most) {
		t.Errorf("%d rows of evidence, want %d to %d", got, least, most)
	}
	// A judgement by a few words in the user agent must come near.
	t.Logf("%d requests of bots, %d by a naive look", bots, naiveBots)
	if off := bots - naiveBots; off > len(lines)/50 || off < -len(lines)/50 {
		t.Errorf("%d requests of bots, %d by a naive look: more than 2 %% of the log apart", bots, naiveBots)
	}
}

// TestSecondReplayCountsAgain makes sure that books are closed for what was
// sent, not for what was there: a site that has data, a queue that was used.
func TestSecondReplayCountsAgain(t *testing.T) {
	o := installation(t)
	o.Log, o.Limit, o.Rate = sample, 150, 1000
	o.Queue = filepath.Join(t.TempDir(), "queue")
	var views [2]int64
	for i := range views {
		account, err := Run(t.Context(), o, testLog{t})
		if err = errors.Join(err, account.Err()); err != nil {
			t.Fatal(err)
		}
		views[i] = account.Books.Recorded
	}
	if views[0] == 0 || views[0] != views[1] {
		t.Errorf("page views %v, want the same twice", views)
	}
	all, err := readBooks(t.Context(), o.Aggregator, site)
	if err != nil || all.Recorded != views[0]+views[1] || all.Requests != 300 {
		t.Errorf("the aggregator has %+v (%v), want %d page views of 300 requests", all, err, views[0]+views[1])
	}
}

// TestThroughARunningCaddy leaves a Caddy that it did not start as it was, and
// waits for the minute at which it tells its sums.
func TestThroughARunningCaddy(t *testing.T) {
	t.Parallel()
	o := installation(t)
	address, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	running, err := startProxy(t.Context(), &o, address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := running.stop(); err != nil {
			t.Error(err)
		}
	}()
	o.Log, o.Limit = sample, 200
	o.Through, o.OriginListen, o.Admin = running.base.String(), address, running.admin
	account, err := Run(t.Context(), o, testLog{t})
	if err = errors.Join(err, account.Err()); err != nil {
		t.Fatal(err)
	}
	if account.Requests() != 200 || account.Books.Requests != 200 {
		t.Errorf("%d requests, the aggregator has %d, want 200", account.Requests(), account.Books.Requests)
	}
	select {
	case <-running.server.Done():
		t.Error("the running Caddy has been stopped")
	default:
	}
}

// TestWithoutAggregator: requests are answered, the account says what is open,
// and what could not be shipped is still there.
func TestWithoutAggregator(t *testing.T) {
	bin := programs.Build(t, programs.Caddy)
	nobody, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	account, err := Run(t.Context(), Options{
		Log: sample, Limit: 100, Site: site, Concurrency: 4, Caddy: filepath.Join(bin, "caddy"), Token: "x",
		Aggregator: "http://" + nobody, Patience: DefaultPatience / 15,
	}, testLog{t})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(filepath.Dir(account.QueueKept)) }()
	if account.Requests() != 100 || account.Queued == 0 || account.Queued != account.Captured || account.Unknown == nil {
		t.Errorf("%+v", account)
	}
	if err := account.Err(); !errors.Is(err, ErrOpen) {
		t.Errorf("got %v, want open books", err)
	}
	if _, err := os.Stat(account.QueueKept); err != nil {
		t.Errorf("the queue is gone: %v", err)
	}
}

// logLine is one line of the sample, read without package accesslog.
type logLine struct {
	method, path, query, userAgent string
	status, address, referer       string
}

var lineShape = regexp.MustCompile(`^(\S+) \S+ \S+ \[[^\]]+\] "(\S+) (\S+) [^"]*" (\d{3}) \S+ "((?:[^"\\]|\\.)*)" "([^"]*)"?$`)

// sampleLines reads the sample, and fails where it is missing: the test that
// needs it most must not pass by not being run.
func sampleLines(t *testing.T) (lines []logLine) {
	t.Helper()
	f, err := os.Open(sample)
	if errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the sample log is missing: put shared/data/access.log.gz beside the project's folder (%v)", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	zr, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(zr)
	for scanner.Scan() {
		m := lineShape.FindStringSubmatch(scanner.Text())
		if m == nil {
			t.Fatalf("line %d has another shape", len(lines)+1)
		}
		l := logLine{address: m[1], method: m[2], status: m[4], referer: m[5], userAgent: m[6]}
		l.path, l.query, _ = strings.Cut(m[3], "?")
		if l.path, err = url.PathUnescape(l.path); err != nil {
			t.Fatalf("line %d: %v", len(lines)+1, err)
		}
		if l.userAgent == "-" {
			l.userAgent = ""
		}
		lines = append(lines, l)
	}
	if err := scanner.Err(); err != nil || len(lines) != 10_000 {
		t.Fatalf("%d lines, %v; want 10000", len(lines), err)
	}
	return lines
}

var (
	naiveFeed = regexp.MustCompile(`\bflav=(rss20|atom)\b`)
	// No extension, a page's, or something behind a dot that is no extension.
	naivePage     = regexp.MustCompile(`(?i)(^|/)[^./]*$|\.(html|xhtml|php)$|\.[0-9]*$|\.[^/.]*[^0-9a-z/.][^/.]*$`)
	naiveDownload = regexp.MustCompile(`(?i)\.(pdf|jar|exe|gz|deb|doc)$`)
	naiveBot      = regexp.MustCompile(`(?i)bot|crawl|spider|slurp|feed|rss|fetch|ezooms|preview|favicon|\+http`)
)

// result is the rules for a log without headers, in eight lines.
func (l *logLine) result() shared.Result {
	feed, page := naiveFeed.MatchString(l.query), naivePage.MatchString(l.path)
	switch {
	case l.method != "GET":
		return shared.ResultMethod
	case l.status == "206" || l.status == "416":
		return shared.ResultPartial
	case l.status[0] == '3' && l.status != "304":
		return shared.ResultRedirect
	case l.status[0] >= '4' && page && !feed:
		return shared.ResultError
	case l.status[0] >= '4':
		return shared.ResultFailed
	case feed:
		return shared.ResultFeed
	case page:
		return shared.ResultPageview
	case l.status == "200" && naiveDownload.MatchString(l.path):
		return shared.ResultDownload
	}
	return shared.ResultAsset
}

// bot is a word that gives it away, or a name that no browser of those days
// begins with.
func (l *logLine) bot() bool {
	browser := strings.HasPrefix(l.userAgent, "Mozilla/") || strings.HasPrefix(l.userAgent, "Opera/")
	return !browser || naiveBot.MatchString(l.userAgent)
}

var (
	naivePart = regexp.MustCompile(`(?i)\.(css|js|png|jpe?g|gif|svg|ico)$`)
	naiveOwn  = regexp.MustCompile(`(?i)^https?://(www\.)?semicomplete\.com(/|$)`)
)

// reader is what one client, by address and user agent, did in the log.
type reader struct {
	views        int
	page, part   bool
	proved       bool // a part was asked for after a page
	provedAnyhow bool // in whichever order
}

// readersOf are those that no list knows for a bot.
func readersOf(lines []logLine) map[string]*reader {
	readers := map[string]*reader{}
	for _, l := range lines {
		if _, bot := enrich.Bot(l.userAgent); bot {
			continue
		}
		r := readers[l.address+" "+l.userAgent]
		if r == nil {
			r = &reader{}
			readers[l.address+" "+l.userAgent] = r
		}
		switch l.result() {
		case shared.ResultPageview:
			r.page = true
			r.views++
		case shared.ResultError:
			r.page = true
		case shared.ResultAsset:
			if naivePart.MatchString(l.path) && naiveOwn.MatchString(l.referer) {
				r.part, r.proved = true, r.proved || r.page
			}
		}
		r.provedAnyhow = r.page && r.part
	}
	return readers
}

// evidence counts the readers who ask for a page and for a part of one: in this
// order, and in any.
func evidence(lines []logLine) (inOrder, anyOrder int) {
	for _, r := range readersOf(lines) {
		if r.proved {
			inOrder++
		}
		if r.provedAnyhow {
			anyOrder++
		}
	}
	return inOrder, anyOrder
}

// unproven counts the page views of readers who took three pages and no part of
// one, where that says something: of those with two pages, at least 20, a third
// is proved. Requests that were sent at the same time may have come in another
// order, so there is a least and a most.
func unproven(lines []logLine) (least, most int64) {
	judged, proved := 0, 0
	for _, r := range readersOf(lines) {
		if r.views < 2 {
			continue
		}
		judged++
		if r.proved {
			proved++
		}
		if r.views < 3 {
			continue
		}
		if !r.proved {
			most += int64(r.views)
		}
		if !r.provedAnyhow {
			least += int64(r.views)
		}
	}
	if judged < 20 || 3*proved < judged {
		return 0, 0
	}
	return least, most
}

// compareViews holds each term of the page views against the log's.
func compareViews(t *testing.T, b *Books, lines []logLine, recorded int64) {
	t.Helper()
	if b.Requests != uint64(len(lines)) || recorded == 0 || b.Recorded != recorded {
		t.Errorf("the aggregator answers %d requests and %d recorded page views, the log has %d and %d", b.Requests, b.Recorded, len(lines), recorded)
	}
	if b.Activated != 0 || b.ScriptOnly != 0 || b.Cached != 0 {
		t.Errorf("nothing was fetched ahead, no script ran: %+v", b)
	}
	least, most := unproven(lines)
	t.Logf("%d page views are of readers without parts; %d to %d in the log", b.Reclassified, least, most)
	if least == 0 || b.Reclassified < least || b.Reclassified > most {
		t.Errorf("%d page views are reclassified, want %d to %d", b.Reclassified, least, most)
	}
	if b.People != recorded-b.Reclassified {
		t.Errorf("%d page views of people, want %d recorded less %d", b.People, recorded, b.Reclassified)
	}
}

// oneDay waits for midnight if it is near: whom the want of parts speaks
// against is a matter of the day.
func oneDay() {
	const near = 2 * time.Minute
	if left := time.Until(time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)); left < near {
		time.Sleep(left)
	}
}
