package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// The two truths.
const (
	person    = "person"
	automaton = "automaton"
)

// client is one row of the matrix.
type client struct {
	label string // also the name of its site
	what  string
	truth string
	// asks sends the requests and returns how many pages it has asked for.
	asks func(ctx context.Context, r *rig, host string, o *options) (int, error)
}

// errMissing says that a program is not there.
var errMissing = errors.New("not installed")

// chromeUA is the user agent of today's Chrome; hints are what it sends beside.
const (
	chromeUA = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0.0.0 Safari/537.36"
	oldUA    = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/74.0.3729.169 Safari/537.36"
	googleUA = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
)

// browserHeaders are all that Chrome sends with a navigation.
func browserHeaders() http.Header {
	return http.Header{
		"User-Agent":         {chromeUA},
		"Accept":             {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"},
		"Accept-Language":    {"en-US,en;q=0.9"},
		"Sec-Ch-Ua":          {`"Chromium";v="148", "Google Chrome";v="148", "Not/A)Brand";v="99"`},
		"Sec-Ch-Ua-Mobile":   {"?0"},
		"Sec-Ch-Ua-Platform": {`"Linux"`},
		"Sec-Fetch-Dest":     {"document"},
		"Sec-Fetch-Mode":     {"navigate"},
		"Sec-Fetch-Site":     {"none"},
		"Sec-Fetch-User":     {"?1"},
	}
}

var clients = []client{
	{"chromium", "Chromium with a person's user agent", person, chromium("", "--user-agent="+chromeUA)},
	{"chromium-noscript", "the same, scripts switched off", person, chromium("javascript", "--user-agent="+chromeUA)},
	{"chromium-noimages", "the same, images switched off", person, chromium("images", "--user-agent="+chromeUA)},
	{"chromium-headless", "Chromium without a window, as it is", automaton, chromium("")},

	{"curl", "curl", automaton, command("curl", "-ksS", "-o", os.DevNull, "--resolve", "{host}:{port}:127.0.0.1", "{url}")},
	{"wget", "wget", automaton, command("wget", "-q", "-O", os.DevNull, "--no-check-certificate", "--header=Host: {host}:{port}", "{direct}")},
	{"python-urllib", "Python's urllib", automaton, command("python3", "-c", pythonURLLib, "{direct}", "{host}:{port}")},
	{"python-requests", "Python's requests", automaton, command("python3", "-c", pythonRequests, "{direct}", "{host}:{port}")},
	{"go", "Go's net/http", automaton, imitation(http.Header{})},

	{"curl-as-chrome", "curl with Chrome's user agent", automaton, command("curl", "-ksS", "-o", os.DevNull, "-A", chromeUA, "--resolve", "{host}:{port}:127.0.0.1", "{url}")},
	{"python-as-chrome", "urllib with Chrome's user agent", automaton, command("python3", "-c", pythonURLLib, "{direct}", "{host}:{port}", chromeUA)},
	{"old-chrome", "a script with a user agent of 2019 and a language", automaton, imitation(http.Header{"User-Agent": {oldUA}, "Accept-Language": {"en"}})},
	{"perfect", "a script with every header of Chrome, few pages, no parts", automaton, imitation(browserHeaders())},
	{"scraper", "the same, 60 pages as fast as it can", automaton, scrape},
	{"dead-links", "the same, 60 images that are not there; recorded from the 20th on", automaton, deadLinks},
	{"scanner", "the same, looking for holes, then 10 pages", automaton, scan},

	{"googlebot", "Googlebot from an address that Google publishes", automaton, crawler(googleUA, "198.51.100.7")},
	{"googlebot-spoofed", "Googlebot from another", automaton, crawler(googleUA, "203.0.113.12")},
	{"crawlers", "user agents of crawlers (crawlerdetect, not used for tuning)", automaton, corpus("/p/1", crawlerAgents)},
	{"feed-readers", "user agents of feed readers, of the same", automaton, corpus("/feed.xml", feedAgents)},
	{"browsers", "user agents of a video player's visitors, with the headers that each would send", person, visitors},
}

const (
	pythonURLLib = `
import ssl, sys, urllib.request
headers = {"Host": sys.argv[2]}
if len(sys.argv) > 3: headers["User-Agent"] = sys.argv[3]
urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers=headers), context=ssl._create_unverified_context(), timeout=20).read()`
	pythonRequests = `
import sys, warnings
warnings.simplefilter("ignore")
try:
    import requests
except ImportError:
    sys.exit(77)
requests.get(sys.argv[1], headers={"Host": sys.argv[2]}, verify=False, timeout=20)`
)

// patience is how long one program may take for one page.
const patience = 60 * time.Second

// chromium asks for the pages with a real Chromium and a profile of its own, in
// which a person has switched something off.
func chromium(off string, flags ...string) func(context.Context, *rig, string, *options) (int, error) {
	return func(ctx context.Context, r *rig, host string, o *options) (int, error) {
		program, err := browser()
		if err != nil {
			return 0, err
		}
		profile, err := os.MkdirTemp(r.dir, "profile-")
		if err != nil {
			return 0, err
		}
		if off != "" {
			settings := fmt.Sprintf(`{"profile": {"default_content_setting_values": {%q: 2}}}`, off)
			if err := os.MkdirAll(filepath.Join(profile, "Default"), 0o700); err != nil {
				return 0, err
			}
			if err := os.WriteFile(filepath.Join(profile, "Default", "Preferences"), []byte(settings), 0o600); err != nil {
				return 0, err
			}
		}
		args := append([]string{
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--ignore-certificate-errors", "--lang=en-US", "--timeout=8000",
			"--user-data-dir=" + profile, "--host-resolver-rules=MAP *.localhost 127.0.0.1", "--dump-dom",
		}, flags...)
		for i := range o.pages {
			if err := execute(ctx, program, append(args, r.url(host, fmt.Sprintf("/p/%d", i)))...); err != nil {
				return i, err
			}
		}
		return o.pages, nil
	}
}

// browser finds Chromium.
func browser() (string, error) {
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("chromium: %w", errMissing)
}

// command asks for the pages with a program that is started for each.
func command(program string, args ...string) func(context.Context, *rig, string, *options) (int, error) {
	return func(ctx context.Context, r *rig, host string, o *options) (int, error) {
		path, err := exec.LookPath(program)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", program, errMissing)
		}
		for i := range o.pages {
			page := fmt.Sprintf("/p/%d", i)
			replace := replacer(map[string]string{
				"{host}": host, "{port}": r.port, "{url}": r.url(host, page), "{direct}": r.url("127.0.0.1", page),
			})
			var list []string
			for _, a := range args {
				list = append(list, replace.Replace(a))
			}
			if err := execute(ctx, path, list...); err != nil {
				return i, err
			}
		}
		return o.pages, nil
	}
}

