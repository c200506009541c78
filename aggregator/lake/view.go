package lake

import (
	"os"
	"sync"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// File is one Parquet file of a snapshot.
type File struct {
	Path             string // absolute
	SiteID           string // of every row
	Date             string // the site's local day, yyyy-mm-dd; for pruning use the times
	Zone             string // under which it is that day
	MinTime, MaxTime int64  // µs since 1970, both included
	Rows             int64
	Hot              bool // a micro-segment: not durable, soon replaced
	// Sealed files are sorted by visitor, time and sequence. What their further
	// columns say holds while the Day that has them is not late.
	Sealed bool
	// Facts are nil where nobody counted them: anything may be in the file.
	Facts *state.Facts
}

// Snapshot is one consistent state of the lake: every event that it shows is in
// exactly one of its files, and the files stay until Release.
type Snapshot struct {
	// Version grows with every visible change, also over restarts.
	Version uint64
	// Files are shared with other readers: not to be changed.
	Files []File
	// Days are the sealed ones, ordered by site, date and zone: shared, too.
	Days []*Day

	views *views
	once  sync.Once
}

// Release lets go of the files. Further calls do nothing.
func (s *Snapshot) Release() { s.once.Do(func() { s.views.release(s.Version) }) }

// views publishes snapshots one after the other and removes the files that the
// last of their readers has let go of.
type views struct {
	log *zap.Logger

	mu      sync.Mutex
	version uint64
	durable []File         // replaced as a whole, never changed in place
	hot     []File         // likewise
	days    []*Day         // likewise
	files   []File         // both, of this version; nil until somebody asks
	readers map[uint64]int // snapshots that are held, by version
	dropped []droppedFile  // in the order of last
}

// droppedFile is no longer part of the lake, but may still be read.
type droppedFile struct {
	path string
	last uint64 // the last version that shows it
}

func newViews(log *zap.Logger, version uint64, durable []File, days []*Day) *views {
	return &views{log: log, version: version, durable: durable, days: days, readers: map[uint64]int{}}
}

// acquire returns the newest snapshot.
func (v *views) acquire() *Snapshot {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.files == nil {
		v.files = make([]File, 0, len(v.durable)+len(v.hot))
		v.files = append(append(v.files, v.durable...), v.hot...)
	}
	v.readers[v.version]++
	return &Snapshot{Version: v.version, Files: v.files, Days: v.days, views: v}
}

func (v *views) release(version uint64) {
	v.mu.Lock()
	if v.readers[version]--; v.readers[version] == 0 {
		delete(v.readers, version)
	}
	gone := v.unread()
	v.mu.Unlock()
	v.remove(gone)
}

// publish makes the next version: durable nil leaves the durable files as they
// are. The files at dropped are removed when nobody reads them any more.
func (v *views) publish(durable, hot []File, days []*Day, dropped []string) {
	v.mu.Lock()
	if durable != nil {
		v.durable = durable
	}
	v.hot, v.days = hot, days
	v.files = nil
	for _, path := range dropped {
		v.dropped = append(v.dropped, droppedFile{path, v.version})
	}
	v.version++
	gone := v.unread()
	v.mu.Unlock()
	v.remove(gone)
}

// unread takes the dropped files off the list that no held snapshot shows. A
// snapshot shows a dropped file if it is not younger than the file's last
// version.
func (v *views) unread() []droppedFile {
	oldest := v.version
	for version := range v.readers {
		oldest = min(oldest, version)
	}
	n := 0
	for n < len(v.dropped) && v.dropped[n].last < oldest {
		n++
	}
	gone := v.dropped[:n:n]
	v.dropped = v.dropped[n:]
	return gone
}

func (v *views) remove(gone []droppedFile) {
	for _, f := range gone {
		if err := os.Remove(f.path); err != nil && !os.IsNotExist(err) {
			v.log.Warn("file of the lake that nobody needs could not be removed", zap.String("path", f.path), zap.Error(err))
		}
		failpoint.Hit("lake.hot.removed")
	}
}

func (v *views) current() (version uint64, durable int, hot int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.version, len(v.durable), len(v.hot)
}
