package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
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
	// Kind is "intervention", "stalled", "run" or "end".
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
func NewTimeLine(c verdict.Cell, of *timeline.Timeline) TimeLine {
	tl := TimeLine{End: of.T()}
	for _, t := range c.Timing.Tasks {
		tl.End = max(tl.End, taskEnd(t))
	}
	if c.MakespanSeconds != nil {
		tl.End = max(tl.End, *c.MakespanSeconds)
	}
	gone := map[string][]float64{}
	for _, p := range of.Pods {
		if e, ok := of.Entry(p.GoneSeq); ok {
			gone[p.Name] = append(gone[p.Name], e.T)
		}
	}
	for _, t := range c.Timing.Tasks {
		bar := tl.pod(t, gone[t.Pod])
		bar.Name = c.Timing.Title(t)
		tl.Bars = append(tl.Bars, bar)
	}
	tl.Bars = append(tl.Bars, assistants(of, tl.End, c.Timing.SeveralRuns())...)
	slices.SortStableFunc(tl.Bars, func(a, b Bar) int {
		if a.Node == "" != (b.Node == "") {
			// Pods that came to no node stand last.
			return cmp.Compare(b.Node, a.Node)
		}
		return cmp.Compare(a.Node, b.Node)
	})
	tl.Bars = append(tl.Bars, volumes(of, tl.End)...)
	for _, v := range c.Interventions {
		if !v.Missed {
			text := v.What
			if v.Failure != "" {
				text += ": " + v.Failure
			}
			switch {
			case v.Spared:
				text += ": not drawn"
			case v.Met != nil && v.Met.Count == 0:
				text += ": it met nobody"
			}
			tl.Marks = append(tl.Marks, Mark{T: v.T, Text: text, Kind: "intervention"})
			if v.Met != nil && v.Met.EndedT != nil {
				tl.Marks = append(tl.Marks, Mark{T: *v.Met.EndedT, Text: "the end of: " + v.What, Kind: "intervention"})
			}
		}
	}
	for _, f := range of.Stalls {
		tl.Marks = append(tl.Marks, Mark{T: f.T, Text: "nothing can happen any more but time-outs", Kind: "stalled"})
	}
	tl.Marks = append(tl.Marks, afterwards(of)...)
	if f := of.Finished; f != nil {
		text := "the cell ended"
		if f.Data.Bound != "" {
			text += " at its bound of " + f.Data.Bound
		}
		tl.Marks = append(tl.Marks, Mark{T: f.T, Text: text, Kind: "end"})
	}
	slices.SortStableFunc(tl.Marks, func(a, b Mark) int { return cmp.Compare(a.T, b.T) })
	return tl
}

// afterwards are the ends of runs, and what changed in them then, in a cell that goes on
// after them.
func afterwards(of *timeline.Timeline) []Mark {
	var out []Mark
	last := 0.0
	for _, r := range of.Runs {
		last = max(last, r.DoneT)
		if r.DoneSeq == 0 {
			continue
		}
		out = append(out, Mark{T: r.DoneT, Text: fmt.Sprintf("%s has ended: %s", r.Object(), r.Reason), Kind: "run"})
		for _, l := range r.Later {
			out = append(out, Mark{T: l.T, Text: fmt.Sprintf("%s is changed after its end by %s: %s", r.Object(), l.By, l.Reason), Kind: "run"})
		}
	}
	if of.Finished == nil || of.Finished.T-last < 1 {
		return nil
	}
	return out
}

// meanwhile is what a pod does until it has come to a phase, or, of the last, in it.
var meanwhile = map[timeline.Phase]Phase{
	timeline.Queued: Queued, timeline.Scheduled: Scheduling, timeline.Attached: Attaching,
	timeline.Mounted: Mounting, timeline.Pulled: Pulling, timeline.Running: Running,
}

func taskEnd(t verdict.TaskTiming) float64 {
	end := t.Start
	for _, p := range timeline.Phases() {
		if l := t.Length(p); l != nil {
			end += *l
		}
	}
	return end
}

// pod returns the bar of a task's pod; gone is when pods of its name were.
func (tl *TimeLine) pod(t verdict.TaskTiming, gone []float64) Bar {
	b := Bar{Name: t.Task, Object: t.Pod, Node: t.Node}
	if b.Object == "" {
		b.Object = t.TaskRun
	}
	at := t.Start
	for _, p := range timeline.Phases() {
		phase, shown := meanwhile[p]
		if !shown {
			continue
		}
		l := t.Length(p)
		if l == nil {
			// What was not reached was waited for: until the pod went, or the end.
			end := tl.End
			if i := slices.IndexFunc(gone, func(t float64) bool { return t >= at }); i >= 0 {
				end = gone[i]
			}
			if end > at {
				b.Spans = append(b.Spans, Span{Phase: phase, From: at, To: end, Open: true})
			}
			break
		}
		if *l > 0 {
			b.Spans = append(b.Spans, Span{Phase: phase, From: at, To: at + *l})
		}
		at += *l
	}
	return b
}

