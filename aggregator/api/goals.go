package api

import (
	"errors"
	"net/http"

	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// goalsOf are a site's goals as questions know them.
func goalsOf(s *state.Site) []stats.Goal {
	list := make([]stats.Goal, len(s.Goals))
	for i, g := range s.Goals {
		list[i] = stats.Goal{Name: g.Name, Page: g.Page, Event: g.Event, Props: g.Props}
	}
	return list
}

// goals lists a site's goals.
func (s *Server) goals(w http.ResponseWriter, r *http.Request) error {
	site, _, err := s.site(r)
	if err != nil {
		return err
	}
	list := site.Goals
	if list == nil {
		list = []state.Goal{}
	}
	return s.made(w, r, list)
}

// addGoal serves POST /api/goals: state.Goal as JSON.
func (s *Server) addGoal(w http.ResponseWriter, r *http.Request) error {
	return s.editGoals(w, r, http.StatusCreated, func(site string) (state.Site, error) {
		var g state.Goal
		if err := readChange(w, r, &g); err != nil {
			return state.Site{}, err
		}
		return s.cfg.Registry.AddGoal(site, g)
	})
}

func (s *Server) removeGoal(w http.ResponseWriter, r *http.Request) error {
	return s.editGoals(w, r, http.StatusOK, func(site string) (state.Site, error) {
		return s.cfg.Registry.RemoveGoal(site, r.URL.Query().Get("name"))
	})
}

// editGoals answers with the goals as they are now.
func (s *Server) editGoals(w http.ResponseWriter, r *http.Request, status int, edit func(site string) (state.Site, error)) error {
	if err := s.mayChange(r, false); err != nil {
		return err
	}
	site, err := edit(r.URL.Query().Get("site_id"))
	var refusal *httpError
	switch {
	case errors.Is(err, sites.ErrUnknown):
		return unknownSite()
	case errors.Is(err, sites.ErrGoalExists):
		return &httpError{status: http.StatusConflict, code: "goal_exists", message: err.Error()}
	case errors.Is(err, sites.ErrNoGoal):
		return notFound(err.Error() + ": GET /api/goals lists them")
	case errors.Is(err, sites.ErrStore), errors.As(err, &refusal):
		return err
	case err != nil:
		return invalid(err)
	}
	list := site.Goals
	if list == nil {
		list = []state.Goal{}
	}
	return answerJSON(w, r, status, list)
}
