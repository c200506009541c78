package crash

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// traffic asks for pages, each path once, for as long as its context lasts but
// never more than limit requests. It remembers which were answered.
type traffic struct {
	url   string
	host  string
	rate  int // requests a second, all workers together
	limit int64
	pad   int // bytes of hardly compressible path behind the number

	next     atomic.Int64
	mu       sync.Mutex
	answered map[string]bool // path -> answered 200
	wrong    map[int]int     // statuses other than 200
	failed   int             // no answer at all: the proxy was down
	lastFail error
	wait     sync.WaitGroup
	cancel   context.CancelFunc
}

// Browsers that nobody takes for a bot.
var browsers = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:143.0) Gecko/20100101 Firefox/143.0",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
}

const workers = 4

func startTraffic(ctx context.Context, url, host string, rate int, limit int64, pad int, seed uint64) *traffic {
	ctx, cancel := context.WithCancel(ctx)
	t := &traffic{
		url: url, host: host, rate: rate, limit: limit, pad: pad, answered: map[string]bool{}, wrong: map[int]int{}, cancel: cancel,
	}
	for w := range workers {
		t.wait.Add(1)
		go t.work(ctx, rand.New(rand.NewPCG(seed, uint64(w))))
	}
	return t
}

// stop ends the traffic and waits for the requests under way.
func (t *traffic) stop() {
	t.cancel()
	t.wait.Wait()
}

func (t *traffic) work(ctx context.Context, rng *rand.Rand) {
	defer t.wait.Done()
	client := &http.Client{
		Timeout:       10 * time.Second,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 1},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(time.Second * workers / time.Duration(t.rate))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n := t.next.Add(1)
		if n > t.limit {
			return
		}
		t.one(client, fmt.Sprintf("/p/%d", n)+padding(t.pad, rng), rng)
	}
}

// one asks for a page. The request is not cancelled with the traffic: an
// answer under way is waited for, so that "answered" is known for each path.
func (t *traffic) one(client *http.Client, path string, rng *rand.Rand) {
	req, err := http.NewRequest(http.MethodGet, t.url+path, nil)
	if err != nil {
		return
	}
	req.Host = t.host
	req.Header.Set("User-Agent", browsers[rng.IntN(len(browsers))])
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Accept-Language", "en")
	resp, err := client.Do(req)
	if err != nil {
		t.mu.Lock()
		t.failed++
		t.lastFail = err
		t.mu.Unlock()
		return
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case resp.StatusCode != http.StatusOK:
		t.wrong[resp.StatusCode]++
	case err != nil:
		t.failed++
		t.lastFail = err
	default:
		t.answered[path] = true
	}
}

// count is how many requests were answered so far.
func (t *traffic) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.answered)
}

// padding is a run of short random segments: too short to be taken for a
// token and redacted, too random to be compressed much.
func padding(n int, rng *rand.Rand) string {
	b := make([]byte, n)
	for i := range b {
		if b[i] = '/'; i%4 != 0 {
			b[i] = byte('a' + rng.IntN(26))
		}
	}
	return string(b)
}
