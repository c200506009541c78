package shared

// The HTTP protocol between an edge and the aggregator. Every request carries
// `Authorization: Bearer <edge token>`. Errors are [ErrorBody] with the status
// that fits: 401 unknown token, 409 gap or edge id in use, 413 too large, 415
// wrong type, 429 and 503 with Retry-After.
const (
	PathHello        = "/v1/hello"
	PathBatches      = "/v1/batches"
	PathObservations = "/v1/observations"
	PathImport       = "/v1/import"

	// ContentTypeBatches is the media type of one or more concatenated frames
	// of one edge and epoch, in order.
	ContentTypeBatches = "application/vnd.eider.batches"

	// HeaderSentAt is the sender's wall clock when it sends, µs since 1970.
	HeaderSentAt = "Eider-Sent-At"
	// HeaderBoot is the boot nonce of the sending process, 16 hex digits.
	HeaderBoot = "Eider-Boot"
	// HeaderMonotonic is µs since that process started.
	HeaderMonotonic = "Eider-Monotonic"
)

// Codes of [ErrorBody] that an edge acts on.
const (
	CodeUnauthorized = "unauthorized"   // 401
	CodeGap          = "gap"            // 409: send from Expected on
	CodeEdgeInUse    = "edge_id_in_use" // 409 to hello: take a new edge id
	CodeEdgeUnknown  = "hello_required" // 409: say hello first
)

// Hello announces an edge: at its start, after a reload that changes its
// sites, and when the aggregator asks for it.
type Hello struct {
	Edge    EdgeID      `json:"edge"`
	Epoch   Epoch       `json:"epoch"`
	Boot    Epoch       `json:"boot_nonce"`
	NextSeq uint64      `json:"next_seq"`
	Name    string      `json:"name"`    // the edge's host name, for people
	Version string      `json:"version"` // of the software
	Sites   []SiteHello `json:"sites"`   // written in the edge's configuration
	// Kept is what the queue still has, epoch by epoch, oldest first: an
	// aggregator restored from a backup can ask for it again.
	Kept []EpochSpan `json:"kept"`
}

// EpochSpan is a run of sequences of one epoch.
type EpochSpan struct {
	Epoch Epoch `json:"epoch"`
	Range
}

// SiteHello is a site that the edge's configuration names.
type SiteHello struct {
	Domain string `json:"domain"`
}

// HelloReply answers a hello.
type HelloReply struct {
	// Expected is, for each epoch of Hello.Kept that the aggregator knows, the
	// next sequence that it has not got. The edge goes back to the earliest.
	Expected []EpochMark `json:"expected"`
	// Sites says what each announced site became: its id, or why it was refused.
	Sites []SiteReply `json:"sites"`
}

// EpochMark is a position in one epoch.
type EpochMark struct {
	Epoch    Epoch  `json:"epoch"`
	Expected uint64 `json:"expected"`
}

// SiteReply is the registry's answer to one announced site.
type SiteReply struct {
	Domain string `json:"domain"`
	SiteID string `json:"site_id,omitempty"`
	Error  string `json:"error,omitempty"`
}

// Ack answers a POST of batches: everything up to AckedThrough is durable.
type Ack struct {
	Epoch        Epoch      `json:"epoch"`
	AckedThrough uint64     `json:"acked_through"`
	Expected     uint64     `json:"expected"` // AckedThrough + 1
	Rejected     []Rejected `json:"rejected"`
	// Undecodable are ranges whose batch could not be read at all: they lie in
	// the dead letters and count as lost.
	Undecodable []Range `json:"undecodable,omitempty"`
}

// Rejected names an event that was refused.
type Rejected struct {
	Seq    uint64    `json:"seq"`
	Reason Rejection `json:"reason"`
}

// Range is a run of sequences, both ends included.
type Range struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// Count is the number of sequences in the range.
func (r Range) Count() uint64 { return r.Last - r.First + 1 }

// ErrorBody is how every endpoint says no.
type ErrorBody struct {
	Error ErrorDetail `json:"error"`
}

// ErrorDetail carries a code for programs and a sentence for people that says
// what to change.
type ErrorDetail struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// Expected is set with [CodeGap]: the sequence to send from, and its epoch.
	Expected uint64 `json:"expected,omitempty"`
	Epoch    *Epoch `json:"epoch,omitempty"`
}
