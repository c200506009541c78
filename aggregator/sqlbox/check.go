package sqlbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// RefusedError says what of a statement is not allowed, and what is.
type RefusedError struct {
	Code    string // for programs
	Message string // for people
	at      int    // bytes before what it is about; -1 = nothing in particular
}

func (e *RefusedError) Error() string { return e.Message }

func refuse(code string, at int, format string, args ...any) error {
	return &RefusedError{Code: code, Message: fmt.Sprintf(format, args...), at: at}
}

// tree is what json_serialize_sql answers.
type tree struct {
	Error      bool   `json:"error"`
	Type       string `json:"error_type"`
	Message    string `json:"error_message"`
	Position   string `json:"position"`
	Statements []struct {
		Node map[string]any `json:"node"`
	} `json:"statements"`
}

// readTree takes the one statement out of a tree.
func readTree(text string) (map[string]any, error) {
	var t tree
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return nil, refuse("unreadable", -1, "the statement can't be read: it is nested too deeply")
	}
	at, err := strconv.Atoi(t.Position)
	if err != nil {
		at = -1
	}
	switch {
	case t.Error && t.Type == "parser":
		return nil, refuse("syntax", at, "%s", t.Message)
	case t.Error:
		return nil, refuse("not_select", -1, "only SELECT is answered: no other statement, and nothing that DuckDB makes several of (PIVOT without IN)")
	case len(t.Statements) == 0:
		return nil, refuse("empty", -1, "there is no statement: write one SELECT")
	case len(t.Statements) > 1:
		return nil, refuse("several_statements", -1, "these are %d statements: write one SELECT", len(t.Statements))
	case t.Statements[0].Node == nil:
		return nil, refuse("not_select", -1, "only SELECT is answered")
	}
	return t.Statements[0].Node, nil
}

// checker walks a tree. It allows what it knows, and refuses everything else:
// each node by its type, each relation, function, type and bare word by its name.
type checker struct {
	relations []string // by name: the views
	depth     int
}

// maxDepth bounds the depth of a tree, as each level takes from the stack.
const maxDepth = 1000

// check refuses what a statement may not do.
func check(node map[string]any, relations []string) error {
	c := &checker{relations: relations}
	return c.node(node, nil)
}

// nodeTypes are the kinds of nodes that there may be: of queries, of what stands
// in FROM, of what modifies a query, and of expressions.
var nodeTypes = set(`
	SELECT_NODE SET_OPERATION_NODE RECURSIVE_CTE_NODE
	BASE_TABLE SUBQUERY JOIN TABLE_FUNCTION EMPTY EXPRESSION_LIST PIVOT
	LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER ORDER_MODIFIER DISTINCT_MODIFIER
	COLUMN_REF VALUE_CONSTANT VALUE_PARAMETER FUNCTION OPERATOR_CAST CASE_EXPR STAR LAMBDA LAMBDA_REF COLLATE
	POSITIONAL_REFERENCE COMPARE_EQUAL COMPARE_NOTEQUAL COMPARE_LESSTHAN COMPARE_GREATERTHAN COMPARE_LESSTHANOREQUALTO
	COMPARE_GREATERTHANOREQUALTO COMPARE_IN COMPARE_NOT_IN COMPARE_DISTINCT_FROM COMPARE_NOT_DISTINCT_FROM
	COMPARE_BETWEEN COMPARE_NOT_BETWEEN CONJUNCTION_AND CONJUNCTION_OR
	OPERATOR_NOT OPERATOR_IS_NULL OPERATOR_IS_NOT_NULL OPERATOR_COALESCE OPERATOR_NULLIF OPERATOR_TRY GROUPING_FUNCTION
	OPERATOR_UNPACK ARRAY_EXTRACT ARRAY_SLICE STRUCT_EXTRACT ARRAY_CONSTRUCTOR ARROW
	WINDOW_AGGREGATE WINDOW_RANK WINDOW_RANK_DENSE WINDOW_NTILE WINDOW_PERCENT_RANK WINDOW_CUME_DIST WINDOW_ROW_NUMBER
	WINDOW_FIRST_VALUE WINDOW_LAST_VALUE WINDOW_LEAD WINDOW_LAG WINDOW_NTH_VALUE WINDOW_FILL`)

// orders are types of an ORDER BY's parts, which are no nodes.
var orders = set(`ORDER_DEFAULT ASCENDING DESCENDING`)

// valueTypes are the types of values that may be cast to.
var valueTypes = set(`BOOLEAN TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT
	FLOAT DOUBLE DECIMAL VARCHAR CHAR BLOB UUID DATE TIME TIMESTAMP TIMESTAMP_S TIMESTAMP_MS TIMESTAMP_NS
	INTERVAL BIT ENUM LIST ARRAY MAP STRUCT NULL SQLNULL BIGNUM INTEGER_LITERAL STRING_LITERAL`)

