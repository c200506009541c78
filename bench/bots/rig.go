package main

import (
	"bytes"
	"context"
	"crypto/tls"
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
	"github.com/eider-analytics/eider/shared/queue"
)

// caddyfile serves each client's site under a name of its own, so that one
// client's visitor is never another's. It ships to nobody: what is written is
// read from the queue.
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
		aggregator http://127.0.0.1:9
		token      bench
		crawlers   {{.Dir}}/crawlers.json
		queue      {{.Dir}}/queue {
			reserve_free 16MiB
			unsafe_fs
		}
	}
}
{{range $i, $h := .Hosts}}{{if $i}}, {{end}}https://{{$h}}:{{$.Port}}{{end}} {
	eider
	reverse_proxy {{.Origin}}
}
`))

// rig is the running proxy with its origin.
type rig struct {
	dir    string
	port   string
	admin  string
	hits   hits
	origin *httptest.Server
	caddy  *child.Server
}

// genuine is the network that the crawlers' file gives Googlebot.
const genuine = "198.51.100.0/24"

func startRig(ctx context.Context, program string, hosts []string) (r *rig, err error) {
	r = &rig{hits: hits{by: map[string]int{}}}
	if r.dir, err = os.MkdirTemp("", "eider-bots-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
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
		serveSite(w, req)
	}))
	if err := os.WriteFile(filepath.Join(r.dir, "crawlers.json"), []byte(`{"Googlebot": {"prefixes": [{"ipv4Prefix": "`+genuine+`"}]}}`), 0o600); err != nil {
		return nil, err
	}
	var config bytes.Buffer
	if err := caddyfile.Execute(&config, map[string]any{
		"Admin": r.admin, "Hosts": hosts, "Dir": r.dir, "Port": r.port, "Origin": r.origin.URL,
	}); err != nil {
		return nil, err
	}
	file := filepath.Join(r.dir, "Caddyfile")
	if err := os.WriteFile(file, config.Bytes(), 0o600); err != nil {
		return nil, err
	}
	if program, err = filepath.Abs(program); err != nil {
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
	return r, r.certified(ctx, hosts)
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

// finish stops Caddy, reads what the module has written, and compares it with
// what it has counted.
func (r *rig) finish(ctx context.Context) ([]shared.Event, error) {
	counted, err := r.settled(ctx)
	if err != nil {
		return nil, err
	}
	err = r.caddy.Stop(15 * time.Second)
	r.caddy = nil
	if err != nil {
		return nil, err
	}
	events, err := r.written(ctx)
	if err != nil {
		return nil, err
	}
	return events, closeBooks(counted, events)
}

// written reads the queue of a Caddy that has stopped.
func (r *rig) written(ctx context.Context) ([]shared.Event, error) {
	q, err := queue.Open(queue.Config{Dir: filepath.Join(r.dir, "queue"), ReserveFree: 16 << 20, UnsafeFS: true})
	if err != nil {
		return nil, fmt.Errorf("open queue: %w", err)
	}
	defer func() { _ = q.Close(ctx) }()
	var events []shared.Event
	for pos := uint64(1); pos < q.NextSeq(); {
		f, err := q.Read(ctx, pos)
		if err != nil {
			return nil, fmt.Errorf("read queue: %w", err)
		}
		err = f.Events(func(_ uint64, e *shared.Event, err error) {
			if err == nil {
				events = append(events, *e)
			}
		})
		if err != nil {
			return nil, err
		}
		pos = f.Header.LastSeq() + 1
	}
	return events, nil
}

func (r *rig) close() {
	if r.caddy != nil {
		_ = r.caddy.Stop(5 * time.Second)
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
	case path == "/feed.xml":
		w.Header().Set("Content-Type", "application/rss+xml")
		_, _ = io.WriteString(w, `<rss version="2.0"><channel><title>A feed</title></channel></rss>`)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<!doctype html><title>Not found</title>")
	}
}
