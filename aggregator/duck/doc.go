// Package duck answers SQL over the lake's Parquet files.
//
// It owns the DuckDBs of the process, one for each class of statements (package
// turns, which says whose turn it is): in memory, with bounded memory, threads
// and temporary space. It promises that a query sees exactly the files
// that it is given, stops when its context ends, and can't reach anything
// outside of the lake's directory: external access is limited to it, no
// extension is ever loaded, and the configuration is locked before the first
// query.
//
// Answers of some rows come one by one, those of millions in columns.
//
// It refuses SQL from people (DuckDB is no sandbox: package stats compiles what
// runs here from constants), file names inside SQL (they are arguments), and
// to keep anything that could not be made again from the files.
package duck
