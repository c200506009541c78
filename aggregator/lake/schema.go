package lake

import (
	"reflect"

	"github.com/parquet-go/parquet-go"
)

// eventSchema is the Parquet schema of every segment.
var eventSchema = parquet.NewSchema("event", orderedGroup{nodes(), fields()})

// orderedGroup is a group whose fields keep the order of the table: parquet-go
// sorts them by name otherwise, and people read these files.
type orderedGroup struct {
	parquet.Group
	fields []parquet.Field
}

func (g orderedGroup) Fields() []parquet.Field { return g.fields }

// field is a named column of orderedGroup.
type field struct {
	parquet.Node
	name string
}

func (f field) Name() string { return f.name }

// Value is for reading Go structs, which segments are never written from.
func (f field) Value(base reflect.Value) reflect.Value { return base.MapIndex(reflect.ValueOf(f.name)) }

func nodes() parquet.Group {
	g := make(parquet.Group, len(columns))
	for _, c := range columns {
		g[c.name] = c.node
	}
	return g
}

func fields() []parquet.Field {
	list := make([]parquet.Field, len(columns))
	for i, c := range columns {
		list[i] = field{c.node, c.name}
	}
	return list
}

// leafCount is the number of leaves below a node.
func leafCount(n parquet.Node) int {
	if n.Leaf() {
		return 1
	}
	count := 0
	for _, f := range n.Fields() {
		count += leafCount(f)
	}
	return count
}
