package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/eider-analytics/eider/internal/child"
)

const (
	site  = "crash.example"
	token = "a-token-for-the-crash-campaign"
	// settings make rare steps frequent: segments of 512 KiB that are removed
	// soon after they were acknowledged, durable segments every 300 ms, a spool
	// that is trimmed after each, and an edge that tries again soon.
	settings = "EIDER_FAILPOINT_SET=queue.segment_size=524288,queue.grace_size=524288,lake.cut_age=300000000," +
		"spool.tail=16,ship.max_backoff=200000000"
)

// rig is one installation under test: Caddy with the module, a bad network,
// the aggregator.
type rig struct {
	dir        string // of everything that is not on a volume
	queueDir   string
	dataDir    string
	caddyURL   string
	adminURL   string
	aggURL     string
	witness    string
	caddy, agg *process
	net        *network
}

// options of a rig; the zero value is an ordinary installation on a good
// network.
type options struct {
	queueDir, dataDir string  // "" = below dir
	faults            float64 // probability that the network harms a POST
	seed              uint64
	reserve           string // reserve_free of the queue
	maxSize           string
	pad               int // bytes that lengthen each path
}

// newRig writes the configuration and starts nothing yet but the network.
func newRig(dir, bin string, o options) (*rig, error) {
	r := &rig{dir: dir, queueDir: o.queueDir, dataDir: o.dataDir, witness: filepath.Join(dir, "witness")}
	if r.queueDir == "" {
		r.queueDir = filepath.Join(dir, "queue")
	}
	if r.dataDir == "" {
		r.dataDir = filepath.Join(dir, "data")
	}
	var addr [3]string
	for i := range addr {
		a, err := child.FreeAddress()
		if err != nil {
			return nil, err
		}
		addr[i] = a
	}
	r.caddyURL, r.adminURL, r.aggURL = "http://"+addr[0], "http://"+addr[1], "http://"+addr[2]
	var err error
	if r.net, err = newNetwork(r.aggURL, o.seed, o.faults); err != nil {
		return nil, err
	}
	caddyfile := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(caddyfile, []byte(r.caddyfile(addr, o)), 0o600); err != nil {
		return nil, err
	}
	log := func(name string) string { return filepath.Join(dir, name+".log") }
	r.agg = &process{
		name: "aggregator", path: filepath.Join(bin, "eider"), log: log("aggregator"),
		args:  []string{"serve", "--data", r.dataDir, "--listen", addr[2]},
		env:   []string{"EIDER_EDGE_TOKEN=" + token, settings},
		ready: r.aggURL + "/health/ready",
	}
	r.caddy = &process{
		name: "caddy", path: filepath.Join(bin, "caddy"), log: log("caddy"),
		args: []string{"run", "--config", caddyfile, "--adapter", "caddyfile"},
		env: []string{
			"EIDER_EDGE_TOKEN=" + token, "EIDER_WITNESS=" + r.witness, settings,
			"XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "HOME=" + dir,
		},
		ready: r.caddyURL + "/healthz", // a health check is not recorded
	}
	return r, nil
}

func (r *rig) caddyfile(addr [3]string, o options) string {
	reserve, maxSize := o.reserve, o.maxSize
	if reserve == "" {
		reserve = "16MiB"
	}
	if maxSize == "" {
		maxSize = "1GiB"
	}
	return fmt.Sprintf(`{
	admin %s
	auto_https off
	persist_config off
	eider {
		aggregator %s
		token {env.EIDER_EDGE_TOKEN}
		queue %q {
			reserve_free %s
			max_size %s
		}
	}
}
http://:%s {
	bind 127.0.0.1
	eider {
		site %s
	}
	header Content-Type "text/html; charset=utf-8"
	respond "<!doctype html><title>a page</title>"
}
`, addr[1], r.net.url, r.queueDir, reserve, maxSize, strings.TrimPrefix(addr[0], "127.0.0.1:"), site)
}

// startBoth starts the aggregator, then Caddy, nothing armed.
func (r *rig) startBoth(ctx context.Context) error {
	if err := r.agg.start(ctx, ""); err != nil {
		return err
	}
	return r.caddy.start(ctx, "")
}

// close ends everything that still runs.
func (r *rig) close() {
	for _, p := range []*process{r.caddy, r.agg} {
		if p.cmd != nil {
			_ = p.kill()
		}
	}
	r.net.close()
}

// metric reads one series of Caddy's metrics; a missing one is an error.
func (r *rig) metric(series string) (float64, error) {
	b, err := get(r.adminURL + "/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(rest), 64)
		}
	}
	return 0, fmt.Errorf("no series %s in Caddy's metrics", series)
}

// settle waits until the edge has nothing queued: everything that reached the
// WAL has been acknowledged.
func (r *rig) settle(d time.Duration) error {
	deadline := time.Now().Add(d)
	var last error
	for time.Now().Before(deadline) {
		queued, err := r.metric("eider_edge_queued_events")
		if err == nil && queued == 0 {
			return nil
		}
		if last = err; err == nil {
			last = fmt.Errorf("%v events are still queued", queued)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("the queue does not empty: %w\ncaddy:\n%s\naggregator:\n%s", last, tail(r.caddy.log), tail(r.agg.log))
}

// balanced checks the edge's books.
func (r *rig) balanced() error {
	value := map[string]float64{}
	for _, state := range []string{"captured", "stored", "dropped", "rejected", "lost"} {
		v, err := r.metric(`eider_edge_events_total{state="` + state + `"}`)
		if err != nil {
			return err
		}
		value[state] = v
	}
	queued, err := r.metric("eider_edge_queued_events")
	if err != nil {
		return err
	}
	if sum := value["stored"] + queued + value["dropped"] + value["rejected"] + value["lost"]; sum != value["captured"] {
		return fmt.Errorf("the edge's books do not close: captured %v, the rest %v: %v, queued %v", value["captured"], sum, value, queued)
	}
	return nil
}

// counted asks the API for every page and how often it was counted.
func (r *rig) counted() (map[string]int, error) {
	const page = 1000
	all := map[string]int{}
	for offset := 0; ; offset += page {
		q := url.Values{
			"site_id": {site}, "period": {"7d"}, "limit": {strconv.Itoa(page)}, "offset": {strconv.Itoa(offset)},
		}
		b, err := get(r.aggURL + "/api/stats/breakdown/pages?" + q.Encode())
		if err != nil {
			return nil, err
		}
		var rows []struct {
			Value     string `json:"value"`
			Pageviews int    `json:"pageviews"`
		}
		if err := json.Unmarshal(b, &rows); err != nil {
			return nil, err
		}
		for _, row := range rows {
			if all[row.Value] != 0 {
				return nil, fmt.Errorf("page %s is in the answer twice", row.Value)
			}
			all[row.Value] = row.Pageviews
		}
		if len(rows) < page {
			return all, nil
		}
	}
}

// acknowledged reads the witness: path -> how often the WAL has acknowledged
// an event of it, which must be once.
func (r *rig) acknowledged() (map[string]int, error) {
	f, err := os.Open(r.witness)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all := map[string]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		line, whole := strings.CutSuffix(lines.Text(), " end")
		if !whole {
			continue // cut short by a kill: nothing was acknowledged by it
		}
		for _, word := range strings.Fields(line) {
			_, escaped, ok := strings.Cut(word, "=")
			if !ok {
				continue
			}
			path, err := url.PathUnescape(escaped)
			if err != nil {
				return nil, fmt.Errorf("witness %q: %w", word, err)
			}
			all[path]++
		}
	}
	return all, lines.Err()
}
