package ship

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// maxAnswer bounds what an answer can make us hold: every event of a window
// refused, and room.
const maxAnswer = 8 << 20

// processStart is what the monotonic reading in the request headers counts
// from.
var processStart = time.Now()

// requestBody is what a request carries, and how long it is.
type requestBody struct {
	io.Reader
	size int64
}

// framesBody sends the frames from where they lie. They are never written to,
// so a transport that still reads after it has answered does no harm.
func framesBody(frames []batch.Frame) requestBody {
	readers := make([]io.Reader, len(frames))
	for i := range frames {
		readers[i] = bytes.NewReader(frames[i].Bytes)
	}
	return requestBody{io.MultiReader(readers...), int64(sizeOf(frames))}
}

// post sends one request and decodes the answer to it. Everything that is not
// an answer of 200 is a *failure.
func (s *Shipper) post(ctx context.Context, path, contentType string, body requestBody, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, s.requestTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base.JoinPath(path).String(), body)
	if err != nil {
		return &failure{state: StateRefused, err: err}
	}
	req.ContentLength = body.size
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+s.cfg.Token)
	req.Header.Set("User-Agent", "eider-edge/"+s.cfg.Version)
	req.Header.Set(shared.HeaderBoot, s.src.Boot().String())
	now := time.Now()
	req.Header.Set(shared.HeaderMonotonic, strconv.FormatInt(now.Sub(processStart).Microseconds(), 10))
	req.Header.Set(shared.HeaderSentAt, strconv.FormatInt(now.UnixMicro(), 10))
	resp, err := s.client.Do(req)
	if err != nil {
		return s.unreachable(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return s.unreachable(err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusedBy(resp, b, time.Now())
	}
	if len(b) > maxAnswer {
		return &failure{state: StateRefused, err: fmt.Errorf("an answer of more than %d bytes", maxAnswer)}
	}
	if err := json.Unmarshal(b, answer); err != nil {
		return &failure{state: StateRefused, err: fmt.Errorf("the answer is not the aggregator's: %w", err)}
	}
	return nil
}

// unreachable is the failure of a request that got no whole answer.
func (s *Shipper) unreachable(err error) error {
	var timeout interface{ Timeout() bool }
	slow := errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout())
	return &failure{state: StateUnreachable, timeout: slow, err: err}
}

// refusedBy turns an answer that is not 200 into a failure.
func refusedBy(resp *http.Response, body []byte, now time.Time) error {
	f := &failure{state: StateRefused, status: resp.StatusCode, retryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), now)}
	var detail shared.ErrorBody
	if json.Unmarshal(body, &detail) == nil && detail.Error.Code != "" {
		f.code, f.expected, f.epoch = detail.Error.Code, detail.Error.Expected, detail.Error.Epoch
		f.err = fmt.Errorf("%s (%d %s)", shared.Cut(detail.Error.Message, shared.MaxTitle), resp.StatusCode, shared.Cut(f.code, shared.MaxShort))
	} else {
		f.err = fmt.Errorf("the answer was %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		f.state = StateUnauthorized
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusServiceUnavailable:
		f.state = StateBusy
	case resp.StatusCode >= 500:
		f.state = StateUnreachable
	}
	return f
}

// parseRetryAfter reads seconds or an HTTP date; 0 if there is neither.
func parseRetryAfter(v string, now time.Time) time.Duration {
	if v == "" {
		return 0
	}
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(maxBackoff/time.Second))) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxBackoff)
}
