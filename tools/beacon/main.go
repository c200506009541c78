// Command beacon serves the beacon script, for tests and for looking at it:
// /e/e.js sends to /e/event, /e.js to /api/e. It prints its address.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/eider-analytics/eider/shared/beacon/script"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "beacon:", err)
		os.Exit(1)
	}
}

func run() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/e/", script.Handler("event"))
	mux.Handle("/", script.Handler("api/e"))
	fmt.Printf("http://%s\n", l.Addr())
	return http.Serve(l, mux) // without timeouts: nobody but a test asks
}
