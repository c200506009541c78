package accesslog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
)

// MaxLine bounds one line: it stops a file without line ends from filling the
// memory. A Caddy line carries all headers of a request and its answer.
const MaxLine = 1 << 20

// Parser reads one request at a time. It is not safe for concurrent use.
type Parser struct {
	source  io.Reader
	lines   *bufio.Reader
	buf     []byte
	line    int
	skipped int
}

// NewParser reads a log, gzipped or not, from r. Nothing is read before the
// first call of Next.
func NewParser(r io.Reader) *Parser { return &Parser{source: r} }

// Next returns the next request. A *[LineError] tells of one line that cannot
// be read: the next call goes on behind it. io.EOF ends the log; any other
// error is the reader's own and final.
//
// Blank lines, comments and what else Caddy writes into its log are passed
// over; see [Parser.Skipped].
func (p *Parser) Next() (Entry, error) {
	if p.lines == nil {
		if err := p.start(); err != nil {
			return Entry{}, err
		}
	}
	for {
		line, err := p.readLine()
		if err != nil {
			return Entry{}, err
		}
		e, ok, err := ParseLine(line)
		if err != nil {
			return Entry{}, &LineError{Line: p.line, Err: err}
		}
		if !ok {
			p.skipped++
			continue
		}
		e.Line = p.line
		return e, nil
	}
}

// Skipped is the number of lines so far that were no requests by intention.
func (p *Parser) Skipped() int { return p.skipped }

// Lines is the number of lines read so far.
func (p *Parser) Lines() int { return p.line }

// start looks at the first bytes for gzip's magic.
func (p *Parser) start() error {
	raw := bufio.NewReaderSize(p.source, 64<<10)
	magic, err := raw.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read access log: %w", err)
	}
	p.lines = raw
	if bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		zr, err := gzip.NewReader(raw)
		if err != nil {
			p.lines = nil
			return fmt.Errorf("decompress access log: %w", err)
		}
		p.lines = bufio.NewReaderSize(zr, 64<<10)
	}
	return nil
}

// readLine returns the next line without its end, in memory that the next call
// uses again. Of a line beyond MaxLine the rest is read and thrown away.
func (p *Parser) readLine() ([]byte, error) {
	p.buf = p.buf[:0]
	tooLong := false
	for {
		chunk, err := p.lines.ReadSlice('\n')
		if len(p.buf)+len(chunk) > MaxLine {
			tooLong = true
			p.buf = p.buf[:0]
		}
		if !tooLong {
			p.buf = append(p.buf, chunk...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read access log behind line %d: %w", p.line, err)
		}
		if err != nil && len(p.buf) == 0 && !tooLong {
			return nil, io.EOF
		}
		p.line++
		if tooLong {
			return nil, &LineError{Line: p.line, Err: ErrTooLong}
		}
		return bytes.TrimRight(p.buf, "\r\n"), nil
	}
}

// ParseLine reads one line without its end. It is not ok for a line that is no
// request by intention: blank, a comment, another of Caddy's messages.
// The entry shares no memory with the line.
func ParseLine(line []byte) (e Entry, ok bool, err error) {
	if len(line) > MaxLine {
		return Entry{}, false, ErrTooLong
	}
	line = bytes.TrimSpace(line)
	switch {
	case len(line) == 0 || line[0] == '#':
		return Entry{}, false, nil
	case line[0] == '{':
		return parseCaddy(line)
	default:
		e, err = parseCombined(string(line))
		return e, err == nil, err
	}
}

// File is a log on disk.
type File struct {
	*Parser
	f *os.File
}

// Open opens a log, gzipped or not; "-" is standard input.
func Open(path string) (*File, error) {
	if path == "-" {
		return &File{Parser: NewParser(os.Stdin), f: os.Stdin}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open access log: %w", err)
	}
	return &File{Parser: NewParser(f), f: f}, nil
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }
