package cli

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// held is an engine on which cells hang from 1.0.0 on, unless co-scheduling is
// off, and finish again on 1.15.0.
func held() *fakeEngine {
	return &fakeEngine{outcome: func(c scenario.Cell) verdict.Cell {
		t := c.Spec.Tekton
		if t.Version == "1.3.1" && t.Flags["coschedule"] != "disabled" {
			return deadlock(c)
		}
		return success(c)
	}}
}

func TestUpgrade(t *testing.T) {
	place(t)
	o := simctl(t, held(), "upgrade", "--path", "osp-1.18,osp-1.20,osp-1.24", "scenarios/", "-o", "json")
	o.want(t, StatusDeviates, "kept in ")
	var r impact.Review
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
		t.Fatalf("%v in %s", err, o.stdout)
	}
	if r.Kind != impact.Kind || len(r.Path) != 3 || len(r.Steps) != 2 || r.Path[1].OpenShiftPipelines != "1.20" {
		t.Fatalf("review %+v", r)
	}
	broke := r.Steps[0].Changes
	if len(broke) == 0 || !broke[0].Regression || broke[0].To.Outcome != verdict.Deadlock {
		t.Fatalf("first step %+v", r.Steps[0])
	}
	mended := map[string]bool{}
	for _, m := range broke[0].Remedies {
		mended[m.Name] = m.Mends
	}
	if !mended["coschedule-disabled"] || !mended["tekton-1.15.0"] {
		t.Errorf("remedies %+v", broke[0].Remedies)
	}
	if m, tried := mended["rwx"]; m || !tried {
		t.Errorf("RWX: mends %t, tried %t", m, tried)
	}
	if c := r.Steps[1].Changes; len(c) == 0 || c[0].Regression || c[0].Remedies != nil {
		t.Errorf("second step %+v", r.Steps[1])
	}
}

func TestUpgradeUnchanged(t *testing.T) {
	place(t)
	e := &fakeEngine{}
	o := simctl(t, e, "upgrade", "--direct", "--from", "v0.68.1", "--to", "v1.3.1", "scenarios/")
	o.want(t, StatusOK)
	for _, id := range e.ran {
		if strings.Contains(id, "remedy") {
			t.Errorf("a remedy was run for nothing: %s", id)
		}
	}
}

// TestUpgradePath: --from and --to name the ends of a path, --direct is these alone.
func TestUpgradePath(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"between", "0.68.1 0.70.0 1.0.0 1.1.0 1.3.1", []string{"--from", "0.68.1", "--to", "1.3.1"}},
		{"direct", "0.68.1 1.3.1", []string{"--direct", "--from", "0.68.1", "--to", "1.3.1"}},
		{"between of OpenShift Pipelines", "0.68.1 1.0.0 1.3.1", []string{"--from", "osp-1.18", "--to", "osp-1.20"}},
		{"direct of OpenShift Pipelines", "0.68.1 1.3.1", []string{"--direct", "--from", "osp-1.18", "--to", "osp-1.20"}},
		{"direct, backwards", "1.3.1 0.68.1", []string{"--direct", "--from", "1.3.1", "--to", "0.68.1"}},
		{"named", "0.68.1 1.1.0 1.3.1", []string{"--path", "0.68.1,1.1.0,1.3.1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			place(t)
			var ran []string
			e := &fakeEngine{outcome: func(c scenario.Cell) verdict.Cell {
				if v := c.Spec.Tekton.Version; !slices.Contains(ran, v) {
					ran = append(ran, v)
				}
				return success(c)
			}}
			o := simctl(t, e, append([]string{"upgrade", "-o", "json", "scenarios/other.yaml"}, tt.args...)...)
			o.want(t, StatusOK)
			var r impact.Review
			if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
				t.Fatal(err)
			}
			var path []string
			for _, p := range r.Path {
				path = append(path, p.Version)
			}
			if got := strings.Join(path, " "); got != tt.want {
				t.Errorf("the path is %s, want %s", got, tt.want)
			}
			slices.Sort(ran)
			slices.Sort(path)
			if !slices.Equal(ran, path) {
				t.Errorf("cells were played on %v, the path is %v", ran, path)
			}
		})
	}
}

