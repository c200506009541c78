package beacon

import "sync/atomic"

// Outcome is what became of a message at a collection endpoint. The list is
// closed: it labels a metric. What could not be read as messages is one.
type Outcome uint8

// The outcomes.
const (
	Taken         Outcome = iota // written
	TakenBot                     // written, and kept apart
	Malformed                    // the body, or a field of it
	TooLarge                     // the body is over its cap
	TooMany                      // a token bucket was empty
	UnknownSite                  // no site has that name
	WrongOrigin                  // the page's host is not among the site's allowed domains
	RefusedSignal                // DNT or GPC, where the site asks not to record then
	RefusedIDs                   // identify, where the site allows no ids of its own
	ExcludedPage                 // of a page that the place leaves out
	Unauthorized                 // no API key, or one that is not for the site
	NotWritten                   // the log could not be written: told to come back
	Internal                     // our own code failed on it
	NumOutcomes
)

var outcomeNames = [NumOutcomes]string{
	"taken", "bot", "malformed", "too_large", "rate_limited", "unknown_site", "wrong_origin", "privacy_signal",
	"ids_not_allowed", "excluded", "unauthorized", "not_written", "internal",
}

// quiet reports whether the sender is told nothing of it: all went well.
func (o Outcome) quiet() bool { return o == RefusedSignal || o == ExcludedPage }

// String is the outcome as metrics name it.
func (o Outcome) String() string {
	if o < NumOutcomes {
		return outcomeNames[o]
	}
	return "unknown"
}

// Counts are the outcomes of an [Intake] since it was made.
type Counts struct {
	outcomes [NumOutcomes]atomic.Uint64
	props    atomic.Uint64
}

func (c *Counts) add(o Outcome, n int) { c.outcomes[o].Add(uint64(n)) }

// Of returns how many messages had an outcome.
func (c *Counts) Of(o Outcome) uint64 { return c.outcomes[o].Load() }

// DroppedProps is how many properties were over the limits.
func (c *Counts) DroppedProps() uint64 { return c.props.Load() }
