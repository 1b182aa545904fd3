package verdict

import (
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
)

// BegunAgain is a task whose work was begun more than once: of what was done before the
// last time nothing counts.
type BegunAgain struct {
	PipelineRun string `json:"pipelineRun,omitempty"`
	Task        string `json:"task"`
	TaskRun     string `json:"taskRun"`
	// Times is how often its steps were begun, LostSeconds how long before the last time
	// they were for the first.
	Times       int     `json:"times"`
	LostSeconds float64 `json:"lostSeconds"`
}

// String returns a sentence.
func (b BegunAgain) String() string {
	return fmt.Sprintf("Task %s of PipelineRun %s was begun %d times: %s lost", b.Task, Canonical(b.PipelineRun), b.Times, inWords(b.LostSeconds))
}

// AtOnce are two pods that were at work at once on two nodes, where one may be.
type AtOnce struct {
	PipelineRun string `json:"pipelineRun,omitempty"`
	// Pods are NAMESPACE/NAME, Nodes where they were.
	Pods  [2]string `json:"pods"`
	Nodes [2]string `json:"nodes"`
	// Claim is the claim that both used and that one node may use; empty if it is one task
	// that both did.
	Claim string `json:"claim,omitempty"`
	// Task is the task that both did; empty if they did two.
	Task string `json:"task,omitempty"`
	// FromT and ToT are from when to when.
	FromT float64 `json:"fromT"`
	ToT   float64 `json:"toT"`
}

// String returns a sentence.
func (a AtOnce) String() string {
	did := "two pods"
	if a.Task != "" {
		did = "two pods of task " + a.Task
	}
	if a.Claim != "" {
		did += ", which used claim " + Canonical(a.Claim) + ","
	}
	return fmt.Sprintf("%s were at work at once, on nodes %s and %s, for %s", strings.ToUpper(did[:1])+did[1:], a.Nodes[0], a.Nodes[1], inWords(a.ToT-a.FromT))
}

// Survived is a fault that has met somebody in a cell whose runs did their work.
type Survived struct {
	// What says it in words, Met is how many it has met.
	What string `json:"what"`
	Met  int    `json:"met"`
}

// String returns a sentence.
func (s Survived) String() string { return "The runs did their work in spite of this: " + s.What }

// works are the pods of tasks that began their work, with when it ended.
type works struct {
	pod      *timeline.Pod
	from, to float64
}

// works lists them in the order in which they were made.
func (t *judging) works() []works {
	var out []works
	for _, p := range t.Pods {
		if p.TaskRun != "" && p.BusySeq != 0 && p.Node != "" {
			out = append(out, works{p, p.BusyT, t.workEnds(p)})
		}
	}
	return out
}

// workEnds is when a pod's steps were at work last, whatever the API server had of it: on a
// node that is cut off they go on, with a machine they end.
func (t *judging) workEnds(p *timeline.Pod) float64 {
	steps, ended, last := 0, 0, p.BusyT
	if o := t.Now().Get("Pod", p.Namespace, p.Name); o != nil {
		containers, _ := o.Field("spec", "containers").([]any)
		for _, c := range containers {
			if m, ok := c.(map[string]any); ok && strings.HasPrefix(fmt.Sprint(m["name"]), "step-") {
				steps++
			}
		}
	}
	for _, c := range p.Containers {
		if c.Data.Step != "" {
			ended, last = ended+1, max(last, c.T)
		}
	}
	if steps > 0 && ended >= steps {
		return last
	}
	for _, s := range t.Silences {
		if s.Began.Data.Node == p.Node && s.Began.Data.What == history.SilentMachine && s.Began.Seq > p.BusySeq {
			return s.Began.T
		}
	}
	for _, seq := range []int{p.OverSeq, p.GoneSeq} {
		if seq == 0 {
			continue
		}
		if s := t.SilenceOf(p.Node, seq); s != nil && s.Lasts(seq) {
			if s.Ended != nil {
				return s.Ended.T
			}
			return t.T()
		}
		e, _ := t.Entry(seq)
		return e.T
	}
	return t.T()
}

// workAgain lists the tasks whose work was begun more than once.
func (t *judging) workAgain(all []works) []BegunAgain {
	type key struct{ namespace, taskRun string }
	var order []key
	of := map[key][]works{}
	for _, w := range all {
		k := key{w.pod.Namespace, w.pod.TaskRun}
		if of[k] == nil {
			order = append(order, k)
		}
		of[k] = append(of[k], w)
	}
	var out []BegunAgain
	for _, k := range order {
		if list := of[k]; len(list) > 1 {
			b := BegunAgain{Task: k.taskRun, TaskRun: k.namespace + "/" + k.taskRun, Times: len(list), LostSeconds: list[len(list)-1].from - list[0].from}
			if r := t.TaskRun(k.namespace, k.taskRun); r != nil {
				b.Task, b.PipelineRun = r.Task, k.namespace+"/"+r.PipelineRun
			}
			out = append(out, b)
		}
	}
	return out
}

// atOnce lists the pairs of pods that were at work at once on two nodes and did one task, or
// used one claim that only one node may use.
func (t *judging) atOnce(all []works) []AtOnce {
	var out []AtOnce
	for i, a := range all {
		for _, b := range all[:i] {
			from, to := max(a.from, b.from), min(a.to, b.to)
			if a.pod.Node == b.pod.Node || from >= to || a.pod.Namespace != b.pod.Namespace {
				continue
			}
			x := AtOnce{PipelineRun: a.pod.Namespace + "/" + a.pod.PipelineRun, Claim: t.sharedClaim(a.pod, b.pod), FromT: from, ToT: to,
				Pods:  [2]string{b.pod.Namespace + "/" + b.pod.Name, a.pod.Namespace + "/" + a.pod.Name},
				Nodes: [2]string{b.pod.Node, a.pod.Node}}
			if a.pod.TaskRun == b.pod.TaskRun {
				x.Task = a.pod.TaskRun
				if r := t.TaskRun(a.pod.Namespace, a.pod.TaskRun); r != nil {
					x.Task = r.Task
				}
			}
			if x.Claim != "" || x.Task != "" {
				out = append(out, x)
			}
		}
	}
	return out
}

// sharedClaim is a claim that two pods use and that one node may use at a time; empty if
// there is none.
func (t *judging) sharedClaim(a, b *timeline.Pod) string {
	others := t.claimsOf(b)
	for _, name := range t.claimsOf(a) {
		if !slices.Contains(others, name) {
			continue
		}
		o := t.Now().Get("PersistentVolumeClaim", a.Namespace, name)
		if o == nil {
			continue
		}
		modes, _ := o.Field("spec", "accessModes").([]any)
		if !slices.ContainsFunc(modes, func(m any) bool { return m == "ReadWriteMany" || m == "ReadOnlyMany" }) {
			return a.Namespace + "/" + name
		}
	}
	return ""
}

// survived lists the faults that met somebody, of a cell whose runs did their work.
func survived(f *Finding) []Survived {
	if f.Outcome != Success && !f.Recovered {
		return nil
	}
	var out []Survived
	for _, v := range f.Interventions {
		if v.Met != nil && v.Met.Count > 0 {
			out = append(out, Survived{What: v.What, Met: v.Met.Count})
		}
	}
	return out
}
