package importer

import (
	"bytes"
	"crypto/sha256"

	"github.com/eider-analytics/eider/shared"
)

// A log is known by its first lines: as many as a power of two, this many at
// most, within so many bytes. A log that had fewer when it was imported, and has
// grown since, is known by those it had.
const (
	maxPrintLines = 256
	maxPrintBytes = 256 << 10
)

// prints returns the digests of the first 1, 2, 4 … lines of a log that begins
// with head, for all that are there. Comments belong to the line behind them:
// all logs of one server may begin with the same. A last line without an end may
// grow, so it is left out, unless whole says that it will not and there is no
// other.
func prints(head []byte, whole bool) []shared.ImportPrint {
	var list []shared.ImportPrint
	sum := sha256.New()
	n := 0
	note := func(line []byte) {
		line = bytes.TrimRight(line, "\r\n")
		sum.Write(line)
		sum.Write([]byte{'\n'})
		if len(line) > 0 && line[0] != '#' {
			if n++; n&(n-1) == 0 {
				list = append(list, shared.ImportPrint(sum.Sum(nil)))
			}
		}
	}
	for n < maxPrintLines {
		line, rest, ended := bytes.Cut(head, []byte{'\n'})
		if !ended {
			break
		}
		note(line)
		head = rest
	}
	// A line that fills all of head is cut the same whichever way it is packed.
	if n == 0 && len(head) > 0 && (whole || len(head) == maxPrintBytes) {
		note(head)
	}
	return list
}
