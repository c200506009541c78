// Package lake turns accepted events into Parquet files that anyone can read.
package lake
