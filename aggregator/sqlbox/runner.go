package sqlbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// Limits of what may be asked.
const (
	DefaultRows = 10_000
	MaxRows     = 1_000_000
	MaxText     = 64 << 10 // bytes: a deeper tree takes minutes to walk
	MaxArgs     = 100      //
	MaxArgText  = 64 << 10 // bytes of one
	maxVerdict  = 64 << 10 // bytes of what a child says of itself
	lastWords   = 512      // bytes of its standard error that are kept
	grace       = time.Second * 3
)

// Defaults of [Config].
const (
	DefaultMemory   = 256 << 20
	DefaultTime     = 30 * time.Second
	DefaultMaxBytes = 512 << 20
	DefaultAtOnce   = 2
	DefaultWaiting  = 16
)

// Config says what a Runner is made of. Only Engine, Snapshot and Temp must be
// given.
type Config struct {
	Engine   *stats.Engine
	Snapshot func() (files []lake.File, release func()) // the files stay until release
	Temp     string                                     // directory of answers, which no name remains of
	Command  []string                                   // that becomes a child; nil = this program with [ChildCommand]
	Memory   int64                                      // bytes of one child's DuckDB
	Threads  int                                        // of one child
	Time     time.Duration
	MaxBytes int64 // of an answer
	AtOnce   int   // children
	Waiting  int   // further statements that wait for their turn
}

// Request is one statement.
type Request struct {
	Site   state.Site
	SQL    string
	Args   []any // string, int64, float64, bool or nil
	Limit  int   // rows; 0 = DefaultRows
	Format Format
	// unchecked is for tests: see job.
	unchecked bool
}

// Answer is what came of it. Close ends it.
type Answer struct {
	*os.File        // at its beginning; it has no name any more
	Size     int64  // bytes
	Rows     int64  //
	Format   Format //
	// Truncated says that there are more rows than the limit.
	Truncated bool
}

// Runner runs statements in processes of their own. It is safe for concurrent use.
type Runner struct {
	cfg     Config
	running chan struct{}
	waiting chan struct{}
}

// New makes a Runner.
func New(cfg Config) *Runner {
	def := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&cfg.Memory, DefaultMemory)
	def(&cfg.MaxBytes, DefaultMaxBytes)
	def((*int64)(&cfg.Time), int64(DefaultTime))
	if cfg.Threads <= 0 {
		cfg.Threads = 2
	}
	if cfg.AtOnce <= 0 {
		cfg.AtOnce = DefaultAtOnce
	}
	if cfg.Waiting <= 0 {
		cfg.Waiting = DefaultWaiting
	}
	return &Runner{cfg, make(chan struct{}, cfg.AtOnce), make(chan struct{}, cfg.AtOnce+cfg.Waiting)}
}

// ErrBusy means that too many statements wait already.
var ErrBusy = errors.New("too many statements wait for their turn: ask again in a moment")

// Run runs one statement. What is wrong with it is a [RefusedError]. The child is
// killed when ctx ends.
func (r *Runner) Run(ctx context.Context, q Request) (*Answer, error) {
	if err := q.valid(); err != nil {
		return nil, err
	}
	select {
	case r.waiting <- struct{}{}:
		defer func() { <-r.waiting }()
	default:
		return nil, ErrBusy
	}
	select {
	case r.running <- struct{}{}:
		defer func() { <-r.running }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	files, release := r.cfg.Snapshot()
	defer release()
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Time)
	defer cancel()
	j, err := r.job(ctx, &q, files)
	if err != nil {
		return nil, err
	}
	return r.spawn(ctx, j)
}

// valid refuses what needs no child to be refused.
func (q *Request) valid() error {
	switch {
	case len(q.SQL) > MaxText:
		return refuse("too_long", -1, "the statement has %d bytes: at most %d are read", len(q.SQL), MaxText)
	case strings.TrimSpace(q.SQL) == "":
		return refuse("empty", -1, "there is no statement: write one SELECT")
	case !utf8.ValidString(q.SQL) || strings.ContainsRune(q.SQL, 0):
		return refuse("syntax", -1, "the statement must be UTF-8 without zero bytes")
	case q.Limit < 0 || q.Limit > MaxRows:
		return refuse("invalid_parameter", -1, "limit must be from 1 to %d rows", MaxRows)
	case len(q.Args) > MaxArgs:
		return refuse("invalid_parameter", -1, "parameters: at most %d values are taken", MaxArgs)
	case q.Format.ContentType() == "":
		return refuse("invalid_parameter", -1, "format must be one of json, csv, arrow, parquet")
	}
	for _, a := range q.Args {
		switch a := a.(type) {
		case nil, int64, float64, bool:
		case string:
			if len(a) > MaxArgText || !utf8.ValidString(a) {
				return refuse("invalid_parameter", -1, "parameters: a text has at most %d bytes of UTF-8", MaxArgText)
			}
		default:
			return refuse("invalid_parameter", -1, "parameters: each is a text, a number, true, false or null")
		}
	}
	if q.Limit == 0 {
		q.Limit = DefaultRows
	}
	return nil
}

