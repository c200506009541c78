package api

import (
	"errors"
	"net/http"

	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/state"
)

// keyAnswer is one key as the API shows it.
type keyAnswer struct {
	ID        string   `json:"id"`
	Prefix    string   `json:"prefix"` // what its token begins with
	Name      string   `json:"name"`
	Edge      string   `json:"edge"`
	Scopes    []string `json:"scopes"`
	Sites     []string `json:"sites"`      // ids; null = every site
	CreatedAt string   `json:"created_at"` // RFC 3339, UTC
	ExpiresAt *string  `json:"expires_at"` // null = never
	// Token is there once, in the answer to the request that made the key.
	Token string `json:"token,omitempty"`
}

func keyOf(k *state.Key) keyAnswer {
	a := keyAnswer{
		ID: k.ID, Prefix: auth.Prefix(k.ID), Name: k.Name, Edge: k.Edge, Scopes: k.Scopes, Sites: k.Sites, CreatedAt: rfc3339(k.CreatedAt),
	}
	if k.ExpiresAt != 0 {
		text := rfc3339(k.ExpiresAt)
		a.ExpiresAt = &text
	}
	return a
}

func (s *Server) keys(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayChange(r, true); err != nil {
		return err
	}
	list := []keyAnswer{}
	for _, k := range s.cfg.Keys.List() {
		list = append(list, keyOf(&k))
	}
	return answerJSON(w, r, http.StatusOK, list)
}

// addKey serves POST /api/keys: auth.New as JSON.
func (s *Server) addKey(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayChange(r, true); err != nil {
		return err
	}
	var n auth.New
	if err := readChange(w, r, &n); err != nil {
		return err
	}
	key, err := s.cfg.Keys.Add(n)
	if errors.Is(err, auth.ErrInvalid) {
		return invalid(err)
	}
	if err != nil {
		return err
	}
	answer := keyOf(&key.Key)
	answer.Token = key.Token
	return answerJSON(w, r, http.StatusCreated, answer)
}

func (s *Server) revokeKey(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayChange(r, true); err != nil {
		return err
	}
	key, err := s.cfg.Keys.Revoke(r.PathValue("id"))
	if errors.Is(err, auth.ErrUnknown) {
		return notFound("there is no such key: GET /api/keys lists them")
	}
	if err != nil {
		return err
	}
	return answerJSON(w, r, http.StatusOK, keyOf(&key))
}
