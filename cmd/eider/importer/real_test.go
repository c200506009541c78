package importer

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/conduct"
	"github.com/eider-analytics/eider/shared/enrich"
)

// TestRealLog imports a real log and compares what became of each line with a
// count made from the log alone.
func TestRealLog(t *testing.T) {
	g := newRig(t, testSite)
	a := g.run(g.options(sample))
	want, proofs, days := expected(t)
	for _, result := range shared.Results {
		if a.Results[result] != want[result] {
			t.Errorf("%s: %d, the log has %d", result, a.Results[result], want[result])
		}
	}
	if a.Lines != 10_000 || a.Requests() != 10_000 || a.Malformed != 0 || a.Earlier != 0 {
		t.Errorf("%d lines, %d requests, %d malformed, %d earlier", a.Lines, a.Requests(), a.Malformed, a.Earlier)
	}
	for result, n := range g.sums() {
		if n != want[result] {
			t.Errorf("the lake was told of %d × %s, the log has %d", n, result, want[result])
		}
	}
	rows := g.rows()
	kinds, gotDays, evidence := map[string]uint64{}, map[string]int{}, 0
	for _, r := range rows {
		if r.Origin != "import" {
			t.Fatalf("origin %q", r.Origin)
		}
		if r.VisitorID == nil || r.Identity == nil || *r.Identity != shared.IdentityDayImport {
			t.Fatalf("line %d has no identity of an import", r.Seq)
		}
		if r.Kind == "completion" {
			evidence++
			continue
		}
		if *r.Verdict != "bot" {
			kinds[r.Kind]++
		}
		gotDays[time.UnixMicro(r.Time).UTC().Format(time.DateOnly)]++
	}
	for kind, result := range map[string]shared.Result{
		"pageview": shared.ResultPageview, "error": shared.ResultError, "download": shared.ResultDownload, "feed": shared.ResultFeed,
	} {
		if kinds[kind] != want[result] {
			t.Errorf("%d people's events of kind %s in the lake, the log has %d", kinds[kind], kind, want[result])
		}
	}
	if evidence != proofs || a.Proofs != uint64(proofs) {
		t.Errorf("%d proofs in the lake, %d in the account, the log has %d", evidence, a.Proofs, proofs)
	}
	for day, n := range days {
		if gotDays[day] != n {
			t.Errorf("%s: %d events, the log has %d", day, gotDays[day], n)
		}
	}
	g.verify()
}

var lineShape = regexp.MustCompile(`^(\S+) \S+ \S+ \[([^\]]+)\] "(\S+) (\S+) [^"]*" (\d{3}) \S+ "((?:[^"\\]|\\.)*)" "([^"]*)"?$`)

var (
	naiveFeed     = regexp.MustCompile(`\bflav=(rss20|atom)\b`)
	naivePage     = regexp.MustCompile(`(?i)(^|/)[^./]*$|\.(html|xhtml|php)$|\.[0-9]*$|\.[^/.]*[^0-9a-z/.][^/.]*$`)
	naiveDownload = regexp.MustCompile(`(?i)\.(pdf|jar|exe|gz|deb|doc)$`)
	naivePart     = regexp.MustCompile(`(?i)\.(css|js|png|jpe?g|gif|svg|ico|woff)$`)
	naiveHost     = regexp.MustCompile(`^https?://[^/]+`)
)

// expected counts the sample with regular expressions, without any package of
// ours but the judgement of who is a bot.
func expected(t *testing.T) (results map[shared.Result]uint64, proofs int, days map[string]int) {
	t.Helper()
	results, days = map[shared.Result]uint64{}, map[string]int{}
	type visitor struct{ address, agent, day string }
	behavior := conduct.New()
	seen, proven := map[visitor][]string{}, map[visitor]bool{}
	for n, line := range strings.Split(strings.TrimSuffix(string(unpacked(t)), "\n"), "\n") {
		m := lineShape.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("line %d has another shape", n+1)
		}
		at, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[2])
		if err != nil {
			t.Fatal(err)
		}
		path, query, _ := strings.Cut(m[4], "?")
		if path, err = url.PathUnescape(path); err != nil {
			t.Fatal(err)
		}
		if m[7] == "-" {
			m[7] = ""
		}
		result := naiveResult(m[3], path, query, m[5])
		status, err := strconv.Atoi(m[5])
		if err != nil {
			t.Fatal(err)
		}
		if _, bot := enrich.Judge(&enrich.Signs{UserAgent: m[7], At: at.UnixMicro()}); bot {
			result = shared.ResultBot
		} else if behavior.Observe(&conduct.Request{
			Addr: netip.MustParseAddr(m[1]), UserAgent: m[7], At: at.UnixMicro(), Path: path, Status: status, Result: result,
		}) != "" {
			result = shared.ResultBot
		}
		results[result]++
		day := at.UTC().Format(time.DateOnly)
		if result.Recorded() {
			days[day]++
		}
		who := visitor{m[1], m[7], day}
		target := m[4]
		switch {
		case result == shared.ResultPageview || result == shared.ResultError:
			if last := len(seen[who]) - 1; last < 0 || seen[who][last] != target {
				seen[who] = append(seen[who], target)
			}
		case result == shared.ResultAsset && naivePart.MatchString(path) && naiveHost.MatchString(m[6]) && !proven[who]:
			from := naiveHost.ReplaceAllString(m[6], "")
			recent := seen[who][max(0, len(seen[who])-4):]
			for _, page := range recent {
				if page == from && !proven[who] {
					proven[who] = true
					proofs++
				}
			}
		}
	}
	return results, proofs, days
}

// naiveResult is the rules for a log without headers.
func naiveResult(method, path, query, status string) shared.Result {
	feed, page := naiveFeed.MatchString(query), naivePage.MatchString(path)
	switch {
	case method != "GET":
		return shared.ResultMethod
	case status == "206" || status == "416":
		return shared.ResultPartial
	case status[0] == '3' && status != "304":
		return shared.ResultRedirect
	case status[0] >= '4' && page && !feed:
		return shared.ResultError
	case status[0] >= '4':
		return shared.ResultFailed
	case feed:
		return shared.ResultFeed
	case page:
		return shared.ResultPageview
	case status == "200" && naiveDownload.MatchString(path):
		return shared.ResultDownload
	}
	return shared.ResultAsset
}
