package importer

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// maxListed is how many malformed lines are named.
const maxListed = 20

// Account is what an import comes to. Lines are those that were looked at in
// this run; Earlier are those that an earlier run had imported.
type Account struct {
	Logs    int
	Lines   uint64
	Earlier uint64
	Skipped uint64 // blank lines, comments, other messages

	Results map[shared.Result]uint64 // of requests, which each have one
	Proofs  uint64                   // lines that proved a visitor a person

	Malformed uint64
	Reasons   map[string]uint64 // of Malformed
	Listed    []Malformed       // the first of them

	Events   uint64 // made of these lines
	Sums     uint64 // rows that say how many requests had which result
	Accepted uint64 // of both, by the aggregator
	Rejected map[shared.Rejection]uint64
	Lost     uint64 // lines that the aggregator could not read

	Unfinished []string // logs whose last line has no end yet
	First      time.Time
	Last       time.Time // of the requests
	Took       time.Duration
	DryRun     bool
}

// Malformed is one line that could not be read, and why. The line itself holds
// addresses, so it is not quoted.
type Malformed struct {
	Log  string
	Line uint64
	Err  error
}

func newAccount() *Account {
	return &Account{Results: map[shared.Result]uint64{}, Reasons: map[string]uint64{}, Rejected: map[shared.Rejection]uint64{}}
}

func (a *Account) malformed(log string, number uint64, err error) {
	a.Malformed++
	a.Reasons[err.Error()]++
	if len(a.Listed) < maxListed {
		a.Listed = append(a.Listed, Malformed{log, number, err})
	}
}

func (a *Account) request(result shared.Result, at time.Time) {
	a.Results[result]++
	if a.First.IsZero() || at.Before(a.First) {
		a.First = at
	}
	if at.After(a.Last) {
		a.Last = at
	}
}

// Requests is the number of requests, each of which has one result.
func (a *Account) Requests() (n uint64) {
	for _, of := range a.Results {
		n += of
	}
	return n
}

// ErrOpen is wrapped by the error of an account that does not come out even.
var ErrOpen = errors.New("the books do not close")

// Err is nil where every line and every event is accounted for.
func (a *Account) Err() error {
	if sum := a.Requests() + a.Malformed + a.Skipped; sum != a.Lines {
		return fmt.Errorf("%w: %d lines, but %d are accounted for", ErrOpen, a.Lines, sum)
	}
	recorded := a.Proofs
	for result, n := range a.Results {
		if result.Recorded() {
			recorded += n
		}
	}
	if recorded != a.Events {
		return fmt.Errorf("%w: %d events are to be made, but %d were", ErrOpen, recorded, a.Events)
	}
	if done := a.Accepted + a.refused(); !a.DryRun && done != a.Events+a.Sums && a.Lost == 0 {
		return fmt.Errorf("%w: %d events, but the aggregator accounts for %d", ErrOpen, a.Events+a.Sums, done)
	}
	return nil
}

func (a *Account) refused() (n uint64) {
	for _, of := range a.Rejected {
		n += of
	}
	return n
}

// Print writes the account for people.
func (a *Account) Print(w io.Writer) {
	line := func(name string, n uint64) { _, _ = fmt.Fprintf(w, "  %-34s %10d\n", name, n) }
	heading := func(format string, args ...any) { _, _ = fmt.Fprintf(w, "\n"+format+"\n", args...) }
	logs := fmt.Sprintf("%d logs", a.Logs)
	if a.Logs == 1 {
		logs = "1 log"
	}
	heading("Lines of %s, in %s", logs, a.Took.Round(10*time.Millisecond))
	if a.Earlier > 0 {
		line("imported earlier", a.Earlier)
	}
	line("new", a.Lines)
	line("of these requests", a.Requests())
	if a.Skipped > 0 {
		line("blank lines and comments", a.Skipped)
	}
	line("malformed", a.Malformed)
	if a.Requests() > 0 {
		heading("Requests from %s to %s", a.First.Format(time.DateTime), a.Last.Format("2006-01-02 15:04:05 UTC"))
	}
	for _, result := range shared.Results {
		if n := a.Results[result]; n > 0 && result.Recorded() {
			line(resultNames[result], n)
		}
	}
	for _, result := range shared.Results {
		if n := a.Results[result]; n > 0 && !result.Recorded() {
			line("not recorded: "+string(result), n)
		}
	}
	heading("Events")
	line("made of these lines", a.Events)
	if a.Proofs > 0 {
		line("of these proof of a person", a.Proofs)
	}
	line("sums of requests", a.Sums)
	if a.DryRun {
		_, _ = fmt.Fprintln(w, "  nothing was sent: this was a dry run")
	} else {
		line("accepted by the aggregator", a.Accepted)
	}
	for _, reason := range slices.Sorted(maps.Keys(a.Rejected)) {
		line("refused: "+string(reason), a.Rejected[reason])
	}
	if a.Lost > 0 {
		line("lines that it could not read", a.Lost)
	}
	a.printMalformed(w)
	for _, log := range a.Unfinished {
		_, _ = fmt.Fprintf(w, "\nThe last line of %s has no end yet. It is left for the next import, or for one with --finish.\n", log)
	}
}

// resultNames are the recorded results in people's words.
var resultNames = map[shared.Result]string{
	shared.ResultPageview: "page views", shared.ResultError: "errors that readers met", shared.ResultDownload: "downloads",
	shared.ResultFeed: "polls of feeds", shared.ResultBot: "requests of bots", shared.ResultPrefetch: "pages fetched ahead",
}

func (a *Account) printMalformed(w io.Writer) {
	if a.Malformed == 0 {
		return
	}
	_, _ = fmt.Fprintf(w, "\nMalformed lines\n")
	reasons := slices.SortedFunc(maps.Keys(a.Reasons), func(x, y string) int {
		return cmp.Or(cmp.Compare(a.Reasons[y], a.Reasons[x]), cmp.Compare(x, y))
	})
	for _, reason := range reasons {
		_, _ = fmt.Fprintf(w, "  %-34s %10d\n", reason, a.Reasons[reason])
	}
	for _, m := range a.Listed {
		_, _ = fmt.Fprintf(w, "  %s:%d: %v\n", m.Log, m.Line, m.Err)
	}
	if more := a.Malformed - uint64(len(a.Listed)); more > 0 {
		_, _ = fmt.Fprintf(w, "  and %d more\n", more)
	}
}
