package caddymodule

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// statusPath is where the admin API shows the edge.
const statusPath = "/eider/status"

// adminAPI serves the edge's status at Caddy's admin endpoint, which guards
// itself against other hosts and origins.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.eider", New: func() caddy.Module { return adminAPI{} }}
}

// Routes implements caddy.AdminRouter.
func (adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: statusPath, Handler: caddy.AdminHandlerFunc(serveStatus)}}
}

// statusReport is the answer of the endpoint: one entry for each queue, which
// is one but for the moment of a reload that changes it.
type statusReport struct {
	Edges []status `json:"edges"`
}

func serveStatus(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("method not allowed: use GET")}
	}
	report := statusReport{Edges: []status{}}
	now := time.Now()
	runtimes.Range(func(_, value any) bool {
		report.Edges = append(report.Edges, value.(*runtime).status(now))
		return true
	})
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(report)
}

// Interface guards.
var _ caddy.AdminRouter = adminAPI{}
