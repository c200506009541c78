package queue

import (
	"errors"
	"fmt"
)

// Errors that callers branch on; they come wrapped, with the path and with
// what to do.
var (
	// ErrFull: max_size is reached. Acknowledgement makes room.
	ErrFull = errors.New("queue has reached its maximum size")
	// ErrNoSpace: the volume has no room above reserve_free.
	ErrNoSpace = errors.New("no space on the volume above the reserve")
	// ErrTooLarge: the record does not fit into a segment.
	ErrTooLarge = errors.New("record too large")
	// ErrBusy: the disk is so far behind that nothing more is taken for now.
	ErrBusy = errors.New("queue is waiting for its disk")
	// ErrUnsynced: the events are written and counted, but with SyncAlways their
	// sync failed. They become durable, or are counted as lost, without anybody's
	// doing: who sends them again unseen counts them twice. [Queue.Holds] tells
	// which it is. Every other error of adding events means that they are not
	// written.
	ErrUnsynced = errors.New("written, but not known to be durable")
	// ErrClosed: the log has been closed.
	ErrClosed = errors.New("queue is closed")
	// ErrLocked: another process, or this one, has the directory open.
	ErrLocked = errors.New("directory is in use")
	// ErrForeign: the directory holds something else.
	ErrForeign = errors.New("directory is not ours")
	// ErrNewer: a newer version of the software wrote the directory.
	ErrNewer = errors.New("directory was written by a newer version")
	// ErrCorrupt: a file without which nothing can be decided is damaged.
	ErrCorrupt = errors.New("directory is damaged")
	// ErrUnsafeFS: the file system cannot promise space ahead of time.
	ErrUnsafeFS = errors.New("file system does not reserve space")
	// ErrBeyond: the position has not been appended yet.
	ErrBeyond = errors.New("position is beyond the end of the log")
)

// HoleError says that the positions First to Last have no record and why.
type HoleError struct {
	First, Last uint64
	Reason      Reason
	// Time is when the hole was found or made, µs since 1970.
	Time int64
}

func (e *HoleError) Error() string {
	return fmt.Sprintf("positions %d to %d are lost: %s", e.First, e.Last, e.Reason)
}

// Reason says why a range of positions has no record. The numbers are those
// of shared.LossReason and part of the format.
type Reason uint8

// The reasons for a hole.
const (
	HoleDropOldest Reason = 1
	HoleCorruption Reason = 2
	HoleTrimmed    Reason = 4 // no longer kept: it had been trimmed
)

func (r Reason) String() string {
	switch r {
	case HoleDropOldest:
		return "dropped as the oldest to make room"
	case HoleCorruption:
		return "damaged or missing on disk"
	case HoleTrimmed:
		return "no longer kept"
	}
	return "unknown"
}