// namedTypes are those that the parser leaves open as names.
var namedTypes = set(`json uuid varchar text string blob date time timestamp timestamptz bool boolean tinyint smallint int integer bigint
	hugeint utinyint usmallint uinteger ubigint uhugeint float real double decimal numeric interval datetime bytea char bpchar int1 int2 int4
	int8 int16 int32 int64 float4 float8 signed short long logical bit bitstring nvarchar oid enum list map struct row array timestamp_s
	timestamp_ms timestamp_us timestamp_ns varint bignum binary varbinary`)

// words are columns to the parser and functions to the binder, if there is no
// such column.
var words = set(`user current_user session_user current_role current_catalog current_schema current_database current_query`)

func set(text string) map[string]bool {
	m := map[string]bool{}
	for _, word := range strings.Fields(text) {
		m[word] = true
	}
	return m
}

// scope is the relations that WITH names, from the inside out.
type scope struct {
	name  string
	outer *scope
}

func (s *scope) has(name string) bool {
	for ; s != nil; s = s.outer {
		if strings.EqualFold(s.name, name) {
			return true
		}
	}
	return false
}

// plainName is what a relation of a statement's own may be called. A name that
// looks like a file is one to DuckDB, where nothing else bears it.
var plainName = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_ -]{0,62}$`)

var collation = regexp.MustCompile(`^[A-Za-z_.]{1,40}$`)

// walk checks whatever stands at a place of a tree.
func (c *checker) walk(v any, s *scope) error {
	c.depth++
	defer func() { c.depth-- }()
	if c.depth > maxDepth {
		return refuse("too_deep", -1, "the statement is nested too deeply")
	}
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			if err := c.walk(child, s); err != nil {
				return err
			}
		}
	case map[string]any:
		return c.node(v, s)
	}
	return nil
}

// node checks an object and what is in it.
func (c *checker) node(n map[string]any, s *scope) error {
	if kind, ok := n["type"].(string); ok {
		if err := c.one(kind, n, s); err != nil {
			return err
		}
		if kind == "VALUE_CONSTANT" {
			return nil // its type was looked at, its value is the statement's
		}
	}
	inner, err := c.with(n, s)
	if err != nil {
		return err
	}
	for key, child := range n {
		switch key {
		case "cte_map", "cast_type":
			continue // looked at
		case "right":
			at := inner
			if name, ok := n["cte_name"].(string); ok { // the repeated part of a recursive relation sees itself
				at = &scope{name, inner}
			}
			err = c.walk(child, at)
		default:
			err = c.walk(child, inner)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// with checks what WITH defines, and adds its names to the scope: each sees those
// before it.
func (c *checker) with(n map[string]any, s *scope) (*scope, error) {
	m, _ := n["cte_map"].(map[string]any)
	list, _ := m["map"].([]any)
	for _, entry := range list {
		e, _ := entry.(map[string]any)
		name, _ := e["key"].(string)
		if !plainName.MatchString(name) {
			return nil, refuse("name", -1, "WITH can't define %s: a name begins with a letter, and has at most 63 letters, digits, blanks, - and _", cut(name))
		}
		if err := c.walk(e["value"], s); err != nil {
			return nil, err
		}
		s = &scope{name, s}
	}
	return s, nil
}

// one checks a node by itself.
func (c *checker) one(kind string, n map[string]any, s *scope) error {
	at := location(n)
	if !nodeTypes[kind] && !orders[kind] {
		return refuse("not_allowed", at, "%s is not allowed in a statement: it is one SELECT over the views %s", strings.ToLower(strings.TrimSuffix(kind, "_REF")), strings.Join(c.relations, ", "))
	}
	switch kind {
	case "BASE_TABLE":
		return c.table(n, s)
	case "TABLE_FUNCTION":
		f, _ := n["function"].(map[string]any)
		if name, _ := f["function_name"].(string); f["type"] != "FUNCTION" || !functions.mayBeTable(strings.ToLower(name)) {
			return c.function(name, at, "in FROM", "a relation is one of the views "+strings.Join(c.relations, ", ")+", or one of the functions "+strings.Join(functions.table, ", "))
		}
	case "COLUMN_REF":
		return c.column(n, at)
	case "OPERATOR_CAST":
		return c.cast(n["cast_type"], at)
	case "VALUE_CONSTANT":
		v, _ := n["value"].(map[string]any)
		return c.cast(v["type"], at)
	case "COLLATE":
		name, _ := n["collation"].(string)
		if !collation.MatchString(name) {
			return refuse("collation", at, "there is no collation %s", cut(name))
		}
	case "PIVOT":
		return c.pivot(n, at)
	}
	if name, ok := n["function_name"].(string); ok {
		return c.call(n, name, at)
	}
	return nil
}

// call checks a function, also one over a window.
func (c *checker) call(n map[string]any, name string, at int) error {
	catalog, _ := n["catalog"].(string)
	if catalog != "" && catalog != "system" {
		return refuse("function", at, "the function %s is not allowed: leave out what stands before its name", cut(name))
	}
	if name = strings.ToLower(name); !functions.may(name) {
		return c.function(name, at, "", "docs/sql.md lists those that are")
	}
	return nil
}

func (c *checker) function(name string, at int, where, allowed string) error {
	if where != "" {
		where = " " + where
	}
	why := functions.why(strings.ToLower(name))
	switch {
	case why != "":
		why = " (it " + why + ")"
	case !functions.may(strings.ToLower(name)):
		return refuse("function", at, "there is no function %s that may be called%s: %s", cut(name), where, allowed)
	}
	return refuse("function", at, "the function %s is not allowed%s%s: %s", cut(name), where, why, allowed)
}

func (c *checker) table(n map[string]any, s *scope) error {
	at := location(n)
	name, _ := n["table_name"].(string)
	catalog, _ := n["catalog_name"].(string)
	schema, _ := n["schema_name"].(string)
	if n["at_clause"] != nil {
		return refuse("not_allowed", at, "AT is not allowed: there is one version of a view")
	}
	if catalog == "" && schema == "" && s.has(name) {
		return nil
	}
	if catalog == "" && (schema == "" || strings.EqualFold(schema, "main")) && slices.ContainsFunc(c.relations, func(r string) bool { return strings.EqualFold(r, name) }) {
		return nil
	}
	full := name
	for _, before := range []string{schema, catalog} {
		if before != "" {
			full = before + "." + full
		}
	}
	return refuse("relation", at, "there is no relation %s: ask one of the views %s, or what WITH defines before it", cut(full), strings.Join(c.relations, ", "))
}

func (c *checker) column(n map[string]any, at int) error {
	names, _ := n["column_names"].([]any)
	if len(names) == 0 {
		return refuse("not_allowed", at, "a column has a name")
	}
	if name, _ := names[0].(string); len(names) == 1 && words[strings.ToLower(name)] {
		return refuse("function", at, "%s is not allowed: there are no users and schemas", cut(name))
	}
	return nil
}

// pivot checks the names in a PIVOT: one of an ENUM is a type.
func (c *checker) pivot(n map[string]any, at int) error {
	pivots, _ := n["pivots"].([]any)
	for _, p := range pivots {
		if m, _ := p.(map[string]any); m["pivot_enum"] != "" && m["pivot_enum"] != nil {
			return refuse("not_allowed", at, "PIVOT needs the values in IN ( … )")
		}
	}
	return nil
}

// cast checks a type and the types that it is made of.
func (c *checker) cast(v any, at int) error {
	c.depth++
	defer func() { c.depth-- }()
	t, _ := v.(map[string]any)
	if t == nil || c.depth > maxDepth {
		return refuse("type", at, "this type is not allowed")
	}
	id, _ := t["id"].(string)
	id = strings.TrimSuffix(id, " WITH TIME ZONE")
	info, _ := t["type_info"].(map[string]any)
	if id == "USER" || id == "UNBOUND" {
		return c.namedType(info, at)
	}
	if !valueTypes[id] {
		return refuse("type", at, "the type %s is not allowed", cut(id))
	}
	return c.typesIn(info, at)
}

func (c *checker) namedType(info map[string]any, at int) error {
	name := typeName(info)
	if !namedTypes[strings.ToLower(name)] {
		return refuse("type", at, "the type %s is not allowed", cut(name))
	}
	return c.typesIn(info, at)
}

// typeName finds the name of a type that the parser left open.
func typeName(info map[string]any) string {
	for _, key := range []string{"user_type_name", "name", "type_name"} {
		if name, ok := info[key].(string); ok {
			return name
		}
	}
	if expr, ok := info["expr"].(map[string]any); ok {
		return typeName(expr)
	}
	return ""
}

// typesIn checks every type within a description of one.
func (c *checker) typesIn(v any, at int) error {
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			if err := c.typesIn(child, at); err != nil {
				return err
			}
		}
	case map[string]any:
		if _, ok := v["id"].(string); ok {
			return c.cast(v, at)
		}
		if kind, ok := v["type"].(string); ok && strings.HasPrefix(kind, "TYPE") {
			if name := typeName(v); !namedTypes[strings.ToLower(name)] {
				return refuse("type", at, "the type %s is not allowed", cut(name))
			}
		}
		for _, child := range v {
			if err := c.typesIn(child, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// location is where a node stands, in bytes from the beginning; -1 = unknown.
func location(n map[string]any) int {
	if at, ok := n["query_location"].(float64); ok && at >= 0 && at < 1<<31 {
		return int(at)
	}
	return -1
}

// cut quotes a name, at most so much of it that a message stays one.
func cut(name string) string {
	const most = 80
	if len(name) > most {
		return strconv.Quote(name[:most]) + "…"
	}
	return strconv.Quote(name)
}

// place adds the line and column to what is wrong with a text, in which begin
// bytes came before it.
func place(err error, text string, begin int) error {
	var r *RefusedError
	if !errors.As(err, &r) || r.at < begin || r.at-begin > len(text) {
		return err
	}
	before := text[:r.at-begin]
	line := strings.Count(before, "\n") + 1
	column := len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
	return &RefusedError{Code: r.Code, Message: fmt.Sprintf("%s (line %d, column %d)", r.Message, line, column), at: -1}
}
