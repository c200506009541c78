package crash

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// fault is what the network does to one POST of batches.
type fault int

const (
	pass       fault = iota
	cutRequest       // half of the body arrives, then the connection ends
	cutAnswer        // the aggregator accepts, the edge never hears of it
	duplicate        // the same body twice
	replay           // an old body again, before the new one
	straddle         // the previous batch and this one merged into one frame
	reorder          // the new body before the old one is answered
	answer500        // the aggregator never sees it
	answer503        // the same, with Retry-After
	numFaults
)

func (f fault) String() string {
	return [numFaults]string{
		"pass", "cut_request", "cut_answer", "duplicate", "replay", "straddle", "reorder", "answer_500", "answer_503",
	}[f]
}

// network is a bad one: a proxy between an edge and the aggregator. It never
// invents data; everything it forwards was sealed by the edge.
type network struct {
	target string // base URL of the aggregator
	client *http.Client
	server *http.Server
	url    string
	rate   float64 // probability of a fault for each POST

	mu   sync.Mutex
	rng  *rand.Rand
	old  [][]byte // bodies sent earlier, bounded
	hits [numFaults]int
}

// newNetwork listens on a port of its own; close ends it.
func newNetwork(target string, seed uint64, rate float64) (*network, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &network{
		target: target, rate: rate, rng: rand.New(rand.NewPCG(seed, 77)),
		client: &http.Client{Timeout: 10 * time.Second}, url: "http://" + listener.Addr().String(),
	}
	n.server = &http.Server{Handler: n, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = n.server.Serve(listener) }()
	return n, nil
}

func (n *network) close() { _ = n.server.Close() }

// choose draws the fault of one POST and remembers the body.
func (n *network) choose(body []byte) (f fault, old []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.rng.Float64() < n.rate {
		f = fault(1 + n.rng.IntN(int(numFaults)-1))
	}
	if len(n.old) > 0 {
		old = n.old[n.rng.IntN(len(n.old))]
		if f == straddle {
			old = n.old[len(n.old)-1]
		}
	}
	if len(n.old) >= 32 {
		n.old = n.old[1:]
	}
	n.old = append(n.old, body)
	n.hits[f]++
	return f, old
}

// ServeHTTP forwards one request, or does what the drawn fault says.
func (n *network) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if r.URL.Path != shared.PathBatches {
		n.answer(w, r, body)
		return
	}
	f, old := n.choose(body)
	switch f {
	case cutRequest:
		n.half(r, body)
		panic(http.ErrAbortHandler)
	case cutAnswer:
		_, _ = n.forward(r, body)
		panic(http.ErrAbortHandler)
	case duplicate:
		_, _ = n.forward(r, body)
	case replay:
		_, _ = n.forward(r, old)
	case straddle:
		if merged, err := merge(old, body); err == nil {
			_, _ = n.forward(r, merged)
		}
	case reorder:
		done := make(chan struct{})
		go func() { defer close(done); _, _ = n.forward(r, old) }()
		n.answer(w, r, body)
		<-done
		return
	case answer500:
		http.Error(w, "the network says no", http.StatusInternalServerError)
		return
	case answer503:
		w.Header().Set("Retry-After", "0")
		http.Error(w, "the network says later", http.StatusServiceUnavailable)
		return
	}
	n.answer(w, r, body)
}

func (n *network) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	resp, err := n.forward(r, body)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	for k, v := range resp.header {
		w.Header()[k] = v
	}
	w.WriteHeader(resp.status)
	_, _ = w.Write(resp.body)
}

type answered struct {
	status int
	header http.Header
	body   []byte
}

func (n *network) forward(r *http.Request, body []byte) (answered, error) {
	if body == nil {
		return answered{}, fmt.Errorf("nothing to send")
	}
	req, err := http.NewRequestWithContext(r.Context(), r.Method, n.target+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return answered{}, err
	}
	req.Header = r.Header.Clone()
	req.Header.Del("Content-Length")
	resp, err := n.client.Do(req)
	if err != nil {
		return answered{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answered{resp.StatusCode, resp.Header, b}, err
}

// half sends the head of a request and half of its body, then hangs up.
func (n *network) half(r *http.Request, body []byte) {
	conn, err := net.DialTimeout("tcp", n.target[len("http://"):], time.Second)
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", r.Method, r.URL.Path, n.target[len("http://"):], len(body))
	header := r.Header.Clone()
	header.Del("Content-Length")
	_ = header.Write(conn)
	_, _ = conn.Write(append([]byte("\r\n"), body[:len(body)/2]...))
}

// merge seals the last frame of old and the first frame of body into one, if
// they follow each other in one epoch: a batch that straddles the mark.
func merge(old, body []byte) ([]byte, error) {
	var a batch.Frame
	for rest := old; len(rest) > 0; {
		var err error
		if a, rest, err = batch.Next(rest); err != nil {
			return nil, err
		}
	}
	b, rest, err := batch.Next(body)
	if err != nil {
		return nil, err
	}
	ha, hb := a.Header, b.Header
	if ha.Kind != shared.BatchData || hb.Kind != shared.BatchData || ha.Epoch != hb.Epoch || ha.LastSeq()+1 != hb.FirstSeq {
		return nil, fmt.Errorf("not neighbours")
	}
	var raw []byte
	for _, f := range []*batch.Frame{&a, &b} {
		if err := f.Events(func(_ uint64, e *shared.Event, err error) {
			if err == nil {
				raw = shared.AppendEvent(raw, e, ha.BaseTime)
			}
		}); err != nil {
			return nil, err
		}
	}
	h := hb
	h.FirstSeq, h.Count, h.BaseTime = ha.FirstSeq, ha.Count+hb.Count, ha.BaseTime
	return append(batch.Seal(nil, &h, raw), rest...), nil
}
