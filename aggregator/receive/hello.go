package receive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// Bounds of a hello.
const (
	maxHello      = 4 << 20
	maxHelloSites = 10_000
	maxHelloKept  = 20_000
)

// hello serves POST /v1/hello: it settles who speaks for the edge, registers
// the sites of its configuration, and says what of its queue is missing here.
func (r *Receiver) hello(w http.ResponseWriter, req *http.Request, allows Permission) error {
	receivedAt := time.Now()
	if err := requireType(req, "application/json"); err != nil {
		return err
	}
	from, err := parseSender(req.Header, receivedAt)
	if err != nil {
		return err
	}
	hello, err := readHello(w, req)
	if err != nil {
		return err
	}
	if hello.Boot != from.boot {
		return badRequest("boot_nonce and header %s differ", shared.HeaderBoot)
	}
	if hello.Edge == LocalEdge {
		return edgeInUse()
	}
	e, err := r.lockEdge(req.Context(), hello.Edge, &allows)
	if err != nil {
		return err
	}
	defer e.releaseLock()
	if !r.boots.hello(hello.Edge, hello.Epoch, hello.Boot) {
		r.log.Warn("two processes send as one edge, one is told to take a new id", zap.Stringer("edge", hello.Edge))
		return edgeInUse()
	}
	e.info.Name = shared.Cut(hello.Name, shared.MaxHostname)
	if allows.Edge != "" {
		e.info.Name, e.info.Owner = allows.Edge, allows.Edge
	}
	e.info.Version = shared.Cut(hello.Version, shared.MaxShort)
	e.info.LastSeen = receivedAt.UnixMicro()
	e.info.SkewMS = from.clock.skewMS
	e.info.Epoch = hello.Epoch
	e.publish(r.marks)
	failpoint.Hit("receive.hello")
	return respond(w, http.StatusOK, shared.HelloReply{
		Expected: r.missing(&hello),
		Sites:    r.register(hello.Sites, &allows),
	})
}

func readHello(w http.ResponseWriter, req *http.Request) (hello shared.Hello, err error) {
	rc := http.NewResponseController(w)
	body, err := readPieces(http.MaxBytesReader(w, req.Body, maxHello), nil, func(at time.Time) {
		_ = rc.SetReadDeadline(at)
	})
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return hello, tooLarge(large.Limit)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return hello, &httpError{status: http.StatusBadRequest, code: "body_incomplete", message: "the body ended early or came too slowly", cause: err}
	}
	_ = rc.SetReadDeadline(time.Time{})
	if err := json.Unmarshal(body, &hello); err != nil {
		return hello, badRequest("hello: %v", err)
	}
	switch {
	case hello.Edge.IsZero() || hello.Epoch == 0 || hello.Boot == 0:
		return hello, badRequest("hello needs edge, epoch and boot_nonce")
	case len(hello.Sites) > maxHelloSites || len(hello.Kept) > maxHelloKept:
		return hello, badRequest("at most %d sites and %d kept spans", maxHelloSites, maxHelloKept)
	}
	for _, span := range hello.Kept {
		if span.Epoch == 0 || span.First == 0 || span.Last < span.First {
			return hello, badRequest("kept span of epoch %s: %d to %d", span.Epoch, span.First, span.Last)
		}
	}
	return hello, nil
}

// missing says from where on each epoch that the edge keeps is wanted: all of
// an epoch that is not known here, be it new, or forgotten with the backup
// that this aggregator was restored from.
func (r *Receiver) missing(hello *shared.Hello) []shared.EpochMark {
	marks := make([]shared.EpochMark, 0, len(hello.Kept))
	for _, span := range hello.Kept {
		expected, ok := r.marks.expected(hello.Edge, span.Epoch)
		if !ok {
			expected = span.First
		}
		marks = append(marks, shared.EpochMark{Epoch: span.Epoch, Expected: expected})
	}
	return marks
}

func (r *Receiver) register(sites []shared.SiteHello, allows *Permission) []shared.SiteReply {
	replies := make([]shared.SiteReply, 0, len(sites))
	for _, s := range sites {
		reply := shared.SiteReply{Domain: shared.Cut(s.Domain, shared.MaxSite)}
		id, err := r.registerOne(s.Domain, allows)
		if err != nil {
			reply.Error = err.Error()
		}
		reply.SiteID = id
		replies = append(replies, reply)
	}
	return replies
}

func (r *Receiver) registerOne(domain string, allows *Permission) (string, error) {
	if known, ok := r.cfg.Registry.Resolve(domain); ok {
		if !allows.Allows(known.ID) {
			return "", errors.New("the edge token is not for this site")
		}
		if known.Archived {
			return "", fmt.Errorf("the site %s is archived: `eider site edit %s --archived=false` takes it up again", known.ID, known.ID)
		}
		return known.ID, nil
	}
	if allows.Sites != nil {
		return "", errors.New("the edge token is not for new sites")
	}
	site, err := r.cfg.Registry.Register(domain)
	if err != nil {
		return "", err
	}
	return site.ID, nil
}
