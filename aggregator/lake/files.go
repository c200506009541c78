package lake

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared/durable"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// The lake's directory: events/ has the segments, hot/ the micro-segments,
// set-aside/ segments that nothing lists and that may be the only copy.
const (
	eventsDir = "events"
	hotDir    = "hot"
	asideDir  = "set-aside"
	tmpSuffix = ".tmp"
)

// safeSite is what a site id looks like; nothing else becomes part of a path.
var safeSite = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// newID returns a name that is used once: time, so that names sort, and chance.
func newID(now time.Time) string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	return fmt.Sprintf("%012x%s", now.UnixMilli(), hex.EncodeToString(b[:]))
}

// segmentPath is a segment's path relative to the lake, with slashes.
func segmentPath(site, date, id string) string {
	return eventsDir + "/site_id=" + site + "/date=" + date + "/" + id + ".parquet"
}

// writeFile creates path with what write writes. A durable file is there as a
// whole or not at all, also after power loss, once its parent is synced: that
// is the caller's, who writes several files to one directory.
func writeFile(path string, durable bool, write func(*os.File) error) (size int64, err error) {
	name := path
	if durable {
		name += tmpSuffix
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(name)
		}
	}()
	if err := write(f); err != nil {
		return 0, err
	}
	if durable {
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	if !durable {
		return info.Size(), nil
	}
	if err := os.Rename(name, path); err != nil {
		return 0, err
	}
	failpoint.Hit("lake.renamed")
	return info.Size(), nil
}

// makeDir creates dir and what is missing between it and root, and syncs the
// parent of each new directory.
func makeDir(root, dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) && dir != root {
		if err := makeDir(root, filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}

// reconcile makes the files of the directory those of the manifest: it removes
// what an interrupted commit or removal left, and refuses a manifest whose files
// are not there. What an interrupted commit left is in the spool too; where the
// spool has let go of positions that the manifest does not cover, the state is
// from an older backup, and unlisted segments are moved aside instead.
func reconcile(dir string, m state.Manifest, spoolOldest uint64) (removed, aside int, err error) {
	listed := make(map[string]*state.Segment, len(m.Segments))
	for i := range m.Segments {
		listed[filepath.Join(dir, filepath.FromSlash(m.Segments[i].Path))] = &m.Segments[i]
	}
	var unlisted []string
	err = filepath.WalkDir(filepath.Join(dir, eventsDir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		seg := listed[path]
		if seg == nil {
			if strings.HasSuffix(path, ".parquet") || strings.HasSuffix(path, tmpSuffix) {
				unlisted = append(unlisted, path)
			}
			return nil
		}
		delete(listed, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Size() != seg.Bytes {
			return fmt.Errorf("segment %s has %d bytes, the manifest says %d: restore it from a backup", path, info.Size(), seg.Bytes)
		}
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	for path := range listed {
		return 0, 0, fmt.Errorf("segment %s is listed but missing, one of %d: restore it from a backup", path, len(listed))
	}
	if m.Version == 0 && len(unlisted) > 0 {
		return 0, 0, fmt.Errorf("%s holds %d segments (%s) but the state beside it is new: restore the state from the same backup, or move the segments away",
			dir, len(unlisted), unlisted[0])
	}
	older := spoolOldest > m.SpoolThrough+1
	for _, path := range unlisted {
		if older && !strings.HasSuffix(path, tmpSuffix) {
			if err := setAside(dir, path); err != nil {
				return removed, aside, err
			}
			aside++
			continue
		}
		if err := os.Remove(path); err != nil {
			return removed, aside, err
		}
		removed++
	}
	return removed, aside, nil
}

// setAside moves a segment out of events/, to the same place below set-aside/.
func setAside(dir, path string) error {
	rel, err := filepath.Rel(filepath.Join(dir, eventsDir), path)
	if err != nil {
		return err
	}
	to := filepath.Join(dir, asideDir, rel)
	if err := makeDir(dir, filepath.Dir(to)); err != nil {
		return err
	}
	if err := os.Rename(path, to); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(to))
}
