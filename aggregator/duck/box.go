package duck

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"

	duckdb "github.com/duckdb/duckdb-go/v2"
)

// BoxConfig says what a [Box] holds and what it may use.
type BoxConfig struct {
	Files   []string // the only files that can be read
	Memory  int64    // bytes
	Threads int
	Zone    string // IANA name: of dates, and of times that are written without a zone
	// Schema is made for the relations that nobody but the views needs.
	Schema string
	// Tables are Parquet files under names of ours, with their columns.
	Tables []Table
	// Views are made in this order, under names of ours, out of Tables and of each
	// other. What is in an argument can't be read by any other way.
	Views []View
}

// Table is a relation of files, all of them of one shape: a column that a file
// lacks is null there.
type Table struct {
	Name    string
	Files   []string
	Columns []Column // by name and SQL type
}

// Column is one column's name and its type in SQL.
type Column struct{ Name, Kind string }

// View is a relation by a SELECT of ours, whose arguments are $2, $3 and so on.
type View struct {
	Name, Text string
	Args       []any
}

// Box is a DuckDB of its own for SQL from people: in memory, with some files that
// it can read and nothing that it can write, no temporary files, no extensions,
// and a configuration that can't be changed. It is meant for a process of its
// own, see package sqlbox: what SQL can do inside of DuckDB it can do here. It is
// not safe for concurrent use.
type Box struct {
	connector *duckdb.Connector
	conn      *duckdb.Conn
}

// OpenBox opens one and locks it.
func OpenBox(ctx context.Context, cfg BoxConfig) (*Box, error) {
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, fmt.Errorf("open box: %w", err)
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open box: %w", err), connector.Close())
	}
	b := &Box{connector: connector, conn: conn.(*duckdb.Conn)}
	if err := b.fill(ctx, &cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("open box: %w", err), b.Close())
	}
	return b, nil
}

// Close ends it.
func (b *Box) Close() error { return errors.Join(b.conn.Close(), b.connector.Close()) }

// fill sets the limits, makes the relations, and then locks everything.
func (b *Box) fill(ctx context.Context, cfg *BoxConfig) error {
	files := make([]string, len(cfg.Files))
	for i, f := range cfg.Files {
		files[i] = quote(f)
	}
	for _, s := range []string{
		fmt.Sprintf("SET memory_limit = '%dB'", cfg.Memory),
		fmt.Sprintf("SET threads = %d", cfg.Threads),
		"SET temp_directory = ''",
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
		"SET allow_community_extensions = false",
		"SET allow_unsigned_extensions = false",
		"SET enable_external_file_cache = false",
		"SET allow_persistent_secrets = false",
		"SET max_expression_depth = 250", // of a parse, on a thread's stack
	} {
		// What this version does not know it can't do; what else is wrong shows below.
		if err := b.exec(ctx, s); err != nil && !strings.Contains(err.Error(), "Cannot change allow_unsigned_extensions") {
			return err
		}
	}
	if err := b.exec(ctx, "SET GLOBAL TimeZone = "+quote(cfg.Zone)); err != nil {
		// A zone that its tables do not know yet.
		if err := b.exec(ctx, "SET GLOBAL TimeZone = 'UTC'"); err != nil {
			return err
		}
	}
	if err := b.exec(ctx, "CREATE SCHEMA "+cfg.Schema); err != nil {
		return err
	}
	for _, t := range cfg.Tables {
		if err := b.exec(ctx, "CREATE VIEW "+t.Name+" AS "+t.text()); err != nil {
			return fmt.Errorf("relation %s: %w", t.Name, err)
		}
	}
	for i := range cfg.Views {
		if err := b.view(ctx, i, &cfg.Views[i]); err != nil {
			return fmt.Errorf("relation %s: %w", cfg.Views[i].Name, err)
		}
	}
	for _, s := range []string{
		"SET allowed_paths = [" + strings.Join(files, ", ") + "]",
		"SET enable_external_access = false",
		"SET lock_configuration = true",
	} {
		if err := b.exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// text is the SQL of the table. A row of nulls that is never there gives it the
// columns that no file has.
func (t *Table) text() string {
	var names, nulls []string
	for _, c := range t.Columns {
		names = append(names, c.Name)
		nulls = append(nulls, "CAST(NULL AS "+c.Kind+") AS "+c.Name)
	}
	text := "SELECT " + strings.Join(nulls, ", ") + " WHERE false"
	if len(t.Files) > 0 {
		files := make([]string, len(t.Files))
		for i, f := range t.Files {
			files[i] = quote(f)
		}
		text += " UNION ALL BY NAME SELECT * FROM read_parquet([" + strings.Join(files, ", ") + "], hive_partitioning = false, union_by_name = true)"
	}
	return "SELECT " + strings.Join(names, ", ") + " FROM (" + text + ")"
}

// placeholder is an argument in a text of ours.
var placeholder = regexp.MustCompile(`\$(\d+)`)

// view makes a view. Views take no arguments, so these become variables of the
// connection.
func (b *Box) view(ctx context.Context, n int, v *View) error {
	prefix := fmt.Sprintf("a%d_", n)
	for i, arg := range v.Args {
		name := fmt.Sprintf("%s%d", prefix, FirstArg+i)
		if err := b.exec(ctx, "SET VARIABLE "+name+" = (SELECT $1)", arg); err != nil {
			return err
		}
	}
	return b.exec(ctx, "CREATE VIEW "+v.Name+" AS "+placeholder.ReplaceAllString(v.Text, "getvariable('"+prefix+"$1')"))
}

func (b *Box) exec(ctx context.Context, text string, args ...any) error {
	_, err := b.conn.ExecContext(ctx, text, named(args))
	return err
}

func named(args []any) []driver.NamedValue {
	values := make([]driver.NamedValue, len(args))
	for i, a := range args {
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return values
}

// Tree is what DuckDB's parser makes of a text, as the JSON of
// json_serialize_sql. Nothing of the text is run.
func (b *Box) Tree(ctx context.Context, text string) (string, error) {
	return b.one(ctx, "SELECT json_serialize_sql($1::VARCHAR)::VARCHAR", text)
}

// Functions lists the functions that there are, by name, with their kinds
// (scalar, aggregate, macro, table …).
func (b *Box) Functions(ctx context.Context) (map[string][]string, error) {
	text, err := b.one(ctx, "SELECT string_agg(DISTINCT function_type || ' ' || function_name, chr(10)) FROM duckdb_functions()")
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for line := range strings.SplitSeq(text, "\n") {
		kind, name, _ := strings.Cut(line, " ")
		out[name] = append(out[name], kind)
		sort.Strings(out[name])
	}
	return out, nil
}

// one asks one of our own texts that has one row of one text.
func (b *Box) one(ctx context.Context, text string, args ...any) (string, error) {
	rows, err := b.conn.QueryContext(ctx, text, named(args))
	if err != nil {
		return "", queryError(ctx, err)
	}
	defer rows.Close()
	row := make([]driver.Value, 1)
	if err := rows.Next(row); err != nil {
		return "", queryError(ctx, err)
	}
	s, _ := row[0].(string)
	return s, nil
}
