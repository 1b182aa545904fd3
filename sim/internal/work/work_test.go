package work

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"simctl.dev/simctl/sim/clock"
)

func TestListHandsOverOnceSorted(t *testing.T) {
	clk := clock.New(clock.Epoch)
	var got [][]string
	var l *List
	l = NewList(clk, "list", func(keys []string) {
		got = append(got, keys)
		if len(got) == 1 {
			l.Add("again")
		}
	})
	for _, k := range []string{"b", "a", "b"} {
		l.Add(k)
	}
	for clk.Step() {
	}
	if want := [][]string{{"a", "b"}, {"again"}}; !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("handed over %v, want %v", got, want)
	}
	if clk.Elapsed() != 0 {
		t.Errorf("took %v s of virtual time", clk.Elapsed())
	}
}

func TestClosedListDropsEverything(t *testing.T) {
	clk := clock.New(clock.Epoch)
	l := NewList(clk, "list", func(keys []string) { t.Errorf("a closed list handed over %v", keys) })
	l.Add("a")
	l.Close()
	l.Add("b")
	if clk.Step() {
		t.Error("a closed list left an event on the clock")
	}
}

func TestRetry(t *testing.T) {
	res := schema.GroupResource{Resource: "pods"}
	failing := errors.New("no connection")
	for name, tc := range map[string]struct {
		errs    []error
		calls   int
		seconds float64
	}{
		"success":  {nil, 1, 0},
		"conflict": {[]error{apierrors.NewConflict(res, "p", failing)}, 2, 0},
		"gone":     {[]error{apierrors.NewNotFound(res, "p")}, 1, 0},
		"twice":    {[]error{failing, failing}, 3, 3},
		"for ever": {slices.Repeat([]error{failing}, 100), attempts, float64(1<<(attempts-1) - 1)},
	} {
		t.Run(name, func(t *testing.T) {
			clk := clock.New(clock.Epoch)
			calls := 0
			Retry(t.Context(), clk, logr.Discard(), "key", func() error {
				calls++
				if calls <= len(tc.errs) {
					return tc.errs[calls-1]
				}
				return nil
			})
			for clk.Step() {
			}
			if calls != tc.calls || clk.Since(clock.Epoch) != time.Duration(tc.seconds)*time.Second {
				t.Errorf("%d calls in %v, want %d in %v s", calls, clk.Since(clock.Epoch), tc.calls, tc.seconds)
			}
		})
	}
}
