package sim

import (
	"context"
	"slices"
	"sync"

	"simctl.dev/simctl/sim/scenario"
)

// queue hands cells to workers so that each goes on with what it has installed
// as long as there is such a cell: to install another release, or the same one
// in another namespace, takes longer than a cell.
type queue struct {
	cells []scenario.Cell

	mu     sync.Mutex
	jobs   []job
	holds  map[int]wish // by worker
	closed bool
	more   chan struct{} // closed when there is more, or never will be
}

// wish is what a cell wants to find on its worker.
type wish struct {
	version   string
	openshift bool
}

func newQueue(cells []scenario.Cell) *queue {
	return &queue{cells: cells, holds: map[int]wish{}, more: make(chan struct{})}
}

func (q *queue) wants(j job) wish {
	c := &q.cells[j.index]
	return wish{c.Versions()[0], c.Spec.Cluster.OpenShift.Enabled}
}

// put adds jobs, which are handed out in this order among those that want the
// same.
func (q *queue) put(jobs ...job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = append(q.jobs, jobs...)
	close(q.more)
	q.more = make(chan struct{})
}

// close says that no more jobs come.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	close(q.more)
}

// take waits for the next job of a worker; there is none when the queue is
// closed and empty, or ctx ends.
func (q *queue) take(ctx context.Context, worker int) (job, bool) {
	for ctx.Err() == nil {
		q.mu.Lock()
		if i := q.next(worker); i >= 0 {
			j := q.jobs[i]
			q.jobs = slices.Delete(q.jobs, i, i+1)
			q.holds[worker] = q.wants(j)
			q.mu.Unlock()
			return j, true
		}
		closed, more := q.closed, q.more
		q.mu.Unlock()
		if closed {
			break
		}
		select {
		case <-ctx.Done():
		case <-more:
		}
	}
	return job{}, false
}

// next gives the index of the job that a worker does best to take: one that
// wants what it has; else one of those that no other worker has begun with; else
// one of the most numerous.
func (q *queue) next(worker int) int {
	left, first := map[wish]int{}, map[wish]int{}
	for i, j := range q.jobs {
		w := q.wants(j)
		if left[w]++; left[w] == 1 {
			first[w] = i
		}
	}
	has, some := q.holds[worker]
	if i, ok := first[has]; some && ok {
		return i
	}
	best, most, alone := -1, 0, false
	for i, j := range q.jobs {
		w := q.wants(j)
		if first[w] != i {
			continue
		}
		free := true
		for other, held := range q.holds {
			free = free && (other == worker || held != w)
		}
		if best < 0 || free && !alone || free == alone && left[w] > most {
			best, most, alone = i, left[w], free
		}
	}
	return best
}
