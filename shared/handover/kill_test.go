package handover

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
	"github.com/eider-analytics/eider/shared/queue"
)

// killedLog is a real queue under a server that ends at one of the moments
// around the writing of a batch: what the file of marks holds then is what the
// next process finds.
type killedLog struct {
	*queue.Queue
	marks    string
	write    bool // killed after the batch was written, else right before
	survived []byte
}

var errKilled = errors.New("killed")

func (l *killedLog) AddWhole(events []shared.Event, before func(uint64, [batch.SumSize]byte) error) error {
	read := func() {
		var err error
		if l.survived, err = os.ReadFile(l.marks); err != nil {
			l.survived = nil
		}
	}
	if !l.write {
		err := before(l.NextSeq(), [batch.SumSize]byte{1})
		read()
		return errors.Join(err, errKilled)
	}
	err := l.Queue.AddWhole(events, before)
	read()
	return err
}

// TestKilledAroundTheWriteOfABatch: a batch that is sent again after a kill is
// taken if it was not written, and not if it was.
func TestKilledAroundTheWriteOfABatch(t *testing.T) {
	for name, write := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			s := &side{t: t, dir: t.TempDir()}
			s.start()
			marks := filepath.Join(s.dir, "marks")
			first := frame(t, 1, event(1), event(2))
			send(t, s.server, http.StatusOK, first)
			if err := s.server.Close(); err != nil {
				t.Fatal(err)
			}

			log := &killedLog{Queue: s.queue, marks: marks, write: write}
			dying, err := NewServer(Config{Log: log, Marks: marks})
			if err != nil {
				t.Fatal(err)
			}
			second := frame(t, 3, event(3), event(4), event(5))
			status := http.StatusOK
			if !write {
				status = http.StatusServiceUnavailable
			}
			send(t, dying, status, second)
			if err := dying.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(marks, log.survived, 0o600); err != nil {
				t.Fatal(err)
			}
			s.stored() // waits until all of it is durable, as what an opened queue has is

			next, err := NewServer(Config{Log: s.queue, Marks: marks})
			if err != nil {
				t.Fatal(err)
			}
			// Others write before the proxy comes back, and the collector is
			// started once more.
			if err := s.queue.AddWait(t.Context(), []shared.Event{event(100)}); err != nil {
				t.Fatal(err)
			}
			if err := next.Close(); err != nil {
				t.Fatal(err)
			}
			if next, err = NewServer(Config{Log: s.queue, Marks: marks}); err != nil {
				t.Fatal(err)
			}
			s.server = next
			send(t, next, http.StatusOK, second)
			found := s.stored()
			for _, key := range []string{"1", "2", "3", "4", "5", "100"} {
				if found[key] != 1 {
					t.Errorf("event %s is in the queue %d times", key, found[key])
				}
			}
			s.stop()
		})
	}
}

// TestAFailedWriteIsNotTakenForAWrittenOne: the sequence that a batch would
// have had is another's.
func TestAFailedWriteIsNotTakenForAWrittenOne(t *testing.T) {
	s := &side{t: t, dir: t.TempDir()}
	s.start()
	marks := filepath.Join(s.dir, "marks")
	if err := s.server.Close(); err != nil {
		t.Fatal(err)
	}
	failing, err := NewServer(Config{Log: &killedLog{Queue: s.queue, marks: marks}, Marks: marks})
	if err != nil {
		t.Fatal(err)
	}
	b := frame(t, 1, event(1))
	send(t, failing, http.StatusServiceUnavailable, b)
	if err := s.queue.AddWait(t.Context(), []shared.Event{event(100)}); err != nil {
		t.Fatal(err)
	}
	if err := failing.Close(); err != nil {
		t.Fatal(err)
	}
	if s.server, err = NewServer(Config{Log: s.queue, Marks: marks}); err != nil {
		t.Fatal(err)
	}
	send(t, s.server, http.StatusOK, b)
	if found := s.stored(); found["1"] != 1 {
		t.Errorf("the batch is in the queue %d times", found["1"])
	}
	s.stop()
}

// frame is a batch of one life of a proxy.
func frame(t *testing.T, first uint64, events ...shared.Event) []byte {
	t.Helper()
	return frameOf(7, first, events...)
}

func frameOf(epoch shared.Epoch, first uint64, events ...shared.Event) []byte {
	var raw []byte
	for i := range events {
		raw = shared.AppendEvent(raw, &events[i], events[0].Time)
	}
	h := shared.Header{Edge: shared.EdgeID{7}, Epoch: epoch, EpochFirst: 1, FirstSeq: first, Count: uint64(len(events)), BaseTime: events[0].Time}
	return batch.Seal(nil, &h, raw)
}

func send(t *testing.T, s *Server, status int, body []byte) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, shared.PathBatches, bytes.NewReader(body)))
	if w.Code != status {
		t.Fatalf("answered %d: %s", w.Code, w.Body)
	}
}
