package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
)

// keptSites is the file's content. It has no field for a secret.
type keptSites struct {
	Sites []shared.SiteConfig `json:"sites"`
}

// restore takes the sites of the last run, so that their options hold before
// the aggregator is reached. A file that can't be used is as good as none.
func (c *Client) restore() {
	b, err := readBounded(c.cfg.File)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var kept keptSites
	if err == nil {
		err = json.Unmarshal(b, &kept)
	}
	state := shared.EdgeState{Sites: kept.Sites}
	if err == nil {
		err = checkState(&state)
	}
	if err != nil {
		c.log.Warn("the sites of the last run can't be read; they are known once the aggregator is reached",
			zap.String("path", c.cfg.File), zap.Error(err))
		return
	}
	c.kept = b
	c.cfg.Holder.view.CompareAndSwap(nil, NewView(&state))
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxAnswer+1))
	if err == nil && len(b) > maxAnswer {
		err = fmt.Errorf("more than %d bytes", maxAnswer)
	}
	return b, err
}

// keep writes the sites if they changed. Salts and keys are not among what it
// is given.
func (c *Client) keep(sites []shared.SiteConfig) {
	if c.cfg.File == "" {
		return
	}
	b, err := json.Marshal(keptSites{sites})
	if err == nil && bytes.Equal(b, c.kept) {
		return
	}
	if err == nil {
		err = replaceFile(c.cfg.File, b)
	}
	if err != nil {
		// Said at every change and no more often: the next start lacks it.
		c.log.Warn("the sites can't be kept for the next start", zap.String("path", c.cfg.File), zap.Error(err))
		return
	}
	c.kept = b
}

// replaceFile puts new content in the place of a file: whole or not at all,
// also when the power goes.
func replaceFile(path string, content []byte) (err error) {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the rename durable. Windows syncs no directories.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}
