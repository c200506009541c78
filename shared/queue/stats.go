package queue

import (
	"github.com/eider-analytics/eider/shared"
)

// Stats is how a queue is doing, for metrics, health checks and people.
type Stats struct {
	Dir         string          `json:"dir"`
	Edge        shared.EdgeID   `json:"edge"`
	Epoch       shared.Epoch    `json:"epoch"`
	Boot        shared.Epoch    `json:"boot_nonce"`
	Next        uint64          `json:"next"`   // the next sequence
	Synced      uint64          `json:"synced"` // the first that is not durable
	Acked       uint64          `json:"acked"`  // the last that was acknowledged
	Oldest      uint64          `json:"oldest"` // the first that is kept
	Counters    shared.Counters `json:"counters"`
	Size        int64           `json:"size"`     // bytes of the directory
	MaxSize     int64           `json:"max_size"` // bytes
	ReserveFree int64           `json:"reserve_free"`
	VolumeFree  int64           `json:"volume_free"` // bytes; -1 unknown
	Segments    int             `json:"segments"`
	Holes       int             `json:"holes"`
	Waiting     int             `json:"waiting"` // batches that wait for the disk
	Degraded    string          `json:"degraded,omitempty"`
}

// Stats returns a snapshot; it asks the volume how much is free.
func (q *Queue) Stats() Stats {
	s := Stats{
		Dir: q.cfg.Dir, Edge: q.Edge(), Epoch: q.Epoch(), Boot: q.boot, Acked: q.Acked(), Counters: q.Counters(),
		MaxSize: q.l.cfg.MaxSize, ReserveFree: q.l.cfg.ReserveFree, VolumeFree: -1,
	}
	q.batches.mu.Lock()
	s.Waiting = len(q.batches.pending)
	q.batches.mu.Unlock()
	l := q.l
	l.mu.Lock()
	s.Next, s.Synced, s.Oldest = l.next, l.synced, l.oldest()
	s.Size, s.Segments, s.Holes = l.size(), len(l.segs), len(l.holes)
	if l.degraded != nil {
		s.Degraded = l.degraded.Error()
	}
	l.mu.Unlock()
	if free, _, err := volumeSpace(q.cfg.Dir); err == nil {
		s.VolumeFree = free
	}
	return s
}
