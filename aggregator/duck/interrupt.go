package duck

import (
	"context"
	"database/sql"
	"reflect"
	"time"

	duckdb "github.com/duckdb/duckdb-go/v2"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// interruptEvery is how often a statement is told to end until it has: DuckDB
// forgets it where it is told between two of its steps.
const interruptEvery = 5 * time.Millisecond

// on calls work with a connection of the class, whose statement ends when ctx
// does. The context that work gets does not end: a statement under one that does
// is interrupted by the driver, which then waits for half a second before it looks
// whether that was heard, and holds the turn and the memory meanwhile.
func on(ctx context.Context, db *sql.DB, work func(context.Context, *sql.Conn) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return queryError(ctx, err)
	}
	defer conn.Close()
	var handle mapping.Connection
	if err := conn.Raw(func(raw any) error { handle = handleOf(raw); return nil }); err != nil {
		return queryError(ctx, err)
	}
	if handle.Ptr == nil {
		return work(ctx, conn)
	}
	defer interrupting(ctx, handle)()
	return work(context.WithoutCancel(ctx), conn)
}

// interrupting ends what runs on a connection once ctx ends. stop is called when
// nothing runs any more; after it nothing is interrupted.
func interrupting(ctx context.Context, handle mapping.Connection) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-ctx.Done():
		case <-done:
			return
		}
		tick := time.NewTicker(interruptEvery)
		defer tick.Stop()
		for {
			mapping.Interrupt(handle)
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// handleOf is DuckDB's own name of the driver's connection, which the driver does
// not tell; none where it keeps it elsewhere. A test watches that it does not.
func handleOf(raw any) mapping.Connection {
	v := reflect.ValueOf(raw)
	if _, ok := raw.(*duckdb.Conn); !ok || v.Elem().Kind() != reflect.Struct {
		return mapping.Connection{}
	}
	field := v.Elem().FieldByName("conn")
	if !field.IsValid() || field.Type() != reflect.TypeFor[mapping.Connection]() {
		return mapping.Connection{}
	}
	return *(*mapping.Connection)(field.Addr().UnsafePointer())
}
