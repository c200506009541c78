package importer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// TestTheSameLogTwice: packed or not, under whatever name, a log counts once.
func TestTheSameLogTwice(t *testing.T) {
	g := newRig(t, testSite)
	plain := unpacked(t)
	first := g.run(g.options(sample))
	before := multiset(g.rows())
	for _, again := range []string{
		sample, write(t, "renamed.log", plain), write(t, "again.gz", gzipped(t, plain)), write(t, "access.log.zst", zstded(t, plain)),
	} {
		o := g.options(again)
		o.Overlap = true
		if a := g.run(o); a.Lines != 0 || a.Events != 0 || a.Earlier != first.Lines {
			t.Errorf("%s: %d new lines, %d events, %d earlier", again, a.Lines, a.Events, a.Earlier)
		}
	}
	same(t, multiset(g.rows()), before)
	g.verify()
}

// TestAGrownLog is imported while it is written: each run takes what is new,
// and no line before its end is there.
func TestAGrownLog(t *testing.T) {
	for _, sizes := range [][]int{{1, 2, 3, 7, 300, 5000}, {5, 1000, 1001}, {256, 2048, 2049, 4096}} {
		t.Run(fmt.Sprint(sizes), func(t *testing.T) {
			g := newRig(t, testSite)
			text := visits(sizes[len(sizes)-1])
			path := write(t, "access.log", nil)
			lines := strings.SplitAfter(text, "\n")
			done := 0
			for _, n := range sizes {
				content := strings.Join(lines[:n], "")
				half := ""
				if n < len(lines)-1 {
					half = lines[n][:len(lines[n])-20] // the server is writing the next one
				}
				if err := os.WriteFile(path, []byte(content+half), 0o600); err != nil {
					t.Fatal(err)
				}
				a := g.run(g.options(path))
				if a.Lines != uint64(n-done) || a.Results[shared.ResultPageview] != uint64(n-done) || a.Earlier != uint64(done) {
					t.Fatalf("%d lines after %d: %d new, %d views, %d earlier", n, done, a.Lines, a.Results[shared.ResultPageview], a.Earlier)
				}
				if (half != "") != (len(a.Unfinished) == 1) {
					t.Errorf("unfinished: %q", a.Unfinished)
				}
				done = n
			}
			rows := g.rows()
			if len(rows) != done {
				t.Errorf("%d events, want %d", len(rows), done)
			}
			visitors := map[uint64]bool{}
			for _, r := range rows {
				visitors[*r.VisitorID] = true
			}
			if len(visitors) != 1 {
				t.Errorf("%d visitors in the parts of one log, want 1", len(visitors))
			}
			g.verify()
		})
	}
}

// TestKilledAnywhere kills the import again and again, and now and then the
// aggregator is started anew beside it.
func TestKilledAnywhere(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	text := bytes.Repeat(unpacked(t), 3)
	path := write(t, "access.log", text)

	whole := newRig(t, testSite)
	whole.run(whole.options(path))
	want := multiset(whole.rows())

	g := newRig(t, testSite)
	kills, restarts := 0, 0
	for attempt := 0; ; attempt++ {
		if attempt > 400 {
			t.Fatal("it does not come to an end")
		}
		cmd := asProcess(t, g.options(path))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		var err error
		select {
		case err = <-ended:
		// Longer from time to time: the fastest machine is killed, the slowest ends.
		case <-time.After(time.Duration(random.IntN(15*(attempt+1))) * time.Millisecond):
			_ = cmd.Process.Kill()
			<-ended
			kills++
			if random.IntN(4) == 0 {
				restarts++
				g.close()
				g.open()
			}
			continue
		}
		if err != nil {
			t.Fatalf("%v: %s", err, cmd.Stderr)
		}
		break
	}
	t.Logf("%d kills, %d restarts of the aggregator", kills, restarts)
	if kills < 3 {
		t.Errorf("only %d kills", kills)
	}
	same(t, multiset(g.rows()), want)
	if got, want := fmt.Sprint(g.sums()), fmt.Sprint(whole.sums()); got != want {
		t.Errorf("requests by result %s, want %s", got, want)
	}
	if a := g.run(g.options(path)); a.Lines != 0 || a.Earlier != 30_000 {
		t.Errorf("%d lines are left, %d are there", a.Lines, a.Earlier)
	}
	g.verify()
}

