package state

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// Day is a sealed day: the local day of a site under one zone whose events were
// sorted into segments of their own, with the files that were derived from them.
// Derived files can be made again at any time.
type Day struct {
	SiteID   string    `json:"site_id"`
	Date     string    `json:"date"` // yyyy-mm-dd
	Zone     string    `json:"zone"` // IANA name
	From     int64     `json:"from"` // µs since 1970
	To       int64     `json:"to"`   // µs since 1970, excluded
	SealedAt int64     `json:"sealed_at"`
	Rules    int       `json:"rules"`    // version of the definitions that derived the files
	Segments []string  `json:"segments"` // ids of its sealed segments that are still listed
	Rows     int64     `json:"rows"`     // of them when it was sealed
	Derived  []Derived `json:"derived"`
	// Late is how many rows came, or changed, since then that may change what
	// was derived: while it is not 0, the derived files are not to be used.
	Late int64 `json:"late"`
}

// Key names the day.
func (d *Day) Key() DayKey { return DayKey{d.SiteID, d.Date, d.Zone} }

// DayKey names a day: the events of a site and local date that came in under a
// zone.
type DayKey struct {
	SiteID string `json:"site_id"`
	Date   string `json:"date"`
	Zone   string `json:"zone"`
}

// Compare orders days by site, date and zone.
func (k DayKey) Compare(o DayKey) int {
	return cmp.Or(cmp.Compare(k.SiteID, o.SiteID), cmp.Compare(k.Date, o.Date), cmp.Compare(k.Zone, o.Zone))
}

// Derived is one file that was derived from a day's events.
type Derived struct {
	Kind  string `json:"kind"`
	Path  string `json:"path"` // relative to the lake's directory, with slashes
	Bytes int64  `json:"bytes"`
	Rows  int64  `json:"rows"`
}

// MaxDays is how many days a commit may put beside everything else that it has.
const MaxDays = 100

// FormatDays is the format of a store that has days. A version that does not
// know them must not add rows beside them: it would not say that they are late.
const FormatDays = 2

func dayKey(k DayKey) []byte { return join(prefixDay, k.SiteID, k.Date, k.Zone) }

// checkDays refuses days that contradict the manifest as it will be: their
// segments must be live.
func checkDays(txn *badger.Txn, c *Commit) error {
	live := func(id string) bool {
		return slices.ContainsFunc(c.Add, func(s Segment) bool { return s.ID == id }) || !slices.Contains(c.Remove, id) && listed(txn, id)
	}
	seen := map[DayKey]bool{}
	for i := range c.Days {
		d := &c.Days[i]
		k := d.Key()
		if k.SiteID == "" || k.Date == "" || k.Zone == "" || seen[k] {
			return fmt.Errorf("day %s of site %q is put twice or has no name", d.Date, d.SiteID)
		}
		seen[k] = true
		for _, id := range d.Segments {
			if !live(id) {
				return fmt.Errorf("day %s of site %q has segment %q, which is not listed", d.Date, d.SiteID, id)
			}
		}
	}
	for _, k := range c.DropDays {
		if _, err := txn.Get(dayKey(k)); err != nil || seen[k] {
			return fmt.Errorf("day %s of site %q is dropped but not there", k.Date, k.SiteID)
		}
		seen[k] = true
	}
	return nil
}

func putDays(txn *badger.Txn, c *Commit) error {
	for i := range c.Days {
		if err := putJSON(txn, dayKey(c.Days[i].Key()), &c.Days[i]); err != nil {
			return err
		}
	}
	for _, k := range c.DropDays {
		if err := txn.Delete(dayKey(k)); err != nil {
			return err
		}
	}
	return nil
}

// days reads every day, in the order of their keys.
func days(txn *badger.Txn) (list []Day, err error) {
	err = each(txn, prefixDay, func(_ []byte, d *Day) error {
		list = append(list, *d)
		return nil
	})
	slices.SortFunc(list, func(a, b Day) int { return a.Key().Compare(b.Key()) })
	return list, err
}
