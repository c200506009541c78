package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/beacon"
)

// CollectConfig bounds what browsers and clients may send to the endpoints
// below `script`, so that one of them can't fill the queue for all.
type CollectConfig struct {
	// Messages a second from one address, or one /64 of IPv6; negative: no
	// bound. Default: 100.
	RatePerAddress float64 `json:"rate_per_address,omitempty"`

	// Messages a second for one site; negative: no bound. Default: 20000.
	RatePerSite float64 `json:"rate_per_site,omitempty"`
}

func (c *CollectConfig) limits() beacon.Limits {
	if c == nil {
		return beacon.Limits{}
	}
	return beacon.Limits{PerAddress: c.RatePerAddress, PerSite: c.RatePerSite}
}

// newIntake makes the way in of a runtime: it outlives configurations, as its
// counts and the tokens' key do.
func newIntake(rt *runtime) *beacon.Intake {
	return beacon.New(beacon.Config{
		View: rt.known.Load, Enrich: rt.enrich, CleanProps: rt.cleanProps, Log: waitingLog{rt}, Keys: rt.ingestKey, Logger: rt.log.Named("collect"),
		ClientIP: func(r *http.Request) netip.Addr { return clientIP(varsOf(r)) },
		Trusted:  func(r *http.Request) bool { return trustedPeer(varsOf(r)) },
	})
}

// ingestKey says for which sites a server may send with a key.
func (rt *runtime) ingestKey(token string) (beacon.Grant, bool) {
	allows, ok := rt.known.Load().IngestKey(token, time.Now().UnixMicro())
	return allows, ok
}

// enrich makes one event of what a message says.
func (rt *runtime) enrich(o *shared.Observation, e *shared.Event) {
	rt.enriching.RLock()
	defer rt.enriching.RUnlock()
	if enricher := rt.enricher.Load(); enricher != nil {
		enricher.Enrich(o, e)
	}
}

// cleanProps takes out of properties what the site's options leave out.
func (rt *runtime) cleanProps(e *shared.Event, extra *shared.Privacy) {
	rt.enriching.RLock()
	defer rt.enriching.RUnlock()
	if enricher := rt.enricher.Load(); enricher != nil {
		enricher.CleanProps(e, extra)
	}
}

// waitingLog writes to the queue, once it is open.
type waitingLog struct{ rt *runtime }

var errNotOpen = errors.New("the queue is not open")

// AddWait implements beacon.Log.
func (l waitingLog) AddWait(ctx context.Context, events []shared.Event) error {
	q := l.rt.queue.Load()
	if q == nil {
		return errNotOpen
	}
	return q.AddWait(ctx, events)
}

// provisionScript prepares the endpoints below the script's path.
func (h *Handler) provisionScript() error {
	if h.Script == "" {
		if h.ScriptFile != "" || h.ScriptEndpoint != "" {
			return errors.New("script_file and script_endpoint need a script: the path that they are below")
		}
		return nil
	}
	if err := scriptPath(h.Script); err != nil {
		return err
	}
	for _, name := range []string{h.ScriptFile, h.ScriptEndpoint} {
		if err := scriptName(name); name != "" && err != nil {
			return err
		}
	}
	if h.ScriptFile != "" && h.ScriptFile == h.ScriptEndpoint {
		return fmt.Errorf("script: file and endpoint can't both be %s", h.ScriptFile)
	}
	h.collect = h.rt.intake.At(beacon.Mount{
		Prefix: h.Script, File: h.ScriptFile, Endpoint: h.ScriptEndpoint, Privacy: h.privacy, Excluded: h.exclude.Match,
		Site: func(r *http.Request) string { return h.hosts.lookup(h, r.Host).name },
	})
	return nil
}

// scriptName says what is wrong with the name of the script or its endpoint.
func scriptName(name string) error {
	ok := name != "" && len(name) <= maxScriptPath && name != "p" && name != "q" && name[0] != '.'
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'
	}
	if !ok {
		return fmt.Errorf("script: the name %q: want one like x.js, of letters, digits, dots, - and _, and not p or q", name)
	}
	return nil
}

// collects reports whether a request is for the script or its endpoints.
func (h *Handler) collects(r *http.Request) bool {
	if h.collect == nil {
		return false
	}
	rest, below := strings.CutPrefix(r.URL.Path, h.Script)
	return below && strings.HasPrefix(rest, "/")
}
