package api

import (
	"testing"

	"github.com/eider-analytics/eider/aggregator/stats"
)

func TestCaveatField(t *testing.T) {
	for _, c := range []struct {
		list []stats.Caveat
		want string
	}{
		{nil, ""},
		{
			[]stats.Caveat{{Reason: "a", Affects: []string{"x", "y"}, Message: `say "b\c"`}, {Reason: "d", Message: "ü\r\nX: y"}},
			`a;affects="x y";message="say \"b\\c\"", d;affects="";message="???X: y"`,
		},
	} {
		if got := caveatField(c.list); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
