package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/eider-analytics/eider/internal/child"
)

// The two configurations differ by what is between the braces alone. Nothing
// that costs much (TLS, compression, access logs) is on: every per cent of
// theirs would make ours look smaller.
var caddyfile = template.Must(template.New("Caddyfile").Parse(`{
	admin {{.Admin}}
	auto_https off
	persist_config off
	log {
		level ERROR
	}
{{- if .Aggregator}}
	eider {
		aggregator {{.Aggregator}}
		token      bench
		queue      {{.Dir}}/queue {
			reserve_free 16MiB
		}
	}
{{- end}}
}
http://{{.Addr}} {
{{- if .Aggregator}}
	eider {
		site bench.example
	}
{{- end}}
	root * {{.Root}}
	file_server
}
`))

type server struct {
	name, addr, admin string
	child             *child.Server
}

// startCaddy starts a Caddy in dir that serves root; aggregator "" leaves
// Eider out.
func startCaddy(ctx context.Context, binary, name, dir, root, aggregator string, env []string) (*server, error) {
	s := &server{name: name}
	var err error
	if s.addr, err = child.FreeAddress(); err != nil {
		return nil, err
	}
	if s.admin, err = child.FreeAddress(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var config bytes.Buffer
	if err := caddyfile.Execute(&config, map[string]string{
		"Admin": s.admin, "Addr": s.addr, "Dir": dir, "Root": root, "Aggregator": aggregator,
	}); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, config.Bytes(), 0o600); err != nil {
		return nil, err
	}
	s.child, err = child.Start(ctx, child.Config{
		Name: name, Path: binary, Args: []string{"run", "--config", file}, Dir: dir,
		Env:   append(append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir), env...),
		Ready: "http://" + s.addr + "/articles/page-0.html",
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// counted returns how many page views the server says it has counted.
func (s *server) counted(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("read the metrics of %s: %w", s.name, err)
	}
	defer func() { _ = res.Body.Close() }()
	total := 0.0
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		line := lines.Text()
		if !strings.HasPrefix(line, "eider_edge_requests_total{") || !strings.Contains(line, `result="pageview"`) {
			continue
		}
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("metric %q: %w", line, err)
		}
		total += v
	}
	return int(total), nil
}

// writeSite makes the static site that all servers share.
func writeSite(root string) error {
	write := func(name string, content []byte) error {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, content, 0o644)
	}
	for i := range pages {
		page := fmt.Sprintf("<!doctype html><title>Page %d</title>", i)
		page += strings.Repeat("<p>Nothing to see here.</p>\n", (pageBytes-len(page))/28)
		if err := write(fmt.Sprintf("articles/page-%d.html", i), []byte(page)); err != nil {
			return err
		}
	}
	for _, a := range assets {
		if err := write("assets/"+a.name, bytes.Repeat([]byte{'x'}, a.bytes)); err != nil {
			return err
		}
	}
	return nil
}