// notThere is the exit code by which a script says that a library is missing.
const notThere = 77

func execute(ctx context.Context, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == notThere {
		return fmt.Errorf("a library of %s: %w", filepath.Base(program), errMissing)
	}
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, out[:min(len(out), 2000)])
	}
	return nil
}

// transport speaks to Caddy whatever the host is called.
func (r *rig) transport() *http.Transport {
	t := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the rig's own certificate
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", r.port))
		},
		ForceAttemptHTTP2: true, DisableCompression: true,
	}
	return t
}

// ask sends one request with exactly these headers; no user agent is Go's own.
func ask(ctx context.Context, c *http.Client, url string, headers http.Header) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header = headers.Clone()
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return errors.Join(err, res.Body.Close())
}

// series asks for the paths one after the other, with the same headers.
func (r *rig) series(ctx context.Context, host string, paths []string, headers http.Header) (int, error) {
	t := r.transport()
	defer t.CloseIdleConnections()
	c := &http.Client{Transport: t, Timeout: 20 * time.Second}
	for i, path := range paths {
		if err := ask(ctx, c, r.url(host, path), headers); err != nil {
			return i, err
		}
	}
	return len(paths), nil
}

func numbered(n int, format string) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(format, i))
	}
	return list
}

// imitation asks for the pages with these headers, from loopback.
func imitation(headers http.Header) func(context.Context, *rig, string, *options) (int, error) {
	return func(ctx context.Context, r *rig, host string, o *options) (int, error) {
		return r.series(ctx, host, numbered(o.pages, "/p/%d"), headers)
	}
}

// from is the headers with a client's address.
func from(headers http.Header, addr string) http.Header {
	h := headers.Clone()
	h.Set("X-Forwarded-For", addr)
	return h
}

// scrape asks as Chrome would, from a public address, as fast as it can.
func scrape(ctx context.Context, r *rig, host string, _ *options) (int, error) {
	return r.series(ctx, host, numbered(60, "/p/%d"), from(browserHeaders(), "203.0.113.10"))
}

// deadLinks guesses the names of images.
func deadLinks(ctx context.Context, r *rig, host string, _ *options) (int, error) {
	h := from(browserHeaders(), "203.0.113.11")
	h.Set("Sec-Fetch-Dest", "image")
	h.Set("Sec-Fetch-Mode", "no-cors")
	h.Set("Accept", "image/avif,image/webp,*/*;q=0.8")
	return r.series(ctx, host, numbered(60, "/gone/%d.jpg"), h)
}

func scan(ctx context.Context, r *rig, host string, _ *options) (int, error) {
	paths := append([]string{"/.env", "/.git/config", "/wp-login.php", "/xmlrpc.php", "/phpmyadmin/index.php"}, numbered(10, "/p/%d")...)
	return r.series(ctx, host, paths, from(browserHeaders(), "203.0.113.13"))
}

func crawler(ua, addr string) func(context.Context, *rig, string, *options) (int, error) {
	return func(ctx context.Context, r *rig, host string, o *options) (int, error) {
		return r.series(ctx, host, numbered(o.pages, "/p/%d"), from(http.Header{"User-Agent": {ua}}, addr))
	}
}
