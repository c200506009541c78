package lake

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/state"
)

// reconcileDerived removes the files of interrupted seals and those that no day
// lists, and drops days that have lost one: their events are all there, and they
// are sealed again.
func reconcileDerived(cfg *Config, m *state.Manifest) (removed int, err error) {
	if err := os.RemoveAll(filepath.Join(cfg.Dir, sealingDir)); err != nil {
		return 0, err
	}
	lost := func(d *state.Day) bool {
		return slices.ContainsFunc(d.Derived, func(f state.Derived) bool {
			info, err := os.Stat(filepath.Join(cfg.Dir, filepath.FromSlash(f.Path)))
			return err != nil || info.Size() != f.Bytes
		})
	}
	listed := map[string]bool{}
	var dropped []state.DayKey
	for i := range m.Days {
		d := &m.Days[i]
		if lost(d) {
			dropped = append(dropped, d.Key())
			cfg.Logger.Warn("files derived from a sealed day are missing or damaged: it is sealed again",
				zap.String("site", d.SiteID), zap.String("date", d.Date))
			continue
		}
		for _, f := range d.Derived {
			listed[filepath.Join(cfg.Dir, filepath.FromSlash(f.Path))] = true
		}
	}
	for part := range slices.Chunk(dropped, 5*state.MaxDays) {
		if err := cfg.State.Commit(state.Commit{DropDays: part}); err != nil {
			return 0, err
		}
	}
	m.Days = slices.DeleteFunc(m.Days, func(d state.Day) bool { return slices.Contains(dropped, d.Key()) })
	for _, dir := range derivedDirs {
		n, err := removeUnlisted(filepath.Join(cfg.Dir, dir), listed)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// removeUnlisted removes the Parquet files below dir that are not listed. There
// need not be any.
func removeUnlisted(dir string, listed map[string]bool) (removed int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || listed[path] || !strings.HasSuffix(path, ".parquet") {
			return err
		}
		removed++
		return os.Remove(path)
	})
	if os.IsNotExist(err) {
		err = nil
	}
	return removed, err
}
