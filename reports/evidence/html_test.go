package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// pageOf renders a report as HTML.
func pageOf(t *testing.T, in Input) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := build(t, in).HTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// walk parses a page and visits its nodes.
func walk(t *testing.T, page []byte, visit func(*html.Node)) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		visit(n)
	}
}

// checkPage is what holds of every report: no script, nothing from elsewhere,
// every link lands and no name is given twice.
func checkPage(t *testing.T, page []byte) {
	t.Helper()
	ids := map[string]int{}
	var links []string
	walk(t, page, func(n *html.Node) {
		if n.Type != html.ElementNode {
			return
		}
		switch n.Data {
		case "script", "iframe", "object", "embed", "img", "link", "base", "form":
			t.Errorf("there is an element %s", n.Data)
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "id":
				ids[a.Val]++
			case a.Key == "href":
				links = append(links, a.Val)
			case a.Key == "src", strings.HasPrefix(a.Key, "on"):
				t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
			}
		}
	})
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%d elements are named %s", n, id)
		}
	}
	if len(links) == 0 {
		t.Error("there are no links")
	}
	for _, l := range links {
		id, local := strings.CutPrefix(l, "#")
		if !local || ids[id] == 0 {
			t.Errorf("the link %s does not land", l)
		}
	}
}

// textOf returns the text of a page, that of its style sheet left out.
func textOf(t *testing.T, page []byte) string {
	var b strings.Builder
	walk(t, page, func(n *html.Node) {
		if n.Type == html.TextNode && n.Parent.Data != "style" {
			b.WriteString(n.Data + "\n")
		}
	})
	return b.String()
}

