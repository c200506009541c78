package importer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/upstream"
)

// connection is the way to the aggregator.
type connection struct {
	base    *url.URL
	client  *http.Client
	token   string
	version string
	boot    shared.Epoch
	began   time.Time
	name    string // of the import whose edge is spoken for
}

func newConnection(s *settings) *connection {
	return &connection{
		base: s.base, token: s.Token, version: s.Version, boot: shared.NewEpoch(), began: time.Now(),
		client: upstream.Client(s.Transport),
	}
}

// refusal is an answer that is not 200.
type refusal struct {
	shared.ErrorDetail
	status     int
	retryAfter time.Duration
}

func (r *refusal) Error() string {
	if r.Message == "" {
		return fmt.Sprintf("the aggregator answers %d %s", r.status, http.StatusText(r.status))
	}
	return fmt.Sprintf("the aggregator answers %d: %s", r.status, shared.Cut(r.Message, shared.MaxTitle))
}

// later reports whether the same request may succeed in a while.
func later(err error) bool {
	var r *refusal
	if errors.As(err, &r) {
		return r.status == http.StatusTooManyRequests || r.status >= 500
	}
	return err != nil
}

// How long one request may take, and how long one that fails is repeated.
const (
	requestTime = time.Minute
	patience    = 2 * time.Minute
	maxAnswer   = 16 << 20
)

// post sends one request, again and again while the aggregator is away or busy.
func (c *connection) post(ctx context.Context, path, contentType string, body []byte, answer any) error {
	var failing time.Time
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		err := c.once(ctx, path, contentType, body, answer)
		if !later(err) || ctx.Err() != nil {
			return err
		}
		if failing.IsZero() {
			failing = time.Now()
		} else if time.Since(failing) > patience {
			return err
		}
		wait := pause
		var r *refusal
		if errors.As(err, &r) {
			wait = max(wait, min(r.retryAfter, patience/4))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (c *connection) once(ctx context.Context, path, contentType string, body []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	now := time.Now()
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "eider-import/"+c.version)
	req.Header.Set(shared.HeaderBoot, c.boot.String())
	req.Header.Set(shared.HeaderMonotonic, strconv.FormatInt(now.Sub(c.began).Microseconds(), 10))
	req.Header.Set(shared.HeaderSentAt, strconv.FormatInt(now.UnixMicro(), 10))
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask the aggregator: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the aggregator's answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		r := &refusal{status: res.StatusCode}
		var said shared.ErrorBody
		if json.Unmarshal(b, &said) == nil {
			r.ErrorDetail = said.Error
		}
		if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && n > 0 {
			r.retryAfter = time.Duration(min(n, 3600)) * time.Second
		}
		return r
	}
	if err := json.Unmarshal(b, answer); err != nil {
		return &refusal{status: http.StatusNotAcceptable, ErrorDetail: shared.ErrorDetail{Message: "the answer is not an aggregator's: " + err.Error()}}
	}
	return nil
}

// about asks how far logs have come, and about sites.
func (c *connection) about(ctx context.Context, ask shared.ImportRequest) (shared.ImportReply, error) {
	var reply shared.ImportReply
	body, err := json.Marshal(ask)
	if err != nil {
		return reply, err
	}
	return reply, c.post(ctx, shared.PathImport, "application/json", body, &reply)
}

// hello says for which edge this process speaks from now on.
func (c *connection) hello(ctx context.Context, m *shared.ImportMark) error {
	body, err := json.Marshal(shared.Hello{
		Edge: m.Edge, Epoch: m.Epoch, Boot: c.boot, NextSeq: max(m.Expected, 1), Name: c.name, Version: c.version,
		Sites: []shared.SiteHello{}, Kept: []shared.EpochSpan{},
	})
	if err != nil {
		return err
	}
	return c.post(ctx, shared.PathHello, "application/json", body, new(shared.HelloReply))
}

// Bounds of one POST: of the frames as they are, and of the work that they make.
const (
	postBytes  = 2 << 20
	postEvents = 64 << 10
)

// delivery sends the frames of one import, in order, and counts what became of
// their events.
type delivery struct {
	conn *connection
	mark shared.ImportMark

	through  uint64 // the last line that is acknowledged
	sent     uint64 // events
	rejected map[shared.Rejection]uint64
	refused  uint64 // events, of this import
	lost     uint64 // lines that the aggregator could not read
}

// run sends until there are no more frames. Whatever fails ends it: the next
// attempt goes on behind what was acknowledged.
func (d *delivery) run(ctx context.Context, frames <-chan *frame) error {
	var body []byte
	var held *frame
	for {
		f := held
		held = nil
		if f == nil {
			var ok bool
			if f, ok = <-frames; !ok {
				return nil
			}
		}
		body = f.seal(body[:0])
		last, events := f.header.LastSeq(), f.events
	more:
		for len(body) < postBytes && events < postEvents {
			select {
			case next, ok := <-frames:
				if !ok {
					break more
				}
				if events+next.events > postEvents {
					held = next
					break more
				}
				body = next.seal(body)
				last, events = next.header.LastSeq(), events+next.events
			default:
				break more
			}
		}
		if err := d.post(ctx, body, last); err != nil {
			return err
		}
		d.sent += uint64(events)
	}
}

// post sends frames up to a line until they are acknowledged.
func (d *delivery) post(ctx context.Context, body []byte, last uint64) error {
	for {
		var ack shared.Ack
		err := d.conn.post(ctx, shared.PathBatches, shared.ContentTypeBatches, body, &ack)
		var r *refusal
		if errors.As(err, &r) {
			switch r.Code {
			case shared.CodeEdgeUnknown: // it has been started anew
				if err := d.conn.hello(ctx, &d.mark); err != nil {
					return err
				}
				continue
			case shared.CodeEdgeInUse:
				return errors.New("another import of the same log has begun; this one ends")
			case shared.CodeGap:
				return fmt.Errorf("the aggregator lacks lines from %d on that it had: run the command again", r.Expected)
			}
		}
		if err != nil {
			return err
		}
		d.count(&ack)
		if ack.AckedThrough >= last {
			return nil
		}
	}
}

// count takes in an acknowledgement. A part that is sent again is answered with
// the same rejections.
func (d *delivery) count(ack *shared.Ack) {
	for _, r := range ack.Rejected {
		if r.Seq > d.through {
			d.rejected[r.Reason]++
			d.refused++
		}
	}
	for _, r := range ack.Undecodable {
		if r.Last > d.through {
			d.lost += r.Last - max(r.First, d.through+1) + 1
		}
	}
	d.through = max(d.through, ack.AckedThrough)
}
