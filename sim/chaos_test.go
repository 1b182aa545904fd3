package sim

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// How much of chaos is played: make chaos plays all faults with 30 seeds.
var (
	chaosFaults = flag.String("chaos-faults", "kubelet-dead,registry-limits,pod-deleted", "which faults of the catalogue TestChaos plays, or all")
	chaosSeeds  = flag.Int("chaos-seeds", 1, "with how many seeds it plays each of them")
	chaosFirst  = flag.Int64("chaos-first", 1, "the first of these seeds")
)

// hung is the real time after which a cell counts as one that hangs; it takes seconds.
const hung = 20 * time.Minute

// TestChaos plays the faults of the catalogue on the ModelCar pipeline, each at a moment
// that its seed draws, on one control plane one after the other: no history breaks an
// invariant, none hangs, nothing is left behind, and each comes out the same when it is
// played again.
func TestChaos(t *testing.T) {
	klog.SetLogger(logr.Discard())
	var faults []scenario.Fault
	named := strings.Split(*chaosFaults, ",")
	for _, f := range scenario.Faults() {
		if *chaosFaults == "all" || slices.Contains(named, f.Name) || slices.Contains(named, f.Action) {
			faults = append(faults, f)
		}
	}
	if len(faults) == 0 {
		t.Fatalf("no fault is called %q", *chaosFaults)
	}
	var cells []scenario.Cell
	for _, f := range faults {
		for seed := *chaosFirst; seed < *chaosFirst+int64(*chaosSeeds); seed++ {
			cells = append(cells, chaosCell(t, f, seed))
		}
	}
	builds := buildsOf(t, cells)
	w, stop := startWorker(t)
	play := func(cell *scenario.Cell, what string) (lines []string, f verdict.Finding) {
		ctx, cancel := context.WithTimeout(t.Context(), hung)
		defer cancel()
		entries, err := w.play(ctx, cell, builds, nil)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		for _, v := range history.Check(entries) {
			t.Errorf("%s: %v", what, v)
		}
		lines = canonical(t, entries, w.stage.Plane.Clock.Start())
		if err == nil {
			if f, err = verdict.Judge(entries); err != nil {
				t.Errorf("%s: judging: %v", what, err)
			}
		}
		if w.spent() || err != nil {
			stop()
			w, stop = startWorker(t)
		}
		return lines, f
	}
	outcomes := map[verdict.Outcome]int{}
	for i := range cells {
		cell := &cells[i]
		what := cell.Spec.Metadata.Name
		first, finding := play(cell, what)
		again, _ := play(cell, what+", again")
		if diff := differences(first, again); diff != "" {
			t.Errorf("%s, played twice:\n%s", what, diff)
		}
		outcomes[finding.Outcome]++
		for _, v := range finding.Interventions {
			met := ""
			if v.Met != nil {
				met = fmt.Sprintf(", met %d", v.Met.Count)
			}
			t.Logf("%s: %s %s (%s)%s%s", what, cmp.Or(string(finding.Outcome), "error"), v.What, v.Trigger, met, strings.TrimSuffix(" "+v.Failure, " "))
		}
	}
	t.Logf("%d faults, %d seeds: %v", len(faults), *chaosSeeds, outcomes)
}

// chaosCell is the ModelCar pipeline with the example of a fault, at a task and a phase that
// the seed draws in place of those of the example.
func chaosCell(t *testing.T, f scenario.Fault, seed int64) scenario.Cell {
	t.Helper()
	file, err := scenario.Load("testdata/chaos.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := file.Cells(scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var tasks []string
	for name := range plain[0].Spec.Workload.Tasks {
		tasks = append(tasks, name)
	}
	draw := clock.Rand(seed, "chaos", f.Name)
	slices.Sort(tasks)
	task, phase := tasks[draw.IntN(len(tasks))], scenario.Phases[draw.IntN(len(scenario.Phases))]

	items, err := f.At(task, phase)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(items)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/chaos.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pipelines, err := filepath.Abs("../scenarios/pipelines")
	if err != nil {
		t.Fatal(err)
	}
	said := strings.ReplaceAll(string(text), "../../scenarios/pipelines", pipelines)
	said = strings.Replace(said, "{name: chaos}", fmt.Sprintf("{name: %s-%d}", f.Name, seed), 1)
	said += "seed: " + strconv.FormatInt(seed, 10) + "\ninterventions: " + string(raw) + "\n"
	name := filepath.Join(t.TempDir(), "chaos.yaml")
	if err := os.WriteFile(name, []byte(said), 0o600); err != nil {
		t.Fatal(err)
	}
	made, err := scenario.Load(name)
	if err != nil {
		t.Fatalf("%s at %s %s: %v", f.Name, task, phase, err)
	}
	cells, err := made.Cells(scenario.Options{})
	if err != nil {
		t.Fatalf("%s at %s %s: %v", f.Name, task, phase, err)
	}
	return cells[0]
}