func TestHTMLOfTheIncident(t *testing.T) {
	in := load(t, "incident")
	page := pageOf(t, in)
	checkPage(t, page)
	text := textOf(t, page)
	for _, want := range []string{
		// What happened and why, in the components' words.
		"has FailedCreate: the API server refuses the assistant's pod",
		"2000 is not an allowed group",
		"fsGroup 2000 is outside 1000970000/10000 and ServiceAccount default may use restricted-v2 only",
		// What does not help, what does, what to type.
		"disable-affinity-assistant: false instead of true",
		"fsGroup: 1000970000",
		`oc patch tektonconfig config --type merge -p '{"spec":{"pipeline":{"coschedule":"disabled"}}}'`,
		// The evidence of the cells.
		"TaintToleration", "nvidia.com/gpu: true", "volume modelcar-quantized-workspace",
		"makespan, minutes of virtual time", "simctl run scenarios/incident.yaml",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if again := pageOf(t, in); !bytes.Equal(page, again) {
		t.Error("made again the page differs")
	}
}

// Names of all sorts come out as text, wherever they stand.
func TestHostileHTML(t *testing.T) {
	long := strings.Repeat("a-very-long-name", 40)
	in := matrix([][]string{{hostile, long, "plain"}, {"x", hostile}}, func(v []string) verdict.Finding {
		if v[0] == "plain" {
			return finding(verdict.Success, "")
		}
		f := finding(verdict.Deadlock, "root "+hostile)
		f.Cause[0] = verdict.Link{What: hostile, Object: "Pod ns/" + hostile, Evidence: hostile + "</pre><script>alert(2)</script>"}
		since := 3.0
		f.BlockedSinceSeconds = &since
		f.Timing.Tasks = []verdict.TaskTiming{{Task: hostile, TaskRun: hostile, Pod: hostile, Queued: &since}}
		return f
	})
	in.Files = []scenario.Input{{Path: hostile, SHA256: hostile}}
	in.Result.Command = []string{"simctl", "run", hostile}
	for i := range in.Result.Cells {
		c := &in.Result.Cells[i]
		c.Scenario, c.Expected = hostile, hostile
		spec := &scenario.Cell{Spec: scenario.Scenario{Description: hostile, Tekton: scenario.Tekton{Version: c.Values["tekton"],
			Flags: map[string]string{hostile: c.Values["a"], "coschedule": c.Values["b"]}}}}
		in.Specs[scenario.IDOf(*c)] = spec
	}
	in.History = func(string) ([]history.Entry, error) {
		pod := history.Ref{Kind: "Pod", Namespace: "ns", Name: hostile}
		e := []history.Entry{
			{Kind: history.KindObject, Verb: history.VerbCreate, Object: pod, Body: json.RawMessage(`{}`)},
			history.NewFact("s", pod, history.FactUnschedulable, history.Unschedulable{Message: hostile,
				Nodes: []history.NodeRefusal{{Node: hostile, Plugin: hostile, Reasons: []string{hostile}, Taints: []string{hostile}}}}),
			history.NewFact("csi", pod, history.FactAttached, history.Volume{Claim: hostile, PV: hostile, Node: hostile}),
			{Kind: history.KindLog, Actor: hostile, Message: hostile},
			history.NewFact("simctl", history.Ref{}, history.FactStalled, history.Stalled{}),
		}
		for i := range e {
			e[i].Seq, e[i].T = i+1, float64(i)
		}
		return e, nil
	}
	page := pageOf(t, in)
	checkPage(t, page)
	text := textOf(t, page)
	for _, want := range []string{"<script>alert('x')</script>", "漢字", long, "</pre><script>alert(2)</script>"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// manyCells is a run of n cells over four axes with repeats, each with a history.
func manyCells(n int) Input {
	in := Input{Result: verdict.RunResult{Kubernetes: "v1.37.2", Command: []string{"simctl", "run", "scenarios/"}}, Specs: map[string]*scenario.Cell{}}
	axes := []string{"coschedule", "accessMode", "taints", "version"}
	values := [][]string{{"workspaces", "pipelineruns", "isolate-pipelinerun", "disabled"}, {"RWO", "RWX", "ROX", "RWOP"}, {"none", "gpu", "all"}, {"0.68.1", "1.3.1", "1.15.0"}}
	number := func(v float64) *float64 { return &v }
	for i := range n {
		c := verdict.Cell{Scenario: fmt.Sprintf("placement-%d", i/144), Axes: axes, Values: map[string]string{}, Expected: "success", Judgement: verdict.AsExpected}
		at := i % 144
		for k := len(axes) - 1; k >= 0; k-- {
			c.Values[axes[k]] = values[k][at%len(values[k])]
			at /= len(values[k])
		}
		c.Values["tekton"] = c.Values["version"]
		start := 0.0
		for task := range 6 {
			length := 100 + float64((i*31+task*17)%97)
			c.Timing.Tasks = append(c.Timing.Tasks, verdict.TaskTiming{Task: fmt.Sprintf("task-%d", task), TaskRun: fmt.Sprintf("run-%d-task-%d", i, task),
				Pod: fmt.Sprintf("run-%d-task-%d-pod", i, task), Node: fmt.Sprintf("worker-%d", task%3), Start: start,
				Queued: number(0), Scheduled: number(0.5), Attached: number(10), Mounted: number(1), Pulled: number(4), Running: number(length)})
			start += length + 15.5
		}
		c.Timing.Nodes, c.Timing.Attaches, c.Timing.AttachSeconds, c.Timing.PullSeconds = []string{"worker-0", "worker-1"}, 3, 60+float64(i%40), 24
		c.Outcome, c.MakespanSeconds = verdict.Success, number(start)
		if i%5 == 0 {
			c.Outcome, c.MakespanSeconds, c.Expected = verdict.Deadlock, nil, "deadlock"
			c.BlockedSinceSeconds = number(0)
			for k := range 5 {
				c.Cause = append(c.Cause, verdict.Link{What: fmt.Sprintf("link %d of cause %d", k, i%7), Object: fmt.Sprintf("Pod ns/run-%d-%d", i, k),
					Evidence: strings.Repeat("the words of the component that said so ", 40)})
			}
		}
		in.Result.Cells = append(in.Result.Cells, c)
	}
	return in
}

func TestManyCells(t *testing.T) {
	page := pageOf(t, manyCells(500))
	checkPage(t, page)
	t.Logf("500 cells are %d kB", len(page)/1000)
	if len(page) > 5_000_000 {
		t.Errorf("the report of 500 cells has %d bytes, want less than 5 MB", len(page))
	}
}

func TestGrid(t *testing.T) {
	in := matrix([][]string{{"one", "two"}, {"x", "y", "z"}}, func(v []string) verdict.Finding {
		if v[0] == "two" && v[1] == "z" {
			return finding(verdict.Deadlock, "root")
		}
		return finding(verdict.Success, "")
	})
	// A second repeat of one cell, which comes out otherwise.
	again := in.Result.Cells[0]
	again.Repeat, again.Finding = 1, finding(verdict.Failed, "root")
	in.Result.Cells = append(in.Result.Cells, again)
	g := newGrid(build(t, in).Scenarios[0], 3)
	if g.ColAxis != "b" || len(g.Columns) != 3 || len(g.Rows) != 2 {
		t.Fatalf("the grid is %+v", g)
	}
	if c := g.Columns[2]; c.Text != "z" || c.Class != "f4 v4-2" {
		t.Errorf("the last column is %+v", c)
	}
	if r := g.Rows[1]; r.Class != "f3 v3-1" || r.Heads[0].Text != "two" || len(r.Cells[2].Chips) != 1 || r.Cells[2].Chips[0].Cell.Result.Outcome != verdict.Deadlock {
		t.Errorf("the last row is %+v", r)
	}
	one, two := 60.0, 90.5
	again.MakespanSeconds = &two
	in.Result.Cells[0].MakespanSeconds = &one
	in.Result.Cells[len(in.Result.Cells)-1] = again
	if c := newGrid(build(t, in).Scenarios[0], 0).Rows[0].Cells[0]; c.Makespan() != "1m0s to 1m31s" || c.Stopped() != "" {
		t.Errorf("the repeats took %q and stopped at %q", c.Makespan(), c.Stopped())
	}
	if chips := g.Rows[0].Cells[0].Chips; len(chips) != 2 || chips[1].Cell.Result.Outcome != verdict.Failed {
		t.Errorf("the repeats are %+v", chips)
	}
}

// A legend has what is on the page and nothing else.
func TestLegends(t *testing.T) {
	in := matrix([][]string{{"x", "y"}, {"z"}}, func(v []string) verdict.Finding { return finding(verdict.Success, "") })
	well := textOf(t, pageOf(t, in)) + build(t, in).Markdown()
	in.Result.Cells[0].Finding = finding(verdict.Deadlock, "the root")
	in.Result.Cells[0].Judgement = verdict.NotAsExpected
	stuck := textOf(t, pageOf(t, in)) + build(t, in).Markdown()
	for _, symbol := range []string{"square: did not do its work", "✗ did not do its work", "not as the scenario expects"} {
		if strings.Contains(well, symbol) || !strings.Contains(stuck, symbol) {
			t.Errorf("%q is in the legend of a run where all is well: %t, of one that stops: %t", symbol, strings.Contains(well, symbol), strings.Contains(stuck, symbol))
		}
	}
	for _, symbol := range []string{"dashed: did its work", "could not run", "△", "ownership change", "no node takes the pod yet"} {
		if strings.Contains(well+stuck, symbol) {
			t.Errorf("%q is in the legend and nowhere else", symbol)
		}
	}
	incident := textOf(t, pageOf(t, load(t, "incident")))
	for _, phase := range []string{"pending: no node takes the pod yet", "attached: volume attached to the node", "dashed: did its work, with trouble on the way", "attach and detach"} {
		if !strings.Contains(incident, phase) {
			t.Errorf("%q is not in the legend of the incident", phase)
		}
	}
}
