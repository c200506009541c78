package salts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// clock stands still until it is moved.
type clock struct{ time.Time }

func (c *clock) now() time.Time              { return c.Time }
func (c *clock) pass(d time.Duration)        { c.Time = c.Add(d) }
func newClock(t testing.TB, s string) *clock { return &clock{time.UnixMicro(at(t, s))} }

func open(t testing.TB, path string, c *clock) *Store {
	t.Helper()
	s, err := Open(path, c.now, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func update(t testing.TB, s *Store, sites ...shared.SiteConfig) Handout {
	t.Helper()
	if _, err := s.Update(sites); err != nil {
		t.Fatal(err)
	}
	return s.Handout()
}

func site(id, zone string) shared.SiteConfig {
	return shared.SiteConfig{ID: id, TimeZone: zone, Identity: shared.IdentityDay}
}

// TestAFewDays follows what is handed out of one site around two midnights.
func TestAFewDays(t *testing.T) {
	c := newClock(t, "2026-11-22T12:00:00Z")
	s := open(t, filepath.Join(t.TempDir(), "salts"), c)
	keys := map[[32]byte]string{} // by the day they are of
	versions := map[string]bool{}
	for _, step := range []struct {
		at   string
		want string // the days of what is handed out
	}{
		{"2026-11-22T12:00:00Z", "22 23"},
		{"2026-11-22T22:59:59Z", "22 23"},
		{"2026-11-22T23:00:00Z", "22 23 24"}, // midnight in Berlin
		{"2026-11-23T00:59:59Z", "22 23 24"},
		{"2026-11-23T01:00:00Z", "23 24"}, // two hours later
		{"2026-11-23T23:30:00Z", "23 24 25"},
		{"2026-11-24T12:00:00Z", "24 25"},
	} {
		c.Time = time.UnixMicro(at(t, step.at))
		h := update(t, s, site("a", "Europe/Berlin"))
		var days []string
		for _, x := range h.Salts {
			d := time.UnixMicro(x.From).In(location(t, "Europe/Berlin")).Format("2")
			if known, ok := keys[x.Key]; ok && known != d || x.Site != "a" || x.Identity != "day" {
				t.Errorf("%s: a salt of %s that was of %s", step.at, d, known)
			}
			keys[x.Key] = d
			days = append(days, d)
		}
		if got := strings.Join(days, " "); got != step.want {
			t.Errorf("%s: handed out are the salts of %s, want %s", step.at, got, step.want)
		}
		if again := update(t, s, site("a", "Europe/Berlin")); again.Version != h.Version || !reflect.DeepEqual(again, h) {
			t.Errorf("%s: the version changes without a change", step.at)
		}
		versions[fmt.Sprint(h.Version, len(days), days[0])] = true
	}
	if len(keys) != 4 || len(versions) != 6 {
		t.Errorf("%d keys, %d versions", len(keys), len(versions))
	}
}

// TestReopening: a restart changes no secret, and nobody else can read them.
func TestReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "salts")
	c := newClock(t, "2026-11-22T12:00:00Z")
	s := open(t, path, c)
	if s.Lost() != "missing" {
		t.Errorf("a first start says %q", s.Lost())
	}
	before := update(t, s, site("a", "UTC"), site("b", "Asia/Kolkata"))
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	again := open(t, path, c)
	if again.ID() != s.ID() || again.Lost() != "" {
		t.Errorf("reopened as %s, %q", again.ID(), again.Lost())
	}
	after := update(t, again, site("a", "UTC"), site("b", "Asia/Kolkata"))
	if !reflect.DeepEqual(after.Salts, before.Salts) || !bytes.Equal(after.SigningKey, before.SigningKey) {
		t.Error("a restart changed the secrets")
	}
	if after.Version == before.Version {
		t.Error("two lives have one version")
	}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%v", again)} {
		if !strings.HasPrefix(text, "salts in ") {
			t.Errorf("printed, the store shows %.80s", text)
		}
	}
	c.pass(24 * time.Hour)
	if h := update(t, again, site("a", "UTC")); bytes.Equal(h.SigningKey, before.SigningKey) {
		t.Error("the signing key of yesterday is in use")
	}
}

