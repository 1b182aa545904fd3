package importer

import (
	"math"
	"slices"
	"strings"
	"time"

	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// enough is how many durations make a distribution worth fitting.
const enough = 5

// durations gives tasks the durations that their finished TaskRuns had.
func (c *converter) durations(pipelines []any) {
	names, of := map[string]bool{}, map[string]bool{}
	var collect func(spec any)
	collect = func(spec any) {
		for _, section := range []string{"tasks", "finally"} {
			for _, t := range tree.List(spec, section) {
				names[tree.Text(t, "name")] = true
				collect(tree.Get(t, "pipelineSpec"))
			}
		}
	}
	for _, p := range pipelines {
		collect(p)
	}
	for _, u := range c.runs {
		of[pipelineOf(u)], of[u.GetName()] = true, true
	}
	took := map[string][]time.Duration{}
	see := func(task string, status map[string]any) {
		if d, ok := ran(status); ok && names[task] {
			took[task] = append(took[task], d)
		}
	}
	for _, u := range c.ix.in("TaskRun.tekton.dev", c.o.Namespace) {
		l := u.GetLabels()
		if of[l[wellknown.PipelineLabel]] || of[l[wellknown.PipelineRunLabel]] {
			see(l[wellknown.PipelineTaskLabel], tree.Map(u.Object, "status"))
		}
	}
	// Up to 0.44 a PipelineRun could hold its TaskRuns' statuses.
	for _, u := range c.ix.in("PipelineRun.tekton.dev", c.o.Namespace) {
		if of[pipelineOf(u)] {
			for _, t := range tree.Map(u.Object, "status", "taskRuns") {
				see(tree.Text(t, "pipelineTaskName"), tree.Map(t, "status"))
			}
		}
	}
	for name, d := range took {
		if c.s.Workload.Tasks == nil {
			c.s.Workload.Tasks = map[string]scenario.TaskModel{}
		}
		c.s.Workload.Tasks[name] = scenario.TaskModel{Duration: distribution(d)}
	}
	var without []string
	for name := range names {
		if took[name] == nil {
			without = append(without, name)
		}
	}
	if len(without) > 0 {
		c.note("workload", "no finished TaskRun says how long these take, so they take 10s: %s; write it down, as in  tasks: {%s: {duration: 5m}}", joined(without), slices.Min(without))
	}
	if len(names) > 0 {
		c.note("workload", "what tasks read and write is in no manifest; see docs/scenario.md, tasks")
	}
}

// ran is how long the steps of a TaskRun that succeeded took: from the start of
// the first to the end of the last or, without their times, from the TaskRun's
// start to its end.
func ran(status map[string]any) (time.Duration, bool) {
	ok := false
	for _, cond := range tree.List(status, "conditions") {
		ok = ok || tree.Text(cond, "type") == "Succeeded" && tree.Text(cond, "status") == "True"
	}
	if !ok {
		return 0, false
	}
	var from, to time.Time
	for _, s := range tree.List(status, "steps") {
		a, errA := time.Parse(time.RFC3339, tree.Text(s, "terminated", "startedAt"))
		b, errB := time.Parse(time.RFC3339, tree.Text(s, "terminated", "finishedAt"))
		if errA != nil || errB != nil {
			continue
		}
		if from.IsZero() || a.Before(from) {
			from = a
		}
		if b.After(to) {
			to = b
		}
	}
	if from.IsZero() {
		var errA, errB error
		from, errA = time.Parse(time.RFC3339, tree.Text(status, "startTime"))
		to, errB = time.Parse(time.RFC3339, tree.Text(status, "completionTime"))
		if errA != nil || errB != nil {
			return 0, false
		}
	}
	return to.Sub(from), !to.Before(from)
}

// distribution fits what was seen: enough values give a lognormal by their median
// and 95th percentile, a few a triangle, and one or equal ones that value.
func distribution(d []time.Duration) *scenario.Distribution {
	slices.Sort(d)
	n := len(d)
	low, high, median := d[0], d[n-1], d[n/2]
	if n%2 == 0 {
		median = (d[n/2-1] + d[n/2]) / 2
	}
	p95 := d[min(n-1, int(math.Ceil(0.95*float64(n)))-1)]
	switch {
	case low == high:
		return &scenario.Distribution{Constant: short(low)}
	case n >= enough && median > 0 && p95 > median:
		return &scenario.Distribution{Lognormal: &scenario.Lognormal{Median: short(median), P95: short(p95)}}
	}
	return &scenario.Distribution{Triangular: &scenario.Triangular{Min: short(low), Mode: short(median), Max: short(high)}}
}

// short writes a duration without units that are zero.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
