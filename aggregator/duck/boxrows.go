package duck

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	duckdb "github.com/duckdb/duckdb-go/v2"
)

// Type is the type of a value of a [Box]'s answers.
//
// The values of a kind are, as Go has them: BOOLEAN bool; TINYINT to BIGINT int8
// to int64; UTINYINT to UBIGINT uint8 to uint64; HUGEINT and UHUGEINT *big.Int;
// FLOAT and DOUBLE float32 and float64; DECIMAL [Decimal]; VARCHAR string; BLOB
// and UUID []byte; DATE, TIME, TIMESTAMP and TIMESTAMPTZ time.Time; LIST []any;
// STRUCT map[string]any; MAP [Map]. Null is nil. What else DuckDB has comes as
// VARCHAR.
type Type struct {
	Kind         string
	Width, Scale uint8   // of a DECIMAL
	Key, Elem    *Type   // of a MAP; Elem of a LIST, too
	Fields       []Field // of a STRUCT
}

// Field is one of a STRUCT.
type Field struct {
	Name string
	Type *Type
}

// Decimal and Map are values of such columns.
type (
	Decimal = duckdb.Decimal
	Map     = duckdb.OrderedMap
)

// String is the type in SQL.
func (t *Type) String() string {
	switch t.Kind {
	case "DECIMAL":
		return fmt.Sprintf("DECIMAL(%d,%d)", t.Width, t.Scale)
	case "LIST":
		return t.Elem.String() + "[]"
	case "MAP":
		return "MAP(" + t.Key.String() + ", " + t.Elem.String() + ")"
	case "STRUCT":
		fields := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			fields[i] = `"` + strings.ReplaceAll(f.Name, `"`, `""`) + `" ` + f.Type.String()
		}
		return "STRUCT(" + strings.Join(fields, ", ") + ")"
	}
	return t.Kind
}

var kinds = map[duckdb.Type]string{
	duckdb.TYPE_BOOLEAN: "BOOLEAN", duckdb.TYPE_TINYINT: "TINYINT", duckdb.TYPE_SMALLINT: "SMALLINT", duckdb.TYPE_INTEGER: "INTEGER",
	duckdb.TYPE_BIGINT: "BIGINT", duckdb.TYPE_UTINYINT: "UTINYINT", duckdb.TYPE_USMALLINT: "USMALLINT", duckdb.TYPE_UINTEGER: "UINTEGER",
	duckdb.TYPE_UBIGINT: "UBIGINT", duckdb.TYPE_HUGEINT: "HUGEINT", duckdb.TYPE_UHUGEINT: "UHUGEINT", duckdb.TYPE_FLOAT: "FLOAT",
	duckdb.TYPE_DOUBLE: "DOUBLE", duckdb.TYPE_BLOB: "BLOB", duckdb.TYPE_UUID: "UUID", duckdb.TYPE_DATE: "DATE", duckdb.TYPE_TIME: "TIME",
	duckdb.TYPE_TIMESTAMP: "TIMESTAMP", duckdb.TYPE_TIMESTAMP_S: "TIMESTAMP", duckdb.TYPE_TIMESTAMP_MS: "TIMESTAMP", duckdb.TYPE_TIMESTAMP_TZ: "TIMESTAMPTZ",
}

// typeOf is nil where a value is to be read as text.
func typeOf(info duckdb.TypeInfo, nested bool) *Type {
	if info == nil {
		return nil
	}
	switch details := info.Details().(type) {
	case *duckdb.DecimalDetails:
		return &Type{Kind: "DECIMAL", Width: details.Width, Scale: details.Scale}
	case *duckdb.ListDetails:
		return listOf(details.Child)
	case *duckdb.ArrayDetails:
		return listOf(details.Child)
	case *duckdb.MapDetails:
		key, elem := typeOf(details.Key, true), typeOf(details.Value, true)
		if key != nil && elem != nil {
			return &Type{Kind: "MAP", Key: key, Elem: elem}
		}
	case *duckdb.StructDetails:
		t := &Type{Kind: "STRUCT"}
		for _, e := range details.Entries {
			field := typeOf(e.Info(), true)
			if field == nil {
				return nil
			}
			t.Fields = append(t.Fields, Field{e.Name(), field})
		}
		return t
	case nil:
		if kind, ok := kinds[info.InternalType()]; ok {
			return &Type{Kind: kind}
		}
		if nested && info.InternalType() == duckdb.TYPE_VARCHAR {
			return &Type{Kind: "VARCHAR"}
		}
	}
	return nil // text: also of JSON, which the driver would take apart
}

func listOf(child duckdb.TypeInfo) *Type {
	if elem := typeOf(child, true); elem != nil {
		return &Type{Kind: "LIST", Elem: elem}
	}
	return nil
}

