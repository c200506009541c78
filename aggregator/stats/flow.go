package stats

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/eider-analytics/eider/aggregator/behavior"
	"github.com/eider-analytics/eider/aggregator/lake"
)

// FlowQuery asks which pages come after a page, or before it.
type FlowQuery struct {
	Query
	page  Condition
	next  behavior.NextNode
	depth int
}

// FlowRow is one page beside the page that was asked about.
type FlowRow struct {
	Page     string   `json:"next_page"`
	Visitors Count    `json:"visitors"`
	Share    *float64 `json:"share"` // of those who saw the page that was asked about
}

// FlowNode is a page of a tree of ways.
type FlowNode struct {
	Page     string      `json:"page"`
	Visitors Count       `json:"visitors"`
	Share    *float64    `json:"share"` // of the tree's
	Ended    int64       `json:"ended"` // saw no page beyond it
	Other    int64       `json:"other"` // saw one that is not among the children
	Children []*FlowNode `json:"children"`

	hash uint64 // of the page
}

// The bounds of a tree: what is answered, and what is told apart meanwhile, at
// some 100 bytes each.
const (
	maxFlowDepth    = 7
	defaultBranches = 5
	maxBranches     = 50
	maxFlowAnswer   = 2000
	maxFlowNodes    = 300_000
)

// ParseFlow reads page, direction, depth, base and limit, which is how many
// branches each page has, beside the common parameters.
func ParseFlow(site Site, p url.Values, now time.Time) (FlowQuery, error) {
	q := FlowQuery{next: behavior.NextNode{Base: behavior.FirstMatch, Chain: 1}}
	var err error
	if q.Query, err = Parse(site, p, now); err != nil {
		return q, err
	}
	page := p.Get("page")
	if page == "" {
		return q, invalid("page", "must be the page to begin at, like /pricing or /docs/**")
	}
	if q.page, err = site.pageCondition("page", page); err != nil {
		return q, err
	}
	switch p.Get("direction") {
	case "", "forward":
	case "backward":
		q.next.Direction = behavior.Backward
	default:
		return q, invalid("direction", "must be forward or backward")
	}
	switch p.Get("base") {
	case "", "first_match":
	case "last_match":
		q.next.Base = behavior.LastMatch
	default:
		return q, invalid("base", "must be first_match or last_match: which of a visitor's views of the page to begin at")
	}
	if q.depth, err = parseCount("depth", p.Get("depth"), 1, 1, maxFlowDepth); err != nil {
		return q, err
	}
	if q.depth > 1 {
		q.Limit, err = parseCount("limit", p.Get("limit"), defaultBranches, 1, maxBranches)
	}
	return q, err
}

// flowTree counts ways. Nodes are known by their parent and the hash of the page;
// 0 is the root.
type flowTree struct {
	nodes []flowCount
	index map[flowKey]int32
}

type flowKey struct {
	parent int32
	page   uint64
}

type flowCount struct {
	key                   flowKey
	visitors, ended, rest int64 // rest: went on to a page that is not told apart
}

// add counts one visitor's way of at most depth pages from the root on.
func (t *flowTree) add(pages []uint64, depth int) {
	at := int32(0)
	t.nodes[0].visitors++
	for _, page := range pages[:min(depth, len(pages))] {
		key := flowKey{at, page}
		to, ok := t.index[key]
		if !ok {
			if len(t.nodes) >= maxFlowNodes {
				t.nodes[at].rest++
				return
			}
			to = int32(len(t.nodes))
			t.index[key] = to
			t.nodes = append(t.nodes, flowCount{key: key})
		}
		t.nodes[to].visitors++
		at = to
	}
	if len(pages) < depth {
		t.nodes[at].ended++
	}
}

