package replay

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// ErrOpen is wrapped by the error of a replay whose books do not close.
var ErrOpen = errors.New("the books do not close")

// Account compares what was sent with what became of it.
type Account struct {
	Site    string
	Sent    Sent
	Results map[shared.Result]uint64 // requests, by the module's own count
	// Completions are events without a request of their own: what one request
	// said of an earlier one, and the sums of requests. Evidence are those of
	// them that prove a reader.
	Completions, Evidence uint64
	// Events are those that the aggregator is to have: of requests, and
	// completions but for the sums.
	Events uint64

	// Events, by the module's own count.
	Captured, Stored, Dropped, Rejected, Lost, Queued uint64

	// Earlier are the requests that a running Caddy had counted before: of these
	// it may tell the aggregator together with those that were sent.
	Earlier map[shared.Result]uint64
	// Books are the aggregator's, as they differ from those before.
	Books Books
	// Unknown says why the aggregator's side is not known; nil if it is.
	Unknown error
	// QueueKept is the folder with what could not be shipped; else empty.
	QueueKept string
}

func newAccount(site string, sent Sent, edge edgeBooks) Account {
	return Account{
		Site: site, Sent: sent, Results: edge.Results, Captured: edge.Captured, Stored: edge.Stored,
		Dropped: edge.Dropped, Rejected: edge.Rejected, Lost: edge.Lost, Queued: edge.Queued, Completions: edge.Completions,
		Evidence: edge.Evidence, Events: edge.events(),
	}
}

// Requests is the number of requests that the module has given a result.
func (a *Account) Requests() uint64 { return edgeBooks{Results: a.Results}.requests() }

// missing is how many of the captured events are not with the aggregator, and
// never will be.
func (a *Account) missing() uint64 { return a.Dropped + a.Rejected + a.Lost }

// Open lists what does not add up; none = the books close.
func (a *Account) Open() (open []string) {
	add := func(format string, args ...any) { open = append(open, fmt.Sprintf(format, args...)) }
	s := &a.Sent
	if s.Altered > 0 {
		add("%d answers came back altered", s.Altered)
	}
	// Of a request without answer it cannot be told from here whether it was seen.
	if n := a.Requests(); n < s.Answered || n > s.Answered+s.Failed {
		add("%d requests were answered, but %d have a result", s.Answered, n)
	}
	if s.Failed > 0 {
		add("%d requests had no complete answer", s.Failed)
	}
	recorded := edgeBooks{Results: a.Results}.recorded()
	if recorded+a.Completions != a.Captured {
		add("%d requests are to be recorded, and %d completions, but %d events were captured", recorded, a.Completions, a.Captured)
	}
	if sum := a.Stored + a.Queued + a.missing(); sum != a.Captured {
		add("captured %d is not stored + queued + dropped + rejected + lost = %d", a.Captured, sum)
	}
	if a.Queued > 0 {
		add("%d events are still in the queue", a.Queued)
	}
	if a.Unknown != nil {
		return append(open, fmt.Sprintf("the aggregator's side is not known: %v", a.Unknown))
	}
	return append(open, a.openBooks()...)
}

// openBooks lists what does not add up in the aggregator's books. What is known
// not to be there may be missing in them; sums of requests may be among it.
func (a *Account) openBooks() (open []string) {
	add := func(format string, args ...any) { open = append(open, fmt.Sprintf(format, args...)) }
	b := &a.Books
	want, missing := int64(a.Results[shared.ResultPageview]), int64(a.missing())
	if b.Recorded > want || b.Recorded+missing < want {
		add("the module counted %d page views, the aggregator answers %d", want, b.Recorded)
	}
	if want := int64(a.Events); b.Events > want || b.Events+missing < want {
		add("the module recorded %d events, the aggregator has %d", want, b.Events)
	}
	if sum := b.Recorded + b.Activated + b.ScriptOnly + b.Cached - b.Reclassified; b.People != sum {
		add("the aggregator answers %d page views of people, but they are made of %d", b.People, sum)
	}
	sum := uint64(0)
	for _, result := range shared.Results {
		counted, told := a.Results[result], b.Results[result]
		if told > counted+a.Earlier[result] || told < counted && missing == 0 {
			add("the module gave %d requests the result %s, the aggregator answers %d", counted, result, told)
		}
		sum += told
	}
	if b.Requests != sum {
		add("the aggregator answers %d requests, but their results sum to %d", b.Requests, sum)
	}
	return open
}

