package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/eider-analytics/eider/internal/child"
	"github.com/eider-analytics/eider/shared"
)

// caddyfile serves each client's site under a name of its own, so that one
// client's visitor is never another's.
var caddyfile = template.Must(template.New("Caddyfile").Parse(`{
	admin {{.Admin}}
	persist_config off
	local_certs
	skip_install_trust
	auto_https disable_redirects
	default_bind 127.0.0.1
	default_sni {{index .Hosts 0}}
	log {
		level ERROR
	}
	servers {
		trusted_proxies static 127.0.0.0/8
		trusted_proxies_strict
	}
	eider {
		aggregator {{.Aggregator}}
		token      {{.Token}}
		crawlers   {{.Dir}}/crawlers.json
		queue      {{.Dir}}/queue {
			reserve_free 16MiB
			unsafe_fs
		}
	}
}
{{range $i, $h := .Hosts}}{{if $i}}, {{end}}https://{{$h}}:{{$.Port}}{{end}} {
	eider {
		script /e
	}
	reverse_proxy {{.Origin}}
}
`))

// rig is the running proxy with its origin before it and the aggregator behind.
type rig struct {
	dir        string
	port       string
	admin      string
	api        string // address of the aggregator
	hits       hits
	origin     *httptest.Server
	caddy      *child.Server
	wire       *wire
	aggregator *child.Server
}

const token = "a-token-for-the-bots"

// genuine is the network that the crawlers' file gives Googlebot.
const genuine = "198.51.100.0/24"

func startRig(ctx context.Context, o *options, hosts []string) (r *rig, err error) {
	r = &rig{hits: hits{by: map[string]int{}, kinds: map[string]map[string]int{}}}
	if r.dir, err = os.MkdirTemp("", "eider-bots-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if err := r.startAggregator(ctx, o.eider); err != nil {
		return nil, err
	}
	site, err := child.FreeAddress()
	if err != nil {
		return nil, err
	}
	if r.admin, err = child.FreeAddress(); err != nil {
		return nil, err
	}
	_, r.port, _ = net.SplitHostPort(site)
	r.origin = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.hits.count(req.Host)
		r.hits.sort(req.Host, req.URL.Path)
		serveSite(w, req)
	}))
	if err := os.WriteFile(filepath.Join(r.dir, "crawlers.json"), []byte(`{"Googlebot": {"prefixes": [{"ipv4Prefix": "`+genuine+`"}]}}`), 0o600); err != nil {
		return nil, err
	}
	var config bytes.Buffer
	if err := caddyfile.Execute(&config, map[string]any{
		"Admin": r.admin, "Hosts": hosts, "Dir": r.dir, "Port": r.port, "Origin": r.origin.URL,
		"Aggregator": r.wire.server.URL, "Token": token,
	}); err != nil {
		return nil, err
	}
	file := filepath.Join(r.dir, "Caddyfile")
	if err := os.WriteFile(file, config.Bytes(), 0o600); err != nil {
		return nil, err
	}
	program, err := filepath.Abs(o.caddy)
	if err != nil {
		return nil, err
	}
	r.caddy, err = child.Start(ctx, child.Config{
		Name: "Caddy", Path: program, Args: []string{"run", "--config", file}, Dir: r.dir,
		Env:   append(os.Environ(), "HOME="+r.dir, "XDG_DATA_HOME="+r.dir, "XDG_CONFIG_HOME="+r.dir),
		Ready: "http://" + r.admin + "/config/",
	})
	if err != nil {
		return nil, err
	}
	if err := r.certified(ctx, hosts); err != nil {
		return nil, err
	}
	return r, r.registered(ctx, len(hosts))
}

