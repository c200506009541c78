// Package importjob keeps the secret of an import's identities.
//
// It owns one small file: a random key, from which the salts of every site and
// day of an import follow. As long as it is there, a log that is imported in
// parts, or in several files, has the same visitors throughout. It promises
// that the file is private, made whole or not at all, and that it is
// overwritten before it is removed: by [Remove], or by [Sweep] 48 hours after
// it was used last. After that nobody can recompute an identity.
//
// It refuses to be part of anything that is shipped, backed up or logged.
package importjob

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/eider-analytics/eider/shared/durable"
)

// Idle is how long after its last use a job is kept.
const Idle = 48 * time.Hour

// keySize is the length of the file, which holds the key and nothing else.
const keySize = 32

// Job is the secret of a running import.
type Job struct {
	path string
	key  [keySize]byte
}

// Open reads the job at path, or makes one where there is none, or only one
// that has been idle for too long.
func Open(path string, now time.Time) (*Job, error) {
	if _, err := Sweep(path, now); err != nil {
		return nil, err
	}
	j := &Job{path: path}
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := j.create(); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, fmt.Errorf("import job: %w", err)
	case len(b) != keySize:
		return nil, fmt.Errorf("import job: %s is no job of an import: it has %d bytes, not %d", path, len(b), keySize)
	default:
		copy(j.key[:], b)
	}
	return j, j.Touch(now)
}

// create makes the file. Of two processes that do so at once, one wins and
// both use its key.
func (j *Job) create() error {
	_, _ = rand.Read(j.key[:]) // never fails since Go 1.24
	dir := filepath.Dir(j.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("import job: %w", err)
	}
	f, err := os.CreateTemp(dir, ".job-*") // 0600
	if err != nil {
		return fmt.Errorf("import job: %w", err)
	}
	_, err = f.Write(j.key[:])
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), j.path) // unlike a rename, it replaces nothing
	}
	lost := errors.Is(err, os.ErrExist)
	if lost {
		err = nil
	}
	if err = errors.Join(err, removeTemp(f.Name(), lost)); err != nil {
		return fmt.Errorf("import job: %w", err)
	}
	if lost {
		b, err := os.ReadFile(j.path)
		if err != nil || len(b) != keySize {
			return errors.New("import job: another import has just begun or ended, run this one again")
		}
		copy(j.key[:], b)
	}
	return durable.SyncDir(dir)
}

// removeTemp removes the second name of the file; its content as well if no
// other name has it.
func removeTemp(path string, only bool) error {
	if only {
		if err := overwrite(path); err != nil {
			return err
		}
	}
	return os.Remove(path)
}

// Touch says that the job is in use.
func (j *Job) Touch(now time.Time) error {
	if err := os.Chtimes(j.path, now, now); err != nil {
		return fmt.Errorf("import job: %w", err)
	}
	return nil
}

// Salt is the key for the visitors of a site in one period, which is named by
// its first day. Sites and periods are independent of each other.
func (j *Job) Salt(siteID, period string) (key [32]byte) {
	mac := hmac.New(sha256.New, j.key[:])
	mac.Write([]byte(siteID))
	mac.Write([]byte{0})
	mac.Write([]byte(period))
	mac.Sum(key[:0])
	return key
}

// Sweep removes the job at path if it has been idle for too long.
func Sweep(path string, now time.Time) (removed bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("import job: %w", err)
	}
	if now.Sub(info.ModTime()) < Idle {
		return false, nil
	}
	return true, Remove(path)
}

// Remove overwrites the job at path and removes it. There need not be one.
func Remove(path string) error {
	err := overwrite(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("remove import job: %w", err)
	}
	return nil
}

// overwrite writes other bytes where the key was. What a file system that
// copies on write, or a disk, keeps of the old ones is out of reach.
func overwrite(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() > 1<<10) {
		err = fmt.Errorf("%s is no job of an import", path)
	}
	if err == nil {
		other := make([]byte, info.Size())
		_, _ = rand.Read(other)
		_, err = f.WriteAt(other, 0)
	}
	return errors.Join(err, f.Sync(), f.Close())
}