// planted is a file of one site with a known salt of 2026-11-22, and a known
// signing key.
func planted(t testing.TB, path string, key []byte) {
	t.Helper()
	err := save(path, &content{
		ID: "planted", Signing: signing{Key: newKey(), Until: at(t, "2026-11-23T00:00:00Z")},
		Sites: map[string]series{"a": {{
			Key: key, From: at(t, "2026-11-22T00:00:00Z"), Until: at(t, "2026-11-23T00:00:00Z"), Identity: "day",
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheEnd: 48 hours after its period a salt is in no file, and the file that
// it was in has been overwritten, not only removed.
func TestTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "salts")
	key := newKey()
	planted(t, path, bytes.Clone(key))
	c := newClock(t, "2026-11-22T12:00:00Z")
	s := open(t, path, c)
	if h := update(t, s, site("a", "UTC")); !bytes.Equal(h.Salts[0].Key[:], key) {
		t.Fatal("the planted salt is not in use")
	}
	c.Time = time.UnixMicro(at(t, "2026-11-24T23:59:59Z"))
	update(t, s, site("a", "UTC"))
	old, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if b := contents(t, old); !holds(b, key) {
		t.Fatal("the salt is gone before its time; what follows would prove nothing")
	}
	c.pass(time.Second)
	update(t, s, site("a", "UTC"))
	if b := contents(t, old); len(b) == 0 || len(bytes.Trim(b, "\x00")) != 0 {
		t.Error("the old file still says something")
	}
	b, err := os.ReadFile(path)
	if err != nil || holds(b, key) {
		t.Errorf("the salt is still there, %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files", len(entries))
	}
}

func contents(t testing.TB, f *os.File) []byte {
	t.Helper()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// holds reports whether b, a file of salts, holds a key.
func holds(b, key []byte) bool {
	c, err := decode(b)
	if err != nil {
		return false
	}
	for _, s := range c.Sites {
		for _, x := range s {
			if bytes.Equal(x.Key, key) {
				return true
			}
		}
	}
	return false
}

// TestArchived: a site that takes no events gets no new salts, and its last one
// ends as all others do.
func TestArchived(t *testing.T) {
	c := newClock(t, "2026-11-22T12:00:00Z")
	s := open(t, filepath.Join(t.TempDir(), "salts"), c)
	update(t, s, site("a", "UTC"))
	gone := site("a", "UTC")
	gone.Archived = true
	c.pass(5 * 24 * time.Hour)
	if h := update(t, s, gone); len(h.Salts) != 0 || len(s.content.Sites) != 0 {
		t.Errorf("an archived site has %d salts, %d in the file", len(h.Salts), len(s.content.Sites))
	}
	if h := update(t, s, site("a", "UTC")); len(h.Salts) != 2 {
		t.Errorf("taken up again it has %d salts", len(h.Salts))
	}
}

// TestLongAway: after days without a process there is a salt for now, and none
// for the time between.
func TestLongAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "salts")
	c := newClock(t, "2026-11-22T12:00:00Z")
	update(t, open(t, path, c), site("a", "UTC"))
	c.pass(10*24*time.Hour + time.Hour)
	h := update(t, open(t, path, c), site("a", "UTC"))
	if len(h.Salts) != 2 || h.Salts[0].From != at(t, "2026-12-02T00:00:00Z") {
		t.Errorf("handed out %d, the first from %s", len(h.Salts), time.UnixMicro(h.Salts[0].From).UTC())
	}
}

// TestInterrupted brings a write that ended at each of its steps to its end.
func TestInterrupted(t *testing.T) {
	older, newer := newKey(), newKey()
	whole := func(path string, key []byte) func(*testing.T) {
		return func(t *testing.T) { planted(t, path, bytes.Clone(key)) }
	}
	for _, c := range []struct {
		what      string
		file, tmp []byte // nil = none; the key in it
		zero      bool   // the file is overwritten already
		torn      bool   // the new file is half there
		want      []byte
	}{
		{"nothing happened", older, nil, false, false, older},
		{"the new file is half written", older, newer, false, true, older},
		{"the new file is written", older, newer, false, false, newer},
		{"the old file is overwritten", older, newer, true, false, newer},
		{"the first write of all is not renamed", nil, newer, false, false, newer},
	} {
		t.Run(c.what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "salts")
			if c.tmp != nil {
				whole(path, c.tmp)(t)
				if err := os.Rename(path, path+".tmp"); err != nil {
					t.Fatal(err)
				}
			}
			if c.torn {
				if err := os.Truncate(path+".tmp", 200); err != nil {
					t.Fatal(err)
				}
			}
			if c.file != nil {
				aside := path + ".aside"
				if c.tmp != nil { // planting removes it, as writing does
					if err := os.Rename(path+".tmp", aside); err != nil {
						t.Fatal(err)
					}
				}
				whole(path, c.file)(t)
				if c.tmp != nil {
					if err := os.Rename(aside, path+".tmp"); err != nil {
						t.Fatal(err)
					}
				}
			}
			if c.zero {
				if err := zero(path); err != nil {
					t.Fatal(err)
				}
			}
			s := open(t, path, newClock(t, "2026-11-22T12:00:00Z"))
			if s.Lost() != "" {
				t.Fatalf("lost: %s", s.Lost())
			}
			h := update(t, s, site("a", "UTC"))
			if !bytes.Equal(h.Salts[0].Key[:], c.want) {
				t.Error("it is another salt")
			}
			if _, err := os.Stat(path + ".tmp"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("something is left beside it: %v", err)
			}
			if b, err := os.ReadFile(path); err != nil || !holds(b, c.want) {
				t.Errorf("the file does not have it: %v", err)
			}
		})
	}
}

// TestDamaged: what was not written whole is replaced, and said to be; what
// can't be read, or is newer, is left alone.
func TestDamaged(t *testing.T) {
	c := newClock(t, "2026-11-22T12:00:00Z")
	for _, k := range []struct {
		what  string
		spoil func(b []byte) []byte
		ok    bool
	}{
		{"a flipped bit", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, true},
		{"a torn file", func(b []byte) []byte { return b[:len(b)-20] }, true},
		{"an empty file", func([]byte) []byte { return nil }, true},
		{"zeros", func(b []byte) []byte { clear(b); return b }, true},
		{"something else", func([]byte) []byte { return []byte("# salts\nnone\n") }, true},
		{"a newer one", func(b []byte) []byte { return bytes.Replace(b, []byte("salts 1 "), []byte("salts 9 "), 1) }, false},
	} {
		path := filepath.Join(t.TempDir(), "salts")
		planted(t, path, newKey())
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b = k.spoil(b)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, c.now, nil)
		if !k.ok {
			if now, _ := os.ReadFile(path); err == nil || !bytes.Equal(now, b) {
				t.Errorf("%s: %v", k.what, err)
			}
			continue
		}
		if err != nil || s.Lost() != "damaged" || s.ID() == "planted" {
			t.Errorf("%s: %v", k.what, err)
		} else if h := update(t, s, site("a", "UTC")); len(h.Salts) != 2 {
			t.Errorf("%s: %d salts", k.what, len(h.Salts))
		}
	}
	dir := filepath.Join(t.TempDir(), "salts") // a directory can't be read
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, c.now, nil); err == nil {
		t.Error("a file that can't be read was taken for none")
	}
}

