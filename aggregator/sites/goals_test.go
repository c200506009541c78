package sites

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/aggregator/state"
)

func TestGoals(t *testing.T) {
	r, st := open(t, t.TempDir())
	if _, err := r.Add("example.com", Change{}); err != nil {
		t.Fatal(err)
	}
	signup := state.Goal{Name: "Signup", Event: "signup", Props: map[string]string{"plan": "pro"}}
	read := state.Goal{Name: "Read", Page: "/blog/**"}
	for _, g := range []state.Goal{signup, read} {
		if _, err := r.AddGoal("example.com", g); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.AddGoal("example.com", signup); !errors.Is(err, ErrGoalExists) {
		t.Errorf("a second goal of one name: %v", err)
	}
	if _, err := r.AddGoal("other.example", read); !errors.Is(err, ErrUnknown) {
		t.Errorf("a goal of no site: %v", err)
	}
	for what, g := range map[string]state.Goal{
		"no name":                {Page: "/"},
		"neither page nor event": {Name: "x"},
		"both":                   {Name: "x", Page: "/", Event: "y"},
		"no path":                {Name: "x", Page: "thanks"},
		"a long page":            {Name: "x", Page: "/" + strings.Repeat("a", 5000)},
		"a control character":    {Name: "x\n", Page: "/"},
		"many properties":        {Name: "x", Event: "y", Props: map[string]string{"1": "1", "2": "1", "3": "1", "4": "1", "5": "1", "6": "1"}},
		"an empty value":         {Name: "x", Event: "y", Props: map[string]string{"1": ""}},
	} {
		if _, err := r.AddGoal("example.com", g); err == nil {
			t.Errorf("%s is a goal", what)
		}
	}
	if again, err := Open(st, ""); err != nil {
		t.Fatal(err)
	} else if s, _ := again.Resolve("example.com"); !reflect.DeepEqual(s.Goals, []state.Goal{signup, read}) {
		t.Errorf("opened again, the goals are %+v", s.Goals)
	}
	if _, err := r.RemoveGoal("example.com", "Signup"); err != nil {
		t.Error(err)
	}
	if _, err := r.RemoveGoal("example.com", "Signup"); !errors.Is(err, ErrNoGoal) {
		t.Errorf("removed a second time: %v", err)
	}
	for i := range 99 {
		if _, err := r.AddGoal("example.com", state.Goal{Name: fmt.Sprint(i), Page: "/"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.AddGoal("example.com", state.Goal{Name: "one more", Page: "/"}); err == nil {
		t.Error("101 goals")
	}
}
