package duck

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Relation is a name of a query for the rows of files. The name and the columns
// are ours, never a person's.
type Relation struct {
	Name  string // such as sealed, visits_files, rollup_files
	Files []string
	// Columns are what it has without a file, so that a query over nothing binds
	// as one over files does.
	Columns []Column
	// Union lets files have different columns, at the cost of reading the footer of
	// each: what a file lacks is null.
	Union bool
}

// SealedPrefix begins the names of the columns that sealed segments have beside
// an event's own. The relation `events` never has them, whatever its files are:
// a query that wants them asks a relation of its own.
const SealedPrefix = "sealed_"

// define writes the definitions of `events`, whose files are $1, and of further
// relations, whose files are the arguments after all others.
func define(files []string, more []Relation, query string, args []any) (text string, all []any) {
	all = make([]any, 0, 1+len(args)+len(more))
	definitions := eventsOfNothing
	if len(files) > 0 {
		definitions, all = eventsOfFiles, append(all, files)
	} else {
		all = append(all, "")
	}
	all = append(all, args...)
	for i := range more {
		r := &more[i]
		if len(r.Files) == 0 {
			definitions += ", " + r.Name + " AS NOT MATERIALIZED (" + nothing(r.Columns) + " WHERE false)"
			continue
		}
		all = append(all, r.Files)
		definitions += ", " + r.Name + " AS NOT MATERIALIZED (SELECT * FROM read_parquet($" + strconv.Itoa(len(all)) + ", hive_partitioning = false" + union(r.Union) + "))"
	}
	return withRelations(definitions, query), all
}

func union(on bool) string {
	if on {
		return ", union_by_name = true"
	}
	return ""
}

// QueryOf is [DB.Query] with further relations beside `events`. The numbers of
// the query's own arguments are the same.
func (d *DB) QueryOf(ctx context.Context, files []string, more []Relation, query string, args []any, scan func(func(...any) error) error) error {
	text, all := define(files, more, query, args)
	return d.query(ctx, text, all, scan)
}

// Copy writes what a SELECT returns to a new Parquet file within the lake, whose
// path is one of ours. The query is as for [DB.QueryOf]; its columns and their
// order are the file's, and its order that of the rows. The file is neither
// synced nor, after an error, removed.
func (d *DB) Copy(ctx context.Context, files []string, more []Relation, query string, args []any, path string) error {
	if rel, err := filepath.Rel(d.lake, path); err != nil || strings.HasPrefix(rel, "..") {
		return fmt.Errorf("write %s: it is not within the lake", filepath.Base(path))
	}
	text, all := define(files, more, query, args)
	text = "COPY (" + text + ") TO " + quote(path) +
		" (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, ROW_GROUP_SIZE 20480)"
	turn, err := d.turns.Enter(ctx)
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	defer turn.End()
	_, err = d.of[turn.Class].ExecContext(ctx, text, all...)
	return queryError(ctx, err)
}
