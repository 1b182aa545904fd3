package scheduler

import (
	"context"
	"sync"
)

// gate holds the scheduling loop back until pods are let through.
type gate struct {
	hold bool

	mu    sync.Mutex
	cond  *sync.Cond
	quota int
	// taken says that the loop was let through and has not come back.
	taken bool
}

func newGate(hold bool) *gate {
	g := &gate{hold: hold}
	g.cond = sync.NewCond(&g.mu)
	return g
}

// wait blocks until the loop may take a pod; false says that ctx has ended.
// ready is how many pods could be taken: what was let through may have been
// deleted since, and the loop must not be left waiting for one that comes later.
func (g *gate) wait(ctx context.Context, ready func() int) bool {
	if !g.hold {
		return true
	}
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.cond.Broadcast()
	})
	defer stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.taken = false
	for {
		if ctx.Err() != nil {
			return false
		}
		if g.quota > 0 && ready() == 0 {
			g.quota = 0
		}
		if g.quota > 0 {
			g.quota--
			g.taken = true
			return true
		}
		g.cond.Wait()
	}
}

// letThrough lets n further pods through.
func (g *gate) letThrough(n int) int {
	if !g.hold || n == 0 {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.quota += n
	g.cond.Broadcast()
	return n
}

// done says that the loop has dealt with every pod that was let through.
func (g *gate) done() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.quota == 0 && !g.taken
}
