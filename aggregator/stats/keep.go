package stats

import (
	"context"
	"fmt"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// Nearly every beacon completes the view that it belongs to, and is no more
// heard of. Which completing rows count nevertheless, and which rows repeat
// another, is dear to find and short to write down: it is found once for a span
// of days, and questions are asked with the list. suspect.go has how it is found.

// exceptions are rows that do not count as they are, by their keys, and the
// views whose rows have to be told apart by the rules.
type exceptions struct {
	suspects   []uint64
	kept, dups rowList
	became     []string // of kept
}

// suspectViews lists the views.
func (x *exceptions) suspectViews(b *builder) string {
	return "SELECT unnest(" + b.arg(x.suspects) + "::UBIGINT[]) AS view_id"
}

// rowList is the keys of rows.
type rowList struct {
	edges  []string
	epochs []uint64
	seqs   []uint64
}

func (l *rowList) add(edge string, epoch, seq uint64) {
	l.edges, l.epochs, l.seqs = append(l.edges, edge), append(l.epochs, epoch), append(l.seqs, seq)
}

func (l *rowList) join(o *rowList) {
	l.edges, l.epochs, l.seqs = append(l.edges, o.edges...), append(l.epochs, o.epochs...), append(l.seqs, o.seqs...)
}

// sql lists the keys.
func (l *rowList) sql(b *builder) string {
	return "SELECT unnest(" + b.arg(l.edges) + "::VARCHAR[]) AS edge, unnest(" + b.arg(l.epochs) + "::UBIGINT[]) AS epoch, unnest(" +
		b.arg(l.seqs) + "::UBIGINT[]) AS seq"
}

// keptSpans are spans of days; most questions need two.
const keptSpans = 16

// unsettledDays are the last ones of a span, whose exceptions change with what
// comes in: for two days more than the judgement's, because of late completions.
const unsettledDays = freshDays + 3

// around is the span of time of which it is found what is to be known of single
// rows: the same for every question about a range, whatever its own margin is, so
// that it is found once for all of them.
func (s *statement) around() (from, to int64) {
	m := Margin.Microseconds()
	return s.from + s.margin - m, s.to - s.margin + m
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
		all.suspects = append(all.suspects, part.suspects...)
		all.kept.join(&part.kept)
		all.dups.join(&part.dups)
		all.became = append(all.became, part.became...)
	}
	return all, nil
}
