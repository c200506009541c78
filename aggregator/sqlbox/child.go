package sqlbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/eider-analytics/eider/aggregator/duck"
)

// ChildCommand is the argument by which a program is the child of a [Runner]; the
// program then calls [Child] and ends with what that returns.
const ChildCommand = "sql-child"

// The child's descriptors beside the standard ones.
const verdictFD = 3

// goHeap is what of the child's memory is Go's: batches of an answer.
const goHeap = 64 << 20

// Child runs one statement: its job comes in on standard input, the answer goes
// out on standard output, and what became of it on descriptor 3. It returns the
// exit code.
func Child() int {
	out := os.NewFile(verdictFD, "verdict")
	if out == nil {
		return 2
	}
	debug.SetMemoryLimit(goHeap)
	debug.SetTraceback("none") // an end is told by its first line; texts of the statement are nobody's
	v, err := runJob(os.Stdin, os.Stdout)
	if err != nil {
		v = verdictOf(err)
	}
	if json.NewEncoder(out).Encode(v) != nil {
		return 2
	}
	return 0
}

// runJob reads a job, locks the process up and runs it.
func runJob(in io.Reader, out io.Writer) (verdict, error) {
	var j job
	if err := json.NewDecoder(bufio.NewReader(in)).Decode(&j); err != nil {
		return verdict{}, fmt.Errorf("read job: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), j.Time)
	defer cancel()
	if err := limit(&j); err != nil {
		return verdict{}, fmt.Errorf("limit the process: %w", err)
	}
	box, err := openBox(ctx, &j)
	if err != nil {
		return verdict{}, err
	}
	if err := confine(j.Relations.Files); err != nil {
		return verdict{}, fmt.Errorf("confine the process: %w", err)
	}
	v, err := answer(ctx, box, &j, out)
	if ctx.Err() != nil {
		return verdict{}, tooSlow(j.Time.String())
	}
	return v, err // the box ends with the process
}

// openBox makes the relations of the job's site.
func openBox(ctx context.Context, j *job) (*duck.Box, error) {
	return duck.OpenBox(ctx, duck.BoxConfig{
		Files: j.Relations.Files, Memory: j.Memory, Threads: j.Threads, Zone: j.Site.Zone, Schema: "eider",
		Tables: []duck.Table{{Name: "eider.files", Files: j.Relations.Files, Columns: columns}},
		Views:  relationViews(&j.Relations, &j.Site),
	})
}

// answer checks the statement and runs it.
func answer(ctx context.Context, box *duck.Box, j *job, out io.Writer) (verdict, error) {
	text := strings.TrimRight(j.SQL, "; \t\r\n")
	if !j.Unchecked {
		if err := checkText(ctx, box, text, j.Limit+1); err != nil {
			return verdict{}, err
		}
	}
	rows, err := box.Select(ctx, text, j.Args, j.Limit+1)
	if err != nil {
		return verdict{}, err
	}
	buffered := bufio.NewWriterSize(&bounded{w: out, left: j.MaxBytes}, 256<<10)
	v, err := write(ctx, buffered, rows, j)
	if err == nil {
		err = buffered.Flush()
	}
	return v, err
}

// checkText finds out whether a text is one SELECT that may be run. What is
// checked is what runs: the text in the parentheses in which its first rows are
// taken.
func checkText(ctx context.Context, box *duck.Box, text string, limit int) error {
	parsed, err := box.Tree(ctx, text)
	if err != nil {
		return err
	}
	if _, err := readTree(parsed); err != nil {
		return place(err, text, 0)
	}
	wrapped, begin := duck.Wrapped(text, limit)
	if parsed, err = box.Tree(ctx, wrapped); err != nil {
		return err
	}
	node, err := readTree(parsed)
	if err != nil {
		return refuse("syntax", -1, "the statement can't be taken as a relation: write one SELECT, and nothing after its ;")
	}
	return place(check(node, views), text, begin)
}

// bounded writes so many bytes and no more.
type bounded struct {
	w    io.Writer
	left int64
}

var errTooLarge = errors.New("the answer is too large")

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errTooLarge
	}
	return b.w.Write(p)
}

// verdictOf tells what went wrong in words for whoever asked.
func verdictOf(err error) verdict {
	var refused *RefusedError
	text := duckText(err)
	switch {
	case errors.As(err, &refused):
		return verdict{Code: refused.Code, Message: refused.Message}
	case errors.Is(err, errTooLarge):
		return verdict{Code: "too_large", Message: "the answer is too large: ask for fewer rows or columns, or set a smaller limit"}
	case errors.Is(err, duck.ErrNoSelect):
		return verdict{Code: "not_select", Message: duck.ErrNoSelect.Error()}
	case errors.Is(err, duck.ErrMemory), strings.HasPrefix(text, "Out of Memory"), strings.Contains(text, "bad_alloc"), strings.Contains(text, "bad allocation"):
		return tooMuchMemory().verdict()
	case strings.HasPrefix(text, "IO Error"), strings.HasPrefix(text, "Permission Error"): // they name files
		return verdict{Code: "invalid", Message: "DuckDB could not read or write a file: a statement can only read the views"}
	case duckdbError.MatchString(text):
		return verdict{Code: "invalid", Message: "DuckDB says: " + text}
	}
	return verdict{Code: "internal", Message: err.Error()}
}

func (e *RefusedError) verdict() verdict { return verdict{Code: e.Code, Message: e.Message} }

func tooMuchMemory() *RefusedError {
	return &RefusedError{Code: "too_much_memory", Message: "the statement needs more memory than it may have: ask for a shorter time, fewer groups or fewer columns", at: -1}
}

func tooSlow(limit string) *RefusedError {
	return &RefusedError{Code: "too_slow", Message: "the statement took longer than " + limit + ": ask for a shorter time, or join less", at: -1}
}

// duckdbError recognises what DuckDB says of a statement.
var duckdbError = regexp.MustCompile(`^(Binder|Catalog|Parser|Conversion|Invalid Input|Out of Range|Not implemented|Permission|Constraint|Mismatch Type|Invalid type|Divide by Zero|Decimal|Expression|Syntax|Parameter|Invalid Configuration|IO|Sequence|Dependency|Cast) ?Error`)

// maxMessage bounds what an error repeats of a statement.
const maxMessage = 600

// duckText is DuckDB's message, without the excerpt of the statement below it:
// that is the text in which the statement is wrapped.
func duckText(err error) string {
	text := strings.TrimPrefix(err.Error(), "query: ")
	text, _, _ = strings.Cut(text, "\n\nLINE ")
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	return text
}