// TestFullDisk: what can't be written is handed out all the same, and written
// once it can be.
func TestFullDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "salts")
	c := newClock(t, "2026-11-22T12:00:00Z")
	s := open(t, path, c)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	due, err := s.Update([]shared.SiteConfig{site("a", "UTC")})
	if err == nil || !due.Equal(c.Add(retryAfter)) || !s.Due().Equal(due) {
		t.Errorf("due %s, %v", due, err)
	}
	h := s.Handout()
	if len(h.Salts) != 2 {
		t.Fatalf("handed out are %d", len(h.Salts))
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	update(t, s, site("a", "UTC"))
	if again := update(t, open(t, path, c), site("a", "UTC")); !reflect.DeepEqual(again.Salts, h.Salts) {
		t.Error("what was handed out is not what was written")
	}
}

// FuzzDecode: no bytes make it panic, and what it takes can be written again.
func FuzzDecode(f *testing.F) {
	path := filepath.Join(f.TempDir(), "salts")
	planted(f, path, newKey())
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("eider-salts 1 00\n{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decode(b)
		if err != nil {
			return
		}
		again, err := encode(c)
		if err != nil {
			t.Fatal(err)
		}
		if c2, err := decode(again); err != nil || c2.ID != c.ID {
			t.Fatalf("written again it is %v", err)
		}
	})
}