func TestRubbishIsCountedAndNamed(t *testing.T) {
	g := newRig(t, testSite)
	page := lineOf("203.0.113.9", "17/May/2015:10:00:00 +0000", "GET / HTTP/1.1", 200, "-", firefox)
	text := page +
		"\n" + // blank
		"# a comment\n" +
		"rubbish\n" +
		`203.0.113.9 - - [17/May/2015:10:00:00 +0000] "\x16\x03\x01" 400 0 "-" "-"` + "\n" +
		`203.0.113.9 - - [17/May/2015:10:00:00 +0000] "GET / HTTP/1.1" - 0` + "\n" +
		lineOf("203.0.113.9", "17/May/2015:10:00:01 +0000", "GET no-path HTTP/1.1", 200, "-", firefox) +
		lineOf("203.0.113.9", "17/May/9015:10:00:01 +0000", "GET /later HTTP/1.1", 200, "-", firefox) +
		"{\"request\":\n" +
		strings.Repeat("x", 2<<20) + "\n" + // beyond what a line may have
		page
	a := g.run(g.options(write(t, "mixed.log", []byte(text))))
	if a.Lines != 11 || a.Malformed != 7 || a.Skipped != 2 || a.Results[shared.ResultPageview] != 2 {
		t.Errorf("%d lines, %d malformed, %d skipped, %v", a.Lines, a.Malformed, a.Skipped, a.Results)
	}
	var named []uint64
	for _, m := range a.Listed {
		named = append(named, m.Line)
	}
	if fmt.Sprint(named) != "[4 5 6 7 8 9 10]" {
		t.Errorf("lines %v are named", named)
	}
	var out bytes.Buffer
	a.Print(&out)
	if strings.Contains(out.String(), "203.0.113") || !strings.Contains(out.String(), "mixed.log:4: ") {
		t.Errorf("the account names lines by number, and quotes none:\n%s", &out)
	}
	if rows := g.rows(); len(rows) != 2 || rows[0].Seq != 1 || rows[1].Seq != 21 {
		t.Errorf("%+v", rows)
	}
	g.verify()
}

// TestManyMalformedLines are counted all, and named as far as helps.
func TestManyMalformedLines(t *testing.T) {
	g := newRig(t, testSite)
	a := g.run(g.options(write(t, "x.log", []byte(strings.Repeat("rubbish\n", 5000)+visits(1)))))
	if a.Malformed != 5000 || len(a.Listed) != maxListed || a.Events != 1 {
		t.Errorf("%d malformed, %d listed, %d events", a.Malformed, len(a.Listed), a.Events)
	}
	g.verify()
}

func TestHostsOfALogAreSites(t *testing.T) {
	g := newRig(t, "one.example", "two.example")
	var text strings.Builder
	for i, host := range []string{"one.example", "www.two.example:443", "three.example", "two.example", "one.example"} {
		fmt.Fprintf(&text, "%s %s", host, lineOf("203.0.113.9", "17/May/2015:10:00:00 +0000", fmt.Sprintf("GET /%d HTTP/1.1", i), 200, "-", firefox))
	}
	o := g.options(write(t, "vhosts.log", []byte(text.String())))
	o.Site = ""
	a := g.run(o)
	if a.Results[shared.ResultPageview] != 4 || a.Results[shared.ResultUnknownHost] != 1 {
		t.Errorf("%v", a.Results)
	}
	sites := map[string]int{}
	for _, r := range g.rows() {
		sites[r.SiteID]++
	}
	if sites["one-example"] != 2 || sites["two-example"] != 2 {
		t.Errorf("%v", sites)
	}
	// A log without hosts does not say whose it is.
	o.Logs = []string{write(t, "hostless.log", []byte(visits(3)))}
	if _, err := Run(context.Background(), o, io.Discard); err == nil || !strings.Contains(err.Error(), "--site") {
		t.Errorf("%v: want a hint at --site", err)
	}
	o.Site = "nobody.example"
	if _, err := Run(context.Background(), o, io.Discard); err == nil || !strings.Contains(err.Error(), "eider site add") {
		t.Errorf("%v: want a hint at eider site add", err)
	}
}

// TestLiveDaysAreRefused: nothing at all is sent then, and imports are no live
// events to each other.
func TestLiveDaysAreRefused(t *testing.T) {
	g := newRig(t, testSite)
	path := write(t, "a.log", []byte(visits(10)))
	g.run(g.options(path))
	g.rows()
	other := write(t, "b.log", []byte(strings.ReplaceAll(visits(10), "203.0.113.7", "203.0.113.8")))
	g.run(g.options(other)) // the same day, imported before

	g.live("2015-05-18T00:30:00Z")
	late := strings.ReplaceAll(visits(10), "17/May/2015:08", "18/May/2015:09")
	mixed := write(t, "c.log", []byte(strings.ReplaceAll(visits(3), "page", "early")+late))
	o := g.options(mixed)
	before := len(g.rows())
	a, err := Run(context.Background(), o, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "2015-05-18") || strings.Contains(err.Error(), "2015-05-17") || !strings.Contains(err.Error(), "--overlap") {
		t.Fatalf("%v: want the day and --overlap", err)
	}
	if a.Lines != 0 || len(g.rows()) != before {
		t.Errorf("%d lines were taken, %d events, before %d", a.Lines, len(g.rows()), before)
	}
	o.Overlap = true
	if a := g.run(o); a.Events != 13 {
		t.Errorf("%d events, want 13", a.Events)
	}
	// What is imported is not asked about again.
	o.Overlap = false
	if a := g.run(o); a.Earlier != 13 {
		t.Errorf("%d lines earlier, want 13", a.Earlier)
	}
	// Committed days are as live as hot ones, also to another process.
	g.close()
	g.open()
	o.Logs = []string{write(t, "d.log", []byte(strings.ReplaceAll(late, "page", "more")))}
	o.Aggregator = g.server.URL
	if _, err := Run(context.Background(), o, io.Discard); err == nil || !strings.Contains(err.Error(), "2015-05-18") {
		t.Errorf("%v: want the day", err)
	}
	g.verify()
}