// Rows is the answer to a statement.
type Rows struct {
	Names []string
	Types []*Type
	rows  driver.Rows
	stmt  driver.Stmt
	row   []driver.Value
}

// ErrNoSelect means that a text is something else than one SELECT.
var ErrNoSelect = errors.New("only one SELECT is answered")

// Wrapped is what Select runs of a text: a relation of which the first rows are
// taken. Begin is how many bytes of it come before the text.
func Wrapped(text string, limit int) (wrapped string, begin int) {
	const before = "SELECT * FROM (\n"
	return before + text + "\n) LIMIT " + strconv.Itoa(limit), len(before)
}

// Select runs a SELECT from people, and gives at most limit of its rows. It is
// only to be given a text that was found to be one statement.
func (b *Box) Select(ctx context.Context, text string, args []any, limit int) (*Rows, error) {
	wrapped, _ := Wrapped(text, limit)
	stmt, err := b.prepare(ctx, wrapped)
	if err != nil {
		return nil, queryError(ctx, err)
	}
	if n := stmt.NumInput(); n != len(args) {
		return nil, errors.Join(fmt.Errorf("query: Binder Error: the statement has %d parameters, and %d values are given for them", n, len(args)), stmt.Close())
	}
	r := &Rows{}
	if stmt.resolved() {
		err = r.describe(stmt)
	} else {
		err = b.describeRun(ctx, r, text, args)
	}
	if err := errors.Join(err, stmt.Close()); err != nil {
		return nil, queryError(ctx, err)
	}
	list := make([]string, len(r.Types))
	for i, t := range r.Types {
		list[i] = "#" + strconv.Itoa(i+1)
		if t == nil {
			r.Types[i] = &Type{Kind: "VARCHAR"}
			list[i] += "::VARCHAR"
		}
	}
	if stmt, err = b.prepare(ctx, "SELECT "+strings.Join(list, ", ")+wrapped[len("SELECT *"):]); err != nil {
		return nil, queryError(ctx, err)
	}
	r.stmt = stmt
	if r.rows, err = stmt.QueryContext(ctx, named(args)); err != nil {
		return nil, errors.Join(queryError(ctx, err), stmt.Close())
	}
	r.row = make([]driver.Value, len(r.Types))
	return r, nil
}

type statement struct{ *duckdb.Stmt }

// resolved reports whether the columns are known: they are not where the type of
// a parameter follows from its value alone.
func (s statement) resolved() bool {
	kind, err := s.ColumnType(0)
	return err == nil && (s.NumInput() == 0 || kind != duckdb.TYPE_INVALID && kind != duckdb.TYPE_ANY)
}

// describe takes names and types from what was prepared.
func (r *Rows) describe(s statement) error {
	n, err := s.ColumnCount()
	for i := 0; i < n && err == nil; i++ {
		var name string
		name, err = s.ColumnName(i)
		info, infoErr := s.ColumnTypeInfo(i)
		if infoErr != nil {
			info = nil // what the driver does not know is text
		}
		r.Names, r.Types = append(r.Names, name), append(r.Types, typeOf(info, false))
	}
	return err
}

// describeRun takes them from a run without rows. Only the names of types are known then: what
// is made of others is text.
func (b *Box) describeRun(ctx context.Context, r *Rows, text string, args []any) error {
	wrapped, _ := Wrapped(text, 0)
	rows, err := b.conn.QueryContext(ctx, wrapped, named(args))
	if err != nil {
		return err
	}
	defer rows.Close()
	known := map[string]string{}
	for _, kind := range kinds {
		known[kind] = kind
	}
	for i, name := range rows.Columns() {
		var t *Type
		if kind, ok := known[rows.(driver.RowsColumnTypeDatabaseTypeName).ColumnTypeDatabaseTypeName(i)]; ok {
			t = &Type{Kind: kind}
		}
		r.Names, r.Types = append(r.Names, name), append(r.Types, t)
	}
	return nil
}

func (b *Box) prepare(ctx context.Context, text string) (statement, error) {
	prepared, err := b.conn.PrepareContext(ctx, text)
	if err != nil {
		return statement{}, err
	}
	stmt := statement{prepared.(*duckdb.Stmt)}
	if kind, err := stmt.StatementType(); err != nil || kind != duckdb.STATEMENT_TYPE_SELECT {
		return statement{}, errors.Join(ErrNoSelect, err, stmt.Close())
	}
	return stmt, nil
}

// Next returns the next row, whose values are good until the next call, or
// io.EOF.
func (r *Rows) Next(ctx context.Context) ([]driver.Value, error) {
	if err := r.rows.Next(r.row); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return nil, queryError(ctx, err)
	}
	return r.row, nil
}

// Close ends it.
func (r *Rows) Close() error { return errors.Join(r.rows.Close(), r.stmt.Close()) }
