package evidence

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/verdict"
	"simctl.dev/simctl/sim/wellknown"
)

// Phase is what a pod or a volume does for a while.
type Phase string

// The phases.
const (
	Queued     Phase = "queued"
	Scheduling Phase = "pending"
	Attaching  Phase = "attaching"
	Mounting   Phase = "mounting"
	Pulling    Phase = "pulling"
	Running    Phase = "running"
	Attached   Phase = "attached"
)

// Span is a phase from one virtual second of the cell to another.
type Span struct {
	Phase    Phase
	From, To float64
	// Open says that the phase went on until the end of what is known.
	Open bool
}

// Bar is a pod's or a volume's line in a time line.
type Bar struct {
	// Name is the pipeline task or the claim, Object what it is about, Node
	// where; empty if it came to none.
	Name, Object, Node string
	Volume             bool
	// Assistant says that it is an affinity assistant's pod, which is no task's.
	Assistant bool
	Spans     []Span
}

// Mark is a moment in a time line.
type Mark struct {
	T    float64
	Text string
	// Kind is "intervention", "stalled" or "end".
	Kind string
}

// TimeLine is what went on in a cell, in virtual seconds since it began.
type TimeLine struct {
	Bars  []Bar
	Marks []Mark
	End   float64
}

// NewTimeLine returns the time line of a cell. The history may be empty: volumes
// and the moment of a stall are left out then.
func NewTimeLine(c verdict.Cell, entries []history.Entry) TimeLine {
	var tl TimeLine
	for _, e := range entries {
		tl.End = max(tl.End, e.T)
	}
	for _, t := range c.Timing.Tasks {
		tl.End = max(tl.End, taskEnd(t))
	}
	if c.MakespanSeconds != nil {
		tl.End = max(tl.End, *c.MakespanSeconds)
	}
	for _, t := range c.Timing.Tasks {
		bar := tl.pod(t, entries)
		bar.Name = c.Timing.Title(t)
		tl.Bars = append(tl.Bars, bar)
	}
	tl.Bars = append(tl.Bars, assistants(entries, tl.End, c.Timing.SeveralRuns())...)
	slices.SortStableFunc(tl.Bars, func(a, b Bar) int {
		if a.Node == "" != (b.Node == "") {
			// Pods that came to no node stand last.
			return cmp.Compare(b.Node, a.Node)
		}
		return cmp.Compare(a.Node, b.Node)
	})
	tl.Bars = append(tl.Bars, volumes(entries, tl.End)...)
	for _, v := range c.Interventions {
		if !v.Missed {
			text := v.What
			if v.Failure != "" {
				text += ": " + v.Failure
			}
			tl.Marks = append(tl.Marks, Mark{T: v.T, Text: text, Kind: "intervention"})
		}
	}
	for _, e := range entries {
		switch e.Fact {
		case history.FactStalled:
			tl.Marks = append(tl.Marks, Mark{T: e.T, Text: "nothing can happen any more but time-outs", Kind: "stalled"})
		case history.FactFinished:
			text := "the cell ended"
			var f history.Finished
			if e.Decode(&f) == nil && f.Bound != "" {
				text += " at its bound of " + f.Bound
			}
			tl.Marks = append(tl.Marks, Mark{T: e.T, Text: text, Kind: "end"})
		}
	}
	slices.SortStableFunc(tl.Marks, func(a, b Mark) int { return cmp.Compare(a.T, b.T) })
	return tl
}

// phases returns a task's phases with their lengths.
func phases(t verdict.TaskTiming) ([]Phase, []*float64) {
	return []Phase{Queued, Scheduling, Attaching, Mounting, Pulling, Running},
		[]*float64{t.Queued, t.Scheduled, t.Attached, t.Mounted, t.Pulled, t.Running}
}

func taskEnd(t verdict.TaskTiming) float64 {
	end := t.Start
	_, lengths := phases(t)
	for _, l := range lengths {
		if l != nil {
			end += *l
		}
	}
	return end
}

func (tl *TimeLine) pod(t verdict.TaskTiming, entries []history.Entry) Bar {
	b := Bar{Name: t.Task, Object: t.Pod, Node: t.Node}
	if b.Object == "" {
		b.Object = t.TaskRun
	}
	at := t.Start
	names, lengths := phases(t)
	for i, l := range lengths {
		if l == nil {
			// What was not reached was waited for: until the pod went, or the end.
			end := tl.End
			for _, e := range entries {
				if e.Verb == history.VerbDelete && e.Object.Kind == "Pod" && e.Object.Name == t.Pod && e.T >= at {
					end = e.T
					break
				}
			}
			if end > at {
				b.Spans = append(b.Spans, Span{Phase: names[i], From: at, To: end, Open: true})
			}
			break
		}
		if *l > 0 {
			b.Spans = append(b.Spans, Span{Phase: names[i], From: at, To: at + *l})
		}
		at += *l
	}
	return b
}