// TestWhatTheCaddyfileSays holds for a log as it does at the proxy.
func TestWhatTheCaddyfileSays(t *testing.T) {
	var text strings.Builder
	for i, target := range []string{"/", "/ADMIN/users", "/file.zip", "/missing"} {
		status := 200
		if target == "/missing" {
			status = 404
		}
		text.WriteString(lineOf("203.0.113.9", fmt.Sprintf("17/May/2015:10:00:0%d +0000", i), "GET "+target+" HTTP/1.1", status, "-", firefox))
	}
	g := newRig(t, testSite)
	o := g.options(write(t, "said.log", []byte(text.String())))
	o.Exclude, o.Count, o.Privacy = []string{"/admin/*"}, []string{"downloads=off", "errors=on"}, "strict"
	a := g.run(o)
	for result, want := range map[shared.Result]uint64{
		shared.ResultPageview: 1, shared.ResultExcluded: 1, shared.ResultSwitchedOff: 1, shared.ResultError: 1,
	} {
		if a.Results[result] != want {
			t.Errorf("%d are %s, want %d: %v", a.Results[result], result, want, a.Results)
		}
	}
	for _, r := range g.rows() {
		if r.VisitorID != nil && *r.VisitorID != 0 {
			t.Errorf("a visitor under strict: %+v", r)
		}
	}
	g.verify()
	for _, c := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.Exclude = []string{"admin"} }, `exclude "admin": a path pattern begins with / or *`},
		{func(o *Options) { o.Count = []string{"feeds"} }, `count "feeds": want what and whether, as feeds=off`},
		{func(o *Options) { o.Count = []string{"pages=off"} }, `count "pages": want one of errors,`},
		{func(o *Options) { o.Privacy = "lax" }, `privacy "lax": want strict or cnil`},
	} {
		bad := o
		c.change(&bad)
		if _, err := Run(t.Context(), bad, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestDryRunSendsNothing(t *testing.T) {
	g := newRig(t, testSite)
	o := g.options(sample)
	o.DryRun = true
	dry := g.run(o)
	if len(g.rows()) != 0 {
		t.Error("something was sent")
	}
	if _, err := os.Stat(o.Job); !os.IsNotExist(err) {
		t.Errorf("there is a job: %v", err)
	}
	o.DryRun = false
	wet := g.run(o)
	if fmt.Sprint(dry.Results) != fmt.Sprint(wet.Results) || dry.Events != wet.Events || dry.Proofs != wet.Proofs {
		t.Errorf("%v, then %v", dry.Results, wet.Results)
	}
}

// TestFinish removes the job's salts and takes a last line without an end.
func TestFinish(t *testing.T) {
	g := newRig(t, testSite)
	path := write(t, "access.log", []byte(strings.TrimSuffix(visits(5), "\n")))
	o := g.options(path)
	if a := g.run(o); a.Lines != 4 {
		t.Errorf("%d lines, want 4", a.Lines)
	}
	key, err := os.ReadFile(o.Job)
	if err != nil {
		t.Fatal(err)
	}
	o.Finish = true
	if a := g.run(o); a.Lines != 1 {
		t.Errorf("%d lines, want 1", a.Lines)
	}
	if _, err := os.Stat(o.Job); !os.IsNotExist(err) {
		t.Errorf("the job is still there: %v", err)
	}
	_ = filepath.WalkDir(g.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, key) {
				t.Errorf("%s holds the job's key (%v)", path, err)
			}
		}
		return nil
	})
	if rows := g.rows(); len(rows) != 5 {
		t.Errorf("%d events, want 5", len(rows))
	}
	g.verify()
}

// TestADamagedArchive is imported as far as it goes, and on from there when it
// is whole.
func TestADamagedArchive(t *testing.T) {
	g := newRig(t, testSite)
	packed := gzipped(t, unpacked(t))
	o := g.options(write(t, "cut.log.gz", packed[:len(packed)/2]))
	a, err := Run(context.Background(), o, io.Discard)
	if err == nil || a.Accepted == 0 {
		t.Fatalf("%v, %d events accepted", err, a.Accepted)
	}
	whole := o
	whole.Logs = []string{write(t, "whole.log.gz", packed)}
	if b := g.run(whole); a.Lines+b.Lines != 10_000 || b.Earlier != a.Lines {
		t.Errorf("%d lines, then %d behind %d", a.Lines, b.Lines, b.Earlier)
	}
	reference := newRig(t, testSite)
	reference.run(reference.options(sample))
	same(t, multiset(g.rows()), multiset(reference.rows()))
	g.verify()
}
