package duck

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	duckdb "github.com/duckdb/duckdb-go/v2"
)

// Defaults of [Config].
const (
	DefaultMemory = 192 << 20
	DefaultTemp   = 1 << 30
	// maxConns bounds how many queries run at once; further ones wait. Each
	// query uses all threads, so more at once only cost memory.
	maxConns = 4
)

// Config says what DuckDB may use.
type Config struct {
	Lake    string // the only directory that queries may read
	Temp    string // for what does not fit into memory; emptied by Open
	Memory  int64  // bytes; 0 = DefaultMemory
	MaxTemp int64  // bytes on disk; 0 = DefaultTemp
	Threads int    // 0 = one for each CPU
}

// DB is the open DuckDB. Its methods are safe for concurrent use.
type DB struct{ db *sql.DB }

// Open starts DuckDB. Nothing is written outside of Config.Temp.
func Open(cfg Config) (*DB, error) {
	lake, err := filepath.Abs(cfg.Lake)
	if err != nil {
		return nil, fmt.Errorf("open duckdb: %w", err)
	}
	temp, err := filepath.Abs(cfg.Temp)
	if err != nil {
		return nil, fmt.Errorf("open duckdb: %w", err)
	}
	// What lies there is of a process that was killed.
	if err := errors.Join(os.RemoveAll(temp), os.MkdirAll(temp, 0o700)); err != nil {
		return nil, fmt.Errorf("empty duckdb's temporary directory: %w", err)
	}
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, fmt.Errorf("open duckdb: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	if err := configure(db, cfg, lake, temp); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &DB{db: db}, nil
}

// configure sets the limits and then locks them. The order matters: directories
// are allowed before access is switched off, and nothing can be set after the
// lock.
func configure(db *sql.DB, cfg Config, lake, temp string) error {
	memory, maxTemp, threads := cfg.Memory, cfg.MaxTemp, cfg.Threads
	if memory <= 0 {
		memory = DefaultMemory
	}
	if maxTemp <= 0 {
		maxTemp = DefaultTemp
	}
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	settings := []string{
		fmt.Sprintf("SET memory_limit = '%dB'", memory),
		fmt.Sprintf("SET threads = %d", threads),
		"SET temp_directory = " + quote(temp),
		fmt.Sprintf("SET max_temp_directory_size = '%dB'", maxTemp),
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
		"SET allow_community_extensions = false",
		"SET GLOBAL TimeZone = 'UTC'",
		"SET preserve_insertion_order = false",   // less memory; every query that cares orders
		"SET parquet_metadata_cache = true",      // files never change, so their footers are read once
		"SET enable_external_file_cache = false", // the system caches local files already
		"SET allowed_directories = [" + quote(lake+string(filepath.Separator)) + "]",
		"SET enable_external_access = false",
		"SET lock_configuration = true",
	}
	for _, statement := range settings {
		if _, err := db.ExecContext(context.Background(), statement); err != nil {
			return fmt.Errorf("configure duckdb: %s: %w", statement, err)
		}
	}
	return nil
}

// quote makes a literal of one of our own paths; DuckDB has no arguments in SET.
func quote(path string) string { return "'" + strings.ReplaceAll(path, "'", "''") + "'" }

// Close ends all queries.
func (d *DB) Close() error { return d.db.Close() }

// FirstArg is the number of the first of a query's own arguments: $1 is the
// list of files.
const FirstArg = 2

// Query runs a SELECT in which the relation `events` holds the rows of the
// files. The query is one of ours; everything from outside is in args, which
// are $2, $3 and so on in it. scan is called once for each row, with a function
// that reads its values. An error of scan ends the query.
func (d *DB) Query(ctx context.Context, files []string, query string, args []any, scan func(func(...any) error) error) error {
	text, all := withFiles(files, query, args)
	rows, err := d.db.QueryContext(ctx, text, all...)
	if err != nil {
		return queryError(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows.Scan); err != nil {
			return err
		}
	}
	return queryError(ctx, rows.Err())
}

// withFiles is the whole text of a query of the files, with all of its arguments.
func withFiles(files []string, query string, args []any) (text string, all []any) {
	all = make([]any, 0, 1+len(args))
	if len(files) > 0 {
		text, all = withEvents(eventsOfFiles, query), append(all, files)
	} else {
		text, all = withEvents(eventsOfNothing, query), append(all, "")
	}
	return text, append(all, args...)
}

// queryError says that the context ended where DuckDB only says that it was
// interrupted.
func queryError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("query: %w", ctx.Err())
	case errors.Is(err, driver.ErrBadConn):
		return fmt.Errorf("query: connection to duckdb: %w", err)
	default:
		return fmt.Errorf("query: %w", err)
	}
}
