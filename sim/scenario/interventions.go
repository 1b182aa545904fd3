package scenario

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"simctl.dev/simctl/sim/timeline"
)

// The phases of a task that can trigger an intervention, in their order.
const (
	PhaseQueued    = string(timeline.Queued)
	PhaseScheduled = string(timeline.Scheduled)
	PhaseAttached  = string(timeline.Attached)
	PhaseMounted   = string(timeline.Mounted)
	PhasePulled    = string(timeline.Pulled)
	PhaseRunning   = string(timeline.Running)
	PhaseDone      = string(timeline.Done)
)

// Phases lists the phases of a task in their order.
var Phases = []string{PhaseQueued, PhaseScheduled, PhaseAttached, PhaseMounted, PhasePulled, PhaseRunning, PhaseDone}

// jsonPatchOps are the operations of RFC 6902.
var jsonPatchOps = []string{"add", "remove", "replace", "move", "copy", "test"}

// Action returns the name of the field that says what is done; "" if there is none.
func (v *Intervention) Action() string {
	if a := v.actions(); len(a) > 0 {
		return a[0]
	}
	return ""
}

func (v *Intervention) actions() []string {
	var out []string
	for _, a := range actions() {
		if a.given(v) {
			out = append(out, a.field)
		}
	}
	return out
}

// actionFields are the fields that say what is done.
func actionFields() []string {
	var out []string
	for _, a := range actions() {
		out = append(out, a.field)
	}
	return out
}

// Trigger says in words when it is done.
func (v *Intervention) Trigger() string {
	if v.When == nil {
		return "at " + v.At
	}
	t := fmt.Sprintf("when %s is %s", v.When.who(), v.When.Phase)
	if v.After != "" {
		t = v.After + " after " + strings.TrimPrefix(t, "when ")
	}
	return t
}

// AllRuns is the Run of a [Moment] that stands for all runs.
const AllRuns = "*"

// who says in words whose phase it is.
func (m *Moment) who() string {
	switch m.Run {
	case "":
		return m.Task
	case AllRuns:
		return "every run"
	}
	return "PipelineRun " + m.Run
}

// AfterRun says whether an intervention waits for the end of a run.
func (v *Intervention) AfterRun() bool { return v.When != nil && v.When.Run != "" }

// usualLinger is the Linger of a workload with interventions that wait for the end of a
// run: the leases of a controller that is killed hold for a minute, a node that is gone
// keeps its volumes for six.
const usualLinger = 10 * time.Minute

// Lingers is for how long the cells go on after their runs have ended.
func (s *Scenario) Lingers() time.Duration {
	if d, err := time.ParseDuration(s.Workload.Linger); err == nil {
		return d // what is no time is no scenario
	}
	if slices.ContainsFunc(s.Interventions, func(v Intervention) bool { return v.AfterRun() }) {
		return usualLinger
	}
	return 0
}

// What says in words what is done.
func (v *Intervention) What() string {
	for _, a := range actions() {
		if a.given(v) {
			return a.what(v)
		}
	}
	return "nothing"
}

// Ref names what is patched.
func (p *ObjectPatch) Ref() ObjectRef {
	return owned(ObjectRef{APIVersion: p.APIVersion, Kind: p.Kind, Namespace: p.Namespace, Name: p.Name, Labels: p.Labels, ClaimOf: p.ClaimOf, PodOf: p.PodOf})
}

// Ref names what is deleted.
func (d *ObjectDeletion) Ref() ObjectRef {
	return owned(ObjectRef{APIVersion: d.APIVersion, Kind: d.Kind, Namespace: d.Namespace, Name: d.Name, Labels: d.Labels, ClaimOf: d.ClaimOf, PodOf: d.PodOf})
}

// owned puts the kind into a reference by whose the object is.
func owned(r ObjectRef) ObjectRef {
	switch {
	case r.ClaimOf != nil:
		r.Kind = cmp.Or(r.Kind, claimKind)
	case r.PodOf != nil:
		r.Kind = cmp.Or(r.Kind, podKind)
	}
	return r
}

// Ref names the node.
func (d *NodeDrain) Ref() NodeRef { return NodeRef{Name: d.Name, NodeOf: d.NodeOf} }

// String returns "Kind namespace/name", the labels in place of the name, or whose it is.
func (r ObjectRef) String() string {
	switch {
	case r.ClaimOf != nil:
		return r.ClaimOf.String()
	case r.PodOf != nil:
		return r.PodOf.String()
	}
	name := r.Name
	if name == "" {
		var labels []string
		for _, k := range sortedKeys(r.Labels) {
			labels = append(labels, k+"="+r.Labels[k])
		}
		name = "(" + strings.Join(labels, ",") + ")"
	}
	if r.Namespace != "" {
		name = r.Namespace + "/" + name
	}
	return r.Kind + " " + name
}