// startAggregator starts a real one, and the wire to it.
func (r *rig) startAggregator(ctx context.Context, program string) (err error) {
	if program, err = filepath.Abs(program); err != nil {
		return err
	}
	if r.api, err = child.FreeAddress(); err != nil {
		return err
	}
	r.aggregator, err = child.Start(ctx, child.Config{
		Name: "the aggregator", Path: program, Args: []string{"serve", "--data", filepath.Join(r.dir, "data"), "--listen", r.api}, Dir: r.dir,
		Env: append(os.Environ(), "EIDER_EDGE_TOKEN="+token), Ready: "http://" + r.api + "/health/ready",
	})
	if err != nil {
		return err
	}
	r.wire = startWire(r.api)
	return nil
}

// registered waits until the identities of every site are the aggregator's:
// whoever came before would be somebody else afterwards.
func (r *rig) registered(ctx context.Context, hosts int) error {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		n := 0
		err := r.metrics(ctx, "eider_edge_registered", func(_ string, value float64) { n += int(value) })
		if err == nil && n >= hosts {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New("the aggregator has not registered every site within 30 s")
}

// certified waits until Caddy has made its certificates, which it does after it
// has begun to serve. A handshake is no request: nothing is counted.
func (r *rig) certified(ctx context.Context, hosts []string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, host := range hosts {
		d := tls.Dialer{Config: &tls.Config{ServerName: host, InsecureSkipVerify: true}}
		for {
			conn, err := d.DialContext(ctx, "tcp", "127.0.0.1:"+r.port)
			if err == nil {
				_ = conn.Close()
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("no certificate for %s: %w", host, err)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}

// finish stops Caddy, which ships what it has and the sums of its requests, and
// compares what the module has written and what the aggregator answers with
// what was counted.
func (r *rig) finish(ctx context.Context) ([]shared.Event, map[string]ledger, error) {
	counted, err := r.settled(ctx)
	if err != nil {
		return nil, nil, err
	}
	err = r.caddy.Stop(15 * time.Second)
	r.caddy = nil
	if err != nil {
		return nil, nil, err
	}
	events, edge, err := r.wire.accepted()
	if err != nil {
		return nil, nil, fmt.Errorf("read what was shipped: %w", err)
	}
	ledgers, err := r.ledgers(ctx)
	if err != nil {
		return nil, nil, err
	}
	return events, ledgers, errors.Join(closeBooks(counted, events), r.closeLedgers(counted, ledgers, edge, len(events)))
}

func (r *rig) close() {
	if r.caddy != nil {
		_ = r.caddy.Stop(5 * time.Second)
	}
	if r.wire != nil {
		r.wire.server.Close()
	}
	if r.aggregator != nil {
		_ = r.aggregator.Stop(10 * time.Second)
	}
	if r.origin != nil {
		r.origin.Close()
	}
	_ = os.RemoveAll(r.dir)
}

func (r *rig) url(host, path string) string { return "https://" + host + ":" + r.port + path }

// serveSite is a site with a style, a script and an image on every page, and a
// feed. What it does not have it does not have.
func serveSite(w http.ResponseWriter, req *http.Request) {
	switch path := req.URL.Path; {
	case strings.HasPrefix(path, "/p/"):
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, `<!doctype html><html lang="en"><title>A page</title><link rel="stylesheet" href="/a/style.css">`+
			`<link rel="icon" href="data:,"><h1>A page</h1><img src="/a/picture.svg" alt=""><script src="/a/script.js"></script>`)
	case path == "/a/style.css":
		w.Header().Set("Content-Type", "text/css")
		_, _ = io.WriteString(w, "h1{color:green}")
	case path == "/a/script.js":
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, "document.title='seen'")
	case path == "/a/picture.svg":
		w.Header().Set("Content-Type", "image/svg+xml")
		_, _ = io.WriteString(w, `<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>`)
	case path == "/moved":
		http.Redirect(w, req, "/p/1", http.StatusMovedPermanently)
	case path == "/feed.xml":
		w.Header().Set("Content-Type", "application/rss+xml")
		_, _ = io.WriteString(w, `<rss version="2.0"><channel><title>A feed</title></channel></rss>`)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<!doctype html><title>Not found</title>")
	}
}
