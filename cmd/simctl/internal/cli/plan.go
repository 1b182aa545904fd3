package cli

import (
	"context"
	"fmt"
	"time"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/runstore"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// needs are the releases that cells need, the oldest first, and whether OpenShift's
// admission.
func needs(cells []scenario.Cell) (versions []string, openShift bool) {
	for i := range cells {
		versions = append(versions, cells[i].Versions()...)
		openShift = openShift || cells[i].Spec.Cluster.OpenShift.Enabled
	}
	return distinct(versions), openShift
}

// plan says what a run of the cells would be: how many, what is built before, and how long
// it takes by what runs and builds have taken here.
func (a *App) plan(ctx context.Context, cacheDir string, in *inputs) error {
	cells := map[string]int{}
	for _, c := range in.cells {
		cells[c.File]++
	}
	for _, f := range in.files {
		fmt.Fprintf(a.Stdout, "%s: scenario %s: %s\n", f.Path, f.Scenario.Metadata.Name, cellCount(cells[f.Path]))
	}
	if len(in.files) > 1 {
		fmt.Fprintf(a.Stdout, "%s in all\n", cellCount(len(in.cells)))
	}
	versions, openShift := needs(in.cells)
	builds, err := a.Engine.Builds(ctx, cacheDir, versions, openShift)
	if err != nil {
		return err
	}
	for _, p := range builds.Parts {
		fmt.Fprintf(a.Stdout, "%s: %s\n", p.Name, p.words())
	}
	runs, err := runstore.List(runsDir)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.Stdout, estimate(in.cells, runs))
	return nil
}

// words say how a part stands.
func (p Part) words() string {
	switch {
	case p.BuiltIn:
		return "built in"
	case p.Ready:
		return "built"
	case p.Took > 0:
		return "will be built, once: a build has taken about " + reports.Duration(p.Took.Round(time.Second).Seconds()) + " here"
	}
	return "will be built, once: a build takes half a minute to some minutes"
}

// estimate says how long the cells take without builds, by the latest run that is kept
// here and came to its end: one with a cell of the same scenarios if there is one.
func estimate(cells []scenario.Cell, runs []runstore.Kept) string {
	ours := map[string]bool{}
	for _, c := range cells {
		ours[c.Scenario] = true
	}
	var by *verdict.RunResult
	same := false
	for _, k := range runs {
		r := k.Result
		if r == nil || r.Interrupted || len(r.Cells) == 0 || r.WallSeconds <= 0 {
			continue
		}
		of := false
		for _, c := range r.Cells {
			of = of || ours[c.Scenario]
		}
		if by == nil || of && !same {
			by, same = r, of
		}
	}
	if by == nil {
		return "how long it takes is not known: no run is kept in " + runsDir
	}
	// A run's own time has its builds in it, the cells' times have not; they ran side by side.
	var each float64
	for _, c := range by.Cells {
		each += c.WallSeconds
	}
	n := float64(len(by.Cells))
	total := min(by.WallSeconds, each) / n * float64(len(cells))
	of := ""
	if !same {
		of = " of other scenarios"
	}
	return fmt.Sprintf("without builds about %s, as run %s%s was (%s in %s)", reports.Duration(total), by.ID, of, cellCount(len(by.Cells)), reports.Duration(by.WallSeconds))
}