// String returns whose claim it is.
func (c ClaimOf) String() string {
	s := "the claim of workspace " + c.Workspace
	if c.Run != "" {
		s += " of PipelineRun " + c.Run
	}
	return s
}

// String returns whose pod it is.
func (p PodOf) String() string {
	s := "the pod of task " + p.Task
	if p.Run != "" {
		s += " of PipelineRun " + p.Run
	}
	if p.Attempt > 0 {
		s += fmt.Sprintf(", attempt %d", p.Attempt)
	}
	return s
}

// String returns the node's name, or whose node it is.
func (r NodeRef) String() string {
	if r.NodeOf != "" {
		return "the node of " + r.NodeOf
	}
	return r.Name
}

// String returns "NODE KEY=VALUE:EFFECT".
func (t NodeTaint) String() string {
	s := t.Node.String() + " " + t.Key
	if t.Value != "" {
		s += "=" + t.Value
	}
	if t.Effect != "" {
		s += ":" + t.Effect
	}
	return s
}

// Versions are the releases that a cell needs: the one that it begins with, and
// those that interventions swap it for.
func (c *Cell) Versions() []string {
	out := []string{NormalizeVersion(c.Spec.Tekton.Version)}
	for _, v := range c.Spec.Interventions {
		if v.SwapRelease == "" {
			continue
		}
		if to := NormalizeVersion(v.SwapRelease); !slices.Contains(out, to) {
			out = append(out, to)
		}
	}
	return out
}

// intervention checks one intervention by itself.
func (c *checker) intervention(at string, v *Intervention) {
	switch {
	case v.At == "" && v.When == nil:
		c.add(at, "%s has no trigger; give it at (a time) or when (a task's phase)", at)
	case v.At != "" && v.When != nil:
		c.add(at+".when", "%s has two triggers, at and when; remove one", at)
	}
	c.span(at+".at", v.At)
	c.span(at+".after", v.After)
	if p := v.Probability; p != nil && (*p < 0 || *p > 1) {
		c.add(at+".probability", "%s.probability is %g; valid: 0 to 1", at, *p)
	}
	if v.After != "" && v.When == nil {
		c.add(at+".after", "%s.after counts from when, which is missing", at)
	}
	if v.When != nil {
		switch {
		case v.When.Task == "" && v.When.Run == "":
			c.add(at+".when.task", "%s.when has no task, and no run", at)
		case v.When.Task != "" && v.When.Run != "":
			c.add(at+".when.run", "%s.when has both a task and a run; remove one", at)
		case v.When.Run != "" && v.When.Phase != PhaseDone && slices.Contains(Phases, v.When.Phase):
			c.add(at+".when.phase", "%s.when.phase is %s, and that of a run can only be %s", at, v.When.Phase, PhaseDone)
		}
		if v.When.Phase == "" {
			c.add(at+".when.phase", "%s.when has no phase; valid: %s", at, strings.Join(Phases, ", "))
		}
		c.choice(at+".when.phase", "phase", v.When.Phase, Phases)
	}
	given := v.actions()
	switch {
	case len(given) == 0:
		c.add(at, "%s does nothing; give it one of %s", at, strings.Join(actionFields(), ", "))
		return
	case len(given) > 1:
		c.add(at+"."+given[1], "%s does several things (%s); make an intervention of each", at, strings.Join(given, ", "))
	}
	for _, a := range actions() {
		if a.check != nil && a.given(v) {
			a.check(c, at+"."+a.field, v)
		}
	}
}

// span checks a time.
func (c *checker) span(at, text string) {
	if text == "" {
		return
	}
	switch d, err := time.ParseDuration(text); {
	case err != nil:
		c.add(at, "%s: %q is no time; write it as 90s, 12m or 1h30m", at, text)
	case d < 0:
		c.add(at, "%s: %q is negative", at, text)
	}
}

func (c *checker) ref(at string, r ObjectRef) {
	if r.ClaimOf != nil || r.PodOf != nil {
		c.owned(at, r)
		return
	}
	if r.Kind == "" {
		c.add(at+".kind", "%s has no kind", at)
	}
	switch {
	case r.Name == "" && len(r.Labels) == 0:
		c.add(at+".name", "%s has no name; give it one, or labels, or say whose it is (claimOf, podOf)", at)
	case r.Name != "" && len(r.Labels) > 0:
		c.add(at+".labels", "%s has both a name and labels; remove one", at)
	}
}

