package aggregator

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestAPanicNamesNobody: the log says where it was, not whose request it was.
func TestAPanicNamesNobody(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	a := &Aggregator{log: zap.New(core)}
	var h http.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { panic("a defect at " + r.RequestURI) })
	a.handler.Store(&h)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := a.newServer()
	go func() { _ = server.Serve(l) }()
	if res, err := http.Get("http://" + l.Addr().String() + "/?token=SECRET"); err == nil {
		_ = res.Body.Close()
		t.Errorf("answered %d", res.StatusCode)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	var text strings.Builder
	for _, entry := range logs.All() {
		fmt.Fprintln(&text, entry.Message, entry.ContextMap())
	}
	if s := text.String(); !strings.Contains(s, "panic_test.go") || strings.Contains(s, "SECRET") || strings.Contains(s, "127.0.0.1") {
		t.Error(s)
	}
}
