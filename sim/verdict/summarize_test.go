package verdict

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func cellOf(values string, repeat int, makespan float64, attach ...float64) Cell {
	c := Cell{Scenario: "s", Values: map[string]string{"change": values, "tekton": "1.3.1"}, Repeat: repeat}
	c.Outcome = Success
	if makespan >= 0 {
		c.MakespanSeconds = &makespan
	} else {
		since := -makespan
		c.Outcome, c.BlockedSinceSeconds = Deadlock, &since
	}
	for _, a := range attach {
		c.Timing.AttachSeconds += a
		c.Timing.Tasks = append(c.Timing.Tasks, TaskTiming{Queued: seconds(a / 10)})
	}
	return c
}

func TestSummarize(t *testing.T) {
	got := Summarize([]Cell{
		cellOf("b", 0, 10, 20, 10),
		cellOf("a", 0, -5),
		cellOf("b", 1, 14),
		cellOf("b", 2, 12),
		cellOf("b", 3, -7),
		cellOf("a", 1, -5),
	})
	var lines []string
	for _, s := range got {
		interval := "-"
		if s.MeanLow != nil {
			interval = fmt.Sprintf("%.2f..%.2f", *s.MeanLow, *s.MeanHigh)
		}
		lines = append(lines, fmt.Sprintf("%s %s n=%d %g %g %g %g mean %g %s", s.Values["change"], s.Measure, s.N, s.Min, s.P50, s.P95, s.Max, s.Mean, interval))
	}
	// 4.303 is Student's t for two degrees of freedom at 97.5 %.
	want := []string{
		"b makespanSeconds n=3 10 12 14 14 mean 12 7.03..16.97",
		"b queuedSeconds n=3 0 0 3 3 mean 1 -3.30..5.30",
		"b scheduledSeconds n=3 0 0 0 0 mean 0 0.00..0.00",
		"b attachSeconds n=3 0 0 30 30 mean 10 -33.03..53.03",
		"b mountSeconds n=3 0 0 0 0 mean 0 0.00..0.00",
		"b ownershipSeconds n=3 0 0 0 0 mean 0 0.00..0.00",
		"b pullSeconds n=3 0 0 0 0 mean 0 0.00..0.00",
		"b runningSeconds n=3 0 0 0 0 mean 0 0.00..0.00",
		"b blockedSinceSeconds n=1 7 7 7 7 mean 7 -",
		"a blockedSinceSeconds n=2 5 5 5 5 mean 5 5.00..5.00",
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if got := Summarize(nil); len(got) != 0 {
		t.Errorf("no cells gave %v", got)
	}
}

func TestDescribeQuantiles(t *testing.T) {
	var x []float64
	for i := 100; i > 0; i-- {
		x = append(x, float64(i))
	}
	s := describe(x)
	if s.P50 != 50 || s.P95 != 95 || s.Min != 1 || s.Max != 100 || s.N != 100 {
		t.Errorf("%+v", s)
	}
	// 1.984 is Student's t for 99 degrees of freedom, 29.011 the standard deviation.
	if half := *s.MeanHigh - s.Mean; math.Abs(half-1.984217*29.011492/10) > 1e-4 {
		t.Errorf("the interval is ±%v", half)
	}
	if x[0] != 100 {
		t.Error("the values were sorted in place")
	}
}
