package caddymodule

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestSlowBodiesThroughCaddy end, small ones too and those that no endpoint
// reads: the deadline finds its way through the handlers around the intake.
func TestSlowBodiesThroughCaddy(t *testing.T) {
	if testing.Short() {
		t.Skip("waits as long as a body may take")
	}
	e := newEdge(t)
	e.load(e.scriptSite())
	bodies := []struct {
		path string
		want int
	}{{"/e/api/send", http.StatusBadRequest}, {"/e/event", http.StatusBadRequest}, {"/e/opt-out", http.StatusNoContent}}
	var answers []chan error
	for _, b := range bodies {
		conn, err := net.Dial("tcp", e.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: example.com:%s\r\nContent-Length: 100\r\n\r\n[", b.path, e.port())
		answer := make(chan error, 1)
		answers = append(answers, answer)
		go func() {
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil {
				_ = resp.Body.Close()
				if resp.StatusCode != b.want || !resp.Close {
					err = fmt.Errorf("%s, and the connection goes on: %v", resp.Status, !resp.Close)
				}
			}
			answer <- err
		}()
	}
	for i, answer := range answers {
		if err := <-answer; err != nil {
			t.Errorf("%s: %v", bodies[i].path, err)
		}
	}
}
