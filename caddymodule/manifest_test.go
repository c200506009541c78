package caddymodule

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// The build manifest says what this module brings to Caddy; versions are
// compared with go.mod by the tool that builds from it.
func TestManifestNamesWhatIsRegistered(t *testing.T) {
	type plugin struct {
		Module       string   `json:"module"`
		CaddyModules []string `json:"caddy_modules"`
		Directive    string   `json:"directive"`
	}
	var m struct {
		Plugins []plugin `json:"plugins"`
	}
	if err := json.Unmarshal([]byte(readFile(t, "../xcaddy.json")), &m); err != nil {
		t.Fatal(err)
	}
	here := reflect.TypeFor[App]().PkgPath()
	var registered []string
	for _, id := range caddy.Modules() {
		info, err := caddy.GetModule(id)
		if err != nil {
			t.Fatal(err)
		}
		typ := reflect.TypeOf(info.New())
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ.PkgPath() == here {
			registered = append(registered, id)
		}
	}
	i := slices.IndexFunc(m.Plugins, func(p plugin) bool { return p.Module == here })
	if i < 0 {
		t.Fatalf("xcaddy.json does not name %s", here)
	}
	p := m.Plugins[i]
	slices.Sort(registered)
	if !slices.Equal(p.CaddyModules, registered) {
		t.Errorf("xcaddy.json names %v, registered are %v", p.CaddyModules, registered)
	}
	got := adapt(t, "http://example.com {\n\t"+p.Directive+"\n}\n")
	if p.Directive == "" || !strings.Contains(got, `"handler": "eider"`) {
		t.Errorf("directive %q adapts to %s", p.Directive, got)
	}
}
