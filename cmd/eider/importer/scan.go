package importer

import (
	"context"
	"runtime"
	"sync"

	"github.com/eider-analytics/eider/shared/accesslog"
)

// linesPool holds the slices of parsed lines, which are large.
var linesPool = sync.Pool{New: func() any { return new([]line) }}

// scan reads a log, parses its lines in parallel, and gives them to consume in
// order. tail reports that the last line has no end yet and was left.
//
// Between reading and consuming lie a few blocks for each CPU, whatever the
// size of the log.
func scan(ctx context.Context, src *source, as accesslog.Notation, whole bool, consume func(*block) error) (tail bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := runtime.GOMAXPROCS(0)
	work := make(chan *block, workers)
	ordered := make(chan *block, 2*workers)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for b := range work {
				b.parse(*linesPool.Get().(*[]line))
				close(b.done)
			}
		})
	}
	var cutErr error
	running.Go(func() {
		defer close(ordered)
		defer close(work)
		c := cutter{as: &as, next: 1, emit: func(b *block) bool {
			b.done = make(chan struct{})
			select {
			case ordered <- b:
			case <-ctx.Done():
				return false
			}
			select {
			case work <- b:
				return true
			case <-ctx.Done():
				close(b.done) // nobody will parse it
				return false
			}
		}}
		tail, cutErr = c.cut(src.plain, whole)
	})
	for b := range ordered {
		<-b.done
		if err == nil && ctx.Err() == nil {
			if err = consume(b); err != nil {
				cancel()
			}
		}
		clear(b.lines) // let go of the texts
		linesPool.Put(&b.lines)
	}
	running.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = cutErr
	}
	return tail, err
}
