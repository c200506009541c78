package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eider-analytics/eider/aggregator/importjob"
	"github.com/eider-analytics/eider/cmd/internal/progress"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/enrich"
)

// Run imports logs and returns the account of what it did, complete or not: an
// error says why it ended early. Progress goes to w. When ctx ends it stops
// where it is; the next run goes on there.
func Run(ctx context.Context, o Options, w io.Writer) (*Account, error) {
	s, err := o.read()
	if err != nil {
		return nil, err
	}
	r := &run{settings: s, conn: newConnection(s), account: newAccount(), began: time.Now()}
	if len(o.Logs) > 0 {
		if err := r.logs(ctx, w); err != nil {
			return r.account, err
		}
	}
	if o.Finish && !o.DryRun {
		return r.account, importjob.Remove(o.Job)
	}
	return r.account, nil
}

// run is one call of the command.
type run struct {
	*settings
	conn     *connection
	sites    *sites
	enricher *enrich.Enricher
	job      *importjob.Job
	account  *Account
	reading  reading
	began    time.Time
}

// log is one log of a run, and how far it has come.
type log struct {
	path string
	mark shared.ImportMark
}

func (r *run) logs(ctx context.Context, w io.Writer) error {
	defer func() { r.account.Took = time.Since(r.began) }()
	r.account.DryRun = r.DryRun
	paths, err := expand(r.Logs)
	if err != nil {
		return err
	}
	if r.sites, err = newSites(ctx, r.conn, r.Site); err != nil {
		return err
	}
	if err := r.open(); err != nil {
		return err
	}
	defer func() { _ = r.enricher.Close() }()
	stop := r.watch(ctx, paths, w)
	defer stop()
	logs, err := r.prepare(ctx, paths)
	if err != nil {
		return err
	}
	for i := range logs {
		if err := r.one(ctx, &logs[i]); err != nil {
			return fmt.Errorf("%s: %w", logs[i].path, err)
		}
		r.account.Logs++
	}
	return nil
}

// open opens the job and what enriches.
func (r *run) open() error {
	var err error
	if r.DryRun {
		r.job = new(importjob.Job) // nothing that is made with it leaves the process
	} else if r.job, err = importjob.Open(r.Job, time.Now()); err != nil {
		return err
	}
	r.enricher, err = enrich.New(enrich.Config{
		GeoIP: r.GeoIP, Crawlers: r.Crawlers, Sites: r.sites, Salts: &salts{job: r.job, sites: r.sites},
	})
	return err
}

// watch shows progress until the returned function is called.
func (r *run) watch(ctx context.Context, paths []string, w io.Writer) (stop func()) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			r.reading.total = 0
			break // standard input, or said when it is its turn
		}
		r.reading.total += info.Size()
	}
	if !r.Overlap {
		r.reading.total *= 2 // each is read once more before
	}
	d := progress.Display{W: w, Terminal: r.Terminal, Began: r.began, State: r.reading.state}
	return d.Show(ctx)
}

// prepare finds out how far each log has come and, before anything of any of
// them is sent, whether it may be imported.
func (r *run) prepare(ctx context.Context, paths []string) ([]log, error) {
	var logs []log
	taken := liveDays{}
	for _, path := range paths {
		l := log{path: path}
		if path != standardInput {
			mark, err := r.identify(ctx, path)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			l.mark = mark
		}
		if path != standardInput && !r.Overlap {
			if err := r.check(ctx, &l, taken); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
		logs = append(logs, l)
	}
	return logs, taken.refuse()
}

// identify finds a log again, or gives it a new identity. A log without any
// line has none.
func (r *run) identify(ctx context.Context, path string) (shared.ImportMark, error) {
	src, err := openSource(path)
	if err != nil {
		return shared.ImportMark{}, err
	}
	defer func() { _ = src.close() }()
	head, err := io.ReadAll(io.LimitReader(src.plain, maxPrintBytes))
	if err != nil && len(head) == 0 {
		return shared.ImportMark{}, fmt.Errorf("read access log: %w", err)
	}
	return r.find(ctx, head, src.packed || r.Finish)
}

// find returns the import that a log with this beginning is: the one that knew
// most of it, else a new one.
func (r *run) find(ctx context.Context, head []byte, whole bool) (shared.ImportMark, error) {
	list := prints(head, whole)
	if len(list) == 0 {
		return shared.ImportMark{}, nil
	}
	reply, err := r.conn.about(ctx, shared.ImportRequest{Prints: list})
	if err != nil {
		return shared.ImportMark{}, err
	}
	if len(reply.Imports) != len(list) {
		return shared.ImportMark{}, errors.New("the aggregator answers for other logs than it was asked about")
	}
	for _, m := range slices.Backward(reply.Imports) {
		if m.Expected > 0 {
			return m, nil
		}
	}
	return reply.Imports[len(list)-1], nil
}

// liveDays are days with live events that logs have lines of, by site.
type liveDays map[string]map[string]bool

// check reads what is new of a log for the days that it touches.
func (r *run) check(ctx context.Context, l *log, taken liveDays) error {
	src, err := openSource(l.path)
	if err != nil {
		return err
	}
	defer func() { _ = src.close() }()
	r.reading.turn("checking", src)
	_, err = scan(ctx, src, r.notation, src.packed || r.Finish, func(b *block) error {
		for i := range b.lines {
			if !b.lines[i].ok || b.first+uint64(i) < lineAt(l.mark.Expected) {
				continue
			}
			e := &b.lines[i].entry
			s, err := r.sites.of(ctx, e.Host)
			if err != nil {
				return err
			}
			if s == nil || len(s.live) == 0 {
				continue
			}
			if day := s.dayOf(e.Start().UnixMicro()); s.live[day] {
				if taken[s.Name] == nil {
					taken[s.Name] = map[string]bool{}
				}
				taken[s.Name][day] = true
			}
		}
		r.reading.lines.Add(uint64(len(b.lines)))
		return nil
	})
	var damaged *readError
	if errors.As(err, &damaged) {
		return nil // what can be read of it is imported, and then it is said
	}
	return err
}

// refuse is nil where no day is taken.
func (t liveDays) refuse() error {
	if len(t) == 0 {
		return nil
	}
	var says []string
	for _, name := range slices.Sorted(maps.Keys(t)) {
		days := slices.Sorted(maps.Keys(t[name]))
		text := strings.Join(days[:min(len(days), 5)], ", ")
		if more := len(days) - 5; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		says = append(says, fmt.Sprintf("%s on %s", name, text))
	}
	return fmt.Errorf("there are live events already of %s: nothing was imported, because these days could count twice. "+
		"Cut the log before them, or add --overlap if it holds other requests than those", strings.Join(says, "; "))
}

// one imports one log.
func (r *run) one(ctx context.Context, l *log) error {
	src, err := openSource(l.path)
	if err != nil {
		return err
	}
	defer func() { _ = src.close() }()
	if l.path == standardInput {
		if l.mark, err = r.identifyStream(ctx, src); err != nil {
			return err
		}
	}
	if l.mark.Edge.IsZero() {
		return nil // without a line
	}
	r.reading.turn("importing", src)
	if !r.DryRun {
		r.conn.name = "import: " + filepath.Base(l.path)
		if err := r.conn.hello(ctx, &l.mark); err != nil {
			return err
		}
		if err := r.job.Touch(time.Now()); err != nil {
			return err
		}
	}
	i := newImport(r, l)
	tail, err := i.run(ctx, src)
	if tail {
		r.account.Unfinished = append(r.account.Unfinished, l.path)
	}
	return err
}
