package enrich

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// places looks addresses up in the database that lies under a name at the
// moment: it is read again whenever another one is put there.
type places struct {
	path string
	log  *zap.Logger

	mu sync.RWMutex // held while a database is looked into: it is not closed then
	db *placeDB     // nil = no place is known

	// Of the goroutine that watches.
	tried   fileState // what db was made of, or could not be
	waiting fileState // seen last, when it is another
	trouble string    // as was logged

	stop    chan struct{}
	stopped sync.WaitGroup
}

// placesPoll is how often the file is looked at. One that is still being
// written is left alone until two looks find it the same.
const placesPoll = 2 * time.Second

// fileState tells one content of a file from another.
type fileState struct {
	info os.FileInfo // nil = there is none
}

func stateOf(path string) fileState {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}
	}
	return fileState{info}
}

func (s fileState) equal(t fileState) bool {
	if s.info == nil || t.info == nil {
		return s.info == t.info
	}
	// SameFile compares the inodes: a new file can have time and size of the old.
	return os.SameFile(s.info, t.info) && s.info.ModTime().Equal(t.info.ModTime()) && s.info.Size() == t.info.Size()
}

// openPlaces opens a country or city database, and follows what becomes of it.
// A file that is missing or damaged is a warning, and no place is known until
// it is mended; a sound file of another kind is an error, since it was named by
// mistake.
func openPlaces(path string, log *zap.Logger) (*places, error) {
	if path == "" {
		return nil, nil
	}
	p, err := newPlaces(path, log)
	if err == nil {
		p.stop = make(chan struct{})
		p.stopped.Go(p.watch)
	}
	return p, err
}

func newPlaces(path string, log *zap.Logger) (*places, error) {
	p := &places{path: path, log: log}
	p.tried = stateOf(path)
	p.waiting = p.tried
	db, err := openPlaceDB(path)
	if errors.Is(err, errNoPlaces) {
		return nil, fmt.Errorf("geoip: %s is %w", path, err)
	}
	p.exchange(db, err)
	return p, nil
}

func (p *places) watch() {
	tick := time.NewTicker(placesPoll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.look()
		case <-p.stop:
			return
		}
	}
}

// look reads the file again if it is another one, and has been for a while.
func (p *places) look() {
	now := stateOf(p.path)
	settled := now.equal(p.waiting)
	p.waiting = now
	if now.equal(p.tried) || !settled {
		return
	}
	p.tried = now
	p.exchange(openPlaceDB(p.path))
}

// exchange takes a database into use, or none if it could not be opened.
func (p *places) exchange(db *placeDB, err error) {
	p.mu.Lock()
	before := p.db
	p.db = db
	p.mu.Unlock()
	if before != nil {
		_ = before.file.Close() // nobody is looking into it any more
	}
	switch {
	case err != nil && p.trouble != err.Error():
		p.log.Warn("geoip database cannot be read; events are recorded without a place until it is mended",
			zap.String("path", p.path), zap.Error(err))
	case err == nil && (before != nil || p.trouble != ""):
		p.log.Info("geoip database is read", zap.String("path", p.path), zap.String("kind", db.file.Metadata.DatabaseType),
			zap.Time("built", time.Unix(int64(db.file.Metadata.BuildEpoch), 0)))
	}
	p.trouble = ""
	if err != nil {
		p.trouble = err.Error()
	}
}

// find returns the place of an address, or the zero place.
func (p *places) find(addr netip.Addr) place {
	addr = addr.Unmap()
	if p == nil || !public(addr) {
		return place{}
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	db := p.db
	if db == nil || db.failed.Load() {
		return place{}
	}
	found, err := db.find(addr)
	if err != nil && db.failed.CompareAndSwap(false, true) {
		// The error text of the library can name the address.
		p.log.Warn("geoip database is damaged; events are recorded without a place until it is replaced", zap.String("path", p.path))
	}
	return found
}

func (p *places) close() error {
	if p == nil {
		return nil
	}
	if p.stop != nil {
		close(p.stop)
		p.stopped.Wait()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.db == nil {
		return nil
	}
	db := p.db
	p.db = nil
	return db.file.Close()
}
