package api

import (
	"crypto/sha256"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// The read side of Umami 3, as far as its own client (npm's @umami/api-client)
// needs it for the plain reports. Who logs in shows the owner's token, or a key's,
// as the password, and gets it back: there are no accounts yet.

// umami is handle for Umami's clients, whose errors have a status within.
func (s *Server) umami(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		refusal := s.refusal(r, err)
		if refusal == nil {
			w.WriteHeader(statusGone)
			return
		}
		writeRefusal(w, r, refusal, map[string]any{"error": map[string]any{
			"code": strings.ReplaceAll(refusal.code, "_", "-"), "message": refusal.message, "status": refusal.status,
		}})
	})
}

// mountUmami adds the routes.
func (s *Server) mountUmami(mux *http.ServeMux) {
	get := func(h handler) http.Handler { return s.umami(methods(map[string]handler{http.MethodGet: h})) }
	post := func(h handler) http.Handler { return s.umami(methods(map[string]handler{http.MethodPost: h})) }
	mux.Handle("/api/auth/login", post(s.logIn))
	mux.Handle("/api/auth/verify", post(s.verify))
	mux.Handle("/api/me", get(s.me))
	mux.Handle("/api/websites", get(s.websites))
	mux.Handle("/api/websites/{id}", get(s.website))
	for name, parse := range umamiReports {
		mux.Handle("/api/websites/{id}/"+name, get(s.ofWebsite(parse)))
	}
	mux.Handle("/api/websites/{id}/daterange", get(s.dateRange))
}

// ofWebsite serves a question about the site in the path.
func (s *Server) ofWebsite(parse parser) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		site, zone, err := s.named(r, r.PathValue("id"))
		if err != nil {
			return err
		}
		return s.respond(w, r, site, zone, func(site stats.Site, now time.Time) (question, error) { return parse(site, r, now) })
	}
}

// ownerID stands for whoever logs in: clients want a UUID.
const ownerID = "00000000-0000-4000-8000-000000000001"

func umamiUser(who *auth.Principal) object {
	admin := who.May(auth.ScopeAdmin)
	role := "view-only"
	if admin {
		role = "admin"
	}
	return object{{"id", ownerID}, {"username", "admin"}, {"role", role}, {"createdAt", nil}, {"isAdmin", admin}, {"teams", []any{}}}
}

// logIn answers with the password as the token: it is one. Any username does.
func (s *Server) logIn(w http.ResponseWriter, r *http.Request) error {
	from := s.logins.address(s.place(r))
	if wait := s.logins.wait(from, s.cfg.Now()); wait > 0 {
		return &httpError{
			status: http.StatusTooManyRequests, code: "too_many_requests", message: "too many logins failed: wait a minute", after: int(math.Ceil(wait.Seconds())),
		}
	}
	body, err := readQuestion(w, r)
	if err != nil {
		return err
	}
	var said struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	if json.Unmarshal(body, &said) != nil || said.Username == "" || said.Password == "" {
		return &httpError{status: http.StatusBadRequest, code: "bad_request", message: "username and password are needed"}
	}
	if s.cfg.Keys != nil {
		if who, ok := s.cfg.Keys.Identify(said.Password); ok && who.May(auth.ScopeStats) {
			return answerJSON(w, r, http.StatusOK, object{{"token", said.Password}, {"user", umamiUser(&who)}})
		}
	}
	s.logins.failed(from, s.cfg.Now())
	return &httpError{
		status: http.StatusUnauthorized, code: "incorrect_username_password",
		message: "the password is the owner's token, which is in owner_token in the data directory, or a key with the scope stats",
	}
}

// shown is who shows a token; here nobody is let in without.
func (s *Server) shown(r *http.Request) (*auth.Principal, error) {
	who, shown, err := s.who(r)
	if err == nil && !shown {
		err = &httpError{status: http.StatusUnauthorized, code: "unauthorized", message: "log in first: POST /api/auth/login"}
	}
	return &who, err
}

func (s *Server) verify(w http.ResponseWriter, r *http.Request) error {
	who, err := s.shown(r)
	if err != nil {
		return err
	}
	return answerJSON(w, r, http.StatusOK, umamiUser(who))
}

