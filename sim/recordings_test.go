package sim_test

import (
	"context"
	"flag"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/recording"
	"simctl.dev/simctl/sim/scenario"
)

// updateKnown rewrites testdata/recordings/known.yaml.
var updateKnown = flag.Bool("update-known", false, "rewrite the list of known differences from the recordings")

// onlyRecordings are the cases that are played, if not all.
var onlyRecordings = flag.String("recordings", "", "the recorded cases to play, with blanks between; none: all")

const (
	recordings = "testdata/recordings"
	// linger is longer than any recording goes on after its runs have ended.
	linger = 90 * time.Second
	// late is by how much later than in a recording, in seconds, something may come
	// at its end.
	late = 20
)

// TestRecordings plays what was recorded on a real cluster and holds what is seen
// against what was seen there. What is not the same must be in known.yaml, and what
// is in there must not be the same.
func TestRecordings(t *testing.T) {
	klog.SetLogger(logr.Discard())
	raw, err := os.ReadFile(filepath.Join(recordings, "known.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	known, err := recording.ReadKnown(raw)
	if err != nil {
		t.Fatal(err)
	}
	cells := recordedCells(t, known)
	if names := strings.Fields(*onlyRecordings); len(names) > 0 {
		if *updateKnown {
			t.Fatal("the list of known differences is rewritten from all cases")
		}
		known = known.Of(names)
		cells = slices.DeleteFunc(cells, func(c scenario.Cell) bool { return !slices.Contains(names, c.Scenario) })
		if len(cells) == 0 {
			t.Skipf("simctl plays none of %q", names)
		}
	}
	out := t.TempDir()
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]recording.Difference{}
	for i, r := range results {
		if r.Error != "" {
			t.Fatalf("%s: %s", r.Scenario, r.Error)
		}
		found[r.Scenario] = differences(t, r.Scenario, filepath.Join(out, "cells", cells[i].ID(), "history.jsonl"))
	}
	if *updateKnown {
		known = known.Update(found)
		raw, err := known.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(recordings, "known.yaml"), append([]byte(knownHead), raw...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, problem := range known.Check(found) {
		t.Error(problem)
	}
}

const knownHead = `# In what simctl differs from the recordings in this folder, and which of them it
# does not play. TestRecordings holds it to this list in both directions; with
# go test ./sim -run TestRecordings -update-known it is written anew, where new
# entries lack a reason.
`

// recordedCells gives the cells of the cases that are played; each folder must be
// one of those or be listed as not played.
func recordedCells(t *testing.T, known *recording.Known) []scenario.Cell {
	t.Helper()
	notPlayed := map[string]bool{}
	for _, n := range known.NotPlayed {
		notPlayed[n.Case] = n.Reason != ""
	}
	folders, err := os.ReadDir(recordings)
	if err != nil {
		t.Fatal(err)
	}
	var cells []scenario.Cell
	for _, d := range folders {
		file := filepath.Join(recordings, d.Name(), "scenario.yaml")
		if !d.IsDir() {
			continue
		}
		_, err := os.Stat(file)
		if played := err == nil; played == notPlayed[d.Name()] {
			t.Errorf("%s: a recorded case has either a scenario or a reason why it is not played", d.Name())
		}
		delete(notPlayed, d.Name())
		if err != nil {
			continue
		}
		f, err := scenario.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		cs, err := f.Cells(scenario.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(cs) != 1 || cs[0].Scenario != d.Name() {
			t.Fatalf("%s: it has %d cells, want one of its name", file, len(cs))
		}
		cs[0].Spec.Workload.Linger = linger.String()
		cells = append(cells, cs[0])
	}
	for _, name := range slices.Sorted(maps.Keys(notPlayed)) {
		t.Errorf("%s: there is no such recording", name)
	}
	return cells
}

// differences holds a history against the recording of its case. A recording ends
// some time after its runs; what would have come later is no difference, nor is what
// came there just before and comes here just after.
func differences(t *testing.T, name, file string) []recording.Difference {
	t.Helper()
	recorded, err := recording.Read(os.DirFS(filepath.Join(recordings, name)))
	if err != nil {
		t.Fatal(err)
	}
	entries := readHistory(t, file)
	until := recorded.Last()
	if at, all := recorded.End(); all {
		whole, err := recording.FromHistory(entries, name, math.Inf(1))
		if err != nil {
			t.Fatal(err)
		}
		if end, all := whole.End(); all {
			until += end - at
		}
	}
	var found [2][]recording.Difference
	for i, more := range []float64{0, late} {
		seen, err := recording.FromHistory(entries, name, until+more)
		if err != nil {
			t.Fatal(err)
		}
		found[i] = append(recording.Compare(recorded, seen), recording.RealTimes(seen, func(at time.Time) bool { return at.Year() >= clock.Epoch.Year() })...)
	}
	return recording.Both(found[0], found[1])
}
