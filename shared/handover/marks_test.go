package handover

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// refuseMarks makes every write to a server's marks fail, until undone.
func refuseMarks(t *testing.T, s *Server) (undo func()) {
	t.Helper()
	f, err := os.Open(s.file.f.Name()) // for reading only
	if err != nil {
		t.Fatal(err)
	}
	was := s.file.f
	s.file.f = f
	return func() {
		s.file.f = was
		_ = f.Close()
	}
}

// hookedLog is a real queue that lets a test step in around a write.
type hookedLog struct {
	Log
	called func(before func() error) error // nil = write
	wrote  func()
}

func (l *hookedLog) AddWhole(events []shared.Event, before func(uint64, [batch.SumSize]byte) error) error {
	if l.called == nil {
		err := l.Log.AddWhole(events, before)
		if l.wrote != nil {
			l.wrote()
		}
		return err
	}
	return l.Log.AddWhole(events, func(first uint64, sum [batch.SumSize]byte) error {
		return l.called(func() error { return before(first, sum) })
	})
}

// again is the server of the next process, after a kill.
func (s *side) again() {
	s.t.Helper()
	s.stored() // what an opened queue has is durable
	var err error
	if s.server, err = NewServer(Config{Log: s.queue, Marks: filepath.Join(s.dir, "marks")}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *side) once(keys ...string) {
	s.t.Helper()
	found := s.stored()
	for _, key := range keys {
		if found[key] != 1 {
			s.t.Errorf("event %s is in the queue %d times", key, found[key])
		}
	}
}

// TestMarksThatCannotBeWritten: whatever the file of marks lacks when the process
// is killed, each batch counts once.
func TestMarksThatCannotBeWritten(t *testing.T) {
	setUp := func(t *testing.T) (*side, *hookedLog) {
		s := &side{t: t, dir: t.TempDir()}
		s.start()
		t.Cleanup(s.stop)
		send(t, s.server, http.StatusOK, frame(t, 1, event(1)))
		log := &hookedLog{Log: s.queue}
		s.server.cfg.Log = log
		return s, log
	}
	second := frame(t, 2, event(2), event(3))
	others := []shared.Event{event(100), event(101)}

	t.Run("before a batch", func(t *testing.T) {
		s, _ := setUp(t)
		turn := s.server.file.turn
		undo := refuseMarks(t, s.server)
		next := s.queue.NextSeq()
		send(t, s.server, http.StatusServiceUnavailable, second)
		if s.queue.NextSeq() != next || s.queue.Counters().Captured != 1 {
			t.Errorf("a batch of which the marks know nothing was written: books %+v", s.queue.Counters())
		}
		if s.server.file.turn != turn {
			t.Error("the slot that is whole is the next to be written")
		}
		undo()
		send(t, s.server, http.StatusOK, second)
		s.again()
		send(t, s.server, http.StatusOK, second)
		s.once("1", "2", "3")
	})

	t.Run("after a batch", func(t *testing.T) {
		s, log := setUp(t)
		log.wrote = func() { refuseMarks(t, s.server) }
		send(t, s.server, http.StatusOK, second)
		s.again()
		send(t, s.server, http.StatusOK, second)
		s.once("1", "2", "3")
	})

	t.Run("after a batch that was not written", func(t *testing.T) {
		s, log := setUp(t)
		log.called = func(before func() error) error {
			if err := before(); err != nil {
				t.Error(err)
			}
			refuseMarks(t, s.server)
			return errors.New("the volume is full")
		}
		send(t, s.server, http.StatusServiceUnavailable, second)
		if err := s.queue.AddWait(t.Context(), others); err != nil { // has its sequence
			t.Fatal(err)
		}
		s.again()
		send(t, s.server, http.StatusOK, second)
		s.once("1", "2", "3", "100", "101")
	})

	t.Run("cut by the kill", func(t *testing.T) {
		s, _ := setUp(t)
		m := s.server.file
		if _, err := m.f.WriteAt([]byte("half of it"), int64((m.turn+1)%2)*slotSize); err != nil {
			t.Fatal(err)
		}
		s.again()
		send(t, s.server, http.StatusOK, frame(t, 1, event(1)))
		send(t, s.server, http.StatusOK, second)
		s.once("1", "2", "3")
	})
}

// TestManyOpenBatches: the file has room for as many as there are lives.
func TestManyOpenBatches(t *testing.T) {
	s := &side{t: t, dir: t.TempDir()}
	s.start()
	defer func() { s.stop() }()
	for n := range 2 * maxLives {
		l := s.server.life(shared.Epoch(n + 1))
		l.expected = uint64(n + 2)
		l.dropped[shared.DropCap] = uint64(n)
		l.open = intent{reaches: uint64(n + 10), first: uint64(n + 1), sum: [batch.SumSize]byte{byte(n), 31: byte(n)}}
	}
	if err := s.server.note(); err != nil {
		t.Fatal(err)
	}
	got := &Server{lives: map[shared.Epoch]*life{}}
	m, err := openMarks(s.server.file.f.Name(), got)
	if err != nil {
		t.Fatal(err)
	}
	defer m.f.Close()
	if len(got.lives) != maxLives || m.turn != s.server.file.turn {
		t.Fatalf("%d lives, turn %d", len(got.lives), m.turn)
	}
	for epoch, want := range s.server.lives {
		l := got.lives[epoch]
		if l == nil || l.expected != want.expected || l.dropped != want.dropped || l.open != want.open {
			t.Errorf("life %d: %+v, want %+v", epoch, l, want)
		}
	}
}
