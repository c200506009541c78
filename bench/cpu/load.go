package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// mix is a kind of traffic: one page view in pageEvery requests, the rest
// assets of the page.
type mix struct {
	name      string
	pageEvery int
	limit     float64 // by how much CPU time a request may grow
}

var mixes = []mix{
	{"one page view in ten requests", 10, 0.03},
	{"every request a counted page view", 1, 0.15},
}

// The site: pages of 8 KiB and what they load.
const (
	pages     = 40
	pageBytes = 8 << 10
)

var assets = []struct {
	name, dest, accept string
	bytes              int
}{
	{"main.css", "style", "text/css,*/*;q=0.1", 24 << 10},
	{"app.js", "script", "*/*", 48 << 10},
	{"vendor.js", "script", "*/*", 90 << 10},
	{"logo.svg", "image", "image/avif,image/webp,image/svg+xml,*/*;q=0.8", 3 << 10},
	{"hero.webp", "image", "image/avif,image/webp,image/svg+xml,*/*;q=0.8", 60 << 10},
	{"a.webp", "image", "image/avif,image/webp,image/svg+xml,*/*;q=0.8", 18 << 10},
	{"b.webp", "image", "image/avif,image/webp,image/svg+xml,*/*;q=0.8", 22 << 10},
	{"text.woff2", "font", "*/*", 28 << 10},
	{"favicon.ico", "image", "image/avif,image/webp,image/svg+xml,*/*;q=0.8", 4 << 10},
}

// agents are browsers that people use, in no particular share.
var agents = func() (list []string) {
	for v := 140; v < 156; v++ {
		for _, system := range []string{"Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64", "Linux; Android 10; K"} {
			list = append(list, fmt.Sprintf("Mozilla/5.0 (%s) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", system, v))
		}
		list = append(list,
			fmt.Sprintf("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:%d.0) Gecko/20100101 Firefox/%d.0", v, v),
			fmt.Sprintf("Mozilla/5.0 (iPhone; CPU iPhone OS 18_%d like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.%d Mobile/15E148 Safari/604.1", v-140, v-140))
	}
	return list
}()

var referrers = []string{"", "", "https://www.google.com/", "https://news.ycombinator.com/", "https://t.co/x1y2z3", "https://duckduckgo.com/"}

// views counts the page views among n requests from the start of the list.
func (m mix) views(n, list int) int {
	whole, rest := n/list, n%list
	per := func(k int) int { return (k + m.pageEvery - 1) / m.pageEvery }
	return whole*per(list) + per(rest)
}

// requests writes the mix down once, as bytes: the load process should take as
// little as it can of the CPU that it shares.
func (m mix) requests(host string, r *rand.Rand) [][]byte {
	list := make([][]byte, 1000)
	for i := range list {
		agent := agents[r.IntN(len(agents))]
		page := fmt.Sprintf("/articles/page-%d.html", r.IntN(pages))
		if i%m.pageEvery == 0 {
			list[i] = navigation(host, page, agent, referrers[r.IntN(len(referrers))])
			continue
		}
		a := assets[i%m.pageEvery-1]
		list[i] = get(host, "/assets/"+a.name, agent, "Accept: "+a.accept, "Sec-Fetch-Dest: "+a.dest, "Sec-Fetch-Mode: no-cors",
			"Sec-Fetch-Site: same-origin", "Referer: http://"+host+page)
	}
	return list
}

func navigation(host, page, agent, referrer string) []byte {
	headers := []string{
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
		"Upgrade-Insecure-Requests: 1", "Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate", "Sec-Fetch-User: ?1",
	}
	if referrer == "" {
		headers = append(headers, "Sec-Fetch-Site: none")
	} else {
		headers = append(headers, "Sec-Fetch-Site: cross-site", "Referer: "+referrer)
	}
	return get(host, page, agent, headers...)
}

func get(host, path, agent string, headers ...string) []byte {
	headers = append([]string{
		"GET " + path + " HTTP/1.1", "Host: " + host, "User-Agent: " + agent,
		"Accept-Language: de-DE,de;q=0.9,en;q=0.8", "Accept-Encoding: gzip, deflate, br, zstd",
	}, headers...)
	return []byte(strings.Join(headers, "\r\n") + "\r\n\r\n")
}

// load is the traffic to one server: keep-alive connections, each from a
// loopback address of its own, so that there are several visitors.
type load struct {
	addr  string
	list  [][]byte
	conns []*connection
	sent  int // requests so far
}

type connection struct {
	net.Conn
	in *bufio.Reader
}

func dial(ctx context.Context, addr string, list [][]byte, conns int) (*load, error) {
	l := &load{addr: addr, list: list}
	for c := range conns {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(10+c))}, Timeout: 5 * time.Second}
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, &connection{conn, bufio.NewReaderSize(conn, 64<<10)})
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.conns {
		_ = c.Close()
	}
}

// drive sends n requests, the next of the list in turn, and waits for every
// answer.
func (l *load) drive(n int) error {
	var wg sync.WaitGroup
	errs := make([]error, len(l.conns))
	for i, c := range l.conns {
		wg.Go(func() {
			for k := i; k < n && errs[i] == nil; k += len(l.conns) {
				errs[i] = c.ask(l.list[(l.sent+k)%len(l.list)])
			}
		})
	}
	wg.Wait()
	l.sent += n
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("load %s: %w", l.addr, err)
		}
	}
	return nil
}

func (c *connection) ask(request []byte) error {
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write(request); err != nil {
		return err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("answer %s", res.Status)
	}
	return nil
}
