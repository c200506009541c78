package stats

import (
	"context"
	"fmt"
	"hash/fnv"

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

// exceptions finds those of the days that the statement touches. files are
// those of the statement.
func (e *Engine) exceptions(ctx context.Context, files []lake.File, siteID string, s *statement) (*exceptions, error) {
	first, last := dayIn(s.zone, s.from), dayIn(s.zone, s.to-1)
	end := last.add(0, 0, 1).start(s.zone)
	spans := [][2]int64{{first.start(s.zone), end}}
	if unsettled := last.add(0, 0, 1-unsettledDays); first.days(unsettled) > 0 {
		cut := unsettled.start(s.zone)
		spans = [][2]int64{{first.start(s.zone), cut}, {cut, end}}
	}
	all := &exceptions{}
	for _, span := range spans {
		w := statement{from: max(span[0], s.from), to: min(span[1], s.to), zone: s.zone}
		from, to := w.reach()
		list := within(files, siteID, from, to)
		h := fnv.New128a()
		for i := range list {
			_, _ = h.Write([]byte(list[i].Path + "\n"))
		}
		key := fmt.Sprintf("%s %d %d %x", siteID, w.from, w.to, h.Sum(nil))
		part, err := e.excepted.Do(ctx, key, func(ctx context.Context) (*exceptions, error) { return e.findExceptions(ctx, list, &w) })
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