// Err is nil where the books close.
func (a *Account) Err() error {
	if open := a.Open(); len(open) > 0 {
		return fmt.Errorf("%w: %s", ErrOpen, strings.Join(open, "; "))
	}
	return nil
}

// Print writes the account for people.
func (a *Account) Print(w io.Writer) {
	line := func(name string, n uint64) { _, _ = fmt.Fprintf(w, "  %-28s %9d\n", name, n) }
	s := &a.Sent
	_, _ = fmt.Fprintf(w, "\nRequests of %s, sent in %s\n", a.Site, s.Took.Round(10*time.Millisecond))
	line("answered", s.Answered)
	if s.Failed > 0 {
		line("without a complete answer", s.Failed)
	}
	if s.Altered > 0 {
		line("answered differently", s.Altered)
	}
	for _, reason := range sortedKeys(s.LeftOut) {
		line("left out: "+reason, s.LeftOut[reason])
	}
	_, _ = fmt.Fprintln(w, "\nResults, by the module's metrics")
	for _, result := range shared.Results {
		if n := a.Results[result]; n > 0 {
			line(string(result), n)
		}
	}
	line("together", a.Requests())
	_, _ = fmt.Fprintln(w, "\nEvents")
	for _, state := range []struct {
		name   string
		n      uint64
		always bool
	}{
		{"captured", a.Captured, true},
		{"of these, completions", a.Completions, false},
		{"stored", a.Stored, true},
		{"queued", a.Queued, true},
		{"dropped", a.Dropped, true},
		{"rejected", a.Rejected, false},
		{"lost", a.Lost, false},
	} {
		if state.always || state.n > 0 {
			line(state.name, state.n)
		}
	}
	if a.Unknown == nil {
		a.printBooks(w)
	}
	a.printVerdict(w)
}

func (a *Account) printBooks(w io.Writer) {
	line := func(name string, n int64) { _, _ = fmt.Fprintf(w, "  %-28s %9d\n", name, n) }
	b := &a.Books
	_, _ = fmt.Fprintln(w, "\nThe aggregator's books")
	line("requests", int64(b.Requests))
	line("events", b.Events)
	line("page views recorded", b.Recorded)
	for _, part := range []struct {
		name string
		n    int64
	}{
		{"+ fetched ahead, and seen", b.Activated},
		{"+ known to scripts alone", b.ScriptOnly},
		{"+ from caches", b.Cached},
		{"- of bots, as it turned out", b.Reclassified},
	} {
		if part.n != 0 {
			line(part.name, part.n)
		}
	}
	line("page views of people", b.People)
}

func (a *Account) printVerdict(w io.Writer) {
	if s := &a.Sent; s.FirstErr != nil {
		_, _ = fmt.Fprintf(w, "\nThe first trouble: %v\n", s.FirstErr)
	}
	if a.QueueKept != "" {
		_, _ = fmt.Fprintf(w, "\nWhat could not be shipped lies in %s\n", a.QueueKept)
	}
	open := a.Open()
	if len(open) == 0 {
		_, _ = fmt.Fprintln(w, "\nThe books close: every request has one result, every event is where it should be.")
		if n := a.missing(); n > 0 {
			_, _ = fmt.Fprintf(w, "%d events did not reach the aggregator; they are counted as such.\n", n)
		}
		return
	}
	_, _ = fmt.Fprintln(w, "\nTHE BOOKS DO NOT CLOSE")
	for _, what := range open {
		_, _ = fmt.Fprintf(w, "  %s\n", what)
	}
}

func sortedKeys(m map[string]uint64) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
