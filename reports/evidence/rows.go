package evidence

import (
	"fmt"
	"strings"

	"simctl.dev/simctl/reports"
)

// maxTiming is how many cells the timing table lists.
const maxTiming = 60

// TimingRow says where a cell's virtual time went.
type TimingRow struct {
	Label                                             string
	Cell                                              *Cell
	Makespan, Attach, Mount, Ownership, Pull          string
	Attaches, Nodes                                   string
	MakespanSeconds, AttachSeconds, OtherWaitsSeconds float64
}

// TimingRows are the cells whose runs did their work.
func (r *Report) TimingRows() []TimingRow {
	var out []TimingRow
	for _, s := range r.Scenarios {
		for _, c := range s.Cells {
			if c.Result.MakespanSeconds == nil || len(out) == maxTiming {
				continue
			}
			t := c.Result.Timing
			label := c.Label
			if len(r.Scenarios) > 1 {
				label = s.Name + ": " + label
			}
			out = append(out, TimingRow{Label: label, Cell: c, Makespan: reports.Duration(*c.Result.MakespanSeconds),
				Attach: reports.Duration(t.AttachSeconds), Mount: reports.Duration(t.MountSeconds),
				Ownership: reports.Duration(t.OwnershipSeconds), Pull: reports.Duration(t.PullSeconds),
				Attaches: fmt.Sprint(t.Attaches), Nodes: fmt.Sprint(len(t.Nodes)),
				MakespanSeconds: *c.Result.MakespanSeconds, AttachSeconds: t.AttachSeconds})
		}
	}
	return out
}

// Rows are what a run was made of, as names and values.
func (r Reproduce) Rows() [][2]string {
	var out [][2]string
	add := func(name, value string) {
		if value != "" {
			out = append(out, [2]string{name, value})
		}
	}
	add("Run", r.ID)
	add("Started", r.Started)
	add("simctl", r.Simctl)
	add("Kubernetes", r.Kubernetes)
	add("Tekton", strings.Join(r.Tekton, ", "))
	add("Seed", r.Seed)
	for _, f := range r.Files {
		add("SHA-256 of "+f.Path, f.SHA256)
	}
	return out
}
