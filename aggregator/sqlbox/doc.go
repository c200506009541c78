// Package sqlbox answers SQL from people.
//
// It owns the way of a statement: what may be asked, the views that it is asked
// of, the process that it runs in, and the formats of its answer. DuckDB is no
// sandbox, so there are several walls, each of which is to hold by itself:
//
//	parent   takes one site's files from the snapshot and keeps them; names no other
//	child    a process of its own, with an empty environment and limits on memory,
//	         time, files and output; Landlock and a filter of system calls leave it
//	         these files to read, and nothing to write, start or connect to
//	DuckDB   in memory, these files alone allowed, no extensions, locked configuration
//	check    the statement as DuckDB parses it: one SELECT, of nodes, relations,
//	         functions and types that are on a list
//
// It promises that a statement sees the rows of one site and nothing else, that
// no statement harms the process that was asked, that an answer is whole or an
// error, and that its limits hold. The parent never parses a statement.
//
// It refuses everything that is not a SELECT, and to say what numbers mean: the
// relations are package stats's.
package sqlbox
