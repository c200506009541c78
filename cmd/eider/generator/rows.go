package generator

import "github.com/eider-analytics/eider/shared"

// What a row becomes.
type rowKind uint8

const (
	rowView       rowKind = iota // the proxy's page view
	rowError                     // the proxy's 404
	rowDownload                  // the proxy's download
	rowEvidence                  // the proxy saw assets
	rowLoad                      // the beacon completes the proxy's view
	rowCached                    // the beacon's view from a cache
	rowSoft                      // the beacon's soft navigation
	rowEngagement                // the beacon's, as rows below
	rowVitals
	rowCustom
	rowOutbound
	rowBot  // the proxy's, of a robot
	rowSums // the proxy's sums of requests of a minute
)

// What a robot's row asks for, in row.n.
const (
	botPage int32 = iota
	botUnchanged
	botGone
	botAsset
	botDownload
	botFeed
	botProbe
)

// row is an event until it is written: a day of them is in memory.
type row struct {
	at      int64  // µs since 1970
	view    uint64 // view id, of a soft navigation its parent's
	load    uint64
	visit   int32 // in the bucket's visits; of sums: in its sums
	page    int32 // a page, or what is asked for in its place
	n       int32 // of engagement ms, of a robot what it asks for, of a custom event which
	ordinal uint16
	kind    rowKind
	entry   bool // the first view of its visit
}

// visit is what the rows of one visit have in common. A visit that goes on over
// midnight has one in each day.
type visit struct {
	site                  int32
	client, place, origin int32
	robot                 int32 // −1 = a person
	edge                  uint8
	screen, protocol      uint8
	www                   bool
	id, prev              uint64
	prevUntil             int64 // until when the proxy sends prev beside id
	salt                  uint64
}

// bucket is what arrives on one day.
type bucket struct {
	visits []visit
	rows   []row
	sums   []sum
}

func (b *bucket) add(v visit) int32 {
	b.visits = append(b.visits, v)
	return int32(len(b.visits) - 1)
}

func (b *bucket) empty() {
	b.visits, b.rows, b.sums = b.visits[:0], b.rows[:0], b.sums[:0]
}

// sum is how many requests of a site had which result in one minute.
type sum struct {
	site   int32
	edge   uint8
	minute int64
	counts [len(summed)]uint32
}

// summed are the results that sums have.
var summed = [...]shared.Result{
	shared.ResultPageview, shared.ResultError, shared.ResultDownload, shared.ResultBot, shared.ResultAsset, shared.ResultRedirect, shared.ResultCollection,
}

const (
	sumPageview = iota
	sumError
	sumDownload
	sumBot
	sumAsset
	sumRedirect
	sumCollection
)

// The edges: one, and one that is cut off now and then.
const (
	edgeNear = iota
	edgeLate
	numEdges
)

const (
	second = int64(1_000_000)
	minute = 60 * second
	hour   = 60 * minute
)
