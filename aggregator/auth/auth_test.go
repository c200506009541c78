package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/state"
)

func open(t *testing.T, dir string) (*Keys, *state.State) {
	t.Helper()
	s, err := state.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	r, err := sites.Open(s, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, domain := range []string{"a.com", "b.com"} {
		if _, err := r.Register(domain); err != nil {
			t.Fatal(err)
		}
	}
	k, err := Open(s, r)
	if err != nil {
		t.Fatal(err)
	}
	return k, s
}

func add(t *testing.T, k *Keys, n New) Issued {
	t.Helper()
	key, err := k.Add(n)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestWhatAKeyIsFor: scopes, sites, the name of the edge.
func TestWhatAKeyIsFor(t *testing.T) {
	k, _ := open(t, t.TempDir())
	for _, c := range []struct {
		n    New
		may  string // of edge, ingest, stats:read, admin
		edge string
		a, b bool // for the sites
	}{
		{New{Edge: "shop"}, "edge", "shop", true, true},
		{New{Edge: "shop", Sites: []string{"A.com", "a-com"}}, "edge", "shop", true, false},
		{New{Edge: "shop", Scopes: []string{"edge"}}, "edge", "shop", true, true},
		{New{Scopes: []string{"ingest"}, Sites: []string{"b-com"}}, "ingest", "", false, true},
		{New{Scopes: []string{"stats:read", "ingest", "ingest"}}, "ingest stats:read", "", true, true},
		{New{Scopes: []string{"admin"}, Name: "me"}, "ingest stats:read admin", "", true, true},
	} {
		key := add(t, k, c.n)
		who, ok := k.Identify(key.Token)
		var may []string
		for _, scope := range scopes {
			if who.May(scope) {
				may = append(may, scope)
			}
		}
		if !ok || strings.Join(may, " ") != c.may || who.Edge != c.edge || who.For("a-com") != c.a || who.For("b-com") != c.b {
			t.Errorf("%+v: %v %+v, may %v", c.n, ok, who, may)
		}
		if !strings.HasPrefix(key.Token, Prefix(key.ID)+"_") || len(key.Token) < 50 {
			t.Errorf("a token like %s…", key.Token[:14])
		}
	}
}

// TestNoSuchKey: what can't be, with what to change.
func TestNoSuchKey(t *testing.T) {
	k, _ := open(t, t.TempDir())
	for _, c := range []struct {
		n    New
		want string
	}{
		{New{}, "say what it is for"},
		{New{Name: "x"}, "say what it is for"},
		{New{Scopes: []string{"root"}}, "there is no scope"},
		{New{Scopes: []string{"edge"}}, "needs the name of the edge"},
		{New{Edge: "shop", Scopes: []string{"admin"}}, "for nothing else"},
		{New{Scopes: []string{"admin"}, Sites: []string{"a.com"}}, "for all sites"},
		{New{Edge: "shop", Sites: []string{"c.com"}}, "there is no site"},
		{New{Edge: "a\nb"}, "control characters"},
		{New{Edge: strings.Repeat("x", 101)}, "at most 100"},
		{New{Edge: "shop", Expire: "soon"}, "no span of time"},
		{New{Edge: "shop", Expire: "0d"}, "over already"},
		{New{Edge: "shop", Expire: "-1h"}, "over already"},
		{New{Edge: "shop", Expire: "2001-01-01"}, "over already"},
	} {
		key, err := k.Add(c.n)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) || key.Token != "" {
			t.Errorf("%+v: %v, want %q in it", c.n, err, c.want)
		}
	}
	if n := len(k.List()); n != 0 {
		t.Errorf("%d keys were made", n)
	}
}

// TestLifeOfAKey: it is known until it is revoked or expires, also by the next
// process, and no other token is.
func TestLifeOfAKey(t *testing.T) {
	dir := t.TempDir()
	k, s := open(t, dir)
	now := time.Now()
	k.now = func() time.Time { return now }
	forever := add(t, k, New{Edge: "shop"})
	quarter := add(t, k, New{Edge: "blog", Expire: "90d"})
	hours := add(t, k, New{Edge: "blog", Expire: "12h"})
	date := add(t, k, New{Edge: "blog", Expire: now.AddDate(0, 0, 1).UTC().Format(time.DateOnly)})
	known := func(what string, want ...bool) {
		t.Helper()
		for i, key := range []Issued{forever, quarter, hours, date} {
			if _, ok := k.Identify(key.Token); ok != want[i] {
				t.Errorf("%s: key %d is known: %v", what, i, ok)
			}
		}
	}
	known("at first", true, true, true, true)
	now = now.Add(12 * time.Hour)
	known("after 12 hours", true, true, false, true)
	now = now.Add(36 * time.Hour)
	known("after two days", true, true, false, false)
	now = now.AddDate(0, 0, 89)
	known("after 91 days", true, false, false, false)

	for _, token := range []string{
		"", "x", forever.Token[:len(forever.Token)-1], forever.Token + "x", strings.ToUpper(forever.Token), Prefix(forever.ID),
		Prefix(forever.ID) + "_", forever.ID, forever.Hash, Prefix(forever.ID) + quarter.Token[len(Prefix(quarter.ID)):],
	} {
		if who, ok := k.Identify(token); ok {
			t.Errorf("a wrong token is %+v", who)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	k, _ = open(t, dir)
	if who, ok := k.Identify(forever.Token); !ok || who.Name != "shop" {
		t.Errorf("the next process knows %+v, %v", who, ok)
	}
	if gone, err := k.Revoke(Prefix(forever.ID)); err != nil || gone.ID != forever.ID {
		t.Errorf("revoked %+v, %v", gone, err)
	}
	if _, ok := k.Identify(forever.Token); ok {
		t.Error("a revoked key is known")
	}
	if _, err := k.Revoke(forever.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("revoked twice: %v", err)
	}
	if list := k.List(); len(list) != 3 {
		t.Errorf("the list has %d", len(list))
	}
}

// TestTrusted: tokens of the configuration, which are in no list and no store.
func TestTrusted(t *testing.T) {
	k, _ := open(t, t.TempDir())
	k.Trust("shared", "correct horse", ScopeEdge)
	k.Trust("owner", "battery staple", ScopeAdmin)
	k.Trust("nobody", "", ScopeAdmin)
	edge, ok1 := k.Identify("correct horse")
	owner, ok2 := k.Identify("battery staple")
	if !ok1 || !ok2 || edge.Edge != "" || !edge.May(ScopeEdge) || edge.May(ScopeAdmin) || owner.May(ScopeEdge) || !owner.May(ScopeAdmin) || !owner.For("any") {
		t.Errorf("edge %+v %v, owner %+v %v", edge, ok1, owner, ok2)
	}
	if _, ok := k.Identify(""); ok {
		t.Error("an empty token is somebody's")
	}
	if len(k.List()) != 0 {
		t.Error("they are listed")
	}
}

// TestNothingUsableIsStored greps the store for the tokens, and what is listed.
func TestNothingUsableIsStored(t *testing.T) {
	dir := t.TempDir()
	k, s := open(t, dir)
	var secrets []string
	for range 5 {
		secrets = append(secrets, add(t, k, New{Edge: "shop"}).Token[len(Prefix("12345678"))+1:])
	}
	listed, err := json.Marshal(k.List())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	texts := []string{string(listed), fmt.Sprintf("%+v", k.List())}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		texts = append(texts, string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, text := range texts {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Error("a token is stored")
			}
		}
		found = found || strings.Contains(text, k.List()[0].Hash)
	}
	if !found {
		t.Error("not even the hash is found: the search proves nothing")
	}
}

type failing struct{ Store }

func (failing) PutKey(state.Key) error { return errors.New("disk full") }

// TestFailedStore: what is not stored is not known.
func TestFailedStore(t *testing.T) {
	k, s := open(t, t.TempDir())
	k.store = failing{s}
	key, err := k.Add(New{Edge: "shop"})
	if err == nil || errors.Is(err, ErrInvalid) || !reflect.DeepEqual(key, Issued{}) || len(k.List()) != 0 {
		t.Errorf("made %+v, %v", key, err)
	}
}
