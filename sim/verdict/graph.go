package verdict

import (
	"slices"

	"gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/simple"
	"gonum.org/v1/gonum/graph/topo"
)

// waitGraph is a wait-for graph: an edge leads from what waits to what it waits
// for. A node without edges is a root.
type waitGraph struct {
	g     *simple.DirectedGraph
	ids   map[string]int64
	names []string
	edges map[[2]int64]*edge
	roots map[int64]root
	held  map[int64]bool
}

// edge is why one node waits for another.
type edge struct {
	link Link
	// circle is what the edge says of a circle that it closes; nil if it would stand in
	// any circle.
	circle *Link
	// origin says where the reason comes from: it stands at the end of a chain whose
	// circle this edge closes.
	origin []Link
}

// closes says of a circle that this edge closes what it is, and where the edge's own
// reason comes from.
func (e *edge) closes(circle Link, origin ...Link) {
	e.circle, e.origin = &circle, origin
}

// root is why a node has nothing more to wait for, and what that makes of the run.
type root struct {
	outcome Outcome
	// links end the chain.
	links []Link
}

func newWaitGraph() *waitGraph {
	return &waitGraph{
		g: simple.NewDirectedGraph(), ids: map[string]int64{}, edges: map[[2]int64]*edge{},
		roots: map[int64]root{}, held: map[int64]bool{},
	}
}

// node returns the node of an object; fresh says that it was not there yet.
func (w *waitGraph) node(object string) (id int64, fresh bool) {
	if id, ok := w.ids[object]; ok {
		return id, false
	}
	id = int64(len(w.names))
	w.ids[object] = id
	w.names = append(w.names, object)
	w.g.AddNode(simple.Node(id))
	return id, true
}

// wait adds an edge, unless it is there; link says, about from, why it waits for to. It
// returns the edge.
func (w *waitGraph) wait(from, to int64, link Link) *edge {
	at := [2]int64{from, to}
	if e := w.edges[at]; e != nil {
		return e
	}
	e := &edge{link: link}
	if from != to {
		w.g.SetEdge(simple.Edge{F: simple.Node(from), T: simple.Node(to)})
		w.edges[at] = e
	}
	return e
}

// end makes a node a root.
func (w *waitGraph) end(id int64, outcome Outcome, links ...Link) {
	w.roots[id] = root{outcome: outcome, links: links}
}

// successors are the nodes that a node waits for, in the order in which the
// objects came into the graph, which is that of the builder's reasons.
func (w *waitGraph) successors(id int64) []int64 {
	var out []int64
	for _, n := range graph.NodesOf(w.g.From(id)) {
		out = append(out, n.ID())
	}
	slices.Sort(out)
	return out
}

// path is a shortest way from a node to one that goal takes, through nodes that
// through takes; nil when there is none.
func (w *waitGraph) path(from int64, through, goal func(int64) bool) []int64 {
	came := map[int64]int64{from: from}
	queue := []int64{from}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if goal(at) {
			way := []int64{at}
			for at != from {
				at = came[at]
				way = append(way, at)
			}
			slices.Reverse(way)
			return way
		}
		for _, next := range w.successors(at) {
			if _, seen := came[next]; !seen && through(next) {
				came[next] = at
				queue = append(queue, next)
			}
		}
	}
	return nil
}

// circle returns the members of the strongly connected component of more than one
// node that can be reached from a node, sorted; nil when there is none. Of
// several the one with the node that came into the graph first is taken.
func (w *waitGraph) circle(from int64) []int64 {
	var found []int64
	for _, component := range topo.TarjanSCC(w.g) {
		if len(component) < 2 {
			continue
		}
		var ids []int64
		for _, n := range component {
			ids = append(ids, n.ID())
		}
		slices.Sort(ids)
		reachable := w.path(from, anyNode, func(id int64) bool { return id == ids[0] }) != nil
		if reachable && (found == nil || ids[0] < found[0]) {
			found = ids
		}
	}
	return found
}

func anyNode(int64) bool { return true }

// chain is the links along a way.
func (w *waitGraph) chain(way []int64) []Link {
	var links []Link
	for i := 1; i < len(way); i++ {
		links = append(links, w.edges[[2]int64{way[i-1], way[i]}].link)
	}
	return links
}

// resolve follows the waiting from its symptom to its root: a Multi-Attach error
// if one holds a pod on the way, else the root whose outcome has precedence,
// else the circle in which the waiting ends. ok is false when the graph gives no
// reason.
func (w *waitGraph) resolve(from int64) (r root, ok bool) {
	if way := w.path(from, anyNode, func(id int64) bool { return w.held[id] }); way != nil {
		// What the holder waits for belongs to the chain, whatever it is.
		at := way[len(way)-1]
		rest, ok := w.unheld(at)
		if !ok {
			rest.links = w.chain(w.trail(at))
		}
		return root{outcome: MultiAttach, links: distinct(append(w.chain(way), rest.links...))}, true
	}
	return w.unheld(from)
}

// trail follows the first reason of each node until there is no further one.
func (w *waitGraph) trail(from int64) []int64 {
	way := []int64{from}
	for {
		next := w.successors(way[len(way)-1])
		if len(next) == 0 || slices.Contains(way, next[0]) {
			return way
		}
		way = append(way, next[0])
	}
}

// distinct drops the links that a chain has already.
func distinct(links []Link) []Link {
	var out []Link
	for _, l := range links {
		if !slices.ContainsFunc(out, l.same) {
			out = append(out, l)
		}
	}
	return out
}

func (w *waitGraph) unheld(from int64) (root, bool) {
	var best root
	found := false
	for id := range int64(len(w.names)) {
		r, isRoot := w.roots[id]
		if !isRoot || found && r.outcome.rank() >= best.outcome.rank() {
			continue
		}
		way := w.path(from, anyNode, func(at int64) bool { return at == id })
		if way == nil {
			continue
		}
		best, found = root{outcome: r.outcome, links: append(w.chain(way), r.links...)}, true
	}
	if found {
		return best, true
	}
	members := w.circle(from)
	if members == nil {
		return root{}, false
	}
	in := func(id int64) bool { return slices.Contains(members, id) }
	way := w.path(from, anyNode, in)
	first := way[len(way)-1]
	// Once round: from the first member to the one that waits for it.
	round := w.path(first, in, func(id int64) bool { return id != first && w.g.HasEdgeFromTo(id, first) })
	return root{outcome: Deadlock, links: append(w.chain(way), w.closed(append(round, first))...)}, true
}

// closed is what a chain says of a circle, given as a way that ends where it began: the
// symptom with which it begins, the circle, behind which its links stand folded, and
// where the reason of the edge that closes it comes from.
func (w *waitGraph) closed(way []int64) []Link {
	behind := w.chain(way)
	var links, origin []Link
	for len(behind) > 1 && behind[0].symptom() && !slices.ContainsFunc(links, func(l Link) bool { return l.Rule == behind[0].Rule }) {
		links, behind = append(links, behind[0]), behind[1:]
	}
	circle := behind[0] // Where no edge says more.
	for i := 1; i < len(way); i++ {
		if e := w.edges[[2]int64{way[i-1], way[i]}]; e.circle != nil {
			circle, origin = *e.circle, e.origin
			break
		}
	}
	circle.Behind = behind
	return append(append(links, circle), origin...)
}