func TestUpgradeBadInput(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no releases", []string{"scenarios/"}, "name two releases at least"},
		{"one release", []string{"--path", "1.3.1", "scenarios/"}, "name two releases at least"},
		{"both ways", []string{"--path", "1.3.1,1.15.0", "--from", "1.3.1", "scenarios/"}, "leave --from and --to out"},
		{"direct on a path", []string{"--path", "1.3.1,1.15.0", "--direct", "scenarios/"}, "leave --direct out"},
		{"direct to nowhere", []string{"--from", "1.3.1", "--direct", "scenarios/"}, "name two releases at least"},
		{"no such OpenShift Pipelines", []string{"--from", "osp-9.9", "--to", "1.3.1", "scenarios/"}, `"osp-9.9" is no OpenShift Pipelines`},
		{"twice", []string{"--path", "1.3.1,osp-1.20", "scenarios/"}, "on the path twice"},
		{"format", []string{"--from", "1.3.1", "--to", "1.15.0", "-o", "xml", "scenarios/"}, "unknown output format"},
		{"no scenario", []string{"--from", "1.3.1", "--to", "1.15.0", "nowhere/"}, "nowhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			place(t)
			o := simctl(t, &fakeEngine{}, append([]string{"upgrade"}, tt.args...)...)
			o.want(t, StatusError, tt.want)
			if _, err := os.Stat(".simctl"); err == nil {
				t.Error("a run was begun")
			}
		})
	}
}

func TestCompareRuns(t *testing.T) {
	place(t)
	e := held()
	simctl(t, e, "run", "scenarios/", "--tekton", "0.68.1", "--out", "a").want(t, StatusOK)
	simctl(t, e, "run", "scenarios/", "--tekton", "1.3.1", "--out", "b")
	o := simctl(t, e, "compare", "a", "b")
	o.want(t, StatusDeviates)
	if !strings.Contains(o.stdout, "success → deadlock") {
		t.Errorf("output %s", o.stdout)
	}
	// A baseline is a result alone.
	simctl(t, e, "compare", "b/result.json", "a").want(t, StatusOK)
	simctl(t, e, "compare", "a", "nothing").want(t, StatusError, "named nothing")
	if err := os.WriteFile("other.json", []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	simctl(t, e, "compare", "other.json", "a").want(t, StatusError, "other.json is no result of a run")
}

// TestMidRun loses the runs that the bump hits after a task was queued.
func TestMidRun(t *testing.T) {
	place(t)
	e := &fakeEngine{outcome: func(c scenario.Cell) verdict.Cell {
		r := success(c)
		if len(r.Timing.Tasks) == 0 {
			r.Timing.Tasks = []verdict.TaskTiming{{Task: "greet", Start: 9}, {Task: "greet", Start: 1}}
		}
		for _, i := range c.Spec.Interventions {
			if i.SwapRelease != "1.3.1" || c.Spec.Tekton.Version != "0.68.1" {
				t.Errorf("%s swaps to %q", c.Spec.Tekton.Version, i.SwapRelease)
			}
			if i.When.Phase != "queued" {
				return deadlock(c)
			}
		}
		return r
	}}
	o := simctl(t, e, "upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", "--mid-run", "-o", "json", "scenarios/other.yaml")
	o.want(t, StatusDeviates)
	var r impact.Review
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Steps[0].MidRun) != 1 {
		t.Fatalf("%+v", r.Steps[0])
	}
	m := r.Steps[0].MidRun[0]
	phases := len(scenario.Phases)
	if len(m.Places) != phases || m.Lost() != phases-1 {
		t.Errorf("lost at %d of %d", m.Lost(), len(m.Places))
	}
	if p := m.Places[0]; p.Task != "greet" || p.Phase != "queued" || p.Lost {
		t.Errorf("the first place is %+v", p)
	}
	if p := m.Places[1]; !p.Lost || len(p.Chain) == 0 {
		t.Errorf("the second place is %+v", p)
	}
}

// TestAfterRun changes runs that have ended when they meet 1.3.1, on the way there and on
// the way back.
func TestAfterRun(t *testing.T) {
	place(t)
	e := &fakeEngine{outcome: func(c scenario.Cell) verdict.Cell {
		r := success(c)
		for _, i := range c.Spec.Interventions {
			if i.SwapRelease == "1.3.1" {
				r.Outcome, r.MakespanSeconds = verdict.ChangedAfterEnd, nil
			}
		}
		return r
	}}
	for _, tt := range []struct {
		flag string
		want map[impact.Way]int // the changes
	}{
		{"--after-run", map[impact.Way]int{impact.Bump: 1}},
		{"--rollback", map[impact.Way]int{impact.Bump: 1, impact.BumpAndBack: 1}},
	} {
		o := simctl(t, e, "upgrade", "--direct", "--from", "0.68.1", "--to", "1.3.1", tt.flag, "--no-remedies", "-o", "json", "scenarios/other.yaml")
		o.want(t, StatusDeviates)
		var r impact.Review
		if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
			t.Fatal(err)
		}
		got := map[impact.Way]int{}
		for _, c := range r.Steps[0].AfterRun.Changes {
			got[c.Way]++
			if c.Remedies != nil {
				t.Errorf("%s: remedies that nobody asked for: %+v", tt.flag, c.Remedies)
			}
		}
		if !maps.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.flag, got, tt.want)
		}
	}
}
