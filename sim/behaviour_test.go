package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	utilversion "k8s.io/apimachinery/pkg/util/version"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
)

// behaviour is what a controller was seen to do with the two flags.
type behaviour struct {
	StatefulSets int      `json:"statefulSets,omitempty"`
	Annotated    []string `json:"annotated,omitempty"`
	Affine       []string `json:"affine,omitempty"`
	Isolated     bool     `json:"isolated,omitempty"`
	Refused      string   `json:"refused,omitempty"`
	Error        string   `json:"error,omitempty"`
}

// behaviourTable is testdata/behaviour/table.yaml.
type behaviourTable struct {
	Behaviours map[string]behaviour `json:"behaviours"`
	Releases   []struct {
		From  string              `json:"from"`
		To    string              `json:"to"`
		Note  string              `json:"note"`
		Table map[string][]string `json:"table"`
	} `json:"releases"`
}

// columns are the values of disable-affinity-assistant in the table's order.
var columns = []string{"absent", "false", "true"}

// want gives the behaviour that a release has according to the table.
func (b *behaviourTable) want(t *testing.T, version, coschedule, disable string) (string, behaviour) {
	t.Helper()
	for _, r := range b.Releases {
		v := utilversion.MustParseGeneric(version)
		if v.LessThan(utilversion.MustParseGeneric(r.From)) || v.GreaterThan(utilversion.MustParseGeneric(r.To)) {
			continue
		}
		name := r.Table[coschedule][slices.Index(columns, disable)]
		w, ok := b.Behaviours[name]
		if !ok {
			t.Fatalf("the table has no behaviour %q", name)
		}
		w.Refused = strings.ReplaceAll(w.Refused, "COSCHEDULE", coschedule)
		return name, w
	}
	t.Fatalf("the table has no release %s", version)
	return "", behaviour{}
}

// shippedReleases are those of the shipped scenarios besides the one that is built
// in. Other tests need them too, so they are built anyway.
const shippedReleases = "0.68.1,1.3.1"

// TestCoscheduling has the real controllers of known releases show what they do
// with the two flags: the one that is built in and shippedReleases, or those that
// SIMCTL_RELEASES names, which takes a minute or more for each.
func TestCoscheduling(t *testing.T) {
	klog.SetLogger(logr.Discard())
	raw, err := os.ReadFile("testdata/behaviour/table.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var table behaviourTable
	if err := yaml.UnmarshalStrict(raw, &table); err != nil {
		t.Fatal(err)
	}
	f, err := scenario.Load("testdata/behaviour/scenario.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var versions []string
	skipped := map[string]bool{}
	only := os.Getenv("SIMCTL_RELEASES")
	if only == "" {
		only = shippedReleases
	}
	for _, r := range tekton.Releases() {
		if !r.BuiltIn && only != "all" && !slices.Contains(strings.Split(only, ","), r.Version) {
			skipped[r.Version] = true
			continue
		}
		versions = append(versions, r.Version)
	}
	cells, err := f.Cells(scenario.Options{Versions: versions})
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	results, err := run(t, context.Background(), cells, sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(cells) {
		t.Fatalf("%d results for %d cells", len(results), len(cells))
	}
	for _, r := range tekton.Releases() {
		t.Run(r.Version, func(t *testing.T) {
			if skipped[r.Version] {
				t.Skipf("SIMCTL_RELEASES=%s (a list, or all) builds and runs it", r.Version)
			}
			for i, c := range cells {
				if c.Spec.Tekton.Version != r.Version {
					continue
				}
				coschedule, disable := c.Values["coschedule"], c.Values["disable-affinity-assistant"]
				name, want := table.want(t, r.Version, coschedule, disable)
				at := fmt.Sprintf("coschedule=%s disable-affinity-assistant=%s", coschedule, disable)
				if results[i].Error != "" {
					t.Errorf("%s: %s", at, results[i].Error)
					continue
				}
				got := observe(t, filepath.Join(out, "cells", c.ID(), "history.jsonl"))
				checkWords(t, at+": refusal", &got.Refused, &want.Refused)
				checkWords(t, at+": error", &got.Error, &want.Error)
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s (%s):\n got %+v\nwant %+v", at, name, got, want)
				}
			}
		})
	}
}

// checkWords reports words that do not have those wanted in them, and takes both
// out of the comparison.
func checkWords(t *testing.T, at string, got, want *string) {
	t.Helper()
	if (*want == "") != (*got == "") || !strings.Contains(*got, *want) {
		t.Errorf("%s: got %q, want %q in it", at, *got, *want)
	}
	*got, *want = "", ""
}

// observe reads off a history what the controller did.
func observe(t *testing.T, file string) behaviour {
	t.Helper()
	entries := readHistory(t, file)
	var b behaviour
	for _, e := range entries {
		// Its webhook refuses the ConfigMap; where none does, the controller says so.
		if (e.Kind == history.KindLog || e.Kind == history.KindRefused) && strings.Contains(e.Message, "coschedule value") {
			b.Refused = e.Message
		}
		if e.Kind == history.KindLog && e.Object.Kind == "PipelineRun" && strings.Contains(e.Message, "is not implemented") {
			b.Error = e.Message
		}
	}
	s, err := history.Replay(entries, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range s.All("StatefulSet") {
		b.StatefulSets++
		if o.JSON("spec", "template", "spec", "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution") != "" {
			b.Isolated = true
		}
	}
	for _, o := range s.All("TaskRun") {
		if o.Text("metadata", "annotations", "pipeline.tekton.dev/affinity-assistant") != "" {
			b.Annotated = append(b.Annotated, o.Text("metadata", "labels", "tekton.dev/pipelineTask"))
		}
	}
	for _, o := range s.All("Pod") {
		task := o.Text("metadata", "labels", "tekton.dev/pipelineTask")
		if task != "" && strings.Contains(o.JSON("spec", "affinity", "podAffinity"), "affinity-assistant") {
			b.Affine = append(b.Affine, task)
		}
	}
	slices.Sort(b.Annotated)
	slices.Sort(b.Affine)
	for _, o := range s.All("PipelineRun") {
		var conditions []struct{ Type, Status, Message string }
		if c := o.JSON("status", "conditions"); c != "" {
			if err := json.Unmarshal([]byte(c), &conditions); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range conditions {
			if c.Type == "Succeeded" && c.Status == "False" {
				b.Error = c.Message
			}
		}
	}
	return b
}
