package queue

import (
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared/failpoint"
)

// LogConfig configures a Log. Sizes are bytes; 0 is the default.
type LogConfig struct {
	Dir string
	// Kind names what the log is for; a directory opens only as the kind that
	// it was created as. Default "log".
	Kind string
	// MaxSize bounds what the directory takes; 0 = no bound.
	MaxSize int64
	// ReserveFree is how much of the volume stays free for others.
	ReserveFree int64
	// SegmentSize is how much one segment takes; default 16 MiB. It may change
	// from one opening to the next. A record is at most 64 KiB shorter.
	SegmentSize int64
	// Grace and GraceSize keep trimmed segments for that long, and up to that
	// many bytes of them; they are the first to go when space is short.
	Grace     time.Duration
	GraceSize int64
	// UnsafeFS accepts file systems that can't set space aside: there, a full
	// disk can end the process.
	UnsafeFS bool
	Logger   *zap.Logger

	fsync func(*os.File) error // of records; tests let it fail
}

// Sizes of segments.
const (
	defaultSegment = 16 << 20
	minSegment     = 512 << 10
	maxSegment     = 256 << 20
)

func (c *LogConfig) setDefaults() error {
	if c.Dir == "" {
		return fmt.Errorf("no directory is configured for the log")
	}
	if c.Kind == "" {
		c.Kind = "log"
	}
	if c.SegmentSize == 0 {
		c.SegmentSize = failpoint.Setting("queue.segment_size", defaultSegment)
	}
	if c.SegmentSize < minSegment || c.SegmentSize > maxSegment {
		return fmt.Errorf("segment size of %d bytes: it must be between %d and %d", c.SegmentSize, minSegment, maxSegment)
	}
	if least := 2 * footprint(c.SegmentSize); c.MaxSize != 0 && c.MaxSize < least {
		return fmt.Errorf("maximum size of %d bytes: with segments of %d it must be at least %d", c.MaxSize, c.SegmentSize, least)
	}
	if c.Logger == nil {
		c.Logger = discardLogger
	}
	if c.fsync == nil {
		c.fsync = (*os.File).Sync
	}
	return nil
}
