package verdict

import (
	"slices"
	"strings"
	"testing"
)

// graphOf builds a graph from edges "a>b"; the sentence of an edge is the edge.
func graphOf(edges ...string) *waitGraph {
	w := newWaitGraph()
	for _, e := range edges {
		a, b, _ := strings.Cut(e, ">")
		from, _ := w.node(a)
		to, _ := w.node(b)
		w.wait(from, to, Link{What: e})
	}
	return w
}

func whats(links []Link) string {
	var out []string
	for _, l := range links {
		out = append(out, l.What)
	}
	return strings.Join(out, " ")
}

func TestResolve(t *testing.T) {
	tests := []struct {
		name  string
		edges []string
		roots map[string]Outcome
		held  string
		want  Outcome
		chain string
		ok    bool
	}{
		{name: "a root", edges: []string{"run>pod", "pod>node"}, roots: map[string]Outcome{"node": Unschedulable}, want: Unschedulable, chain: "run>pod pod>node node!", ok: true},
		{name: "no reason", edges: []string{"run>pod", "pod>claim"}},
		{name: "the shorter way", edges: []string{"run>pod", "pod>a", "a>set", "pod>set"}, roots: map[string]Outcome{"set": Deadlock}, want: Deadlock, chain: "run>pod pod>set set!", ok: true},
		{name: "of two roots the one with precedence", edges: []string{"run>pod", "pod>a", "pod>b", "b>c"}, roots: map[string]Outcome{"a": Unschedulable, "c": Deadlock}, want: Deadlock, chain: "run>pod pod>b b>c c!", ok: true},
		{name: "of two roots of one outcome the first", edges: []string{"run>pod", "pod>b", "pod>a"}, roots: map[string]Outcome{"a": Deadlock, "b": Deadlock}, want: Deadlock, chain: "run>pod pod>b b!", ok: true},
		{name: "a circle from the start", edges: []string{"run>pod", "pod>claim", "claim>run"}, want: Deadlock, chain: "circle[run>pod pod>claim claim>run]", ok: true},
		{name: "a circle behind", edges: []string{"run>pod", "pod>claim", "claim>other", "other>claim"}, want: Deadlock, chain: "run>pod pod>claim circle[claim>other other>claim]", ok: true},
		{name: "a root goes before a circle", edges: []string{"run>pod", "pod>run", "pod>node"}, roots: map[string]Outcome{"node": Unschedulable}, want: Unschedulable, chain: "run>pod pod>node node!", ok: true},
		{name: "of two circles the first", edges: []string{"run>a", "a>b", "b>a", "run>c", "c>d", "d>c"}, want: Deadlock, chain: "run>a circle[a>b b>a]", ok: true},
		{name: "of two circles the first, behind another", edges: []string{"run>x", "x>y", "y>z", "z>y", "z>run", "x>a", "a>b", "b>a"}, want: Deadlock, chain: "circle[run>x x>y y>z z>run]", ok: true},
		{name: "a circle elsewhere", edges: []string{"run>pod", "x>y", "y>x"}},
		{name: "held", edges: []string{"run>pod", "pod>volume", "volume>other"}, held: "pod", want: MultiAttach, chain: "run>pod pod>volume volume>other", ok: true},
		{name: "held in a circle", edges: []string{"run>pod", "pod>volume", "volume>run"}, held: "pod", want: MultiAttach, chain: "run>pod circle[pod>volume volume>run run>pod]", ok: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := graphOf(test.edges...)
			for object, outcome := range test.roots {
				id, _ := w.node(object)
				w.end(id, outcome, Link{What: object + "!"})
			}
			if test.held != "" {
				id, _ := w.node(test.held)
				w.held[id] = true
			}
			start, _ := w.node("run")
			got, ok := w.resolve(start)
			if ok != test.ok || got.outcome != test.want {
				t.Errorf("outcome %q, %v, want %q, %v", got.outcome, ok, test.want, test.ok)
			}
			for i := range got.links {
				if got.links[i].Behind != nil {
					got.links[i].What = "circle[" + whats(got.links[i].Behind) + "]"
				}
			}
			if chain := whats(got.links); chain != test.chain {
				t.Errorf("chain %s\nwant  %s", chain, test.chain)
			}
		})
	}
}

// The edge that closes a circle names it and says where its own reason comes from; what
// is seen first stays in front.
func TestCircleIsNamedByTheEdgeThatClosesIt(t *testing.T) {
	w := graphOf("run>pod", "pod>claim", "claim>run")
	w.edges[[2]int64{0, 1}].link.Rule = podPending.ID
	w.edges[[2]int64{1, 2}].closes(Link{What: "pod and claim"}, Link{What: "who wrote it"})
	got, ok := w.resolve(0)
	if chain := whats(got.links); !ok || chain != "run>pod pod and claim who wrote it" {
		t.Fatalf("chain %s", chain)
	}
	if behind := whats(got.links[1].Behind); behind != "pod>claim claim>run" {
		t.Errorf("behind the circle stands %s", behind)
	}
}

// A circle of what is seen alone is a circle still: its last link names it.
func TestCircleOfSymptoms(t *testing.T) {
	w := graphOf("run>pod", "pod>run")
	w.edges[[2]int64{0, 1}].link.Rule = podPending.ID
	w.edges[[2]int64{1, 0}].link.Rule = podOnNode.ID
	got, ok := w.resolve(0)
	if chain := whats(got.links); !ok || chain != "run>pod pod>run" {
		t.Fatalf("chain %s", chain)
	}
}

func TestWaitKeepsTheFirstReason(t *testing.T) {
	w := graphOf("a>b")
	w.wait(0, 1, Link{What: "another"})
	w.wait(0, 0, Link{What: "itself"})
	if got := whats(w.chain([]int64{0, 1})); got != "a>b" {
		t.Errorf("the edge says %q", got)
	}
	if got := w.successors(0); !slices.Equal(got, []int64{1}) {
		t.Errorf("successors %v", got)
	}
}
