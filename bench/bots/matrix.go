package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// options say what is driven.
type options struct {
	caddy  string
	eider  string
	pages  int
	agents int // of each corpus; 0 = all
	only   func(*client) bool
	log    io.Writer
}

// row is what became of one client's requests.
type row struct {
	client
	sent    int
	missing string // why there is nothing
	person  int    // likely people who fetched parts of pages
	likely  int
	bot     int
	reasons map[string]int
	asked   map[string]int // what reached the origin, by what it asked for
	ledger  ledger         // the aggregator's books of its site
}

func (r *row) recorded() int { return r.person + r.likely + r.bot }

// matrix is the account.
type matrix []row

// run drives every client, and reads what was written.
func run(ctx context.Context, o options) (matrix, error) {
	var m matrix
	var hosts []string
	for _, c := range clients {
		if o.only == nil || o.only(&c) {
			m = append(m, row{client: c, reasons: map[string]int{}})
			hosts = append(hosts, host(c.label))
		}
	}
	r, err := startRig(ctx, &o, append(hosts, storyHost))
	if err != nil {
		return nil, err
	}
	defer r.close()
	for i := range m {
		fmt.Fprintf(o.log, "%-20s %s\n", m[i].label, m[i].what)
		m[i].sent, err = m[i].asks(ctx, r, host(m[i].label), &o)
		switch {
		case errors.Is(err, errMissing):
			m[i].missing = err.Error()
			fmt.Fprintf(o.log, "SKIPPED: %s\n", err)
		case err != nil:
			return nil, fmt.Errorf("%s: %w", m[i].label, err)
		}
	}
	told, err := r.tell(ctx)
	if err != nil {
		return nil, err
	}
	events, ledgers, err := r.finish(ctx)
	if err != nil {
		return nil, err
	}
	m.account(events)
	for i := range m {
		name := host(m[i].label)
		m[i].asked, m[i].ledger = r.hits.of(name), ledgers[name]
	}
	story := ledgers[storyHost]
	return m, told.compare(&story)
}

// host is the name of a client's site.
func host(label string) string { return label + ".localhost" }

func replacer(pairs map[string]string) *strings.Replacer {
	var list []string
	for from, to := range pairs {
		list = append(list, from, to)
	}
	return strings.NewReplacer(list...)
}

// account sorts the events into the rows. A likely visitor of whom the proxy has
// written evidence is a person, as the reports have it.
func (m matrix) account(events []shared.Event) {
	proved := map[string]bool{}
	visitor := func(e *shared.Event) string { return fmt.Sprint(e.Site, " ", e.VisitorID) }
	for i := range events {
		if e := &events[i]; e.Kind == shared.KindCompletion && e.Name == shared.CompletionEvidence {
			proved[visitor(e)] = true
		}
	}
	for i := range events {
		e := &events[i]
		at := slices.IndexFunc(m, func(r row) bool { return host(r.label) == e.Site })
		if at < 0 || e.Kind == shared.KindCompletion || strings.HasPrefix(e.Pathname, "/a/") || e.Pathname == "/favicon.ico" {
			continue
		}
		r := &m[at]
		switch {
		case e.Verdict == shared.VerdictBot:
			r.bot++
		case proved[visitor(e)]:
			r.person++
		default:
			r.likely++
		}
		r.reasons[e.VerdictReason]++
	}
}

// print writes the matrix as a table of Markdown, and its sums.
func (m matrix) print(w io.Writer) {
	fmt.Fprintln(w, "| client | is a | asked | person | likely | bot | reasons |\n|---|---|---|---|---|---|---|")
	sums := map[string]*row{person: {}, automaton: {}}
	for i := range m {
		r := &m[i]
		if r.missing != "" {
			fmt.Fprintf(w, "| %s | %s | – | | | | SKIPPED: %s |\n", r.what, r.truth, r.missing)
			continue
		}
		fmt.Fprintf(w, "| %s | %s | %d | %s | %s | %s | %s |\n", r.what, r.truth, r.sent, dash(r.person), dash(r.likely), dash(r.bot), r.why())
		s := sums[r.truth]
		s.sent, s.person, s.likely, s.bot = s.sent+r.sent, s.person+r.person, s.likely+r.likely, s.bot+r.bot
	}
	for _, truth := range []string{person, automaton} {
		s := sums[truth]
		fmt.Fprintf(w, "| **all** | **%s** | **%d** | **%d** | **%d** | **%d** | |\n", truth, s.sent, s.person, s.likely, s.bot)
	}
}

func dash(n int) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprint(n)
}

// why lists the reasons, the most frequent first.
func (r *row) why() string {
	var names []string
	for name := range r.reasons {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(r.reasons[b], r.reasons[a]), cmp.Compare(a, b)) })
	for i, name := range names {
		names[i] = fmt.Sprintf("`%s` %d", name, r.reasons[name])
	}
	return strings.Join(names, ", ")
}
