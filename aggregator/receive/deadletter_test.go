package receive

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// letterOf is the n-th frame of a test, with its description.
func letterOf(t *testing.T, n uint64) (*batch.Frame, *letter) {
	t.Helper()
	f, _, err := batch.Next(newEdge(1).frame(n, 1, nil))
	if err != nil {
		t.Fatal(err)
	}
	return &f, &letter{Reason: quarantineUndecodable, FirstSeq: n}
}

func TestDeadLettersAreBoundedInBytesAndTime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dead-letters")
	f, _ := letterOf(t, 1)
	size := int64(len(f.Bytes))
	d, err := openDeadLetters(dir, 5*size+size/2, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(20) {
		f, about := letterOf(t, n+1)
		for range 2 { // the same frame again changes nothing
			if err := d.put(f, about); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := names(t, dir)
	if len(left) != 10 || d.size() > d.limit {
		t.Fatalf("%d bytes in %q", d.size(), left)
	}
	numbers := regexp.MustCompile(`^\d+-(\d+)-\d+-\d+\.(frame|json)$`)
	for _, name := range left {
		m := numbers.FindStringSubmatch(name)
		if m == nil || len(m[1]) < 2 { // the oldest have gone: 1 to 15
			t.Errorf("file %q", name)
		}
	}
	var about letter
	b, err := os.ReadFile(filepath.Join(dir, strings.TrimSuffix(left[0], ".frame")+".json"))
	if err == nil {
		err = json.Unmarshal(b, &about)
	}
	if err != nil || about.Reason != quarantineUndecodable {
		t.Errorf("%+v, %v", about, err)
	}

	// A restart knows them, and clears up what a crash left behind.
	if err := os.WriteFile(filepath.Join(dir, "1-2-3-4.frame.tmp"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := openDeadLetters(dir, d.limit, zap.NewNop())
	if err != nil || again.size() != d.size() || len(again.files) != 5 {
		t.Fatalf("%d files, %d bytes, %v", len(again.files), again.size(), err)
	}
	again.prune(time.Now().Add(deadLetterAge - time.Minute))
	if len(names(t, dir)) != 10 {
		t.Errorf("gone before their time: %q", names(t, dir))
	}
	again.prune(time.Now().Add(deadLetterAge + time.Minute))
	if left := names(t, dir); len(left) != 0 || again.size() != 0 {
		t.Errorf("left after 30 days: %q", left)
	}
}

func TestADescriptionIsNotLeftWithoutItsFrame(t *testing.T) {
	dir := t.TempDir()
	d, err := openDeadLetters(dir, 0, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	f, about := letterOf(t, 1)
	if err := d.put(f, about); err != nil {
		t.Fatal(err)
	}
	stem := d.files[0].stem
	if err := os.Remove(filepath.Join(dir, stem+".frame")); err != nil { // as a crash between the two leaves it
		t.Fatal(err)
	}
	if d, err = openDeadLetters(dir, 0, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	blocked := stem + ".frame.tmp"
	if err := os.Mkdir(filepath.Join(dir, blocked), 0o700); err != nil {
		t.Fatal(err)
	}
	if d.put(f, about) == nil {
		t.Fatal("a frame was written over a directory")
	}
	if left := names(t, dir); len(left) != 1 || left[0] != blocked {
		t.Errorf("left behind: %q", left)
	}
}

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestDeadLettersThatCantBeWrittenBlockNothing(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	dir := filepath.Join(g.dir, "dead-letters")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // not a directory any more
		t.Fatal(err)
	}
	if ack := g.mustAck(e, 8, e.undecodable(1, 5), e.frame(6, 3, nil)); len(ack.Undecodable) != 1 {
		t.Errorf("%+v", ack)
	}
	if !g.recv.dead.failed {
		t.Error("the failure was not noticed")
	}
	g.settle()
	g.wantCounts(e, 6, 7, 8)
}

func TestHostileNamesReachNoPath(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	for i, site := range []string{"../../etc/passwd", "a\x00b", "'; DROP TABLE events; --", strings.Repeat("x", 300), ""} {
		seq := uint64(i + 1)
		ack := g.mustAck(e, seq, e.frame(seq, 1, func(ev *shared.Event) { ev.Site = site }))
		if len(ack.Rejected) != 1 {
			t.Errorf("%q: %+v", site, ack)
		}
	}
	if left := names(t, filepath.Join(g.dir, "dead-letters")); len(left) != 0 {
		t.Errorf("%q", left)
	}
	if _, err := os.Stat(filepath.Join(g.dir, "etc")); err == nil {
		t.Error(fmt.Errorf("a path was made of a site's name"))
	}
}
