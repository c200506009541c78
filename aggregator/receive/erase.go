package receive

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// Erased reports whether an event of a site, by its id, must not be kept.
type Erased func(siteID string, e *shared.Event) bool

// EraseDeadLetters removes the batches of a directory of dead letters that have
// an erased event, and those that can't be read, as nobody can tell whose they
// are: they are counted as lost already. It returns how many; with dry they
// stay. No receiver may have the directory open.
func EraseDeadLetters(dir string, registry Registry, erased Erased, dry bool) (int64, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	d, err := openDeadLetters(dir, 0, zap.NewNop())
	if err != nil {
		return 0, err
	}
	return d.erase(registry, erased, dry)
}

// EraseDeadLetters is [EraseDeadLetters] for the directory of a receiver.
func (r *Receiver) EraseDeadLetters(erased Erased, dry bool) (int64, error) {
	return r.dead.erase(r.cfg.Registry, erased, dry)
}

func (d *deadLetters) erase(registry Registry, erased Erased, dry bool) (n int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var kept []deadLetter
	for i, l := range d.files {
		b, err := os.ReadFile(filepath.Join(d.dir, l.stem+".frame"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.files = append(kept, d.files[i:]...)
			return n, err
		}
		if err == nil && clean(b, registry, erased) {
			kept = append(kept, l)
			continue
		}
		n++
		if dry {
			continue
		}
		for _, ext := range []string{".frame", ".json"} {
			if err := os.Remove(filepath.Join(d.dir, l.stem+ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				d.files = append(kept, d.files[i:]...)
				return n, err
			}
		}
		d.bytes -= l.bytes
	}
	if dry || n == 0 {
		return n, nil
	}
	d.files = kept
	dir, err := os.Open(d.dir)
	if err != nil {
		return n, err
	}
	return n, errors.Join(dir.Sync(), dir.Close())
}

// clean reports whether a frame can be read and has no erased event.
func clean(b []byte, registry Registry, erased Erased) bool {
	f, rest, err := batch.Next(b)
	return err == nil && len(rest) == 0 && !holds(&f, registry, erased, 0)
}

// holds reports whether a frame has an erased event, or can't be read. Sites are
// found by what their senders call them. receivedAt 0 is before any erasure.
func holds(f *batch.Frame, registry Registry, erased Erased, receivedAt int64) bool {
	found := false
	err := f.Events(func(_ uint64, e *shared.Event, err error) {
		if found = found || err != nil; found {
			return
		}
		e.ReceivedAt = receivedAt
		site, ok := registry.Resolve(e.Site)
		found = ok && erased(site.ID, e)
	})
	return err != nil || found
}

// Through is the last position of the spool that the sink has, or that is not
// meant for it.
func (r *Receiver) Through() uint64 { return r.hand.done.Load() }

// WaitThrough waits until the sink has everything up to a position of the spool.
func (r *Receiver) WaitThrough(done <-chan struct{}, position uint64) bool {
	for pause := time.Millisecond; r.Through() < position; pause = min(2*pause, 50*time.Millisecond) {
		select {
		case <-done:
			return false
		case <-time.After(pause):
		}
	}
	return true
}
