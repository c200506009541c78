package stats

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
)

// Nearly every beacon completes the view that it belongs to, and is no more
// heard of. Which completing rows count nevertheless, and which rows repeat
// another, is dear to find and short to write down: it is found once for a span
// of days, and questions are asked with the list.

// exceptions are rows that do not count as they are, by their keys.
type exceptions struct {
	kept, dups rowList
	became     []string // of kept
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
		all.kept.join(&part.kept)
		all.dups.join(&part.dups)
		all.became = append(all.became, part.became...)
	}
	return all, nil
}

func (e *Engine) findExceptions(ctx context.Context, files []lake.File, w *statement) (*exceptions, error) {
	found := &exceptions{}
	s := compileExceptions(w, factsOf(files))
	if s.text == "" {
		return found, nil
	}
	paths := make([]string, len(files))
	for i := range files {
		paths[i] = files[i].Path
	}
	err := e.db.Query(ctx, paths, s.text, s.args, func(scan func(...any) error) error {
		var edge string
		var epoch, seq uint64
		var became *string
		if err := scan(&edge, &epoch, &seq, &became); err != nil {
			return err
		}
		if became == nil {
			found.dups.add(edge, epoch, seq)
			return nil
		}
		found.kept.add(edge, epoch, seq)
		found.became = append(found.became, *became)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("stats: %w", err)
	}
	return found, nil
}

// compileExceptions is the SQL of rules 1 to 5 for the rows of a window; there
// may be nothing to ask.
func compileExceptions(w *statement, facts state.Facts) statement {
	b := &builder{}
	from, to := w.reach()
	r := &resolver{facts: facts, b: b, from: from, to: to}
	r.named()
	r.duplicates()
	r.loads()
	r.trackers()
	inside := " WHERE t >= " + b.arg(w.from) + "::BIGINT AND t < " + b.arg(w.to) + "::BIGINT"
	query := ""
	if kept := r.kept(); kept != "" {
		query = "SELECT edge, epoch, seq, became FROM (" + kept + ")" + inside
	}
	if facts.Keyed > 0 {
		if query != "" {
			query += " UNION ALL "
		}
		query += "SELECT edge, epoch, seq, NULL::VARCHAR AS became FROM dups" + inside
	}
	if query == "" {
		return statement{}
	}
	return statement{text: r.text(query), args: b.args}
}
