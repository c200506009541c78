package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// witness is a small file beside the store that remembers the revision of the
// last change. Badger truncates a log with a damaged record there and opens; the
// witness is what tells that from a store which never had more.
//
// It is written in place after the store's own fsync, so a crash in between
// leaves it one behind, which is no fault. Two copies are kept and written in
// turn: a torn write spoils the older one.
type witness struct {
	f        *os.File
	path     string
	revision uint64
	slot     int64
}

const (
	witnessMagic = "EIDH"
	witnessSlot  = 64 // bytes between the copies; 16 are used
	witnessLen   = 16
)

func openWitness(path string) (*witness, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open state witness: %w", err)
	}
	w := &witness{f: f, path: path}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("measure state witness: %w", err), f.Close())
	}
	if info.Size() == 0 {
		return w, nil
	}
	valid := 0
	for slot := range int64(2) {
		revision, ok := readSlot(f, slot)
		if !ok {
			continue
		}
		valid++
		if revision >= w.revision {
			w.revision, w.slot = revision, 1-slot
		}
	}
	if valid == 0 {
		return nil, errors.Join(fmt.Errorf("%s: %w: neither copy of the last revision can be read: restore the directory from a backup", path, ErrCorrupt), f.Close())
	}
	return w, nil
}

func readSlot(f *os.File, slot int64) (revision uint64, ok bool) {
	var b [witnessLen]byte
	if _, err := f.ReadAt(b[:], slot*witnessSlot); err != nil && !errors.Is(err, io.EOF) {
		return 0, false
	}
	if string(b[:4]) != witnessMagic || binary.LittleEndian.Uint32(b[12:]) != crc32.ChecksumIEEE(b[:12]) {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b[4:]), true
}

// record notes that revision is durable in the store.
func (w *witness) record(revision uint64) error {
	var b [witnessLen]byte
	copy(b[:], witnessMagic)
	binary.LittleEndian.PutUint64(b[4:], revision)
	binary.LittleEndian.PutUint32(b[12:], crc32.ChecksumIEEE(b[:12]))
	if _, err := w.f.WriteAt(b[:], w.slot*witnessSlot); err != nil {
		return fmt.Errorf("write state witness: %w", err)
	}
	if err := w.f.Sync(); err != nil {
		return fmt.Errorf("sync state witness: %w", err)
	}
	w.revision, w.slot = revision, 1-w.slot
	return nil
}

func (w *witness) close() error { return w.f.Close() }
