package recording

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/wellknown"
)

// normal is a recording without what is chance.
type normal struct {
	*names
	// events are those of each object, holders what is said of a volume that
	// another pod has.
	events, holders map[string]bool
	// conditions are what a condition was one after the other, by object and type.
	conditions map[string][]string
	// milestones are when they first came.
	milestones map[moment]float64
	// nodes are the pods' nodes, as letters.
	nodes map[string]string
	// finals are the last states, by object.
	finals map[string]map[string]any
	// conflicts are the pods that met the PreBind conflict: when they were given a
	// node is chance.
	conflicts map[string]bool
	// gone are the objects that have gone.
	gone map[string]bool
	// work says what pods and runs work for.
	work map[string]work
	// timed are the milestones that take time.
	timed map[moment]bool
}

// moment is a milestone of an object.
type moment struct{ of, what string }

func (m moment) String() string { return m.of + " " + m.what }

// work is a PipelineRun, and in it the TaskRun and the Task that it is of.
type work struct{ pipelineRun, taskRun, task string }

func workOf(object map[string]any) work {
	labels, _ := field(object, "metadata", "labels").(map[string]any)
	name := text(object, "metadata", "name")
	w := work{text(labels, wellknown.PipelineRunLabel), text(labels, wellknown.TaskRunLabel), text(labels, wellknown.TaskLabel)}
	switch text(object, "kind") {
	case "PipelineRun":
		w.pipelineRun = name
	case "TaskRun":
		w.taskRun = name
	}
	return w
}

func normalize(r *Recording) *normal {
	n := &normal{names: namesOf(r), events: map[string]bool{}, holders: map[string]bool{}, conditions: map[string][]string{},
		milestones: map[moment]float64{}, nodes: map[string]string{}, finals: map[string]map[string]any{}, conflicts: map[string]bool{}, gone: map[string]bool{}, work: map[string]work{}, timed: map[moment]bool{}}
	born := map[string]int{}
	for _, c := range r.Timeline {
		switch c.Kind {
		case KindMark:
		case KindEvent:
			n.event(c, born)
		default:
			of := c.Kind + " " + c.Name
			if c.Op == OpCreated {
				born[of]++
			}
			n.change(c, n.nth(c.Kind, c.Name, born[of]))
		}
	}
	times := map[string]int{}
	for _, l := range r.Final {
		kind, name := text(l.Object, "kind"), text(l.Object, "metadata", "name")
		times[kind+" "+name]++
		of := n.nth(kind, name, times[kind+" "+name])
		n.work[of] = workOf(l.Object)
		if kind == "Pod" {
			n.nodes[of] = n.names.nodes[text(l.Object, "spec", "nodeName")]
		}
		if kind != "Node" {
			n.finals[of], n.gone[of] = l.Object, l.GoneAt != nil
		}
	}
	return n
}

// nth names an object; one that bears the name of one that is gone has a number.
func (n *normal) nth(kind, name string, times int) string {
	of := kind + " " + n.clean(name)
	if times > 1 {
		of += fmt.Sprintf("#%d", times)
	}
	return of
}

// chance are texts that chance brings about on a cluster; see the table of
// docs/real-and-simulated.md.
var chance = []*regexp.Regexp{
	// Assistant and task pod bind the same claim at once.
	regexp.MustCompile(`running PreBind plugin \\*"VolumeBinding\\*": Operation cannot be fulfilled`),
	regexp.MustCompile(`running Reserve plugin \\*"VolumeBinding\\*": .*out of sync`),
	regexp.MustCompile(`SchedulerError`),
	// A TaskRun whose pod has just gone.
	regexp.MustCompile(`InternalError pods ".*" not found`),
	// The recorded cluster's set-up.
	regexp.MustCompile(`^Node .* (CgroupV1|NodeNotReady|NodeReady|Starting|NodeHas\w+|NodeAllocatableEnforced|RegisteredNode|RemovingNode) `),
	regexp.MustCompile(`object ".*" not registered`),
}

func byChance(s string) bool {
	return slices.ContainsFunc(chance, func(r *regexp.Regexp) bool { return r.MatchString(s) })
}

// aboutOf returns kind and name of what an event is about.
func aboutOf(c Change) (kind, name string) {
	kind, name, _ = strings.Cut(c.text("about"), "/")
	return kind, name
}

// event takes what an event says; born is how many objects of a name there have been.
func (n *normal) event(c Change, born map[string]int) {
	kind, name := aboutOf(c)
	source := n.clean(c.text("source"))
	if strings.HasPrefix(source, "DRIVER_") {
		source = "DRIVER_HOST_UID"
	}
	of := n.nth(kind, name, 1)
	if c.text("reason") == "SuccessfulAttachVolume" {
		// Which of the pods that wait on a node are told is chance.
		of = "Pod on " + n.of(name, born["Pod "+name])
	}
	what := fmt.Sprintf("%s %s %q (%s)", of, c.text("reason"), n.clean(c.text("message")), source)
	if byChance(what) || byChance(c.text("reason")+" "+c.text("message")) {
		return
	}
	if c.text("reason") == "FailedAttachVolume" {
		n.holders[sortedHolders(what)] = true
	} else {
		n.events[what] = true
	}
}

// sortedHolders sorts the pods that have a volume, which stand in the order of a
// mapping.
func sortedHolders(what string) string {
	return holders.ReplaceAllStringFunc(what, func(s string) string {
		names := strings.Split(strings.TrimPrefix(s, "pod(s) "), ", ")
		slices.Sort(names)
		return "pod(s) " + strings.Join(names, ", ")
	})
}

var holders = regexp.MustCompile(`pod\(s\) [-a-z0-9]+(, [-a-z0-9]+)*`)

// of returns the node of the nth pod of a name.
func (n *normal) of(pod string, nth int) string {
	nodes := n.names.pods[pod]
	if nth < 1 || nth > len(nodes) {
		return ""
	}
	return n.names.nodes[nodes[nth-1]]
}

func (n *normal) milestone(of, what string, t float64) {
	m := moment{of, what}
	if _, ok := n.milestones[m]; !ok {
		n.milestones[m] = t
	}
}

// change takes what a change says of an object's conditions and milestones.
func (n *normal) change(c Change, of string) {
	for _, m := range milestones {
		if m.kind != c.Kind {
			continue
		}
		for _, what := range m.reached(c) {
			n.milestone(of, what, c.T)
			n.timed[moment{of, what}] = m.takesTime
		}
	}
	if !sequenced(of) {
		return
	}
	items, _ := c.Fields["conditions"].([]any)
	for _, item := range items {
		m, _ := item.(map[string]any)
		is := n.clean(strings.TrimSpace(text(m, "status") + " " + text(m, "reason")))
		if message := text(m, "message"); message != "" {
			is += fmt.Sprintf(" %q", n.clean(message))
		}
		if m["removed"] == true {
			is = "removed"
		}
		key := of + " " + text(m, "type")
		if text(m, "reason") == "SchedulerError" {
			n.conflicts[of] = true
		}
		if was := n.conditions[key]; !byChance(is) && (len(was) == 0 || was[len(was)-1] != is) {
			n.conditions[key] = append(was, is)
		}
	}
}
