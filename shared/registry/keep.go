package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/durable"
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
		err = durable.Replace(c.cfg.File, b, nil)
	}
	if err != nil {
		// Said at every change and no more often: the next start lacks it.
		c.log.Warn("the sites can't be kept for the next start", zap.String("path", c.cfg.File), zap.Error(err))
		return
	}
	c.kept = b
}
