package registry

import (
	"encoding/json"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// FuzzState: whatever an aggregator answers, what is taken of it can be asked.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"version":"1","sites":[{"id":"a","uuid":"u","domains":["a.example"],"time_zone":"UTC"}],"salts":[{"site":"a","key":[1],"from":1,"until":9,"identity":"day"}],"signing_key":"AA=="}`), "a.example", int64(5))
	f.Add([]byte(`{"sites":[null,{}],"salts":[{}]}`), "", int64(-1))
	f.Fuzz(func(t *testing.T, raw []byte, name string, at int64) {
		var s shared.EdgeState
		if json.Unmarshal(raw, &s) != nil || checkState(&s) != nil {
			return
		}
		v := NewView(&s)
		if site := v.Site(name); site != nil {
			if salt, ok := v.Salt(site.ID, at); ok && (salt.Site != site.ID || at < salt.From || at >= salt.Until) {
				t.Errorf("salt %d to %d of %s at %d for %s", salt.From, salt.Until, salt.Site, at, site.ID)
			}
		}
		h := new(Hosts)
		h.Seen(name)
		for _, c := range h.take() {
			if !hostLike(c.Host) {
				t.Errorf("%q is taken for a host", c.Host)
			}
		}
	})
}
