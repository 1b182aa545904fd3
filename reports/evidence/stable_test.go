package evidence

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// nameOfRun returns the name of the PipelineRun in the first cell.
func nameOfRun(t *testing.T, in Input) string {
	t.Helper()
	entries, err := in.History(scenario.IDOf(in.Result.Cells[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Object.Kind == "PipelineRun" {
			return e.Object.Name
		}
	}
	t.Fatal("there is no PipelineRun")
	return ""
}

// Another run of the same has other names, and the same report.
func TestExampleOfAnotherRun(t *testing.T) {
	in := load(t, "incident")
	first := build(t, in)
	other := strings.NewReplacer(nameOfRun(t, in), "mistral-24b-quantized-bcdfg")
	cells := slices.Clone(in.Result.Cells)
	for i, c := range cells {
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		cells[i].Cause = nil
		if err := json.Unmarshal([]byte(other.Replace(string(raw))), &cells[i]); err != nil {
			t.Fatal(err)
		}
	}
	load := in.History
	in.Result.Cells = cells
	in.History = func(id string) ([]history.Entry, error) {
		entries, err := load(id)
		if err != nil {
			return nil, err
		}
		return renamed(entries, other)
	}
	if got, want := build(t, in).Markdown(), first.Markdown(); got != want {
		t.Errorf("the report of another run differs: %s", firstDifference(got, want))
	}
	in.Example = false
	if md := build(t, in).Markdown(); !strings.Contains(md, "bcdfg") {
		t.Error("a report that is no example has other names than the run")
	}
}

func TestGeneratedNames(t *testing.T) {
	create := func(kind, name, body string) history.Entry {
		return history.Entry{Kind: history.KindObject, Verb: history.VerbCreate, Object: history.Ref{Kind: kind, Name: name}, Body: json.RawMessage(body)}
	}
	update := create("StatefulSet", "affinity-assistant-0123456789", "")
	update.Verb, update.Body, update.Patch = history.VerbUpdate, nil, json.RawMessage(`{"status":{"updateRevision":"affinity-assistant-0123456789-abcde"}}`)
	names := generated([]history.Entry{
		create("PersistentVolumeClaim", "data", `{"metadata":{"uid":"uid-of-claim"}}`),
		create("PipelineRun", "build-x7k2p", `{"metadata":{"uid":"uid-of-run","generateName":"build-"}}`),
		create("PipelineRun", "build-bbbbb", `{"metadata":{"generateName":"build-"}}`),
		create("PipelineRun", "named", `{"metadata":{}}`),
		create("StatefulSet", "affinity-assistant-0123456789", `{"metadata":{}}`),
		update,
		create("VolumeAttachment", "csi-0a0b", `{"metadata":{}}`),
	})
	got := names.Replace("build-x7k2p-task-pod build-bbbbb named affinity-assistant-0123456789-0 affinity-assistant-0123456789-abcde pvc-uid-of-claim csi-0a0b uid-of-run")
	want := "build-00001-task-pod build-00002 named affinity-assistant-0000000001-0 affinity-assistant-0000000001-0000000001 " +
		"pvc-00000000-0000-4000-8000-000000000001 csi-00000001 00000000-0000-4000-8000-000000000000"
	if got != want {
		t.Errorf("renamed\n%s, want\n%s", got, want)
	}
}
