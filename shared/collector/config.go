package collector

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/beacon"
	"github.com/eider-analytics/eider/shared/queue"
)

// Defaults of Config.
const (
	DefaultListen     = "127.0.0.1:8788"
	DefaultAggregator = "http://127.0.0.1:8787"
	DefaultDir        = "collector"
)

// Config of a Collector; Aggregator, Token and Dir are required.
type Config struct {
	Aggregator string // base URL
	Token      string // the edge token
	Dir        string // the queue and what belongs to it
	Listen     string // address of the collection endpoints; "" = none
	Socket     string // unix socket for a local proxy; "" = none
	GeoIP      string // mmdb file; "" = no places
	// TrustedProxies are the addresses whose X-Forwarded-For is believed.
	TrustedProxies beacon.Proxies
	MaxSize        int64         // of the queue, bytes; 0 = 1 GiB
	ReserveFree    int64         // bytes; 0 = the larger of 1 GiB and 5 %
	Sync           time.Duration // 0 = 250 ms; queue.SyncAlways
	UnsafeFS       bool
	Version        string
}

// Check says what to change in a configuration that can't work.
func (c *Config) Check() error {
	u, err := url.Parse(c.Aggregator)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("aggregator: want a URL like %s", DefaultAggregator) // the text may hold a password
	case c.Token == "":
		return errors.New("no edge token: set EIDER_EDGE_TOKEN to the aggregator's, or EIDER_EDGE_TOKEN_FILE to a file with it")
	case c.Dir == "":
		return errors.New("dir: a directory for the queue is needed")
	case c.Listen == "" && c.Socket == "":
		return errors.New("nothing to listen on: give --listen, --socket or both")
	case c.MaxSize != 0 && c.MaxSize < queue.LeastMaxSize():
		return fmt.Errorf("max_size is %d bytes, at least %d", c.MaxSize, queue.LeastMaxSize())
	case c.ReserveFree != 0 && c.ReserveFree < queue.MinReserve:
		return fmt.Errorf("reserve_free is %d bytes, at least %d", c.ReserveFree, queue.MinReserve)
	}
	if c.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			return fmt.Errorf("listen: %w: write it like %s", err, DefaultListen)
		}
	}
	if len(c.Socket) > maxSocketPath {
		return fmt.Errorf("socket: a path of %d bytes, the system allows %d", len(c.Socket), maxSocketPath)
	}
	return nil
}

// maxSocketPath is what the kernel's address has room for.
const maxSocketPath = 107

func (c *Config) queueDir() string  { return filepath.Join(c.Dir, "queue") }
func (c *Config) sitesFile() string { return filepath.Join(c.Dir, "sites.json") }
func (c *Config) marksFile() string { return filepath.Join(c.Dir, "handover") }

// ReadSecret is a secret of the environment: NAME, or the content of the file
// that NAME_FILE names.
func ReadSecret(name string) (string, error) {
	if v := os.Getenv(name); v != "" {
		return v, nil
	}
	path := os.Getenv(name + "_FILE")
	if path == "" {
		return "", nil
	}
	return shared.ReadSecretFile(path)
}
