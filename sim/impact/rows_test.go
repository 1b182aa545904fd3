package impact

import (
	"strings"
	"testing"

	"simctl.dev/simctl/sim/verdict"
)

// TestRows: a cell is one row on all releases, whatever the axis that tells the release
// is called.
func TestRows(t *testing.T) {
	run := func(release, size string, o verdict.Outcome) Run {
		return Run{Cell: verdict.Cell{Scenario: "s", Axes: []string{"release", "size"},
			Values: map[string]string{"release": release, "tekton": release, "size": size}, Finding: verdict.Finding{Outcome: o}}}
	}
	rows := Rows(
		[]Run{run("1.0.0", "1", verdict.Success), run("1.0.0", "2", verdict.Success), run("1.0.0", "4", verdict.Failed)},
		// The worst of the repeats counts.
		[]Run{run("1.3.1", "1", verdict.Success), run("1.3.1", "2", verdict.Success), run("1.3.1", "2", verdict.Deadlock), run("1.3.1", "4", verdict.Failed)},
		[]Run{run("1.15.0", "2", verdict.Success), run("1.15.0", "3", verdict.Success), run("1.15.0", "4", verdict.Failed)},
	)
	var got []string
	for _, r := range rows {
		line := r.Scenario
		for _, a := range r.Axes {
			line += " " + a + "=" + r.Values[a]
		}
		for _, e := range r.On {
			if e == nil {
				line += " -"
				continue
			}
			line += " " + e.Text()
		}
		line += map[bool]string{true: " differs", false: " alike"}[r.Differs()]
		if !r.Known() {
			line += " as far as known"
		}
		got = append(got, line)
	}
	want := `s size=1 success success - alike as far as known
s size=2 success deadlock success differs
s size=4 failed failed failed alike
s size=3 - - success alike as far as known`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}
