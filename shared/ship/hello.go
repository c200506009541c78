package ship

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
)

// hello announces the edge and its sites, and goes back in the queue to where
// the aggregator says that it lacks something.
func (s *Shipper) hello(ctx context.Context) error {
	kept := s.src.Kept()
	body, err := json.Marshal(shared.Hello{
		Edge: s.src.Edge(), Epoch: s.src.Epoch(), Boot: s.src.Boot(), NextSeq: s.src.NextSeq(),
		Name: s.cfg.Name, Version: s.cfg.Version, Sites: s.cfg.Sites(), Kept: kept,
	})
	if err != nil {
		return fmt.Errorf("encode hello: %w", err)
	}
	var reply shared.HelloReply
	err = s.post(ctx, shared.PathHello, "application/json", requestBody{bytes.NewReader(body), int64(len(body))}, &reply)
	var f *failure
	if errors.As(err, &f) && f.code == shared.CodeEdgeInUse {
		return s.newIdentity(f)
	}
	if err != nil {
		return err
	}
	for _, site := range reply.Sites {
		if site.Error != "" {
			s.log.Warn("aggregator refuses a site", zap.String("site", site.Domain), zap.String("reason", site.Error))
		}
	}
	if at, back := goBack(kept, reply.Expected, s.src.Acked()); back {
		s.log.Info("aggregator lacks events that it had acknowledged, they are sent again", zap.Uint64("from", at))
		s.ahead.seek(ctx, at)
	}
	s.connected(0, nil)
	if s.cfg.Greeted != nil {
		s.cfg.Greeted()
	}
	return nil
}

// goBack returns where to send again from: the earliest sequence that the
// queue still keeps, has been told is safe, and the aggregator lacks.
func goBack(kept []shared.EpochSpan, expected []shared.EpochMark, acked uint64) (at uint64, back bool) {
	for _, span := range kept {
		for _, mark := range expected {
			if mark.Epoch != span.Epoch || mark.Expected == 0 || mark.Expected > span.Last || mark.Expected > acked {
				continue
			}
			if !back || mark.Expected < at {
				at, back = mark.Expected, true
			}
		}
	}
	return at, back
}
