package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"time"

	"github.com/eider-analytics/eider/cmd/internal/progress"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/accesslog"
)

// grace bounds each step of the way down; Caddy itself promises ten seconds.
const grace = 15 * time.Second

// Run replays a log and returns the account. When ctx ends it stops sending
// and closes the books of what was sent. Progress goes to w.
//
// An error says why there is no account, or an incomplete one; whether the
// books close is [Account.Err].
func Run(ctx context.Context, o Options, w io.Writer) (Account, error) {
	if err := o.check(); err != nil {
		return Account{}, err
	}
	total, err := count(o.Log, o.Limit)
	if err != nil {
		return Account{}, err
	}
	log, err := accesslog.Open(o.Log)
	if err != nil {
		return Account{}, err
	}
	defer func() { _ = log.Close() }()
	listen := o.OriginListen
	if o.Through == "" {
		listen = "127.0.0.1:0"
	}
	origin, err := startOrigin(listen)
	if err != nil {
		return Account{}, err
	}
	defer origin.close()
	p, err := findProxy(ctx, &o, origin.addr())
	if err != nil {
		return Account{}, err
	}
	account, err := p.replay(ctx, &o, log.Parser, total, w)
	return account, errors.Join(err, p.stop())
}

// findProxy is a Caddy of our own, or the running one.
func findProxy(ctx context.Context, o *Options, origin string) (*proxy, error) {
	if o.Through == "" {
		return startProxy(ctx, o, origin)
	}
	base, err := url.Parse(o.Through)
	if err != nil {
		return nil, fmt.Errorf("through: %w", err)
	}
	return &proxy{base: base, admin: o.Admin}, nil
}

// replay sends the log through the proxy and closes the books.
func (p *proxy) replay(ctx context.Context, o *Options, log *accesslog.Parser, total uint64, w io.Writer) (Account, error) {
	before, err := p.opened(ctx, o.Site)
	if err != nil {
		return Account{}, err
	}
	booksBefore, unknown := readBooks(ctx, o.Aggregator, o.Site)
	p.registered(ctx, o.Site)

	s := newSender(o, p.base)
	d := progress.Display{
		W: w, Terminal: o.Terminal, Stays: true, Began: time.Now(),
		State: func() progress.State { return s.state(total) },
	}
	stopShowing := d.Show(context.WithoutCancel(ctx))
	sent, sendErr := s.run(ctx, log, o.Limit)
	stopShowing()

	// The books are closed for what was sent, also after an interruption.
	ctx = context.WithoutCancel(ctx)
	waiting := time.AfterFunc(2*time.Second, func() {
		_, _ = fmt.Fprintf(w, "waiting until everything has arrived, for %s at most\n", o.Patience+p.patience(o))
	})
	defer waiting.Stop()
	edge, err := p.drained(ctx, o, before)
	if err != nil {
		return Account{}, errors.Join(sendErr, err)
	}
	account := newAccount(o.Site, sent, edge)
	account.Earlier = before.Results
	// A Caddy tells its sums of requests at whole minutes, and when it stops.
	if p.server != nil {
		sendErr = errors.Join(sendErr, p.server.Stop(grace))
	}
	if account.Unknown = unknown; unknown == nil {
		account.Books, account.Unknown = settled(ctx, o, p.patience(o), booksBefore, edge)
	}
	if account.Queued > 0 && p.dir != "" {
		account.QueueKept = o.Queue
		if o.Queue == "" {
			account.QueueKept = filepath.Join(p.dir, queueName)
			p.dir = "" // what is in it is not lost
		}
	}
	return account, sendErr
}

// opened reads the books before the first request. The module opens its queue
// beside serving; only then it knows what the queue counted in earlier lives.
func (p *proxy) opened(ctx context.Context, site string) (books edgeBooks, err error) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	err = poll(ctx, func() (bool, error) {
		now, err := readEdge(ctx, p.admin, site)
		if err == nil {
			books = now
		}
		return !now.Degraded, err
	})
	if errors.Is(err, context.DeadlineExceeded) && books.Results != nil {
		return books, nil // a queue that cannot be opened drops, and says so
	}
	return books, err
}

// greeting is how long the aggregator may take to make the site known.
const greeting = 3 * time.Second

// registered waits until identities are the aggregator's: visitors that were
// seen before would be somebody else afterwards. Without an aggregator they
// stay the edge's, which is no reason not to replay.
func (p *proxy) registered(ctx context.Context, site string) {
	ctx, cancel := context.WithTimeout(ctx, greeting)
	defer cancel()
	_ = poll(ctx, func() (bool, error) {
		now, err := readEdge(ctx, p.admin, site)
		return now.Registered, err
	})
}

// drained waits until the edge has shipped everything, or patience ends: the
// books say then how much is still queued.
func (p *proxy) drained(ctx context.Context, o *Options, before edgeBooks) (edgeBooks, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Patience)
	defer cancel()
	last := edgeBooks{Results: map[shared.Result]uint64{}}
	err := poll(ctx, func() (bool, error) {
		now, err := readEdge(ctx, p.admin, o.Site)
		if err != nil {
			return false, err
		}
		last = now.since(before)
		return last.Queued == 0 && last.Captured == last.recorded()+last.Completions, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return last, err
}

// patience is for the aggregator to answer with everything. A running Caddy may
// wait two minutes after its start before it tells its sums of requests.
func (p *proxy) patience(o *Options) time.Duration {
	if p.server == nil {
		return 2*time.Minute + o.Patience
	}
	return o.Patience
}

// settled waits until the aggregator answers with as many page views, events and
// requests as were counted, less what is known not to be there, or patience
// ends. It is an error if there was no answer at all.
func settled(ctx context.Context, o *Options, patience time.Duration, before Books, edge edgeBooks) (Books, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	want := int64(edge.Results[shared.ResultPageview])
	missing := int64(edge.Dropped + edge.Rejected + edge.Lost + edge.Queued)
	var books Books
	answered := false
	err := poll(ctx, func() (bool, error) {
		now, err := readBooks(ctx, o.Aggregator, o.Site)
		if err != nil {
			return false, err
		}
		books, answered = now.since(before), true
		return books.Recorded+missing >= want && books.Events+missing >= int64(edge.events()) && books.has(edge.Results), nil
	})
	if answered && errors.Is(err, context.DeadlineExceeded) {
		err = nil // the account compares
	}
	return books, err
}

// poll calls check until it says that it is done, fails, or ctx ends. The
// first failures are forgiven for a second: servers may be catching up.
func poll(ctx context.Context, check func() (bool, error)) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	forgiven := 10
	for {
		done, err := check()
		if err == nil && done {
			return nil
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if forgiven--; forgiven < 0 {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// count is the number of requests that a file has, for the progress bar. A
// stream can be read only once: its length is not known, which is 0.
func count(path string, limit int) (uint64, error) {
	if path == "-" {
		return uint64(limit), nil
	}
	log, err := accesslog.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = log.Close() }()
	var n uint64
	for limit == 0 || n < uint64(limit) {
		_, err := log.Next()
		var line *accesslog.LineError
		switch {
		case err == nil:
			n++
		case errors.As(err, &line):
		case errors.Is(err, io.EOF):
			return n, nil
		default:
			return 0, err
		}
	}
	return n, nil
}