// job gathers what the child needs: the files of this site and of no other.
func (r *Runner) job(ctx context.Context, q *Request, files []lake.File) (*job, error) {
	zone, err := time.LoadLocation(q.Site.Zone)
	if err != nil {
		return nil, fmt.Errorf("zone of site %s: %w", q.Site.ID, err)
	}
	from, to := int64(0), int64(0)
	for i := range files {
		if f := &files[i]; f.SiteID == q.Site.ID {
			if to == 0 || f.MinTime < from {
				from = f.MinTime
			}
			to = max(to, f.MaxTime+1)
		}
	}
	relations, err := r.cfg.Engine.Relations(ctx, files, q.Site.ID, zone, from, max(to, from+1))
	if err != nil {
		return nil, err
	}
	return &job{
		Relations: relations, Site: q.Site, SQL: q.SQL, Args: q.Args, Limit: q.Limit, Format: q.Format,
		Memory: r.cfg.Memory, Threads: r.cfg.Threads, Time: r.cfg.Time, MaxBytes: r.cfg.MaxBytes, Unchecked: q.unchecked,
	}, nil
}

// spawn runs the job in a child, and waits for its end.
func (r *Runner) spawn(ctx context.Context, j *job) (_ *Answer, err error) {
	input, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("sql: job: %w", err)
	}
	out, err := r.file()
	if err != nil {
		return nil, fmt.Errorf("sql: file of the answer: %w", err)
	}
	defer func() {
		if err != nil {
			_ = out.Close()
		}
	}()
	said, ended, err := r.child(ctx, input, out)
	if err != nil {
		return nil, err
	}
	v, ok := readVerdict(said)
	switch {
	case !ok && ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, tooSlow(j.Time.String())
	case ctx.Err() != nil && !ok:
		return nil, ctx.Err()
	case !ok:
		return nil, died(ended)
	case v.Code == "internal":
		return nil, fmt.Errorf("sql: %s", v.Message)
	case v.Code != "":
		return nil, &RefusedError{Code: v.Code, Message: v.Message, at: -1}
	}
	size, err := out.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = out.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, fmt.Errorf("sql: answer: %w", err)
	}
	return &Answer{File: out, Size: size, Rows: v.Rows, Truncated: v.Truncated, Format: j.Format}, nil
}

// file is one without a name: nothing of it is left, whatever happens.
func (r *Runner) file() (*os.File, error) {
	if err := os.MkdirAll(r.cfg.Temp, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(r.cfg.Temp, "sql-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ending is how a child ended.
type ending struct {
	state *os.ProcessState
	words string // the beginning of its last ones
}

// child starts one and waits for it.
func (r *Runner) child(ctx context.Context, input []byte, out *os.File) (said []byte, ended ending, err error) {
	command := r.cfg.Command
	if command == nil {
		self, err := os.Executable()
		if err != nil {
			return nil, ended, fmt.Errorf("sql: this program: %w", err)
		}
		command = []string{self, ChildCommand}
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, ended, fmt.Errorf("sql: %w", err)
	}
	defer reader.Close()
	// A little later than its own clock, which gives the better error.
	wait, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			time.AfterFunc(grace, cancel)
		} else {
			cancel()
		}
	})
	defer stop()
	words := &head{most: lastWords}
	cmd := exec.CommandContext(wait, command[0], command[1:]...)
	cmd.Env, cmd.Dir = []string{}, "/" // nothing to find there
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), out, words
	cmd.ExtraFiles = []*os.File{writer} // verdictFD
	cmd.WaitDelay = grace
	tame(cmd)
	if err := cmd.Start(); err != nil {
		return nil, ended, errors.Join(fmt.Errorf("sql: start child: %w", err), writer.Close())
	}
	_ = writer.Close() // the child's is the last one, so reading ends with it
	said, readErr := io.ReadAll(io.LimitReader(reader, maxVerdict))
	_ = cmd.Wait() // how it ended is in the state
	return said, ending{cmd.ProcessState, words.String()}, readErr
}

func readVerdict(said []byte) (v verdict, ok bool) {
	return v, len(said) > 0 && json.Unmarshal(said, &v) == nil
}

// died says what is known of a child that said nothing: mostly that an
// allocation failed where nobody is asked, or that a tree was too deep for the
// stack.
func died(e ending) error {
	how := "unknown"
	if e.state != nil {
		how = e.state.String()
	}
	if strings.Contains(e.words, "out of memory") || strings.Contains(e.words, "bad_alloc") || strings.Contains(e.words, "cannot allocate") {
		return tooMuchMemory()
	}
	if strings.Contains(how, "signal:") {
		return &RefusedError{Code: "too_much", Message: "the statement was too much for the process that ran it (" + how + "): ask for less at once", at: -1}
	}
	return fmt.Errorf("sql: the child ended with %s", how)
}

// head keeps the beginning of what is written.
type head struct {
	most int
	buf  bytes.Buffer
}

func (h *head) Write(p []byte) (int, error) {
	if room := h.most - h.buf.Len(); room > 0 {
		h.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (h *head) String() string { return h.buf.String() }