// turn is a moment at which an assistant's pod comes to something else.
type turn struct {
	seq int
	t   float64
	// name is the pod's, run that of its PipelineRun.
	name, run string
	// next is what it does from then on; empty if nothing.
	next Phase
	node string
	// refused says that the API server refused it.
	refused bool
}

// turns are those of the assistants' pods and of those that were refused, in order.
func turns(of *timeline.Timeline) []turn {
	var all []turn
	// since is the entry with which a pod was first to be made, by its namespace and name.
	since := map[[2]string]int{}
	first := func(namespace, name string, seq int) {
		pod := [2]string{namespace, name}
		if had, met := since[pod]; !met || seq < had {
			since[pod] = seq
		}
	}
	add := func(p *timeline.Pod, seq int, next Phase) {
		if e, ok := of.Entry(seq); ok {
			all = append(all, turn{seq: seq, t: e.T, name: p.Name, run: p.PipelineRun, next: next, node: p.Node})
		}
	}
	for _, p := range of.Pods {
		if !p.IsAssistant() {
			continue
		}
		first(p.Namespace, p.Name, p.CreatedSeq)
		add(p, p.CreatedSeq, Scheduling)
		add(p, p.BoundSeq, Mounting)
		add(p, p.VolumesSeq, Pulling)
		add(p, p.BusySeq, Running)
		add(p, p.GoneSeq, "")
	}
	for _, e := range of.Refused {
		if e.Verb == history.VerbCreate && e.Object.Kind == "Pod" && strings.HasPrefix(e.Object.Name, wellknown.AffinityAssistant+"-") {
			all = append(all, turn{seq: e.Seq, t: e.T, name: e.Object.Name, run: timeline.MetaIn(e).Labels[wellknown.PipelineRunLabel], next: Scheduling, refused: true})
			first(e.Object.Namespace, e.Object.Name, e.Seq)
		}
	}
	for pod, seq := range since {
		for _, e := range of.Deletions(history.Ref{Kind: "StatefulSet", Namespace: pod[0], Name: strings.TrimSuffix(pod[1], "-0")}) {
			if e.Seq > seq {
				all = append(all, turn{seq: e.Seq, t: e.T, name: pod[1]}) // nobody wants it any more
			}
		}
	}
	slices.SortStableFunc(all, func(a, b turn) int { return cmp.Compare(a.seq, b.seq) })
	return all
}

// assistants returns a bar for each affinity assistant's pod, and for each that the
// API server refused; with its run's name if there are several.
func assistants(of *timeline.Timeline, end float64, several bool) []Bar {
	var bars []Bar
	whose := map[string]string{}
	at := map[string]int{}
	refused := map[string]int{}
	// set ends the span that is open and begins the next one.
	set := func(i int, t float64, next Phase) {
		b := &bars[i]
		if n := len(b.Spans); n > 0 && b.Spans[n-1].Open {
			if b.Spans[n-1].Phase == next {
				return
			}
			b.Spans[n-1].To, b.Spans[n-1].Open = t, false
			if b.Spans[n-1].From == t {
				b.Spans = b.Spans[:n-1]
			}
		}
		if next != "" {
			b.Spans = append(b.Spans, Span{Phase: next, From: t, To: end, Open: true})
		}
	}
	for _, x := range turns(of) {
		i, met := at[x.name]
		if !met {
			i = len(bars)
			at[x.name] = i
			if several && x.run != "" {
				whose[x.name] = " of " + x.run
			}
			bars = append(bars, Bar{Name: "affinity assistant" + whose[x.name], Object: x.name, Assistant: true})
		}
		if x.refused {
			refused[x.name]++
			bars[i].Name = fmt.Sprintf("assistant%s, refused ×%d", whose[x.name], refused[x.name])
		}
		bars[i].Node = cmp.Or(x.node, bars[i].Node)
		set(i, x.t, x.next)
	}
	return bars
}

// volumes returns a bar for each time that a volume was attached to a node.
func volumes(of *timeline.Timeline, end float64) []Bar {
	var bars []Bar
	open := map[string][]int{}
	key := func(v history.Volume) string { return cmp.Or(v.Claim, v.PV) + "\x00" + v.Node }
	for _, f := range of.Attached {
		v := f.Data
		open[key(v)] = append(open[key(v)], len(bars))
		bars = append(bars, Bar{Name: cmp.Or(v.Claim, v.PV), Object: v.PV, Node: v.Node, Volume: true,
			Spans: []Span{{Phase: Attached, From: f.T, To: end, Open: true}}})
	}
	for _, f := range of.Detached {
		// It ends the first time that it was attached there and was not detached yet.
		k := key(f.Data)
		if len(open[k]) > 0 {
			s := &bars[open[k][0]].Spans[0]
			s.To, s.Open = f.T, false
			open[k] = open[k][1:]
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
