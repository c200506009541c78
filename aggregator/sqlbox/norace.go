//go:build !race

package sqlbox

const raceEnabled = false
