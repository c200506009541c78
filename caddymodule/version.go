package caddymodule

import "runtime/debug"

// modulePath is this module's, as build information has it.
const modulePath = "github.com/eider-analytics/eider"

// version is what this Caddy was built with of us, for people and hello.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == modulePath && m.Version != "" {
			return m.Version
		}
	}
	return "unknown"
}