// AskFlow answers with the pages beside, or of a depth of several with a tree.
func (e *Engine) AskFlow(ctx context.Context, files []lake.File, q *FlowQuery) (any, []Caveat, error) {
	t := &flowTree{nodes: make([]flowCount, 1), index: map[flowKey]int32{}}
	way := make([]uint64, 0, maxFlowDepth)
	var nodes []behavior.Node
	err := e.trails(ctx, files, q.SiteID, q.compile, func(trail [][]uint64) error {
		nodes = nodes[:0]
		for _, k := range trail[0] {
			nodes = append(nodes, behavior.Node{Mask: uint32(k & 1), Base: k&1 == 1})
		}
		if at := q.next.At(nodes); at >= 0 {
			way = way[:0]
			for n := 1; n <= q.depth; n++ {
				beside := at + n
				if q.next.Direction == behavior.Backward {
					beside = at - n
				}
				if beside < 0 || beside >= len(nodes) {
					break
				}
				way = append(way, trail[1][beside])
			}
			t.add(way, q.depth)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	total := Count(t.nodes[0].visitors)
	caveats, err := e.behaved(ctx, files, &q.Query, []Condition{q.page}, &total, "visitors", "share")
	if err != nil {
		return nil, nil, err
	}
	root, hashes := t.answer(q)
	root.Visitors = total
	names, err := e.names(ctx, files, &q.Query, pages, hashes)
	if err != nil {
		return nil, nil, err
	}
	root.name(names)
	root.Page = q.page.String()
	if q.depth > 1 {
		return root, caveats, nil
	}
	rows := []FlowRow{}
	for _, child := range root.Children {
		rows = append(rows, FlowRow{child.Page, child.Visitors, child.Share})
	}
	return rows, caveats, nil
}

// compile is the SQL of all page views of those who saw the page, in the order of
// time and of their sequence; whether it is the page is the last bit of that.
func (q *FlowQuery) compile(b *builder, whose string) statement {
	p := newPlan(&q.Query, q.Range, b, inOrder, pages)
	mask := newMarks(q.Range, []Condition{q.page}).mask(p)
	s := p.picked(false, people+" AND "+whose)
	s.text += " SELECT visitor_id AS v, " + p.column(inOrder) + " * 2 + " + mask + " AS k, hash(" + p.column(pages) + ") AS page" +
		" FROM picked WHERE pv AND visitor_id IN (SELECT visitor_id FROM picked WHERE pv AND " + mask + " = 1) ORDER BY v, k"
	s.args = b.args
	return s
}

// answer is the tree with as many branches as are asked for, those that most took
// first; pages are the numbers of hashes as yet.
func (t *flowTree) answer(q *FlowQuery) (*FlowNode, []uint64) {
	children := map[int32][]int32{}
	for i := 1; i < len(t.nodes); i++ {
		parent := t.nodes[i].key.parent
		children[parent] = append(children[parent], int32(i))
	}
	var hashes []uint64
	var build func(at int32) *FlowNode
	build = func(at int32) *FlowNode {
		n := &t.nodes[at]
		node := &FlowNode{Visitors: Count(n.visitors), Share: ratio(n.visitors, t.nodes[0].visitors), Ended: n.ended, Other: n.rest, Children: []*FlowNode{}, hash: n.key.page}
		list := children[at]
		slices.SortFunc(list, func(a, b int32) int {
			return cmp.Or(cmp.Compare(t.nodes[b].visitors, t.nodes[a].visitors), cmp.Compare(t.nodes[a].key.page, t.nodes[b].key.page))
		})
		skip := 0
		if q.depth == 1 {
			skip = q.Offset
		}
		for i, child := range list {
			if i < skip || i >= skip+q.Limit || len(hashes) >= maxFlowAnswer {
				node.Other += t.nodes[child].visitors
				continue
			}
			hashes = append(hashes, t.nodes[child].key.page)
			node.Children = append(node.Children, build(child))
		}
		return node
	}
	return build(0), hashes
}

// name puts the pages' names in.
func (n *FlowNode) name(names map[uint64]string) {
	n.Page = names[n.hash]
	for _, child := range n.Children {
		child.name(names)
	}
	slices.SortStableFunc(n.Children, func(a, b *FlowNode) int {
		return cmp.Or(cmp.Compare(b.Visitors, a.Visitors), cmp.Compare(a.Page, b.Page))
	})
}
