package accesslog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// MaxLine bounds one line: it stops a file without line ends from filling the
// memory. A Caddy line carries all headers of a request and its answer.
const MaxLine = 1 << 20

// Parser reads one request at a time. It is not safe for concurrent use.
type Parser struct {
	source  io.Reader
	as      *Notation
	lines   *bufio.Reader
	buf     []byte
	line    int
	skipped int
}

// NewParser reads a log, gzipped or not, from r. Nothing is read before the
// first call of Next.
func NewParser(r io.Reader) *Parser { return &Parser{source: r, as: &Notation{}} }

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
		p.as = p.as.Directive(line)
		e, ok, err := p.as.Parse(string(line))
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

// start looks at the first bytes for a compression's magic.
func (p *Parser) start() error {
	plain, _, err := Decompress(p.source)
	if err != nil {
		return err
	}
	p.lines = bufio.NewReaderSize(plain, 64<<10)
	return nil
}

// maxWindow bounds the memory that a zstd stream can ask for.
const maxWindow = 64 << 20

// Decompress returns what r holds, gunzipped or decompressed by zstd where its
// first bytes say that it is packed.
func Decompress(r io.Reader) (plain io.Reader, packed bool, err error) {
	raw := bufio.NewReaderSize(r, 64<<10)
	magic, err := raw.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, fmt.Errorf("read access log: %w", err)
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		plain, err = gzip.NewReader(raw)
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		plain, err = zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	default:
		return raw, false, nil
	}
	if err != nil {
		return nil, true, fmt.Errorf("decompress access log: %w", err)
	}
	return plain, true, nil
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
