// Package upstream is the way to the aggregator, as all that speak to it go.
//
// It promises that a request, and the token in it, goes to the origin that was
// configured and nowhere else: a redirect is an answer like any other. It
// refuses addresses that nothing can be joined to, and never repeats one in an
// error, because there may be a password in it.
package upstream

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// ErrNoToken says what is missing, and where it comes from.
var ErrNoToken = errors.New("no edge token: set EIDER_EDGE_TOKEN to the aggregator's")

// Address reads the aggregator's address: scheme, host and an optional path
// before /v1.
func Address(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("aggregator address: not a URL")
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("aggregator address: it must look like https://host:port")
	}
	return u, nil
}

// Transport keeps one connection to the aggregator, with the system's
// certificates and proxy settings, and waits so long for an answer to begin.
func Transport(patience time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   1,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: patience,
	}
}

// Client follows no redirects.
func Client(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
