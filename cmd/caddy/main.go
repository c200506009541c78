// Command caddy is Caddy with Eider's module, as xcaddy would generate it from
// xcaddy.json.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	// plug in Caddy modules here
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/eider-analytics/eider/caddymodule"
)

func main() {
	caddycmd.Main()
}
