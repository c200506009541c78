package receive

import (
	"os"
	"path/filepath"
	"strings"
)

// wantLetters checks how many batches are in the dead letters.
func (g *rig) wantLetters(want int) {
	g.t.Helper()
	entries, err := os.ReadDir(filepath.Join(g.dir, "dead-letters"))
	if err != nil {
		g.t.Fatal(err)
	}
	frames, metas := 0, 0
	for _, e := range entries {
		switch {
		case strings.HasSuffix(e.Name(), ".frame"):
			frames++
		case strings.HasSuffix(e.Name(), ".json"):
			metas++
		default:
			g.t.Errorf("unexpected file %q", e.Name())
		}
	}
	if frames != want || metas != want {
		g.t.Errorf("%d frames and %d descriptions, want %d", frames, metas, want)
	}
}
