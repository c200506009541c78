package state

import (
	"reflect"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// TestSitesAndKeys: what is stored of sites, keys and salts is there after
// reopening, and what an older version stored has its defaults.
func TestSitesAndKeys(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	site := Site{
		ID: "example", UUID: "u", Domains: []string{"example.com", "shop.example.com"}, Name: "n", Zone: "UTC", CreatedAt: 1,
		Origin: "operator", UpdatedAt: 2, AllowedDomains: []string{"*.example.com"}, Identity: shared.IdentityMonth, Archived: true,
		Privacy: shared.Privacy{CountryOnly: true, DNT: shared.SignalRefuse, Redact: []string{"a+"}, QueryKeys: []string{"q"}},
	}
	edge := Key{ID: "k1", Hash: "h1", Name: "shop", Edge: "shop", Scopes: []string{"edge"}, Sites: []string{"example"}, CreatedAt: 3, ExpiresAt: 4}
	all := Key{ID: "k2", Hash: "h2", Scopes: []string{"admin"}}
	for _, err := range []error{
		s.PutSite(site), s.PutSite(Site{ID: "old"}), s.PutKey(edge), s.PutKey(all), s.PutKey(Key{ID: "k3", Hash: "h3"}),
		s.DeleteKey("k3"), s.DeleteKey("never"), s.PutSaltsID("first"), s.PutSaltsID("second"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{s.PutSite(Site{}), s.PutKey(Key{ID: "x"}), s.PutKey(Key{Hash: "x"})} {
		if err == nil {
			t.Error("a record without a name was stored")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	sites, err1 := s.Sites()
	keys, err2 := s.Keys()
	salts, err3 := s.SaltsID()
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	if want := []Site{site, {ID: "old", Identity: shared.IdentityDay}}; !reflect.DeepEqual(sites, want) {
		t.Errorf("sites %+v", sites)
	}
	if !reflect.DeepEqual(keys, []Key{edge, all}) {
		t.Errorf("keys %+v", keys)
	}
	if salts != "second" {
		t.Errorf("salts %q", salts)
	}
	if fresh, err := open(t, t.TempDir()).SaltsID(); fresh != "" || err != nil {
		t.Errorf("a fresh store has the salts %q, %v", fresh, err)
	}
}
