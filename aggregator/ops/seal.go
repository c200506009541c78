package ops

import (
	"context"
	"net/http"
	"time"

	"github.com/eider-analytics/eider/aggregator/seal"
)

// SealControl seals days at once.
type SealControl interface {
	// Seal takes the site by any of its names.
	Seal(ctx context.Context, sel seal.Selection) (seal.Report, error)
}

func sealRoute(mux *http.ServeMux, c SealControl) {
	mux.HandleFunc("POST /seal", command(func(ctx context.Context, _ *http.Request, in seal.Selection) (any, error) {
		return c.Seal(ctx, in)
	}))
}

// Seal has the running server seal days.
func (c *Client) Seal(ctx context.Context, sel seal.Selection) (seal.Report, error) {
	var r seal.Report
	err := c.do(ctx, http.MethodPost, "/seal", sel, &r)
	return r, err
}

// SealState is how far sealing is; null where it is switched off.
type SealState struct {
	Sealed   int        `json:"sealed"` // days that are
	Late     int        `json:"late"`   // of them, with rows that came later
	Due      int        `json:"due"`    // days that are to be sealed now
	Failed   int        `json:"failed"` // days that could not be when they were tried last
	LastSeal *time.Time `json:"last_seal"`
	Error    string     `json:"error,omitempty"`
}

func sealState(source func() seal.Stats) *SealState {
	if source == nil {
		return nil
	}
	s := source()
	state := &SealState{Sealed: s.Sealed, Late: s.Late, Due: s.Due, Failed: s.Failed, LastSeal: at(s.Last)}
	if s.Err != nil {
		state.Error = s.Err.Error()
	}
	return state
}
