package handover

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"
)

// Transport carries requests over a collector's socket, whatever their host.
func Transport(socket string) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: 5 * time.Second}
			return d.DialContext(ctx, "unix", socket)
		},
		MaxIdleConnsPerHost: 2,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}
}

// Socket returns the path of an address like unix//run/eider.sock, as Caddy
// writes network addresses.
func Socket(address string) (path string, ok bool) { return strings.CutPrefix(address, "unix/") }
