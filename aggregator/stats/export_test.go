package stats

// SetTrailRows sets how many rows of trails are brought at a time, until restore.
func SetTrailRows(n int64) (restore func()) {
	before := trailRows
	trailRows = n
	return func() { trailRows = before }
}
