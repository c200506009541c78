package caddymodule

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/handover"
	"github.com/eider-analytics/eider/shared/queue"
	"github.com/eider-analytics/eider/shared/ship"
)

// eventWAL is where events wait until they are shipped.
type eventWAL interface {
	ship.Source
	eventLog
	AddWait(ctx context.Context, events []shared.Event) error
	Capture(n uint64)
	Counters() shared.Counters
	Flush(ctx context.Context) error
	Close(ctx context.Context) error
}

// wal is the open log: the queue on this machine's disk, or the buffer before a
// collector that owns one.
type wal struct {
	eventWAL
	disk *queue.Queue // nil = a buffer
}

// openWAL opens what the configuration asks for.
func openWAL(app *App, l *zap.Logger) (*wal, error) {
	if _, handedOver := handover.Socket(app.Aggregator); handedOver {
		return &wal{eventWAL: handover.NewBuffer(0, time.Duration(app.Queue.SealAge))}, nil
	}
	q, err := queue.Open(app.Queue.settings(l.Named("queue")))
	if err != nil {
		return nil, err
	}
	return &wal{eventWAL: q, disk: q}, nil
}