// assistants returns a bar for each affinity assistant's pod, and for each that the
// API server refused; with its run's name if there are several.
func assistants(entries []history.Entry, end float64, several bool) []Bar {
	var bars []Bar
	of := map[string]string{}
	at := map[string]int{}
	refused := map[string]int{}
	// set ends the span that is open and begins the next one.
	set := func(i int, t float64, next Phase) {
		b := &bars[i]
		if n := len(b.Spans); n > 0 && b.Spans[n-1].Open {
			b.Spans[n-1].To, b.Spans[n-1].Open = t, false
			if b.Spans[n-1].From == t {
				b.Spans = b.Spans[:n-1]
			}
		}
		if next != "" {
			b.Spans = append(b.Spans, Span{Phase: next, From: t, To: end, Open: true})
		}
	}
	for _, e := range entries {
		name := e.Object.Name
		if e.Object.Kind == "StatefulSet" && e.Verb == history.VerbDelete {
			// Nobody wants its pod any more.
			if i, ok := at[name+"-0"]; ok {
				set(i, e.T, "")
			}
			continue
		}
		if e.Object.Kind != "Pod" || !strings.HasPrefix(name, wellknown.AffinityAssistant+"-") {
			continue
		}
		i, met := at[name]
		if !met {
			i = len(bars)
			at[name] = i
			if run := runOf(e); several && run != "" {
				of[name] = " of " + run
			}
			bars = append(bars, Bar{Name: "affinity assistant" + of[name], Object: name, Assistant: true})
			set(i, e.T, Scheduling)
		}
		switch {
		case e.Kind == history.KindRefused && e.Verb == history.VerbCreate:
			refused[name]++
			bars[i].Name = fmt.Sprintf("assistant%s, refused ×%d", of[name], refused[name])
		case e.Verb == history.VerbBind:
			var patch struct {
				Spec struct {
					NodeName string `json:"nodeName"`
				} `json:"spec"`
			}
			if json.Unmarshal(e.Patch, &patch) == nil {
				bars[i].Node = patch.Spec.NodeName
			}
			set(i, e.T, Mounting)
		case e.Fact == history.FactVolumesReady:
			set(i, e.T, Pulling)
		case e.Fact == history.FactContainersBusy:
			set(i, e.T, Running)
		case e.Verb == history.VerbDelete:
			set(i, e.T, "")
		}
	}
	return bars
}

// runOf is the PipelineRun that the label of the object in an entry names.
func runOf(e history.Entry) string {
	var o struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
	}
	if json.Unmarshal(e.Body, &o) != nil {
		return "" // It has no body, or one that is no object.
	}
	return o.Metadata.Labels[wellknown.PipelineRunLabel]
}

// volumes returns a bar for each time that a volume was attached to a node.
func volumes(entries []history.Entry, end float64) []Bar {
	var bars []Bar
	open := map[string]int{}
	for _, e := range entries {
		if e.Fact != history.FactAttached && e.Fact != history.FactDetached {
			continue
		}
		var v history.Volume
		if e.Decode(&v) != nil {
			continue
		}
		name := v.Claim
		if name == "" {
			name = v.PV
		}
		k := name + "\x00" + v.Node
		if e.Fact == history.FactAttached {
			open[k] = len(bars)
			bars = append(bars, Bar{Name: name, Object: v.PV, Node: v.Node, Volume: true,
				Spans: []Span{{Phase: Attached, From: e.T, To: end, Open: true}}})
			continue
		}
		if i, ok := open[k]; ok {
			bars[i].Spans[0].To, bars[i].Spans[0].Open = e.T, false
			delete(open, k)
		}
	}
	return bars
}

// Text returns the time line as lines of text, in the order of time.
func (tl TimeLine) Text() string {
	type line struct {
		t    float64
		text string
	}
	var lines []line
	for _, b := range tl.Bars {
		where := "no node"
		if b.Node != "" {
			where = b.Node
		}
		what := "task " + b.Name
		switch {
		case b.Volume:
			what = "volume of " + b.Name
		case b.Assistant:
			what = b.Name
		}
		for _, s := range b.Spans {
			length := reports.Duration(s.To - s.From)
			if s.Open {
				length = "never ended, " + length + " seen"
			}
			lines = append(lines, line{s.From, fmt.Sprintf("%-9s  %-10s  %s (%s)", s.Phase, where, what, length)})
		}
	}
	for _, m := range tl.Marks {
		lines = append(lines, line{m.T, fmt.Sprintf("%-9s  %-10s  %s", "*", "", m.Text)})
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.t, b.t) })
	var out strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&out, "%9s  %s\n", reports.Duration(l.t), l.text)
	}
	return out.String()
}