// owned checks a reference by whose the object is.
func (c *checker) owned(at string, r ObjectRef) {
	field, kind := "claimOf", claimKind
	if r.ClaimOf == nil {
		field, kind = "podOf", podKind
	}
	if r.ClaimOf != nil && r.PodOf != nil {
		c.add(at+".podOf", "%s has both claimOf and podOf; remove one", at)
	}
	if r.Kind != kind {
		c.add(at+".kind", "%s.kind is %q, and %s means a %s; remove one", at, r.Kind, field, kind)
	}
	if r.Name != "" || len(r.Labels) > 0 {
		what := "name"
		if r.Name == "" {
			what = "labels"
		}
		c.add(at+"."+what, "%s has both %s and %s; remove one", at, what, field)
	}
	if r.ClaimOf != nil && r.ClaimOf.Workspace == "" {
		c.add(at+".claimOf", "%s.claimOf has no workspace", at)
	}
	if r.PodOf != nil {
		if r.PodOf.Task == "" {
			c.add(at+".podOf", "%s.podOf has no task", at)
		}
		if r.PodOf.Attempt < 0 {
			c.add(at+".podOf.attempt", "%s.podOf.attempt is %d and counts from 1; leave it out for the last", at, r.PodOf.Attempt)
		}
	}
}

func (c *checker) node(at string, r NodeRef) {
	switch {
	case r.Name == "" && r.NodeOf == "":
		c.add(at, "%s names no node", at)
	case r.Name != "" && r.NodeOf != "":
		c.add(at+".nodeOf", "%s has both a name and nodeOf; remove one", at)
	}
}

func (c *checker) manifest(at string, raw json.RawMessage) {
	data, err := decodeObject(raw)
	if err != nil {
		c.add(at, "%s is not a Kubernetes manifest; it should be a mapping with apiVersion, kind and metadata", at)
		return
	}
	o := &object{data: data}
	for field, value := range map[string]string{"apiVersion": o.apiVersion(), "kind": o.kind()} {
		if value == "" {
			c.add(at+"."+field, "%s has no %s", at, field)
		}
	}
	if o.name() == "" {
		c.add(at+".metadata", "%s has no metadata.name", at)
	}
}

func (c *checker) objectPatch(at string, raw json.RawMessage) {
	if isObject(raw) {
		return
	}
	var ops []struct {
		Op   string `json:"op"`
		Path string `json:"path"`
	}
	if err := json.Unmarshal(raw, &ops); err != nil || len(ops) == 0 {
		c.add(at, "%s must be a mapping (a merge patch) or a list of operations (a JSON patch)", at)
		return
	}
	for i, op := range ops {
		where := fmt.Sprintf("%s[%d]", at, i)
		if op.Op == "" {
			c.add(where, "%s has no op; valid: %s", where, strings.Join(jsonPatchOps, ", "))
		}
		c.choice(where+".op", "op", op.Op, jsonPatchOps)
		if !strings.HasPrefix(op.Path, "/") {
			c.add(where+".path", "%s: path %q must begin with /", where, op.Path)
		}
	}
}

// intervention checks an intervention against the cluster and the workload.
func (w *world) intervention(f *File, at string, v *Intervention) {
	add := func(path, format string, args ...any) { w.issues = append(w.issues, issuef(path, format, args...)) }
	tasks := w.every(f).runTasks()
	task := func(path, name string) {
		if name != "" && !tasks.open && !slices.Contains(tasks.names, name) {
			add(path, "no pipeline task is named %q%s", name, Suggest(name, tasks.names))
		}
	}
	fit := fitting{world: w, file: f, add: add, task: task, nodes: w.nodes()}
	if v.When != nil {
		task(at+".when.task", v.When.Task)
		if v.When.Run != AllRuns {
			fit.runs(at+".when", v.When.Run, "")
		}
	}
	for _, a := range actions() {
		if a.fits != nil && a.given(v) {
			a.fits(fit, at+"."+a.field, v)
		}
	}
}

// fitting checks an action against the cluster and the workload.
type fitting struct {
	world *world
	file  *File
	add   func(path, format string, args ...any)
	task  func(path, name string)
	nodes []string
}

// node checks that a node is there.
func (f fitting) node(path string, r NodeRef) {
	f.task(path+".nodeOf", r.NodeOf)
	if r.Name != "" && !slices.Contains(f.nodes, r.Name) {
		f.add(path, "no node is named %q%s", r.Name, Suggest(r.Name, f.nodes))
	}
}

// nodes are the names of the cluster's nodes.
func (w *world) nodes() []string {
	var out []string
	for _, p := range w.spec.Cluster.NodePools {
		for i := range p.Count {
			out = append(out, fmt.Sprintf("%s-%d", p.Name, i))
		}
	}
	return append(out, w.names("Node", "")...)
}

// finishIntervention puts the defaults into an intervention of a cell, and the
// content of its files.
func (f *File) finishIntervention(s *Scenario, i int) {
	v := &s.Interventions[i]
	v.Name = cmp.Or(v.Name, v.Action())
	for _, a := range actions() {
		if a.finish != nil && a.given(v) {
			a.finish(f, s, i)
		}
	}
}
