package replay

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answerHeader carries, from the sender past Caddy to the origin, what to
// answer: status, size, location and content type, separated by tabs' kin.
const answerHeader = "Eider-Replay-Answer"

// answer is what a request of the log was answered with.
type answer struct {
	Status   int
	Size     int64
	Type     string
	Location string
}

// separator parts the fields; a location has it escaped, and the type is last.
const separator = "|"

func (a answer) describe(h http.Header) {
	h.Set(answerHeader, strings.Join([]string{
		strconv.Itoa(a.Status), strconv.FormatInt(a.Size, 10), strings.ReplaceAll(a.Location, separator, "%7C"), a.Type,
	}, separator))
}

func parseAnswer(text string) (a answer, ok bool) {
	parts := strings.SplitN(text, separator, 4)
	if len(parts) != 4 {
		return a, false
	}
	status, err := strconv.Atoi(parts[0])
	if err != nil || status < 200 || status > 999 {
		return a, false
	}
	size, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || size < 0 {
		return a, false
	}
	return answer{Status: status, Size: size, Location: parts[2], Type: parts[3]}, true
}

// body is how many bytes the answer to method has. HTTP gives none to HEAD,
// 204 and 304, whatever the log says.
func (a answer) body(method string) int64 {
	if method == http.MethodHead || a.Status == http.StatusNoContent || a.Status == http.StatusNotModified {
		return 0
	}
	return a.Size
}

// origin is the server behind Caddy. It answers what each request asks it to,
// and 400 to a request that asks for nothing.
type origin struct {
	server   *http.Server
	listener net.Listener
	done     chan struct{}
}

func startOrigin(address string) (*origin, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("start the origin: %w", err)
	}
	o := &origin{listener: l, done: make(chan struct{})}
	o.server = &http.Server{Handler: http.HandlerFunc(serveAnswer), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(o.done)
		_ = o.server.Serve(l) // ends with Close alone
	}()
	return o, nil
}

func (o *origin) addr() string { return o.listener.Addr().String() }

// close ends the origin at once: nobody asks it any more.
func (o *origin) close() {
	_ = o.server.Close()
	<-o.done
}

// filler is what bodies are made of.
var filler = []byte(strings.Repeat("eider. ", 4681)) // 32 KiB, less one byte

func serveAnswer(w http.ResponseWriter, r *http.Request) {
	a, ok := parseAnswer(r.Header.Get(answerHeader))
	if !ok {
		http.Error(w, "this origin answers requests of eider replay only", http.StatusBadRequest)
		return
	}
	h := w.Header()
	h["Date"] = nil
	h["Content-Type"] = nil // keeps net/http from guessing
	if a.Type != "" {
		h.Set("Content-Type", a.Type)
	}
	if a.Location != "" {
		h.Set("Location", a.Location)
	}
	if a.Status == http.StatusPartialContent {
		// The log does not say which part it was: the last, of a file twice as long.
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", a.Size, max(2*a.Size-1, a.Size), max(2*a.Size, a.Size+1)))
	}
	if a.Status != http.StatusNoContent && a.Status != http.StatusNotModified {
		h.Set("Content-Length", strconv.FormatInt(a.Size, 10))
	}
	w.WriteHeader(a.Status)
	for left := a.body(r.Method); left > 0; {
		n, err := w.Write(filler[:min(left, int64(len(filler)))])
		if err != nil {
			return // the client is gone, and Caddy with it
		}
		left -= int64(n)
	}
}
