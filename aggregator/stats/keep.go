package stats

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// Nearly every beacon completes the view that it belongs to, and is no more
// heard of. Which completing rows count nevertheless, and which rows repeat
// another, is dear to find and short to write down: it is found once for a span
// of days, and questions are asked with the list. suspect.go has how it is found.

// exceptions are rows that do not count as they are, by their keys, and the
// views whose rows have to be told apart by the rules. They are written as SQL is
// given them: see numbers.
type exceptions struct {
	suspects numbers
	kept     rowList // with what they became
	dups     rowList
}

func (x *exceptions) join(o *exceptions) {
	x.suspects.join(o.suspects)
	x.kept = append(x.kept, o.kept...)
	x.dups = append(x.dups, o.dups...)
}

// suspectViews lists the views.
func (x *exceptions) suspectViews(b *builder) string {
	return "SELECT unnest(" + x.suspects.sql(b) + ") AS view_id"
}

// numbers are decimal, with a blank between two. DuckDB takes a list that is an
// argument value by value, with a kilobyte for each outside of its memory limit;
// a text it splits twenty times faster. A site without proxy has one for every
// page view.
type numbers string

// gatherNumbers is the SQL of the column n of a relation as numbers.
func gatherNumbers(n string) string { return "coalesce(string_agg((" + n + ")::VARCHAR, ' '), '')" }

func (l *numbers) join(o numbers) {
	if *l != "" && o != "" {
		*l += " "
	}
	*l += o
}

// repeat adds v so many times.
func (l *numbers) repeat(v int64, times int) {
	one := " " + strconv.FormatInt(v, 10)
	l.join(numbers(strings.TrimPrefix(strings.Repeat(one, times), " ")))
}

// sql is the list of them.
func (l numbers) sql(b *builder) string { return l.list(b, "UBIGINT") }

func (l numbers) list(b *builder, kind string) string {
	if l == "" {
		return "[]::" + kind + "[]"
	}
	return "string_split(" + b.arg(string(l)) + "::VARCHAR, ' ')::" + kind + "[]"
}

// rowList is the keys of rows, by what they have in common.
type rowList []rowGroup

type rowGroup struct {
	edge   string
	epoch  uint64
	became string // "" = nothing else
	rows   int
	seqs   numbers
}

// gatherRows is the SQL of a relation with the columns of a rowGroup.
func gatherRows(became, relation string) string {
	return "SELECT edge, epoch, " + became + ", count(*), " + gatherNumbers("seq") + " FROM (" + relation + ") GROUP BY ALL"
}

// scan reads a row of gatherRows.
func (l *rowList) scan(scan func(...any) error) error {
	var g rowGroup
	err := scan(&g.edge, &g.epoch, &g.became, &g.rows, &g.seqs)
	*l = append(*l, g)
	return err
}

// sql lists the keys, which are some, with what the rows became.
func (l rowList) sql(b *builder) string {
	var edges, became []string
	var epochs []uint64
	var seqs, groups numbers
	for i, g := range l {
		edges, epochs, became = append(edges, g.edge), append(epochs, g.epoch), append(became, g.became)
		seqs.join(g.seqs)
		groups.repeat(int64(i), g.rows)
	}
	return "SELECT edge, epoch, seq, became FROM (SELECT unnest(" + seqs.sql(b) + ") AS seq, unnest(" + groups.sql(b) + ") AS n) JOIN" +
		" (SELECT unnest(" + b.arg(edges) + "::VARCHAR[]) AS edge, unnest(" + b.arg(epochs) + "::UBIGINT[]) AS epoch, unnest(" +
		b.arg(became) + "::VARCHAR[]) AS became, unnest(range(" + b.arg(len(l)) + "::BIGINT))::UBIGINT AS n) USING (n)"
}

// keptSpans are spans of days; most questions need two.
const keptSpans = 16

// unsettledDays are the last ones of a span, whose exceptions change with what
// comes in: for two days more than the judgement's, because of late completions.
const unsettledDays = freshDays + 3

// around is the span of time of which it is found what is to be known of single
// rows: the same for every question about a range, whatever it looks at, so
// that it is found once for all of them.
func (s *statement) around() (from, to int64) {
	if s.first == 0 && s.last == 0 {
		return s.from, s.to
	}
	return s.first, s.last
}

// lookup is a span of time whose exceptions are looked for, µs since 1970.
type lookup struct{ from, to int64 }

// reach is the span of time in which rows may matter to them. Every statement
// that the span is around has the files of all of it.
func (w *lookup) reach() (from, to int64) {
	around := (reach - Margin).Microseconds()
	return w.from - around, w.to + around
}

// exceptions finds those around the statement. files are those of the statement.
func (e *Engine) exceptions(ctx context.Context, files []lake.File, siteID string, s *statement) (*exceptions, error) {
	from, to := s.around()
	spans := []lookup{{from, to}}
	unsettled := dayIn(s.zone, to-1).add(0, 0, 1-unsettledDays)
	if cut := unsettled.start(s.zone); cut > from {
		spans = []lookup{{from, cut}, {cut, to}}
	}
	all := &exceptions{}
	for _, w := range spans {
		from, to := w.reach()
		list := within(files, siteID, from, to)
		key := fmt.Sprintf("%s %d %d %s", siteID, w.from, w.to, digest(list))
		part, err := e.excepted.Do(ctx, key, func(ctx context.Context) (*exceptions, error) { return e.findExceptions(ctx, list, w) })
		if err != nil {
			return nil, err
		}
		all.join(part)
	}
	return all, nil
}
