// Package durable makes files outlast a loss of power.
//
// It promises that a file which it replaced is the old one or the new one, whole,
// whenever the machine stops, and that the new one is there once it has returned.
// It refuses to know what is in it: secrets that must leave no trace where they
// lay are not for it (package salts).
package durable

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// Replace puts content into the place of a private file. written, if there is
// one, is called when the new file is durable and has not got its name yet: a
// crash test may end the process there.
func Replace(path string, content []byte, written func()) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if written != nil {
		written()
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in a directory durable. Windows syncs no directories.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
