package lake

import (
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// note counts what an event takes part in when rows are resolved; the
// conditions are those of package stats.
func note(f *state.Facts, e *shared.Event) {
	if e.Kind == shared.KindCompletion && e.Name == shared.CompletionRequests {
		f.Requests++ // its key is looked at where these are added up
		return
	}
	if e.DedupeKey != "" {
		f.Keyed++
	}
	if e.PrevVisitorID != 0 {
		f.Carried++
	}
	if e.Kind == shared.KindCompletion {
		noteCompletion(f, e.Name)
	}
	switch e.Origin {
	case shared.OriginImport:
		f.Imported++
	case shared.OriginBeacon, shared.OriginUmami, shared.OriginPlausible:
		f.Evidence++
		if e.Kind != shared.KindPageview {
			return
		}
		if e.ViewID != 0 {
			f.Loads++
		} else if e.ParentViewID == 0 {
			f.Trackers++
		}
	}
}

func noteCompletion(f *state.Facts, name string) {
	switch name {
	case shared.CompletionPrefetch:
		f.Ahead++
	case shared.CompletionActivation:
		f.Ahead++
		f.Evidence++
	case shared.CompletionEvidence:
		f.Evidence++
	}
}
