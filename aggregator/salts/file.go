package salts

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/eider-analytics/eider/shared/durable"
)

// format is the version of the file; a higher one is refused.
const format = 1

// magic begins the first line: magic, format, SHA-256 of the rest.
const magic = "eider-salts"

// content is what the file holds.
type content struct {
	// ID names the file, for ever: another one means other secrets. It is no
	// secret.
	ID      string            `json:"id"`
	Signing signing           `json:"signing"`
	Sites   map[string]series `json:"sites"` // by site id
}

// signing is the key of Umami's tokens.
type signing struct {
	Key   []byte `json:"key"`
	Until int64  `json:"until"` // µs since 1970, excluded
}

// errDamaged means that a file is none that was written whole.
var errDamaged = errors.New("damaged")

func encode(c *content) ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	defer clear(body)
	sum := sha256.Sum256(body)
	out := fmt.Appendf(make([]byte, 0, len(body)+100), "%s %d %x\n", magic, format, sum)
	return append(append(out, body...), '\n'), nil
}

func decode(b []byte) (*content, error) {
	line, body, ok := bytes.Cut(b, []byte("\n"))
	fields := strings.Fields(string(line[:min(len(line), 200)]))
	if !ok || len(fields) != 3 || fields[0] != magic {
		return nil, errDamaged
	}
	if version, err := strconv.Atoi(fields[1]); err == nil && version > format {
		return nil, fmt.Errorf("written by a newer version (format %d, this version knows %d): upgrade eider", version, format)
	}
	body = bytes.TrimSuffix(body, []byte("\n"))
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != fields[2] {
		return nil, errDamaged
	}
	c := &content{}
	if err := json.Unmarshal(body, c); err != nil || c.ID == "" {
		return nil, errDamaged
	}
	for _, s := range c.Sites {
		for i, x := range s {
			if len(x.Key) != 32 || x.Until <= x.From || i > 0 && x.From < s[i-1].Until {
				return nil, errDamaged
			}
		}
	}
	return c, nil
}

// load reads the file at path. A write that was interrupted is brought to its
// end: what lies beside it is newer, if it is whole, and the file itself may
// be overwritten already. found is false if there is nothing at all.
func load(path string) (c *content, found bool, err error) {
	tmp := path + ".tmp"
	newer, _, err := read(tmp)
	switch {
	case err == nil && newer != nil:
		return newer, true, finish(path)
	case err != nil && !errors.Is(err, errDamaged):
		return nil, false, err
	}
	if err := destroy(tmp); err != nil {
		return nil, false, err
	}
	return read(path)
}

func read(path string) (c *content, found bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read salts: %w", err)
	}
	defer clear(b)
	if c, err = decode(b); err != nil {
		err = fmt.Errorf("salts in %s: %w", path, err)
	}
	return c, true, err
}

// save replaces the file. The old content is overwritten before its name goes,
// so that a deleted salt is in no block of the disk that this process can still
// reach. A crash at any step leaves the old file, or the new one beside it.
func save(path string, c *content) error {
	b, err := encode(c)
	if err != nil {
		return fmt.Errorf("encode salts: %w", err)
	}
	defer clear(b)
	tmp := path + ".tmp"
	if err := destroy(tmp); err != nil {
		return err
	}
	if err := write(tmp, b); err != nil {
		return errors.Join(fmt.Errorf("write salts: %w", err), destroy(tmp))
	}
	return finish(path)
}

// finish puts the whole new file in the place of the old one.
func finish(path string) error {
	if err := zero(path); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("rename salts: %w", err)
	}
	return durable.SyncDir(filepath.Dir(path))
}

func write(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// destroy overwrites a file and removes it, if it is there.
func destroy(path string) error {
	if err := zero(path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove salts: %w", err)
	}
	return nil
}

// zero overwrites a file, if it is there, where it lies.
func zero(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("overwrite salts: %w", err)
	}
	info, err := f.Stat()
	if err == nil {
		_, err = io.CopyN(f, zeros{}, info.Size())
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("overwrite salts: %w", err)
	}
	return nil
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
