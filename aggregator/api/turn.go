package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/turns"
)

// What a question is expected to take of a DuckDB of its own, by the rows of its
// files. It need not be right: whoever takes longer pays afterwards.
const (
	lightRow = 500 * time.Nanosecond
	heavyRow = 2 * time.Microsecond
	// heavyFrom is what no light question takes: one about more is heavy whatever
	// it asks for.
	heavyFrom = 5 * time.Second
)

// turn says whose turns the statements of a question take.
func (s *Server) turn(r *http.Request, siteID string, heavy bool, files []lake.File) turns.Ask {
	rows := int64(0)
	for i := range files {
		rows += files[i].Rows
	}
	a := turns.Ask{Class: turns.Light, Site: siteID, Client: s.client(r), Cost: time.Duration(rows) * lightRow}
	if heavy {
		a.Cost = time.Duration(rows) * heavyRow
	}
	if heavy || a.Cost >= heavyFrom {
		a.Class = turns.Heavy
	}
	return a
}

// client tells askers apart: by their token, else by their address. Whoever has
// a network of IPv6 has 2^64 of them, and is one.
func (s *Server) client(r *http.Request) string {
	if who, shown, err := s.who(r); err == nil && shown {
		return "key " + who.Name
	}
	return s.place(r)
}

// place is where a request comes from: an address, or a network of IPv6.
func (s *Server) place(r *http.Request) string {
	addr := s.cfg.ClientIP(r).Unmap()
	if addr.Is6() {
		if p, err := addr.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}

// peer is the address of a connection.
func peer(r *http.Request) netip.Addr {
	p, _ := netip.ParseAddrPort(r.RemoteAddr) // invalid where it is none: all of these are one
	return p.Addr()
}

// serverTiming says, in milliseconds, how long the statements of an answer waited
// and ran; of one that was kept, that it was. Of a question that failed it says
// what is known.
func serverTiming(w http.ResponseWriter, r *http.Request, err error) {
	waited, took := turns.Spent(r.Context())
	if waited == 0 && took == 0 {
		if err == nil {
			w.Header().Set("Server-Timing", "cache")
		}
		return
	}
	ms := func(d time.Duration) string { return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) }
	w.Header().Set("Server-Timing", "wait;dur="+ms(waited)+", query;dur="+ms(took))
}

// busy is the refusal of a question that found no turn; nil = err is none such.
func busy(err error) *httpError {
	var full *turns.FullError
	var wait *turns.WaitError
	switch {
	case errors.As(err, &full):
		seconds := int(full.After.Seconds())
		return &httpError{
			status: http.StatusServiceUnavailable, code: "busy", after: seconds, cause: err,
			message: fmt.Sprintf("too many %s questions wait for their answers: come back in %d seconds", full.Class, seconds),
		}
	case errors.As(err, &wait):
		return &httpError{
			status: http.StatusServiceUnavailable, code: "busy", after: 5, cause: err,
			message: "other questions took so long that this one's time was over before its turn came: come back in some seconds, or raise query_timeout",
		}
	}
	return nil
}
