package reports

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/verdict"
)

// grid returns a cell for each combination of the axes' values: "name=a|b". A cell of
// which what says "" is left out.
func grid(what func(values map[string]string) string, axes ...string) []verdict.Cell {
	cells := []verdict.Cell{{Scenario: "grid", Values: map[string]string{"tekton": "1.3.1"}}}
	for _, axis := range axes {
		name, values, _ := strings.Cut(axis, "=")
		var next []verdict.Cell
		for _, c := range cells {
			for _, v := range strings.Split(values, "|") {
				d := c
				d.Axes = append(slices.Clone(c.Axes), name)
				d.Values = map[string]string{name: v}
				for k, w := range c.Values {
					d.Values[k] = w
				}
				next = append(next, d)
			}
		}
		cells = next
	}
	var out []verdict.Cell
	for _, c := range cells {
		outcome, rule, _ := strings.Cut(what(c.Values), " ")
		if outcome == "" {
			continue
		}
		c.Outcome = verdict.Outcome(outcome)
		if rule != "" {
			c.Cause = []verdict.Link{{Rule: rule, What: "because of " + rule}}
		}
		out = append(out, c)
	}
	return out
}

// TestInfluences: an axis matters if two cells differ in it alone and fare differently;
// nothing is said of what no cells show.
func TestInfluences(t *testing.T) {
	abc := []string{"a=0|1", "b=0|1", "c=0|1"}
	for _, tt := range []struct {
		name, want string
		axes       []string
		what       func(v map[string]string) string
	}{
		{"one", "Only b matters; a and c make no difference.", abc, func(v map[string]string) string {
			return map[string]string{"0": "success", "1": "deadlock x"}[v["b"]]
		}},
		{"none", "a, b and c make no difference.", abc, func(map[string]string) string { return "success" }},
		{"the root cause", "Only c matters; a and b make no difference.", abc, func(v map[string]string) string {
			return "deadlock rule/" + v["c"]
		}},
		{"in one corner only", "Only a and b matter; c makes no difference.", abc, func(v map[string]string) string {
			if v["a"] == "1" && v["b"] == "1" {
				return "deadlock x"
			}
			return "success"
		}},
		{"all", "every axis matters", abc, func(v map[string]string) string {
			if v["a"] == v["b"] && v["b"] == v["c"] {
				return "deadlock x"
			}
			return "success"
		}},
		// Of cells on a diagonal no two differ in one axis alone.
		{"never alone", "a may matter (cells that fare differently differ in more than one axis); of b nothing is known", []string{"a=0|1", "b=0|1"}, func(v map[string]string) string {
			switch {
			case v["a"] != v["b"]:
				return ""
			case v["a"] == "0":
				return "success"
			}
			return "deadlock x"
		}},
		{"never alone, and alike", "Of a and b nothing is known", []string{"a=0|1", "b=0|1"}, func(v map[string]string) string {
			if v["a"] != v["b"] {
				return ""
			}
			return "success"
		}},
		// Each pair is alike, and yet the two halves are not: c tells them apart, and so does
		// nothing else.
		{"two halves", "c may matter", []string{"a=0|1|2|3", "c=0|1"}, func(v map[string]string) string {
			switch {
			case v["c"] == "0" && v["a"] < "2":
				return "success"
			case v["c"] == "1" && v["a"] >= "2":
				return "deadlock x"
			}
			return ""
		}},
		// Nothing is known of a cell that simctl could not run.
		{"errors", "Only b matters; a and c make no difference.", abc, func(v map[string]string) string {
			if v["a"] == "1" && v["c"] == "1" {
				return "error"
			}
			return map[string]string{"0": "success", "1": "deadlock x"}[v["b"]]
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := layout(grid(tt.what, tt.axes...))[0]
			f := influences(g.axes, g.combos)
			if got := f.sentence(""); !strings.HasPrefix(strings.ToLower(got), strings.ToLower(tt.want)) {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			// Whatever is folded, cells in one row fared alike.
			for _, c := range g.fold(f).combos {
				fates := map[string]bool{}
				for _, cell := range c.cells {
					if one := fate(combo{cells: []verdict.Cell{cell}}); one != "" {
						fates[one] = true
					}
				}
				if len(fates) > 1 {
					t.Errorf("row %v has cells that fared differently: %v", c.values, fates)
				}
			}
		})
	}
}

// TestFolded: a matrix of more cells than anybody reads has the axes that matter.
func TestFolded(t *testing.T) {
	cells := grid(func(v map[string]string) string {
		if v["fsgroup"] == "2000" && v["accessMode"] != "RWX" {
			return "deadlock mount/ownership"
		}
		return "success"
	}, "fsgroup=none|2000|3000", "accessMode=RWO|RWX|RWOP", "coschedule=a|b|c|d|e", "nodes=1|2|3|4|5")
	show := func(r verdict.RunResult, o Options) string {
		var b bytes.Buffer
		if err := Render(&b, Table, r, o); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	all := verdict.RunResult{Cells: cells}
	golden(t, "folded.output.table", []byte(show(all, Options{})))
	const said = "Only fsgroup and accessMode matter; coschedule and nodes make no difference."
	some := verdict.RunResult{Cells: cells[:FoldAbove]}
	for _, tt := range []struct {
		name string
		r    verdict.RunResult
		o    Options
		want string
	}{
		{"large", all, Options{}, said},
		{"never", all, Options{Fold: FoldNever}, ""},
		{"no more than are read", some, Options{}, ""},
		{"always", some, Options{Fold: FoldAlways}, said},
		{"interrupted", verdict.RunResult{Cells: cells, Interrupted: true}, Options{}, "In the 225 cells that have a result, only fsgroup"},
		{"selected", all, Options{Selected: true}, "In the 225 cells shown, only fsgroup"},
	} {
		got := show(tt.r, tt.o)
		if folds := strings.Contains(got, "matter"); folds != (tt.want != "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: want %q in\n%s", tt.name, tt.want, got)
		}
		if rows := strings.Contains(got, "nodes=5"); rows != (tt.want == "") {
			t.Errorf("%s: every value is shown: %t", tt.name, rows)
		}
	}
}

// TestFoldedRelease: a release that follows from an axis goes with it.
func TestFoldedRelease(t *testing.T) {
	cells := grid(func(map[string]string) string { return "success" }, "change=none|newer", "size=1|2")
	for i, c := range cells {
		if c.Values["change"] == "newer" {
			cells[i].Values["tekton"] = "1.15.0"
		}
		if c.Values["size"] == "2" {
			cells[i].Outcome = verdict.Failed
		}
	}
	g := layout(cells)[0]
	if !g.tektonFollows {
		t.Fatal("the release follows from an axis")
	}
	f := g.fold(influences(g.axes, g.combos))
	if f.tektonFollows || len(f.combos) != 2 {
		t.Errorf("release shown: %t, %d rows", f.tektonFollows, len(f.combos))
	}
}

func TestSelect(t *testing.T) {
	cells := grid(func(v map[string]string) string {
		if v["release"] == "1.15.0" && v["size"] == "2" || v["size"] == "3" {
			return "deadlock x"
		}
		return "success"
	}, "release=1.3.1|1.15.0", "size=1|2|3")
	for i, c := range cells {
		cells[i].Values["tekton"] = c.Values["release"]
		if c.Values["size"] == "3" {
			cells[i].Expect("deadlock", true)
		} else {
			cells[i].Expect("success", c.Outcome == verdict.Success)
		}
	}
	r := verdict.RunResult{Cells: cells}
	for only, want := range map[Only]string{
		OnlyFailing:    "1.3.1/3 1.15.0/2 1.15.0/3",
		OnlyUnexpected: "1.15.0/2",
		OnlyChanged:    "1.3.1/2 1.15.0/2",
	} {
		got, err := Select(r, only)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range got.Cells {
			names = append(names, fmt.Sprintf("%s/%s", c.Values["tekton"], c.Values["size"]))
		}
		if text := strings.Join(names, " "); text != want {
			t.Errorf("%s: %s, want %s", only, text, want)
		}
	}
	if len(r.Cells) != 6 {
		t.Errorf("the result has %d cells now", len(r.Cells))
	}
	if _, err := Select(verdict.RunResult{Cells: cells[:3]}, OnlyChanged); err == nil || !strings.Contains(err.Error(), "two releases") {
		t.Errorf("changed on one release: %v", err)
	}
	if _, err := Select(r, "odd"); err == nil || !strings.Contains(err.Error(), "failing, changed, unexpected") {
		t.Errorf("a choice that there is none: %v", err)
	}
}
