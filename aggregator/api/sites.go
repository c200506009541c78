package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// siteAnswer is one site as the API shows it.
type siteAnswer struct {
	SiteID         string         `json:"site_id"`
	UUID           string         `json:"uuid"`
	Domains        []string       `json:"domains"`
	Name           string         `json:"name"`
	TimeZone       string         `json:"time_zone"`
	AllowedDomains []string       `json:"allowed_domains"`
	Identity       string         `json:"identity"`
	Archived       bool           `json:"archived"`
	Privacy        shared.Privacy `json:"privacy"`
	Links          []shared.Link  `json:"links,omitempty"`
	Origin         string         `json:"origin"`
	CreatedAt      string         `json:"created_at"` // RFC 3339, UTC
	Snippet        string         `json:"snippet"`    // for `script /e` in the Caddyfile
}

func siteOf(s *state.Site) (siteAnswer, error) {
	snippet, err := sites.Snippet(s, "")
	allowed := s.AllowedDomains
	if allowed == nil {
		allowed = []string{}
	}
	return siteAnswer{
		SiteID: s.ID, UUID: s.UUID, Domains: s.Domains, Name: s.Name, TimeZone: s.Zone, AllowedDomains: allowed,
		Identity: s.Identity, Archived: s.Archived, Privacy: s.Privacy, Links: s.Links, Origin: s.Origin, CreatedAt: rfc3339(s.CreatedAt), Snippet: snippet,
	}, err
}

// sites lists the registry, as far as the token goes.
func (s *Server) sites(w http.ResponseWriter, r *http.Request) error {
	who, shown, err := s.who(r)
	if err != nil {
		return err
	}
	if shown && !who.May(auth.ScopeStats) {
		return denied("the token is not for questions: it needs the scope " + auth.ScopeStats)
	}
	list := []siteAnswer{}
	for _, site := range s.cfg.Sites.List() {
		if shown && !who.For(site.ID) {
			continue
		}
		answer, err := siteOf(&site)
		if err != nil {
			return err
		}
		list = append(list, answer)
	}
	return s.made(w, r, list)
}

func (s *Server) oneSite(w http.ResponseWriter, r *http.Request) error {
	site, ok := s.cfg.Sites.Resolve(r.PathValue("id"))
	if !ok {
		return unknownSite()
	}
	if err := s.mayAsk(r, &site); err != nil {
		return err
	}
	answer, err := siteOf(&site)
	if err != nil {
		return err
	}
	return s.made(w, r, answer)
}

func unknownSite() error {
	return &httpError{
		status: http.StatusNotFound, code: "unknown_site",
		message: "there is no site of this name: GET /api/sites lists them, `eider site add` adds one",
	}
}

// addSite serves POST /api/sites: a domain, and what of a change it should have.
func (s *Server) addSite(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayChange(r, false); err != nil {
		return err
	}
	var body struct {
		Domain string `json:"domain"`
		sites.Change
	}
	if err := readChange(w, r, &body); err != nil {
		return err
	}
	if site, ok := s.cfg.Sites.Resolve(body.Domain); ok {
		return &httpError{
			status: http.StatusConflict, code: "site_exists",
			message: fmt.Sprintf("that is a name of the site %s already: PATCH /api/sites/%s changes it", site.ID, site.ID),
		}
	}
	site, err := s.cfg.Registry.Add(body.Domain, body.Change)
	return s.changed(w, r, http.StatusCreated, site, err)
}

// editSite serves PATCH /api/sites/{id}; archiving is a change like any other.
func (s *Server) editSite(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayChange(r, false); err != nil {
		return err
	}
	var change sites.Change
	if err := readChange(w, r, &change); err != nil {
		return err
	}
	site, err := s.cfg.Registry.Edit(r.PathValue("id"), change)
	return s.changed(w, r, http.StatusOK, site, err)
}

// changed answers with the site as it is now, or why it is not.
func (s *Server) changed(w http.ResponseWriter, r *http.Request, status int, site state.Site, err error) error {
	switch {
	case errors.Is(err, sites.ErrUnknown):
		return unknownSite()
	case errors.Is(err, sites.ErrStore):
		return err
	case err != nil:
		return invalid(err)
	}
	answer, err := siteOf(&site)
	if err != nil {
		return err
	}
	return answerJSON(w, r, status, answer)
}

func answerJSON(w http.ResponseWriter, r *http.Request, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	writeJSON(w, r, status, "no-store", body)
	return nil
}

// hostAnswer is a host that belongs to no site.
type hostAnswer struct {
	Host     string `json:"host"`
	Requests uint64 `json:"requests"`  // since the aggregator began
	LastSeen string `json:"last_seen"` // RFC 3339, UTC
}

// unknownHosts lists what edges were asked for and no site has. It shows what
// runs on the machines, so a token that is not for all sites is not for it.
func (s *Server) unknownHosts(w http.ResponseWriter, r *http.Request) error {
	who, shown, err := s.who(r)
	if err != nil {
		return err
	}
	if shown && !who.May(auth.ScopeAdmin) {
		return denied("the token is not for administration: it needs the scope " + auth.ScopeAdmin)
	}
	list := []hostAnswer{}
	for _, h := range s.cfg.Unknown() {
		list = append(list, hostAnswer{h.Host, h.Requests, rfc3339(h.LastSeen)})
	}
	return s.made(w, r, list)
}
