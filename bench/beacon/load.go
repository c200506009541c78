package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// request is a page's message as its bytes on the wire.
func request(host string) []byte {
	const body = `{"n":"pageview","u":"https://bench.localhost/articles/5?utm_source=letter","d":"bench.localhost","r":"https://news.example/a","w":1440,"p":{"plan":"pro"}}`
	return fmt.Appendf(nil, "POST /e/api/event HTTP/1.1\r\nHost: %s\r\n"+
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n"+
		"Accept-Language: de-DE,de;q=0.9\r\nContent-Type: text/plain\r\nOrigin: https://bench.localhost\r\nContent-Length: %d\r\n\r\n%s", host, len(body), body)
}

// load sends requests over connections that stay open. It reads answers as
// cheaply as possible, to leave the machine to the server.
type load struct {
	addr        string
	connections int
}

// patience is how long one answer may take.
const patience = 20 * time.Second

type connection struct {
	net.Conn
	r *bufio.Reader
}

func (l *load) dial() (*connection, error) {
	c, err := net.Dial("tcp", l.addr)
	if err != nil {
		return nil, err
	}
	return &connection{c, bufio.NewReaderSize(c, 4<<10)}, nil
}

// exchange sends one request and reads its answer, which must be a 202.
func (c *connection) exchange(req []byte) error {
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(req); err != nil {
		return err
	}
	length := 0
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			if !bytes.HasPrefix(line, []byte("HTTP/1.1 202")) {
				return fmt.Errorf("the answer is %s", line)
			}
		case len(line) == 0:
			_, err := c.r.Discard(length)
			return err
		case bytes.HasPrefix(line, []byte("Content-Length: ")):
			if length, err = strconv.Atoi(string(line[len("Content-Length: "):])); err != nil {
				return err
			}
		}
	}
}

// everywhere connects, and then runs work on every connection at once.
func (l *load) everywhere(work func(*connection) error) error {
	var open []*connection
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for range l.connections {
		c, err := l.dial()
		if err != nil {
			return err
		}
		open = append(open, c)
	}
	errs := make([]error, len(open))
	var all sync.WaitGroup
	for i, c := range open {
		all.Go(func() { errs[i] = work(c) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// asFastAsPossible returns how many answers a second came.
func (l *load) asFastAsPossible(req []byte, d time.Duration) (float64, error) {
	var answers atomic.Int64
	begun := time.Now()
	err := l.everywhere(func(c *connection) error {
		for time.Since(begun) < d {
			if err := c.exchange(req); err != nil {
				return err
			}
			answers.Add(1)
		}
		return nil
	})
	return float64(answers.Load()) / time.Since(begun).Seconds(), err
}

// paced sends at a rate and returns how long each answer took since it was due,
// so that a server which falls behind can't hide it.
func (l *load) paced(req []byte, rate float64, d time.Duration) ([]time.Duration, error) {
	var mu sync.Mutex
	var took []time.Duration
	var number atomic.Int64
	every := time.Duration(float64(time.Second) / rate)
	var connected sync.WaitGroup
	connected.Add(l.connections)
	begun := sync.OnceValue(func() time.Time { return time.Now().Add(100 * time.Millisecond) })
	err := l.everywhere(func(c *connection) error {
		// The first answers are about connections that begin, not about messages.
		err := c.exchange(req)
		connected.Done()
		connected.Wait()
		var own []time.Duration
		for err == nil {
			due := begun().Add(time.Duration(number.Add(1)-1) * every)
			if due.Sub(begun()) > d {
				break
			}
			time.Sleep(time.Until(due))
			err = c.exchange(req)
			own = append(own, time.Since(due))
		}
		mu.Lock()
		took = append(took, own...)
		mu.Unlock()
		return err
	})
	return took, err
}
