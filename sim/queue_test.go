package sim

import (
	"context"
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/scenario"
)

// cellsOf makes a cell for each letter: small letters on plain Kubernetes, large
// ones on OpenShift.
func cellsOf(letters string) []scenario.Cell {
	var out []scenario.Cell
	for _, l := range letters {
		var c scenario.Cell
		c.Spec.Tekton.Version = string(l | 0x20)
		c.Spec.Cluster.OpenShift.Enabled = l < 'a'
		out = append(out, c)
	}
	return out
}

func TestQueue(t *testing.T) {
	for name, test := range map[string]struct {
		cells string
		takes []int // the workers, in the order in which they come
		want  []int // the cells that they get
	}{
		"as they come":                  {cells: "aaa", takes: []int{0, 0, 0}, want: []int{0, 1, 2}},
		"the same release first":        {cells: "abab", takes: []int{0, 0, 0, 0}, want: []int{0, 2, 1, 3}},
		"OpenShift is another install":  {cells: "aAaA", takes: []int{0, 0, 0, 0}, want: []int{0, 2, 1, 3}},
		"each worker its own":           {cells: "aabb", takes: []int{0, 1, 0, 1}, want: []int{0, 2, 1, 3}},
		"the most numerous first":       {cells: "abbb", takes: []int{0, 1}, want: []int{1, 0}},
		"one helps the other":           {cells: "aaab", takes: []int{0, 1, 1, 0}, want: []int{0, 3, 1, 2}},
		"what nobody has begun with":    {cells: "aaaabcc", takes: []int{0, 1, 1, 1, 1}, want: []int{0, 5, 6, 4, 1}},
		"more workers than there is to": {cells: "a", takes: []int{1, 0}, want: []int{0, -1}},
	} {
		t.Run(name, func(t *testing.T) {
			q := newQueue(cellsOf(test.cells))
			for i := range q.cells {
				q.put(job{index: i})
			}
			q.close()
			var got []int
			for _, w := range test.takes {
				j, ok := q.take(context.Background(), w)
				if !ok {
					j.index = -1
				}
				got = append(got, j.index)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got cells %v, want %v", got, test.want)
			}
		})
	}
}

// TestBuildOrder: the first cells are to begin as soon as can be, and as many as can be.
func TestBuildOrder(t *testing.T) {
	for name, test := range map[string]struct {
		cells string // as cellsOf has them
		there string // the releases that need no build; + is OpenShift's admission
		want  string
	}{
		"nothing to build":                 {cells: "aA", there: "a+", want: ""},
		"the most cells first":             {cells: "abbcc", want: "bca"},
		"as they come":                     {cells: "ab", want: "ab"},
		"the fewest builds first":          {cells: "AAAb", want: "ba+"},
		"the admission where it is enough": {cells: "AAbbb", there: "a", want: "b+"},
		"its cells are more":               {cells: "AAAbb", there: "a", want: "+b"},
		"one build of two":                 {cells: "ABBb", want: "b+a"},
		"the release where admission is":   {cells: "aBB", there: "+", want: "ba"},
	} {
		t.Run(name, func(t *testing.T) {
			built := map[string]bool{}
			for _, l := range test.there {
				built[strings.Replace(string(l), "+", sccEngine, 1)] = true
			}
			got := strings.ReplaceAll(strings.Join(buildOrder(cellsOf(test.cells), built), ""), sccEngine, "+")
			if got != test.want {
				t.Errorf("builds %q, want %q", got, test.want)
			}
		})
	}
	// A cell whose pipeline moves to another release needs both.
	cells := cellsOf("abb")
	cells[0].Spec.Interventions = []scenario.Intervention{{SwapRelease: "c"}}
	if got := strings.Join(buildOrder(cells, nil), ""); got != "bac" {
		t.Errorf("builds %q, want the release of one build first", got)
	}
}

// TestQueueWaits has a worker wait for a job that comes later, and for one that
// never comes.
func TestQueueWaits(t *testing.T) {
	q := newQueue(cellsOf("a"))
	got := make(chan bool)
	go func() {
		for range 2 {
			_, ok := q.take(context.Background(), 0)
			got <- ok
		}
	}()
	q.put(job{})
	if !<-got {
		t.Error("the job was not handed out")
	}
	q.close()
	if <-got {
		t.Error("a closed and empty queue gives a job")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	q = newQueue(cellsOf("a"))
	q.put(job{})
	if _, ok := q.take(ctx, 0); ok {
		t.Error("a job is handed out after the end")
	}
}

// TestWorkersFor: a control plane is started only where there is enough for it to do.
func TestWorkersFor(t *testing.T) {
	for _, c := range []struct {
		name              string
		cells, cores, fit int
		want              int
	}{
		{"no cells", 0, 2, 3, 1},
		{"few cells", 11, 2, 3, 1},
		{"one for each core", 12, 2, 3, 2},
		{"not yet worth a third", 47, 2, 3, 2},
		{"three on two cores", 48, 2, 3, 3},
		{"no more than that", 1000, 2, 3, 3},
		{"memory for two", 1000, 2, 2, 2},
		{"one core", 1000, 1, 1, 1},
		{"many cores, few cells", 30, 16, 24, 5},
		{"many cores", 1000, 16, 24, 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := workersFor(c.cells, c.cores, c.fit); got != c.want {
				t.Errorf("%d cells on %d cores, where %d fit, take %d control planes, want %d", c.cells, c.cores, c.fit, got, c.want)
			}
		})
	}
}
