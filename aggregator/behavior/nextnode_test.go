package behavior

import (
	"strings"
	"testing"
)

// nodes reads "a b* c": pages in order, of which those with a star meet the base
// condition. Conditions 1 to 3 are: to be a, b, c.
func nodes(text string) []Node {
	var list []Node
	for word := range strings.FieldsSeq(text) {
		list = append(list, Node{Value: uint32(word[0]), Mask: 1 << (word[0] - 'a'), Base: strings.HasSuffix(word, "*")})
	}
	return list
}

func TestNextNode(t *testing.T) {
	for _, c := range []struct {
		direction Direction
		base      Base
		chain     int
		nodes     string
		want      string // "" = none
	}{
		{Forward, Head, 1, "a* b c", "b"},
		{Forward, Head, 1, "a b* c", ""}, // the first has to meet the base condition
		{Forward, Head, 1, "d* a b", ""}, // and the chain begins there
		{Forward, Head, 2, "a* b d", "d"},
		{Forward, Head, 2, "a* d b c", ""}, // one right after another
		{Forward, Head, 1, "a*", ""},       // nothing comes after
		{Forward, Head, 1, "", ""},
		{Forward, FirstMatch, 1, "a d a* c a* b", "c"},
		{Forward, LastMatch, 1, "a d a* c a* b", "b"},
		{Forward, LastMatch, 1, "a* b a*", ""}, // not tried elsewhere
		{Forward, FirstMatch, 2, "a* c a* b d", ""},
		{Backward, Tail, 1, "c b a*", "b"},
		{Backward, Tail, 2, "c b a*", "c"},
		{Backward, Tail, 1, "c b a", ""},
		{Backward, FirstMatch, 1, "a* b a*", ""},
		{Backward, LastMatch, 1, "a* b a*", "b"},
		{Backward, LastMatch, 1, "", ""},
	} {
		n := NextNode{c.direction, c.base, c.chain}
		if err := n.Validate(); err != nil {
			t.Fatal(err)
		}
		got := ""
		if v, ok := n.Of(nodes(c.nodes)); ok {
			got = string(rune(v))
		}
		if got != c.want {
			t.Errorf("%+v of %q: %q, want %q", n, c.nodes, got, c.want)
		}
	}
}

func TestNextNodeRefusesWhatHasNoAnswer(t *testing.T) {
	for _, n := range []NextNode{{Forward, Tail, 1}, {Backward, Head, 1}, {Forward, Head, 0}, {Forward, Head, MaxConditions + 1}} {
		if n.Validate() == nil {
			t.Errorf("%+v is taken", n)
		}
	}
}
