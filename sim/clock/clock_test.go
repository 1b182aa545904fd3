package clock_test

import (
	"slices"
	"testing"
	"time"

	"simctl.dev/simctl/sim/clock"
)

// script collects what ran, with the virtual second.
type script struct {
	*clock.Clock
	ran []string
}

func newScript() *script { return &script{Clock: clock.New(clock.Epoch)} }

func (s *script) at(seconds int, kind clock.Kind, key string) *clock.Event {
	return s.Schedule(time.Duration(seconds)*time.Second, kind, key, func() {
		s.ran = append(s.ran, key+"@"+time.Duration(s.Elapsed()*float64(time.Second)).String())
	})
}

func (s *script) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(s.ran, want) {
		t.Errorf("ran %q, want %q", s.ran, want)
	}
}

func TestStepOrder(t *testing.T) {
	s := newScript()
	s.at(20, clock.Work, "late")
	s.at(10, clock.Work, "b")
	s.at(10, clock.Timeout, "a") // the same moment: by key, whatever the kind
	s.at(-5, clock.Retry, "past")
	s.at(15, clock.Housekeeping, "upkeep")
	for s.Step() {
	}
	s.want(t, "past@0s", "a@10s", "b@10s", "upkeep@20s", "late@20s")
}

func TestHousekeepingMovesNoTime(t *testing.T) {
	s := newScript()
	s.at(5, clock.Housekeeping, "upkeep")
	if s.Step() {
		t.Error("a step was made for housekeeping")
	}
	s.want(t)
	if !s.StepUpkeep() {
		t.Error("no step of upkeep")
	}
	s.want(t, "upkeep@5s")
	if s.StepUpkeep() {
		t.Error("a second step of upkeep")
	}
}

func TestStepUpkeepDoesNotPassWork(t *testing.T) {
	s := newScript()
	s.at(5, clock.Housekeeping, "upkeep")
	s.at(3, clock.Work, "work")
	s.StepUpkeep()
	s.want(t, "work@3s")
}

func TestCancel(t *testing.T) {
	s := newScript()
	a, b := s.at(1, clock.Work, "a"), s.at(2, clock.Work, "b")
	if !a.Cancel() || a.Cancel() {
		t.Error("an event can be cancelled once")
	}
	for s.Step() {
	}
	s.want(t, "b@2s")
	if b.Cancel() {
		t.Error("an event that ran was cancelled")
	}
}

func TestPending(t *testing.T) {
	s := newScript()
	s.at(3, clock.Timeout, "late")
	s.at(2, clock.Work, "work")
	s.at(1, clock.Timeout, "soon")
	var got []string
	for _, e := range s.Pending(clock.Timeout) {
		got = append(got, e.Key)
	}
	if want := []string{"soon", "late"}; !slices.Equal(got, want) {
		t.Errorf("pending %q, want %q", got, want)
	}
	for s.Step() {
	}
	s.want(t, "soon@1s", "work@2s", "late@3s")
}

// TestRestart begins a second cell: what the first left on the queue does not
// happen in it, and its time begins at a whole second.
func TestRestart(t *testing.T) {
	s := newScript()
	s.Schedule(1500*time.Millisecond, clock.Work, "first", func() {})
	s.Step()
	left := s.at(10, clock.Work, "left")
	s.at(10, clock.Housekeeping, "upkeep")
	s.Restart()
	if s.Elapsed() != 0 || s.Now().Nanosecond() != 0 {
		t.Errorf("after a restart it is %v, %v s after the start", s.Now(), s.Elapsed())
	}
	if left.Cancel() {
		t.Error("an event of the cell before is still there")
	}
	s.at(20, clock.Work, "second")
	for s.Step() {
	}
	s.want(t, "upkeep@20s", "second@20s")
}

func TestOnStep(t *testing.T) {
	s := newScript()
	var seen []time.Duration
	s.OnStep(func(now time.Time) { seen = append(seen, now.Sub(clock.Epoch)) })
	s.at(1, clock.Work, "a")
	s.at(1, clock.Work, "b") // no new time
	s.at(2, clock.Work, "c")
	for s.Step() {
	}
	if want := []time.Duration{time.Second, 2 * time.Second}; !slices.Equal(seen, want) {
		t.Errorf("told of %v, want %v", seen, want)
	}
}

func TestRand(t *testing.T) {
	draw := func(seed int64, names ...string) uint64 { return clock.Rand(seed, names...).Uint64() }
	first := draw(1, "a", "b")
	if again := draw(1, "a", "b"); again != first {
		t.Errorf("the same names give %d and %d", first, again)
	}
	for _, other := range []uint64{draw(2, "a", "b"), draw(1, "ab"), draw(1, "b", "a"), draw(1, "a", "b", "")} {
		if other == first {
			t.Error("other names give the same draws")
		}
	}
}
