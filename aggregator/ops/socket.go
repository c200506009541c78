package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// SocketName is the socket in the data directory.
const SocketName = "eider.sock"

// Socket serves Control on DATA/eider.sock: JSON over HTTP.
type Socket struct {
	server *http.Server
	done   chan struct{}
}

// ListenSocket begins to serve. Who calls it owns the data directory, so a
// socket that is there is a dead process's.
//
// Below /v1/ it serves edges, which may be nil: those paths without a token.
func ListenSocket(dir string, c Control, edges http.Handler) (*Socket, error) {
	path, release, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove old control socket: %w", err)
	}
	listener, err := listenPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("listen on control socket: %w", err)
	}
	s := &Socket{
		server: &http.Server{Handler: controlRoutes(c, edges), ReadHeaderTimeout: 5 * time.Second},
		done:   make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.server.Serve(listener) // it ends when Close says so
	}()
	return s, nil
}

// Close ends it; commands that run are cut off when ctx ends.
func (s *Socket) Close(ctx context.Context) error {
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = s.server.Close()
	}
	<-s.done
	return err
}

// listenPrivate listens on a socket that only its owner can open. The data
// directory is 0700, so the moment between the two calls is nobody's.
func listenPrivate(path string) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// maxSocketPath is what the kernel's address has room for, with some to spare.
const maxSocketPath = 100

// socketPath is the socket's path, or a short name for it where the data
// directory's path is longer than an address may be.
func socketPath(dir string) (path string, release func(), err error) {
	path = filepath.Join(dir, SocketName)
	if len(path) <= maxSocketPath || runtime.GOOS != "linux" {
		return path, func() {}, nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, fmt.Errorf("control socket: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), SocketName), func() { _ = d.Close() }, nil
}

func reply(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		v = shared.ErrorBody{Error: shared.ErrorDetail{Code: "refused", Message: err.Error()}}
	}
	_ = json.NewEncoder(w).Encode(v) // the command went away
}

// Client asks the server that owns a data directory.
type Client struct {
	http    *http.Client
	release func()
}

// Dial connects to the socket of a data directory. The error is the system's
// where nobody listens.
func Dial(dir string) (*Client, error) {
	path, release, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("unix", path, 5*time.Second)
	if err != nil {
		release()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	_ = conn.Close()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}
	return &Client{&http.Client{Transport: transport}, release}, nil
}

// Transport makes connections to the socket, whatever a request's host is.
func (c *Client) Transport() http.RoundTripper { return c.http.Transport }

// Close lets go of the connection.
func (c *Client) Close() { c.http.CloseIdleConnections(); c.release() }

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	res, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("read the running server's answer: %w", err)
	}
	return nil
}

// send asks, and returns an answer that is one. The caller closes its body.
func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://eider"+path, body)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the running server: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		return nil, refusal(res)
	}
	return res, nil
}
