package lake

import (
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// Batch is one record of the spool, decoded: what an edge's batch became after
// deduplication, validation and registry. It is handed to [Lake.Ingest] in the
// order of SpoolPos and becomes durable with everything in it at once.
type Batch struct {
	SpoolPos  uint64        // position of the spool record that holds it
	Header    shared.Header // of the frame
	Mark      state.Mark    // after this batch; the zero Mark leaves marks alone
	Edge      state.Edge    // after this batch; the zero Edge leaves edges alone
	Incidents []state.Incident
	// Events are the accepted ones in sequence order, with SiteID, ReceivedAt
	// and SkewMS set. The lake copies what it keeps: the slice and its strings
	// are the caller's again when Ingest returns.
	Events   []shared.Event
	Rejected []shared.Rejected
}
