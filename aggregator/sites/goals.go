package sites

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// Bounds of goals: each is a condition on every row of a question about them.
const (
	maxGoals     = 100
	maxGoalProps = 5
)

// Errors of goals that callers tell apart.
var (
	// ErrGoalExists means that the site has a goal of that name.
	ErrGoalExists = errors.New("the site has a goal of that name already: take it away first")
	// ErrNoGoal means that it has none.
	ErrNoGoal = errors.New("the site has no such goal")
)

// AddGoal gives a site one more goal.
func (r *Registry) AddGoal(site string, g state.Goal) (state.Site, error) {
	if err := checkGoal(&g); err != nil {
		return state.Site{}, err
	}
	return r.goals(site, func(list []state.Goal) ([]state.Goal, error) {
		switch {
		case slices.ContainsFunc(list, func(have state.Goal) bool { return have.Name == g.Name }):
			return nil, ErrGoalExists
		case len(list) >= maxGoals:
			return nil, fmt.Errorf("a site can have %d goals, and this one has them", maxGoals)
		}
		return append(slices.Clone(list), g), nil
	})
}

// RemoveGoal takes the goal of a name from a site.
func (r *Registry) RemoveGoal(site, name string) (state.Site, error) {
	return r.goals(site, func(list []state.Goal) ([]state.Goal, error) {
		at := slices.IndexFunc(list, func(have state.Goal) bool { return have.Name == name })
		if at < 0 {
			return nil, ErrNoGoal
		}
		return slices.Delete(slices.Clone(list), at, at+1), nil
	})
}

func (r *Registry) goals(site string, edit func([]state.Goal) ([]state.Goal, error)) (state.Site, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, ok := r.Resolve(site)
	if !ok {
		return state.Site{}, fmt.Errorf("%w: %s", ErrUnknown, strconv.Quote(cut(site)))
	}
	s := old
	var err error
	if s.Goals, err = edit(old.Goals); err != nil {
		return state.Site{}, err
	}
	s.UpdatedAt = r.now().UnixMicro()
	return r.put(r.book.Load(), &old, s)
}

// checkGoal refuses what nothing could meet.
func checkGoal(g *state.Goal) error {
	text := func(what, s string) error {
		if s == "" || shared.Cut(s, shared.MaxShort) != s {
			return fmt.Errorf("%s has 1 to %d bytes of text, without control characters", what, shared.MaxShort)
		}
		return nil
	}
	if err := text("a goal's name", g.Name); err != nil {
		return err
	}
	switch {
	case (g.Page == "") == (g.Event == ""):
		return errors.New("a goal is either a page, like /thanks or /blog/**, or a custom event's name")
	case g.Page != "" && !strings.HasPrefix(g.Page, "/") && !strings.HasPrefix(g.Page, "*"):
		return errors.New("page: must begin with / or *")
	}
	if err := text("a goal's page or event", g.Page+g.Event); err != nil {
		return err
	}
	if len(g.Props) > maxGoalProps {
		return fmt.Errorf("props: at most %d are possible", maxGoalProps)
	}
	for key, value := range g.Props {
		if err := errors.Join(text("a property's key", key), text("a property's value", value)); err != nil {
			return err
		}
	}
	if len(g.Props) == 0 {
		g.Props = nil
	}
	return nil
}