func (s *Server) me(w http.ResponseWriter, r *http.Request) error {
	who, err := s.shown(r)
	if err != nil {
		return err
	}
	return answerJSON(w, r, http.StatusOK, object{{"authType", "session"}, {"user", umamiUser(who)}})
}

// websiteOf is a site as Umami shows it.
func websiteOf(site *state.Site) object {
	updated := site.UpdatedAt
	if updated == 0 {
		updated = site.CreatedAt
	}
	domain := ""
	if len(site.Domains) > 0 {
		domain = site.Domains[0]
	}
	o := object{{"id", site.UUID}, {"name", site.Name}, {"domain", domain}}
	for _, name := range []string{"shareId", "resetAt", "teamId", "deletedAt", "replayConfig"} {
		o = append(o, field{name, nil})
	}
	return append(o, field{"userId", ownerID}, field{"createdBy", ownerID}, field{"recorderEnabled", false},
		field{"createdAt", rfc3339(site.CreatedAt)}, field{"updatedAt", rfc3339(updated)})
}

// websites lists the sites, as far as the token goes.
func (s *Server) websites(w http.ResponseWriter, r *http.Request) error {
	who, shown, err := s.who(r)
	if err != nil {
		return err
	}
	if shown && !who.May(auth.ScopeStats) {
		return denied("the token is not for questions: it needs the scope " + auth.ScopeStats)
	}
	page, size, err := pageOf(r)
	if err != nil {
		return err
	}
	search := strings.ToLower(r.URL.Query().Get("search"))
	list := []object{}
	count := 0
	for _, site := range s.cfg.Sites.List() {
		names := strings.ToLower(site.Name + "\n" + strings.Join(site.Domains, "\n"))
		if site.Archived || shown && !who.For(site.ID) || !strings.Contains(names, search) {
			continue
		}
		if count++; count > (page-1)*size && len(list) < size {
			list = append(list, websiteOf(&site))
		}
	}
	return s.made(w, r, object{{"data", list}, {"count", count}, {"page", page}, {"pageSize", size}})
}

// pageOf reads the parameters of pages of a list.
func pageOf(r *http.Request) (page, size int, err error) {
	page, size = 1, 20
	for name, into := range map[string]*int{"page": &page, "pageSize": &size} {
		text := r.URL.Query().Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return 0, 0, &stats.InvalidError{Field: name, Message: "must be a number from 1 to 1000"}
		}
		*into = n
	}
	return page, size, nil
}

func (s *Server) website(w http.ResponseWriter, r *http.Request) error {
	site, _, err := s.named(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.made(w, r, websiteOf(&site))
}

// dateRange says from when to when there is something.
func (s *Server) dateRange(w http.ResponseWriter, r *http.Request) error {
	site, _, err := s.named(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	snap := s.cfg.Snapshot()
	defer snap.Release()
	began := stats.Began(snap.Files, site.ID)
	if began.IsZero() {
		return s.made(w, r, object{{"startDate", nil}, {"endDate", nil}})
	}
	last := int64(0)
	for i := range snap.Files {
		if f := &snap.Files[i]; f.SiteID == site.ID {
			last = max(last, f.MaxTime)
		}
	}
	return s.made(w, r, object{{"startDate", rfc3339(began.UnixMicro())}, {"endDate", rfc3339(last)}})
}

// logins slows those down who guess: each address may fail ten times, and once
// more every six seconds.
type logins struct {
	mu   sync.Mutex
	last map[[8]byte]time.Time // when an address has all of its tries again
}

const (
	loginTries = 10
	loginEvery = 6 * time.Second
	// keptLogins bounds the memory that addresses can take: beyond it all begin anew.
	keptLogins = 4096
)

// address is a hash of the client's: no address is kept.
func (l *logins) address(place string) (key [8]byte) {
	sum := sha256.Sum256([]byte(place))
	copy(key[:], sum[:])
	return key
}

// wait is how long the address has to; 0 = it may try.
func (l *logins) wait(from [8]byte, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if allowed := now.Add((loginTries - 1) * loginEvery); l.last[from].After(allowed) {
		return l.last[from].Sub(allowed)
	}
	return 0
}

func (l *logins) failed(from [8]byte, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil || len(l.last) >= keptLogins {
		l.last = map[[8]byte]time.Time{}
	}
	at := l.last[from]
	if at.Before(now) {
		at = now
	}
	l.last[from] = at.Add(loginEvery)
}
