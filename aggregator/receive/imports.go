package receive

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/shared"
)

// Bounds of a question about an import.
const (
	maxImportBody   = 1 << 20
	maxImportPrints = 64
	maxImportSites  = 1000
)

// Days knows on which local days a site has events that no import brought.
type Days interface {
	LiveDays(siteID string) []string
}

// imports serves POST /v1/import: how far a log was imported, and what an
// import must know of the sites. It changes nothing.
func (r *Receiver) imports(w http.ResponseWriter, req *http.Request, allows Permission) error {
	if err := requireType(req, "application/json"); err != nil {
		return err
	}
	var ask shared.ImportRequest
	err := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxImportBody)).Decode(&ask)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	case err != nil:
		return badRequest("import: %v", err)
	case len(ask.Prints) > maxImportPrints || len(ask.Sites) > maxImportSites:
		return badRequest("at most %d prints and %d sites", maxImportPrints, maxImportSites)
	}
	answer := shared.ImportReply{Imports: []shared.ImportMark{}, Sites: []shared.ImportSite{}}
	for _, p := range ask.Prints {
		m := r.importOf(p)
		if mark, ok := r.marks.find(m.Edge, m.Epoch); ok {
			m.Expected, m.Accepted, m.Rejected, m.Lost = mark.Expected, mark.Accepted, mark.Rejected, mark.Lost
		}
		answer.Imports = append(answer.Imports, m)
	}
	for _, name := range ask.Sites {
		answer.Sites = append(answer.Sites, r.importSite(name, &allows))
	}
	return respond(w, http.StatusOK, answer)
}

// importOf names the edge of a log. The key keeps anybody who reads the lake
// from trying out which beginning, addresses included, gives an edge's id.
func (r *Receiver) importOf(p shared.ImportPrint) shared.ImportMark {
	mac := hmac.New(sha256.New, r.cfg.ImportKey)
	mac.Write([]byte("eider import\x00"))
	mac.Write(p[:])
	sum := mac.Sum(nil)
	var m shared.ImportMark
	copy(m.Edge[:], sum)
	m.Epoch = max(shared.Epoch(binary.LittleEndian.Uint64(sum[len(m.Edge):])), 1)
	return m
}

func (r *Receiver) importSite(name string, allows *Permission) shared.ImportSite {
	answer := shared.ImportSite{Name: name}
	site, ok := r.cfg.Registry.Resolve(name)
	switch {
	case !ok:
		answer.Error = "there is no such site: add it with `eider site add`"
	case !allows.Allows(site.ID):
		answer.Error = "the edge token is not for this site"
	default:
		config := sites.Config(&site)
		answer.Site = &config
		if r.cfg.Days != nil {
			answer.LiveDays = r.cfg.Days.LiveDays(site.ID)
		}
	}
	return answer
}

// trustedKey marks requests of whoever owns the data directory.
type trustedKey struct{}

// Trusted serves the same paths to callers that need no token, because the
// socket that they come by can be opened by the owner of the data directory
// alone.
func (r *Receiver) Trusted() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), trustedKey{}, true)))
	})
}

// authorize returns what the sender of a request may do.
func (r *Receiver) authorize(req *http.Request) (Permission, bool) {
	if trusted, _ := req.Context().Value(trustedKey{}).(bool); trusted {
		return Permission{Name: "control socket"}, true
	}
	return r.cfg.Tokens.Authorize(bearer(req))
}
