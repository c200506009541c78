package receive

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// Directory is what edges ask for before they can enrich.
type Directory interface {
	// State is what a token that allows some sites (nil = all) may know, nil
	// if it is the version that the edge has.
	State(allowed []string, have string) (state *shared.EdgeState, version string)
	// Report takes the hosts that an edge was asked for and no site has.
	Report(hosts []shared.UnknownHost)
}

// maxReport bounds a report: it has at most MaxUnknownHosts hosts.
const maxReport = 64 << 10

// ask serves GET /v1/edge.
func (r *Receiver) ask(w http.ResponseWriter, req *http.Request, allows Permission) error {
	have := strings.Trim(strings.TrimPrefix(req.Header.Get("If-None-Match"), "W/"), `"`)
	state, version := r.cfg.Directory.State(allows.Sites, have)
	w.Header().Set("ETag", `"`+version+`"`)
	if state == nil {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return respond(w, http.StatusOK, state)
}

// report serves POST /v1/edge: the same answer, after what the edge tells.
func (r *Receiver) report(w http.ResponseWriter, req *http.Request, allows Permission) error {
	if err := requireType(req, "application/json"); err != nil {
		return err
	}
	rc := http.NewResponseController(w)
	body, err := readPieces(http.MaxBytesReader(w, req.Body, maxReport), nil, func(at time.Time) {
		_ = rc.SetReadDeadline(at)
	})
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return tooLarge(large.Limit)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return &httpError{status: http.StatusBadRequest, code: "body_incomplete", message: "the body ended early or came too slowly", cause: err}
	}
	_ = rc.SetReadDeadline(time.Time{})
	var report shared.EdgeReport
	if err := json.Unmarshal(body, &report); err != nil {
		return badRequest("report: %v", err)
	}
	if len(report.UnknownHosts) > shared.MaxUnknownHosts {
		return badRequest("report: at most %d unknown hosts", shared.MaxUnknownHosts)
	}
	r.cfg.Directory.Report(report.UnknownHosts)
	return r.ask(w, req, allows)
}
