package kube

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"simctl.dev/simctl/sim/clock"
)

// take returns the keys that are in the queue, sorted.
func take(q *retryQueue) string {
	var keys []string
	for q.Len() > 0 {
		key, _ := q.Get()
		q.Done(key)
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return strings.Join(keys, " ")
}

func TestRetryQueue(t *testing.T) {
	c := clock.New(clock.Epoch)
	q := newRetryQueue(c, "test", time.Minute)
	defer q.ShutDown()

	q.AddAfter("now", 0)
	if got := take(q); got != "now" {
		t.Fatalf("got %q", got)
	}
	// An asked-for time is work; the earlier of two moments counts.
	q.AddAfter("later", 5*time.Second)
	q.AddAfter("later", time.Second)
	q.AddAfter("later", 3*time.Second)
	if n := len(c.Pending(clock.Work)); n != 1 || q.pending() != 0 || !q.quiet() {
		t.Fatalf("%d events, %d back off, quiet %v", n, q.pending(), q.quiet())
	}
	c.Step()
	if got, at := take(q), c.Elapsed(); got != "later" || at != 1 {
		t.Fatalf("got %q at %v", got, at)
	}
	if c.Step() {
		t.Fatal("a moment that was replaced came all the same")
	}

	// Failures: the short ones pass in real time, and it is not quiet then.
	for range 3 {
		q.AddRateLimited("sick")
		if q.quiet() {
			t.Fatal("quiet during a short back-off")
		}
		for q.Len() == 0 {
			time.Sleep(time.Millisecond)
		}
		take(q)
	}
	var at []float64
	for range 12 {
		q.AddRateLimited("sick")
		if q.pending() != 1 || len(c.Pending(clock.Retry)) != 1 || q.Len() != 0 {
			t.Fatalf("%d back off, %d events, %d keys", q.pending(), len(c.Pending(clock.Retry)), q.Len())
		}
		before := c.Elapsed()
		c.Step()
		at = append(at, c.Elapsed()-before)
		if got := take(q); got != "sick" {
			t.Fatalf("got %q", got)
		}
	}
	if d := at[0]; d < 0.0399 || d > 0.0401 {
		t.Errorf("the fourth back-off is %v s", d)
	}
	if d := at[11]; d < 59.9 || d > 60.1 {
		t.Errorf("the longest back-off is %v s", d)
	}
	if n := q.NumRequeues("sick"); n != 15 {
		t.Errorf("%d requeues", n)
	}

	// However often it fails in one moment, it is tried again at the same one.
	q.Forget("sick")
	for range 3 {
		q.fail("sick")
	}
	for range 4 {
		q.AddRateLimited("sick")
	}
	before := c.Elapsed()
	c.Step()
	if d := c.Elapsed() - before; take(q) != "sick" || d < 0.0399 || d > 0.0401 {
		t.Errorf("after several failures of one moment it is tried again %v s later", d)
	}
	if d := q.fail("sick"); d != 80*time.Millisecond {
		t.Errorf("the next back-off is %v", d)
	}

	// The last look, and what a cell leaves behind.
	q.AddRateLimited("sick")
	q.AddAfter("work", time.Hour)
	if n := q.nudge(); n != 1 || take(q) != "sick" {
		t.Errorf("nudged %d", n)
	}
	q.AddRateLimited("sick")
	q.fail("being worked on")
	c.Restart()
	q.reset()
	if q.pending() != 0 || q.NumRequeues("sick") != 0 || q.NumRequeues("being worked on") != 0 || c.Step() {
		t.Error("something is left after reset")
	}
	// A restart of the clock alone must not swallow a key either.
	q.AddAfter("work", time.Second)
	c.Restart()
	q.AddAfter("work", time.Hour)
	c.Step()
	if got := take(q); got != "work" {
		t.Errorf("got %q", got)
	}
}

func TestRetryQueueDone(t *testing.T) {
	var mu sync.Mutex
	n := 0
	q := newRetryQueue(clock.New(clock.Epoch), "test", time.Minute)
	defer q.ShutDown()
	q.done = func() { mu.Lock(); n++; mu.Unlock() }
	q.Add("a")
	take(q)
	if n != 1 {
		t.Errorf("done was called %d times", n)
	}
}

func TestField(t *testing.T) {
	type inner struct{ name string }
	v := &inner{name: "a"}
	p, err := field[string](v, "name")
	if err != nil {
		t.Fatal(err)
	}
	if *p = "b"; v.name != "b" {
		t.Errorf("the field is %q", v.name)
	}
	for what, f := range map[string]func() error{
		"another type": func() error { _, err := field[int](v, "name"); return err },
		"no field":     func() error { _, err := field[string](v, "other"); return err },
		"no struct":    func() error { _, err := field[string](new(int), "name"); return err },
		"no pointer":   func() error { _, err := field[string](*v, "name"); return err },
	} {
		if f() == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
