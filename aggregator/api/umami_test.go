package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// umamiSpan is the 20th of November 2026 in UTC.
const umamiSpan = "startAt=1795132800000&endAt=1795219199999"

// TestUmami pins what Umami's clients are answered about the shop.
func TestUmami(t *testing.T) {
	i := start(t)
	i.shop(t)
	const site = "/api/websites/6f4f4a57-43f7-4a0b-8a52-5f0d8c3b9b02"
	for name, path := range map[string]string{
		"websites":        "/api/websites?pageSize=1&search=quiet",
		"website":         site,
		"daterange":       site + "/daterange",
		"stats":           site + "/stats?" + umamiSpan,
		"stats-of-a-path": site + "/stats?" + umamiSpan + "&path=c.pric&compare=yoy",
		"pageviews":       site + "/pageviews?" + umamiSpan + "&unit=hour&timezone=Europe/Berlin&compare=prev",
		"pageviews-utc":   site + "/pageviews?" + umamiSpan + "&unit=day",
		"stats-ever":      site + "/stats?startAt=0&endAt=1795219199999",
		"metrics":         site + "/metrics?" + umamiSpan + "&type=path",
		"metrics-source":  site + "/metrics?" + umamiSpan + "&type=browser",
		"metrics-event":   site + "/metrics?" + umamiSpan + "&type=event",
		"events-series":   site + "/events/series?" + umamiSpan + "&unit=hour",
		"sessions":        site + "/sessions?" + umamiSpan + "&pageSize=1",
		"active":          site + "/active",
		"error-type":      site + "/metrics?" + umamiSpan + "&type=shoes",
		"error-time":      site + "/stats?startAt=yesterday",
		"error-segment":   site + "/stats?" + umamiSpan + "&segment=1",
		"error-site":      "/api/websites/6f4f4a57-0000-4a0b-8a52-5f0d8c3b9b02/stats?" + umamiSpan,
		"error-me":        "/api/me",
	} {
		t.Run(name, func(t *testing.T) { golden(t, "umami-"+name, i.get(path)) })
	}
}

// TestUmamiLogin: the owner's token is the password, and who guesses has to wait.
func TestUmamiLogin(t *testing.T) {
	i := start(t)
	w := i.post("/api/auth/login", `{"username":"admin","password":"`+ownerToken+`"}`)
	var said struct {
		Token string `json:"token"`
		User  struct {
			IsAdmin bool `json:"isAdmin"`
		} `json:"user"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || w.Code != http.StatusOK || !said.User.IsAdmin {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if w := i.post("/api/auth/verify", "", "Authorization", "Bearer "+said.Token); w.Code != http.StatusOK {
		t.Errorf("verified: status %d: %s", w.Code, w.Body)
	}
	if w := i.post("/api/auth/verify", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("verified without a token: status %d: %s", w.Code, w.Body)
	}
	if w := i.post("/api/auth/login", `{"username":"admin"}`); w.Code != http.StatusBadRequest {
		t.Errorf("without a password: status %d: %s", w.Code, w.Body)
	}
	for n := range 10 {
		if w := i.post("/api/auth/login", `{"username":"admin","password":"guess"}`); w.Code != http.StatusUnauthorized {
			t.Fatalf("guess %d: status %d: %s", n, w.Code, w.Body)
		}
	}
	w = i.post("/api/auth/login", `{"username":"admin","password":"`+ownerToken+`"}`)
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "6" || strings.Contains(w.Body.String(), ownerToken) {
		t.Errorf("after ten guesses: status %d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
}

// TestUmamiClient asks with Umami's own client, as npm has it. `make test-browser`
// installs it and says where.
func TestUmamiClient(t *testing.T) {
	clients := os.Getenv("EIDER_CLIENTS")
	if clients == "" {
		t.Skip("EIDER_CLIENTS names no folder with the clients installed: run make test-browser")
	}
	i := start(t)
	i.shop(t)
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "node", filepath.Join(clients, "umami.mjs"), server.URL+"/api", ownerToken, "quiet.org").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
