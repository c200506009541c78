package importer

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/conduct"
)

// importing is one log on its way.
type importing struct {
	r        *run
	log      *log
	judge    *judge
	frames   frames
	delivery delivery
	hosts    bool // a line named its host, or need not
	event    shared.Event
	events   uint64 // made of lines
}

func newImport(r *run, l *log) *importing {
	return &importing{
		r: r, log: l, hosts: r.sites.fixed != nil,
		judge: &judge{
			settings: r.settings, sites: r.sites, enricher: r.enricher, types: pathTypes{}, proofs: newProofs(), conduct: conduct.New(), now: time.Now().UnixMicro(),
		},
		frames:   frames{mark: l.mark, captured: l.mark.Accepted + l.mark.Rejected + l.mark.Lost},
		delivery: delivery{conn: r.conn, mark: l.mark, through: max(l.mark.Expected, 1) - 1, rejected: r.account.Rejected},
	}
}

// inFlight is how many frames may wait to be sealed and sent.
const inFlight = 16

// run reads the log and sends what is new of it.
func (i *importing) run(ctx context.Context, src *source) (tail bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan *frame, inFlight)
	sent := make(chan struct{})
	var sendErr error
	go func() {
		defer close(sent)
		if i.r.DryRun {
			for range queue {
				continue
			}
			return
		}
		if sendErr = i.delivery.run(ctx, queue); sendErr != nil {
			cancel(sendErr) // reading on would be for nothing
		}
	}()
	i.frames.emit = func(f *frame) error {
		select {
		case queue <- f:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	tail, err = scan(ctx, src, i.r.notation, src.packed || i.r.Finish, func(b *block) error { return i.block(ctx, b) })
	if ctx.Err() == nil {
		// Also what stands before the place where a damaged file ends.
		err = errors.Join(err, i.frames.flush())
	}
	close(queue)
	<-sent
	if sendErr != nil {
		err = sendErr
	}
	a := i.r.account
	a.Accepted += i.delivery.sent - min(i.delivery.sent, i.delivery.refused)
	a.Lost += i.delivery.lost / 2
	a.Sums += i.sums()
	return tail, err
}

// sums is how many of the events are sums of requests.
func (i *importing) sums() uint64 {
	before := i.log.mark.Accepted + i.log.mark.Rejected + i.log.mark.Lost
	return i.frames.captured - before - i.events
}

// block judges the lines of a block.
func (i *importing) block(ctx context.Context, b *block) error {
	for k := range b.lines {
		if err := i.line(ctx, b.first+uint64(k), &b.lines[k]); err != nil {
			return err
		}
	}
	i.r.reading.lines.Add(uint64(len(b.lines)))
	return nil
}

// errNoSite asks for what a log does not say.
var errNoSite = errors.New("its lines do not say which site they are of: name it with --site")

// line judges one line, counts it if it is new, and gives it to its frame.
func (i *importing) line(ctx context.Context, number uint64, l *line) error {
	a := i.r.account
	fresh := number >= lineAt(i.log.mark.Expected)
	if !fresh {
		a.Earlier++
		if l.ok {
			_, err := i.judge.line(ctx, &l.entry, i.log.mark.Edge, number, false, &i.event)
			return err
		}
		return nil
	}
	a.Lines++
	switch {
	case l.err != nil:
		a.malformed(i.log.path, number, l.err)
		return i.frames.add(number, nil)
	case !l.ok:
		a.Skipped++
		return i.frames.add(number, nil)
	}
	if !i.hosts {
		if l.entry.Host == "" {
			return errNoSite
		}
		i.hosts = true
	}
	v, err := i.judge.line(ctx, &l.entry, i.log.mark.Edge, number, true, &i.event)
	if err != nil {
		return err
	}
	if v.err != nil {
		a.malformed(i.log.path, number, v.err)
		return i.frames.add(number, nil)
	}
	a.request(v.result, l.entry.Start())
	i.frames.count(v.site, l.entry.Start().UnixMicro(), v.result)
	if !v.event {
		return i.frames.add(number, nil)
	}
	if v.proof != "" {
		a.Proofs++
	}
	a.Events++
	i.events++
	return i.frames.add(number, &i.event)
}

// identifyStream finds a log that can be read once: what its identity is made
// of is put back before it is imported.
func (r *run) identifyStream(ctx context.Context, src *source) (shared.ImportMark, error) {
	start := bufio.NewReaderSize(src.plain, maxPrintBytes)
	head, err := start.Peek(maxPrintBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return shared.ImportMark{}, err
	}
	src.plain = start
	return r.find(ctx, head, src.packed || r.Finish)
}
