package enrich

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Crawlers are the address ranges that crawlers publish, by the crawler's name
// in lower case. A crawler without ranges is neither verified nor spoofed.
//
// Addresses are compared here and nowhere else, in memory; what is kept is the
// answer.
type Crawlers struct {
	ranges map[string]*prefixSet
}

// prefixSet finds the prefix of an address by the lengths that occur.
type prefixSet struct {
	lengths4, lengths6 []int
	prefixes           map[netip.Prefix]struct{}
}

const (
	// maxCrawlersFile stops a file that is something else: the lists of all
	// large crawlers together have some 500 KiB.
	maxCrawlersFile = 16 << 20
	// crawlersInterval is how often the file is looked at.
	crawlersInterval = 30 * time.Second
)

// published is a list as Google, Microsoft and OpenAI publish theirs.
type published struct {
	Prefixes []struct {
		V4 string `json:"ipv4Prefix"`
		V6 string `json:"ipv6Prefix"`
	} `json:"prefixes"`
}

// ParseCrawlers reads a file of address ranges: an object with the published
// list of each crawler, unchanged, under the crawler's name in our reports:
//
//	{"Googlebot": {"prefixes": [{"ipv4Prefix": "192.0.2.0/27"}, {"ipv6Prefix": "2001:db8::/64"}]}}
func ParseCrawlers(b []byte) (*Crawlers, error) {
	var lists map[string]published
	if err := json.Unmarshal(b, &lists); err != nil {
		return nil, fmt.Errorf(`want an object like {"Googlebot": {"prefixes": [{"ipv4Prefix": "192.0.2.0/27"}]}}: %w`, err)
	}
	c := &Crawlers{ranges: make(map[string]*prefixSet, len(lists))}
	for name, list := range lists {
		if len(list.Prefixes) == 0 {
			return nil, fmt.Errorf("%q has no prefixes: every such crawler would count as spoofed; leave it out instead", name)
		}
		set := &prefixSet{prefixes: make(map[netip.Prefix]struct{}, len(list.Prefixes))}
		for _, p := range list.Prefixes {
			text := p.V4 + p.V6
			prefix, err := netip.ParsePrefix(text)
			if err != nil {
				return nil, fmt.Errorf("%q: %q is not a prefix like 192.0.2.0/27", name, text)
			}
			set.add(prefix)
		}
		c.ranges[strings.ToLower(name)] = set
	}
	return c, nil
}

func (s *prefixSet) add(p netip.Prefix) {
	p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()).Masked()
	s.prefixes[p] = struct{}{}
	lengths := &s.lengths6
	if p.Addr().Is4() {
		lengths = &s.lengths4
	}
	if !slices.Contains(*lengths, p.Bits()) {
		*lengths = append(*lengths, p.Bits())
	}
}

func (s *prefixSet) contains(addr netip.Addr) bool {
	lengths := s.lengths6
	if addr.Is4() {
		lengths = s.lengths4
	}
	for _, bits := range lengths {
		p, err := addr.Prefix(bits)
		if err != nil {
			continue
		}
		if _, ok := s.prefixes[p]; ok {
			return true
		}
	}
	return false
}

// check reports whether a crawler is who it says. known is false where nobody
// can tell: the crawler publishes nothing, or there is no address.
func (c *Crawlers) check(name string, addr netip.Addr) (verified, known bool) {
	if c == nil || !addr.IsValid() {
		return false, false
	}
	set := c.ranges[name]
	if set == nil {
		set = c.ranges[strings.ToLower(name)]
	}
	if set == nil {
		return false, false
	}
	return set.contains(addr.Unmap()), true
}

// crawlerFile keeps the ranges of a file, and reads them again when the file
// changes. A file that is missing or damaged leaves what was read before in
// force.
type crawlerFile struct {
	path string
	log  *zap.Logger
	now  atomic.Pointer[Crawlers]

	read    fileMark // the writer's own: of the file as it was last looked at
	stop    chan struct{}
	stopped sync.WaitGroup
}

type fileMark struct {
	modified time.Time
	size     int64
	failed   bool
}

// watchCrawlers reads the file now and then; "" is no file. The caller closes it.
func watchCrawlers(path string, log *zap.Logger) *crawlerFile {
	f := &crawlerFile{path: path, log: log, stop: make(chan struct{})}
	if path == "" {
		return f
	}
	f.refresh()
	f.stopped.Go(func() {
		tick := time.NewTicker(crawlersInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f.refresh()
			case <-f.stop:
				return
			}
		}
	})
	return f
}

func (f *crawlerFile) close() {
	close(f.stop)
	f.stopped.Wait()
}

// refresh reads the file if it is another than the last time, and says once
// what is wrong with it.
func (f *crawlerFile) refresh() {
	info, err := os.Stat(f.path)
	if err == nil && info.Size() > maxCrawlersFile {
		err = fmt.Errorf("it has %d bytes, at most %d are read", info.Size(), maxCrawlersFile)
	}
	mark := fileMark{failed: err != nil}
	if info != nil {
		mark.modified, mark.size = info.ModTime(), info.Size()
	}
	if mark == f.read {
		return
	}
	f.read = mark
	var c *Crawlers
	if err == nil {
		c, err = readCrawlers(f.path)
	}
	if err != nil {
		f.log.Warn("crawlers can't be verified by this file; what was read of it before stays in force", zap.String("path", f.path), zap.Error(err))
		return
	}
	f.now.Store(c)
	f.log.Info("crawlers are verified by their published addresses", zap.String("path", f.path), zap.Int("crawlers", len(c.ranges)))
}

func readCrawlers(path string) (*Crawlers, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := ParseCrawlers(b)
	if err == nil && len(c.ranges) == 0 {
		err = errors.New("it names no crawler")
	}
	return c, err
}
