package receive

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
	"github.com/eider-analytics/eider/shared/durable"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// quarantine says why a batch is in the dead letters.
type quarantine string

const (
	quarantineUndecodable quarantine = "undecodable" // sound checksum, unreadable content
	quarantineDamaged     quarantine = "damaged"     // the same wrong bytes time and again
	quarantineConflict    quarantine = "conflict"    // a range that came before with other bytes
)

var quarantines = []quarantine{quarantineUndecodable, quarantineDamaged, quarantineConflict}

// Bounds of the dead letters.
const (
	deadLetterBytes = 256 << 20
	deadLetterFiles = 10_000
	deadLetterAge   = 30 * 24 * time.Hour
)

// deadLetters keeps whole frames that can't be counted, for a person to look
// at or to deliver again after an update. The oldest make room for new ones;
// none is older than 30 days.
type deadLetters struct {
	dir   string
	limit int64
	log   *zap.Logger

	mu     sync.Mutex
	files  []deadLetter // oldest first
	bytes  int64
	failed bool // the last write failed; logged when that changes
}

type deadLetter struct {
	stem  string // name without extension
	bytes int64
	at    time.Time
}

// letter describes a dead letter; it lies beside the frame as JSON.
type letter struct {
	Reason     quarantine    `json:"reason"`
	Error      string        `json:"error"`
	ReceivedAt int64         `json:"received_at"` // µs since 1970
	Edge       shared.EdgeID `json:"edge"`
	Epoch      shared.Epoch  `json:"epoch"`
	EpochFirst uint64        `json:"epoch_first"`
	FirstSeq   uint64        `json:"first_seq"`
	LastSeq    uint64        `json:"last_seq"`
	Schema     uint16        `json:"schema"`
	Bytes      int           `json:"bytes"`
	SHA256     string        `json:"sha256"` // of the frame without its checksum
}

func openDeadLetters(dir string, limit int64, log *zap.Logger) (*deadLetters, error) {
	if limit == 0 {
		limit = deadLetterBytes
	}
	d := &deadLetters{dir: dir, limit: limit, log: log}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open dead letters: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open dead letters: %w", err)
	}
	there := make(map[string]bool, len(entries))
	for _, entry := range entries {
		there[entry.Name()] = true
	}
	for _, entry := range entries {
		about, described := strings.CutSuffix(entry.Name(), ".json")
		if strings.HasSuffix(entry.Name(), ".tmp") || described && !there[about+".frame"] {
			_ = os.Remove(filepath.Join(dir, entry.Name())) // of a write that was interrupted
			continue
		}
		stem, ok := strings.CutSuffix(entry.Name(), ".frame")
		info, err := entry.Info()
		if !ok || err != nil {
			continue
		}
		d.files = append(d.files, deadLetter{stem: stem, bytes: info.Size(), at: info.ModTime()})
		d.bytes += info.Size()
	}
	slices.SortFunc(d.files, func(a, b deadLetter) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.stem, b.stem))
	})
	d.prune(time.Now())
	return d, nil
}

func (d *deadLetters) size() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bytes
}

// put keeps a frame. Its name is made of numbers only, and the same for the
// same frame, so that a repeated delivery does not fill the directory.
func (d *deadLetters) put(f *batch.Frame, about *letter) error {
	stem := strings.Join([]string{
		strconv.FormatUint(uint64(f.Header.Epoch), 10), strconv.FormatUint(f.Header.FirstSeq, 10),
		strconv.FormatUint(f.Header.Count, 10), strconv.FormatUint(binary.BigEndian.Uint64(f.Sum[:]), 10),
	}, "-")
	meta, err := json.MarshalIndent(about, "", "  ")
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.ContainsFunc(d.files, func(l deadLetter) bool { return l.stem == stem }) {
		return nil
	}
	d.makeRoom(int64(len(f.Bytes)), time.Now())
	// The description first: a frame is never without one.
	if err := durable.Replace(filepath.Join(d.dir, stem+".json"), meta, letterWritten); err != nil {
		return err
	}
	if err := durable.Replace(filepath.Join(d.dir, stem+".frame"), f.Bytes, letterWritten); err != nil {
		// Nobody counts or ever removes a description without its frame.
		return errors.Join(err, os.Remove(filepath.Join(d.dir, stem+".json")))
	}
	d.files = append(d.files, deadLetter{stem: stem, bytes: int64(len(f.Bytes)), at: time.Now()})
	d.bytes += int64(len(f.Bytes))
	return nil
}

// prune removes what is too old or too much.
func (d *deadLetters) prune(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.makeRoom(0, now)
}

// makeRoom removes the oldest until size more bytes fit. The caller holds d.mu.
func (d *deadLetters) makeRoom(size int64, now time.Time) {
	for len(d.files) > 0 {
		l := d.files[0]
		if d.bytes+size <= d.limit && len(d.files) < deadLetterFiles && now.Sub(l.at) <= deadLetterAge {
			return
		}
		for _, ext := range []string{".frame", ".json"} {
			if err := os.Remove(filepath.Join(d.dir, l.stem+ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				d.log.Error("dead letter can't be removed", zap.String("path", d.dir), zap.Error(err))
			}
		}
		d.files = d.files[1:]
		d.bytes -= l.bytes
	}
}

// keep puts a frame into the dead letters. If that is not possible the frame
// is still not allowed to block its edge's queue: the failure is logged and
// the range counts as lost without a copy.
func (r *Receiver) keep(f *batch.Frame, reason quarantine, cause error, receivedAt int64) {
	h := &f.Header
	r.quarantined(h, reason, cause)
	if r.cfg.Erased != nil && reason == quarantineConflict && holds(f, r.cfg.Registry, r.cfg.Erased(), receivedAt) {
		return // it can be read, and has what must not be kept
	}
	err := r.dead.put(f, &letter{
		Reason: reason, Error: shared.Cut(cause.Error(), shared.MaxPath), ReceivedAt: receivedAt,
		Edge: h.Edge, Epoch: h.Epoch, EpochFirst: h.EpochFirst, FirstSeq: h.FirstSeq, LastSeq: h.LastSeq(),
		Schema: h.Schema, Bytes: len(f.Bytes), SHA256: hex.EncodeToString(f.Sum[:]),
	})
	r.dead.noteFailure(err)
}

// noteFailure logs when writing begins to fail, and when it works again.
func (d *deadLetters) noteFailure(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if failed := err != nil; failed != d.failed {
		d.failed = failed
		if failed {
			d.log.Error("dead letters can't be written", zap.String("path", d.dir), zap.Error(err))
		} else {
			d.log.Info("dead letters are written again", zap.String("path", d.dir))
		}
	}
}

// letterWritten is a step at which a crash test ends the process.
func letterWritten() { failpoint.Hit("deadletter.written") }
