package importer

import (
	"sync/atomic"

	"github.com/eider-analytics/eider/cmd/internal/progress"
)

// reading is how far a run has read its logs.
type reading struct {
	total int64 // bytes of all logs; 0 = not known

	what  atomic.Pointer[string]
	bytes atomic.Int64 // of logs that are done
	now   atomic.Pointer[source]
	lines atomic.Uint64
}

// turn is the turn of a log: what is done with it, and where it is read.
func (r *reading) turn(what string, src *source) {
	if before := r.now.Swap(src); before != nil {
		r.bytes.Add(before.read.Load())
	}
	r.what.Store(&what)
}

func (r *reading) state() progress.State {
	read := r.bytes.Load()
	if s := r.now.Load(); s != nil {
		read += s.read.Load()
	}
	state := progress.State{Share: progress.Share(uint64(read), uint64(r.total)), Count: r.lines.Load(), Of: "lines"}
	if what := r.what.Load(); what != nil {
		state.Doing = *what
	}
	return state
}
