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

	"github.com/eider-analytics/eider/aggregator/turns"
)

// Defaults of [Config].
const (
	DefaultMemory = 384 << 20
	DefaultTemp   = 1 << 30
)

// ErrMemory says that a query needs more memory, or more temporary space, than
// there is for its class.
var ErrMemory = errors.New("more memory is needed than there is for one question")

// Config says what DuckDB may use.
type Config struct {
	Lake    string // the only directory that queries may read
	Temp    string // for what does not fit into memory; emptied by Open
	Memory  int64  // bytes, of both classes together; 0 = DefaultMemory
	MaxTemp int64  // bytes on disk, likewise; 0 = DefaultTemp
	Threads int    // that work on one query; 0 = one for each CPU
	// Turns is the order of queries; nil = one with its defaults.
	Turns *turns.Turns
}

// DB is the open DuckDB. Its methods are safe for concurrent use.
type DB struct {
	lake  string
	turns *turns.Turns
	of    [2]*sql.DB // by class
}

// share is what a class has of memory and temporary space, in percent. Light
// statements hold little and must not spill; heavy ones may.
var share = [2]struct{ memory, temp int64 }{turns.Light: {50, 30}, turns.Heavy: {50, 70}}

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
	cfg.Lake, cfg.Temp = lake, temp
	cfg.setDefaults()
	d := &DB{lake: lake, turns: cfg.Turns}
	for class := range d.of {
		if d.of[class], err = openClass(cfg, turns.Class(class)); err != nil {
			return nil, errors.Join(err, d.Close())
		}
	}
	return d, nil
}

func (c *Config) setDefaults() {
	if c.Memory <= 0 {
		c.Memory = DefaultMemory
	}
	if c.MaxTemp <= 0 {
		c.MaxTemp = DefaultTemp
	}
	if c.Threads <= 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	if c.Turns == nil {
		c.Turns = turns.New(turns.Config{})
	}
}

// openClass starts the DuckDB of a class. DuckDB bounds memory and threads for
// a whole instance only: in one of their own, heavy statements can neither take
// the memory that a light one is about to ask for, nor keep all worker threads.
func openClass(cfg Config, class turns.Class) (*sql.DB, error) {
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, fmt.Errorf("open duckdb: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(cfg.Turns.Slots(class))
	db.SetMaxIdleConns(cfg.Turns.Slots(class))
	cfg.Memory, cfg.MaxTemp = cfg.Memory*share[class].memory/100, cfg.MaxTemp*share[class].temp/100
	cfg.Temp = filepath.Join(cfg.Temp, class.String())
	if err := configure(db, cfg); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// configure sets the limits and then locks them. The order matters: directories
// are allowed before access is switched off, and nothing can be set after the
// lock.
func configure(db *sql.DB, cfg Config) error {
	settings := []string{
		fmt.Sprintf("SET memory_limit = '%dB'", cfg.Memory),
		fmt.Sprintf("SET threads = %d", cfg.Threads),
		"SET temp_directory = " + quote(cfg.Temp),
		fmt.Sprintf("SET max_temp_directory_size = '%dB'", cfg.MaxTemp),
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
		"SET allow_community_extensions = false",
		"SET GLOBAL TimeZone = 'UTC'",
		"SET preserve_insertion_order = false",   // less memory; every query that cares orders
		"SET parquet_metadata_cache = true",      // files never change, so their footers are read once
		"SET enable_external_file_cache = false", // the system caches local files already
		"SET allowed_directories = [" + quote(cfg.Lake+string(filepath.Separator)) + "]",
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
func (d *DB) Close() error {
	var errs []error
	for _, db := range d.of {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// FirstArg is the number of the first of a query's own arguments: $1 is the
// list of files.
const FirstArg = 2

// Query runs a SELECT in which the relation `events` holds the rows of the
// files. The query is one of ours; everything from outside is in args, which
// are $2, $3 and so on in it. scan is called once for each row, with a function
// that reads its values. An error of scan ends the query.
//
// It waits for its turn, which is that of whoever [turns.With] says: errors are
// those of [turns.Turns.Enter], too. scan must not query.
func (d *DB) Query(ctx context.Context, files []string, query string, args []any, scan func(func(...any) error) error) error {
	return d.QueryOf(ctx, files, nil, query, args, scan)
}

// query runs a whole text with all of its arguments.
func (d *DB) query(ctx context.Context, text string, all []any, scan func(func(...any) error) error) error {
	turn, err := d.turns.Enter(ctx)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	defer turn.End()
	return on(ctx, d.of[turn.Class], func(free context.Context, conn *sql.Conn) error {
		rows, err := conn.QueryContext(free, text, all...)
		if err != nil {
			return queryError(ctx, err)
		}
		defer rows.Close()
		for ctx.Err() == nil && rows.Next() {
			if err := scan(rows.Scan); err != nil {
				return err
			}
		}
		return queryError(ctx, errors.Join(rows.Err(), ctx.Err()))
	})
}

// queryError says that the context ended where DuckDB only says that it was
// interrupted.
func queryError(ctx context.Context, err error) error {
	var refusal *duckdb.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("query: %w", ctx.Err())
	case errors.As(err, &refusal) && refusal.Type == duckdb.ErrorTypeOutOfMemory:
		return fmt.Errorf("query: %w: %w", ErrMemory, err)
	case errors.Is(err, driver.ErrBadConn):
		return fmt.Errorf("query: connection to duckdb: %w", err)
	default:
		return fmt.Errorf("query: %w", err)
	}
}
