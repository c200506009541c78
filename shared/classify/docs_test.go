package classify

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// The document lists every result, in any order, and every switch; nothing
// else.
func TestDocumentListsEveryResultAndSwitch(t *testing.T) {
	b, err := os.ReadFile("../../docs/counting.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "## The results\n")
	results, rest, _ := strings.Cut(text, "\n## ")
	var listed []shared.Result
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(results, -1) {
		listed = append(listed, shared.Result(m[1]))
	}
	want := slices.Clone(shared.Results)
	slices.Sort(listed)
	slices.Sort(want)
	if !slices.Equal(listed, want) {
		t.Errorf("docs/counting.md lists %v, want %v", listed, want)
	}
	for _, sw := range switches {
		if !regexp.MustCompile(`(?m)^ +count ` + sw.name + ` +o(n|ff)$`).MatchString(rest) {
			t.Errorf("docs/counting.md has no line for `count %s`", sw.name)
		}
	}
}
