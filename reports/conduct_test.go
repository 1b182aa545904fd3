package reports

import (
	"reflect"
	"testing"

	"simctl.dev/simctl/sim/verdict"
)

// TestRemarks: what two cells do alike is said once, whatever names were made up.
func TestRemarks(t *testing.T) {
	cell := func(c verdict.Conduct) verdict.Cell { return verdict.Cell{Finding: verdict.Finding{Conduct: c}} }
	left := func(set string) []verdict.Left {
		return []verdict.Left{{PipelineRun: "ns/run", Object: "StatefulSet ns/" + set, What: "nobody takes it away"}}
	}
	got := Remarks([]verdict.Cell{
		cell(verdict.Conduct{Left: left("affinity-assistant-24171aabb9")}),
		cell(verdict.Conduct{}),
		cell(verdict.Conduct{
			NotRun: []verdict.NotRun{{PipelineRun: "ns/run", Task: "clean", Finally: true}},
			Left:   left("affinity-assistant-1d22400c3f"),
		}),
	})
	want := []Remark{
		{Text: "StatefulSet ns/affinity-assistant-24171aabb9 of PipelineRun ns/run is left behind: nobody takes it away", Cells: []int{0, 2}},
		{Text: "Finally task clean of PipelineRun ns/run was not run: the run ended without it", Cells: []int{2}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
