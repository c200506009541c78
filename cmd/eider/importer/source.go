package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/eider-analytics/eider/shared/accesslog"
)

// source is one log, open for reading from its start.
type source struct {
	path   string
	file   *os.File
	plain  io.Reader
	packed bool
	size   int64        // of the file as it lies there; 0 = not known
	read   atomic.Int64 // of size
}

func openSource(path string) (*source, error) {
	s := &source{path: path, file: os.Stdin}
	if path != standardInput {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("open access log: %w", err)
		}
		info, err := f.Stat()
		if err == nil && info.IsDir() {
			err = fmt.Errorf("open access log: %s is a directory: name the files in it", path)
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		s.file, s.size = f, info.Size()
	}
	var err error
	if s.plain, s.packed, err = accesslog.Decompress(counted{s}); err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, s.close()))
	}
	return s, nil
}

func (s *source) close() error {
	if s.file == os.Stdin {
		return nil
	}
	return s.file.Close()
}

// counted reads the file and notes how much of it was.
type counted struct{ s *source }

func (c counted) Read(b []byte) (int, error) {
	n, err := c.s.file.Read(b)
	c.s.read.Add(int64(n))
	return n, err
}

// block is a run of whole lines that are read by one notation.
type block struct {
	first   uint64 // number of its first line, from 1
	text    string // the lines with their ends; the last one of a log may have none
	tooLong bool   // it stands for one line beyond accesslog.MaxLine
	as      *accesslog.Notation

	lines []line // one for each line, once done is closed
	done  chan struct{}
}

// line is what a line is.
type line struct {
	entry accesslog.Entry
	ok    bool // it is a request
	err   error
}

// blockSize is what is read at a time: enough lines to be worth another
// goroutine's while.
const blockSize = 256 << 10

// cutter cuts a stream into blocks.
type cutter struct {
	as   *accesslog.Notation
	next uint64 // number of the next line
	emit func(*block) bool
	long bool // the line that is being read is longer than allowed
}

// cut reads the log to its end. What stands behind the last line end is a line
// only if whole says that nothing will be added to it; tail reports that it was
// left. It ends early when emit says so.
func (c *cutter) cut(r io.Reader, whole bool) (tail bool, err error) {
	buf := make([]byte, 0, 2*blockSize)
	for {
		if cap(buf)-len(buf) < blockSize {
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
		n, err := io.ReadFull(r, buf[len(buf):len(buf)+blockSize])
		buf = buf[:len(buf)+n]
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && n < blockSize && atEnd(r)
		rest, more := c.lines(buf)
		if !more {
			return false, nil
		}
		if err != nil && !ended {
			return false, &readError{c.next - 1, err}
		}
		buf = buf[:copy(buf, rest)]
		if ended {
			return c.end(buf, whole), nil
		}
		if len(buf) > accesslog.MaxLine {
			c.long, buf = true, buf[:0]
		}
	}
}

// readError says that a log could not be read to its end.
type readError struct {
	line uint64 // the last one that could
	err  error
}

func (e *readError) Error() string {
	return fmt.Sprintf("the log can't be read behind line %d: %v; what was read is imported, run the command again once it is whole", e.line, e.err)
}

func (e *readError) Unwrap() error { return e.err }

// atEnd tells the end of a stream from one that is cut: io.ReadFull calls both
// unexpected.
func atEnd(r io.Reader) bool {
	var b [1]byte
	n, err := r.Read(b[:])
	return n == 0 && errors.Is(err, io.EOF)
}

// lines emits what is whole of b and returns the rest.
func (c *cutter) lines(b []byte) (rest []byte, more bool) {
	if c.long {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return nil, true
		}
		c.long, b = false, b[end+1:]
		if !c.tooLong() {
			return nil, false
		}
	}
	end := bytes.LastIndexByte(b, '\n') + 1
	if end == 0 {
		return b, true
	}
	return b[end:], c.text(string(b[:end]))
}

func (c *cutter) tooLong() bool {
	b := &block{first: c.next, tooLong: true, as: c.as}
	c.next++
	return c.emit(b)
}

// end deals with what stands behind the last line end.
func (c *cutter) end(rest []byte, whole bool) (tail bool) {
	switch {
	case len(rest) == 0 && !c.long:
		return false
	case !whole:
		return true
	case c.long:
		c.tooLong()
	default:
		c.text(string(rest))
	}
	return false
}

// text emits lines, parted behind directives that change how the next are read.
func (c *cutter) text(text string) (more bool) {
	if text[0] != '#' && !strings.Contains(text, "\n#") {
		return c.block(text)
	}
	begin := 0
	for at := 0; at < len(text); {
		end := len(text)
		if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		if text[at] == '#' {
			if as := c.as.Directive([]byte(text[at:end])); as != c.as {
				if !c.block(text[begin:end]) {
					return false
				}
				c.as, begin = as, end
			}
		}
		at = end
	}
	return begin == len(text) || c.block(text[begin:])
}

func (c *cutter) block(text string) bool {
	b := &block{first: c.next, text: text, as: c.as}
	c.next += uint64(strings.Count(text, "\n"))
	if text[len(text)-1] != '\n' {
		c.next++
	}
	return c.emit(b)
}

// parse reads the block's lines into the given slice.
func (b *block) parse(into []line) {
	b.lines = into[:0]
	if b.tooLong {
		b.lines = append(b.lines, line{err: accesslog.ErrTooLong})
	}
	for text := b.text; text != ""; {
		var one string
		one, text, _ = strings.Cut(text, "\n")
		var l line
		l.entry, l.ok, l.err = b.as.Parse(one)
		b.lines = append(b.lines, l)
	}
}
