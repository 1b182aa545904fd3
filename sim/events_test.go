package sim_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/verdict"
)

// TestMissingSecret has a pod wait for a secret that nobody makes: the kubelet names
// it, again and again, and says nothing of the volumes that are there.
func TestMissingSecret(t *testing.T) {
	out := t.TempDir()
	results, err := run(t, context.Background(), load(t, "kubelet/missing-secret.yaml"), sim.Options{Parallel: 1, OutDir: out})
	if err != nil {
		t.Fatal(err)
	}
	r := results[0]
	if r.Error != "" || r.Outcome != verdict.Timeout {
		t.Fatalf("%s %s\n%s", r.Outcome, r.Error, chain(r))
	}
	if last := r.Cause[len(r.Cause)-1]; !strings.Contains(last.Evidence, `secret "login" not found`) {
		t.Errorf("the chain does not end at the secret:\n%s", chain(r))
	}
	if text := chain(r); strings.Contains(text, "unmounted volumes") {
		t.Errorf("the chain has the general reason:\n%s", text)
	}
	for _, task := range r.Timing.Tasks {
		if task.Task == "a" && (task.Attached == nil || task.Mounted != nil) {
			t.Errorf("task a waits for something else than a mount: %+v", task)
		}
	}
	state, err := history.AsOf(readHistory(t, filepath.Join(out, r.History)), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string][]string{}
	for _, e := range state.All("Event") {
		source := e.Text("source", "component")
		if source == "" {
			source = e.Text("reportingController")
		}
		about := e.Text("involvedObject", "name") + e.Text("regarding", "name")
		said[about] = append(said[about], source+" "+e.Text("reason"))
		if e.Text("reason") == "FailedMount" {
			// Half a second, 1, 2, ... s up to 2m2s: 8 times in 64 s, 11 in eight
			// minutes, and each 2m2s until the hour is over; but a recorder
			// takes no more than 25 of an object at once, and one in five minutes.
			if count, _ := e.Field("count").(float64); count < 25 || count > 36 {
				t.Errorf("FailedMount was said %v times", e.Field("count"))
			}
			if e.Text("source", "host") != "worker-0" || e.Text("type") != "Warning" {
				t.Errorf("FailedMount is a %s of %s", e.Text("type"), e.Text("source", "host"))
			}
		}
	}
	slices.Sort(said["r1-a-pod"])
	if got, want := fmt.Sprint(said["r1-a-pod"]), "[default-scheduler Scheduled kubelet FailedMount]"; got != want {
		t.Errorf("of the pod that waits was said %s, want %s", got, want)
	}
	for _, want := range []string{
		"default-scheduler Scheduled", "attachdetach-controller SuccessfulAttachVolume",
		"kubelet Pulling", "kubelet Pulled", "kubelet Created", "kubelet Started",
	} {
		if !slices.Contains(said["r1-b-pod"], want) {
			t.Errorf("of the pod that works was said %v, want %s too", said["r1-b-pod"], want)
		}
	}
}
