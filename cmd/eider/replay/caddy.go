package replay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/eider-analytics/eider/internal/child"
)

// proxy is the Caddy that the requests go through.
type proxy struct {
	base   *url.URL      // of the site
	admin  string        // URL of the admin endpoint
	server *child.Server // nil where Caddy runs already
	dir    string        // temporary; empty where there is none
}

const queueName = "queue"

const caddyfile = `{
	admin %[1]s
	persist_config off
	auto_https off
	log {
		output stderr
		level WARN
	}
	servers {
		trusted_proxies static 127.0.0.0/8 ::1/128
		trusted_proxies_strict
	}
	eider {
		aggregator %[4]s
		token {env.EIDER_EDGE_TOKEN}
		# A log knows the user agent and few other headers, and is replayed faster
		# than it was lived.
		judge agents
		queue %[5]s {
			reserve_free 16MiB
			# A queue for the length of one replay: nobody's site depends on it.
			unsafe_fs
		}
	}
}
http://:%[2]s {
	bind 127.0.0.1
	eider {
		site %[6]s
	}
	reverse_proxy %[3]s
}
`

// startProxy starts a Caddy of our own before the origin.
func startProxy(ctx context.Context, o *Options, originAddr string) (*proxy, error) {
	program, err := findCaddy(o.Caddy)
	if err != nil {
		return nil, err
	}
	p := &proxy{}
	if p.dir, err = os.MkdirTemp("", "eider-replay-"); err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	queue := o.Queue
	if queue == "" {
		queue = filepath.Join(p.dir, queueName)
	}
	if queue, err = filepath.Abs(queue); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	site, err := child.FreeAddress()
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	admin, err := child.FreeAddress()
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	_, port, _ := net.SplitHostPort(site)
	config := filepath.Join(p.dir, "Caddyfile")
	text := fmt.Sprintf(caddyfile, admin, port, originAddr, o.Aggregator, queue, o.Site)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write Caddy's configuration: %w", err), p.stop())
	}
	p.base = &url.URL{Scheme: "http", Host: site}
	p.admin = "http://" + admin
	p.server, err = child.Start(ctx, child.Config{
		Name: "Caddy", Path: program,
		Args: []string{"run", "--config", config, "--adapter", "caddyfile"},
		// Caddy keeps its own files where HOME and XDG_* say: not in the user's.
		Env: append(os.Environ(), "EIDER_EDGE_TOKEN="+o.Token,
			"XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir),
		Ready: p.admin + "/config/",
	})
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// findCaddy prefers the program that was named, then the one beside this
// program, then the one that a shell would find.
func findCaddy(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "caddy")
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath("caddy")
	if err != nil {
		return "", errors.New("no caddy beside this program and none on the PATH: build it with `make caddy`, or name one with --caddy")
	}
	return path, nil
}

// stop ends our Caddy, which ships what it has, and removes what it left.
func (p *proxy) stop() error {
	var err error
	if p.server != nil {
		err = p.server.Stop(grace)
	}
	if p.dir != "" {
		err = errors.Join(err, os.RemoveAll(p.dir))
	}
	return err
}
