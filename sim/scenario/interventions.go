package scenario

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"simctl.dev/simctl/sim/internal/tree"
)

// The phases of a task that can trigger an intervention, in their order.
const (
	PhaseQueued    = "queued"
	PhaseScheduled = "scheduled"
	PhaseAttached  = "attached"
	PhaseMounted   = "mounted"
	PhasePulled    = "pulled"
	PhaseRunning   = "running"
	PhaseDone      = "done"
)

// Phases lists the phases of a task in their order.
var Phases = []string{PhaseQueued, PhaseScheduled, PhaseAttached, PhaseMounted, PhasePulled, PhaseRunning, PhaseDone}

// What can be done to the controller.
const (
	ControllerStop    = "stop"
	ControllerStart   = "start"
	ControllerKill    = "kill"
	ControllerRestart = "restart"
)

var controllerActions = []string{ControllerStop, ControllerStart, ControllerKill, ControllerRestart}

// jsonPatchOps are the operations of RFC 6902.
var jsonPatchOps = []string{"add", "remove", "replace", "move", "copy", "test"}

// interventionActions are the fields that say what is done.
var interventionActions = []string{"apply", "patch", "delete", "setFlags", "controller", "swapRelease", "cordon", "uncordon", "drain", "removeNode", "taint", "untaint"}

// Action gives the name of the field that says what is done; "" if there is
// none.
func (v *Intervention) Action() string {
	if a := v.actions(); len(a) > 0 {
		return a[0]
	}
	return ""
}

func (v *Intervention) actions() []string {
	var out []string
	for i, given := range []bool{
		v.Apply != nil, v.Patch != nil, v.Delete != nil, len(v.SetFlags) > 0, v.Controller != "", v.SwapRelease != "",
		v.Cordon != nil, v.Uncordon != nil, v.Drain != nil, v.RemoveNode != nil, v.Taint != nil, v.Untaint != nil,
	} {
		if given {
			out = append(out, interventionActions[i])
		}
	}
	return out
}

// Trigger says in words when it is done.
func (v *Intervention) Trigger() string {
	if v.When == nil {
		return "at " + v.At
	}
	t := fmt.Sprintf("when %s is %s", v.When.Task, v.When.Phase)
	if v.After != "" {
		t = v.After + " after " + strings.TrimPrefix(t, "when ")
	}
	return t
}

// What says in words what is done.
func (v *Intervention) What() string {
	switch v.Action() {
	case "apply":
		var names []string
		for _, raw := range v.Apply.Manifests {
			if data, err := decodeObject(raw); err == nil {
				names = append(names, (&object{data: data}).String())
			}
		}
		return "apply " + strings.Join(append(names, v.Apply.Files...), ", ")
	case "patch":
		return fmt.Sprintf("patch %s with %s", v.Patch.Ref(), v.Patch.Patch)
	case "delete":
		what := "delete " + v.Delete.Ref().String()
		if s := v.Delete.GracePeriodSeconds; s != nil {
			what += fmt.Sprintf(" with a grace period of %d s", *s)
		}
		return what
	case "setFlags":
		var flags []string
		for _, k := range sortedKeys(v.SetFlags) {
			flags = append(flags, k+"="+v.SetFlags[k])
		}
		return "set flags " + strings.Join(flags, ", ")
	case "controller":
		return v.Controller + " the controller"
	case "swapRelease":
		return "swap Tekton for " + NormalizeVersion(v.SwapRelease)
	case "cordon":
		return "cordon " + v.Cordon.String()
	case "uncordon":
		return "uncordon " + v.Uncordon.String()
	case "drain":
		what := "drain " + v.Drain.Ref().String()
		if v.Drain.Force {
			what += " by force"
		}
		return what
	case "removeNode":
		return "remove " + v.RemoveNode.String()
	case "taint":
		return "taint " + v.Taint.String()
	case "untaint":
		return "untaint " + v.Untaint.String()
	}
	return "nothing"
}

// Ref names what is patched.
func (p *ObjectPatch) Ref() ObjectRef {
	return ObjectRef{APIVersion: p.APIVersion, Kind: p.Kind, Namespace: p.Namespace, Name: p.Name, Labels: p.Labels}
}

// Ref names what is deleted.
func (d *ObjectDeletion) Ref() ObjectRef {
	return ObjectRef{APIVersion: d.APIVersion, Kind: d.Kind, Namespace: d.Namespace, Name: d.Name, Labels: d.Labels}
}

// Ref names the node.
func (d *NodeDrain) Ref() NodeRef { return NodeRef{Name: d.Name, NodeOf: d.NodeOf} }

// String gives "Kind namespace/name", or the labels in place of the name.
func (r ObjectRef) String() string {
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

// String gives the node's name, or whose node it is.
func (r NodeRef) String() string {
	if r.NodeOf != "" {
		return "the node of " + r.NodeOf
	}
	return r.Name
}

// String gives "NODE KEY=VALUE:EFFECT".
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
	if v.After != "" && v.When == nil {
		c.add(at+".after", "%s.after counts from when, which is missing", at)
	}
	if v.When != nil {
		if v.When.Task == "" {
			c.add(at+".when.task", "%s.when has no task", at)
		}
		if v.When.Phase == "" {
			c.add(at+".when.phase", "%s.when has no phase; valid: %s", at, strings.Join(Phases, ", "))
		}
		c.choice(at+".when.phase", "phase", v.When.Phase, Phases)
	}
	switch actions := v.actions(); {
	case len(actions) == 0:
		c.add(at, "%s does nothing; give it one of %s", at, strings.Join(interventionActions, ", "))
		return
	case len(actions) > 1:
		c.add(at+"."+actions[1], "%s does several things (%s); make an intervention of each", at, strings.Join(actions, ", "))
	}
	if v.Apply != nil {
		if len(v.Apply.Manifests)+len(v.Apply.Files) == 0 {
			c.add(at+".apply", "%s.apply is empty; give it manifests or files", at)
		}
		for i, raw := range v.Apply.Manifests {
			c.manifest(fmt.Sprintf("%s.apply.manifests[%d]", at, i), raw)
		}
	}
	if v.Patch != nil {
		c.ref(at+".patch", v.Patch.Ref())
		c.objectPatch(at+".patch.patch", v.Patch.Patch)
	}
	if v.Delete != nil {
		c.ref(at+".delete", v.Delete.Ref())
		if s := v.Delete.GracePeriodSeconds; s != nil && *s < 0 {
			c.add(at+".delete.gracePeriodSeconds", "%s.delete.gracePeriodSeconds is %d; it cannot be negative", at, *s)
		}
	}
	if v.Drain != nil {
		c.node(at+".drain", v.Drain.Ref())
	}
	c.keys(at+".setFlags", v.SetFlags, FeatureFlags)
	c.choice(at+".controller", "action on the controller", v.Controller, controllerActions)
	if v.SwapRelease != "" {
		if err := checkVersion(NormalizeVersion(v.SwapRelease)); err != nil {
			c.add(at+".swapRelease", "%v", err)
		}
	}
	for _, n := range []struct {
		field string
		ref   *NodeRef
	}{{"cordon", v.Cordon}, {"uncordon", v.Uncordon}, {"removeNode", v.RemoveNode}} {
		if n.ref != nil {
			c.node(at+"."+n.field, *n.ref)
		}
	}
	if v.Taint != nil {
		c.node(at+".taint.node", v.Taint.Node)
		c.taints(at+".taint", []Taint{{Key: v.Taint.Key, Value: v.Taint.Value, Effect: v.Taint.Effect}})
	}
	if v.Untaint != nil {
		c.node(at+".untaint.node", v.Untaint.Node)
		if len(validation.IsQualifiedName(v.Untaint.Key)) > 0 {
			c.add(at+".untaint.key", "%q is no taint key", v.Untaint.Key)
		}
		c.choice(at+".untaint.effect", "taint effect", v.Untaint.Effect, taintEffects)
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
	if r.Kind == "" {
		c.add(at+".kind", "%s has no kind", at)
	}
	switch {
	case r.Name == "" && len(r.Labels) == 0:
		c.add(at+".name", "%s has no name; give it one, or labels", at)
	case r.Name != "" && len(r.Labels) > 0:
		c.add(at+".labels", "%s has both a name and labels; remove one", at)
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
	tasks := w.pipelineTasks()
	task := func(path, name string) {
		if name != "" && !tasks.open && !slices.Contains(tasks.names, name) {
			add(path, "no pipeline task is named %q%s", name, suggest(name, tasks.names))
		}
	}
	nodes := w.nodes()
	node := func(path string, r *NodeRef) {
		task(path+".nodeOf", r.NodeOf)
		if r.Name != "" && !slices.Contains(nodes, r.Name) {
			add(path, "no node is named %q%s", r.Name, suggest(r.Name, nodes))
		}
	}
	if v.When != nil {
		task(at+".when.task", v.When.Task)
	}
	for _, n := range []struct {
		path string
		ref  *NodeRef
	}{{"cordon", v.Cordon}, {"uncordon", v.Uncordon}, {"removeNode", v.RemoveNode}} {
		if n.ref != nil {
			node(at+"."+n.path, n.ref)
		}
	}
	if v.Drain != nil {
		drained := v.Drain.Ref()
		node(at+".drain", &drained)
	}
	if v.Taint != nil {
		node(at+".taint.node", &v.Taint.Node)
	}
	if v.Untaint != nil {
		node(at+".untaint.node", &v.Untaint.Node)
	}
	if v.Apply != nil && len(v.Apply.Files) > 0 {
		w.issues = append(w.issues, f.read(at+".apply.files", v.Apply.Files).issues...)
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

// pipelineTaskNames are the names of the pipelines' tasks; open says that there
// may be others.
type pipelineTaskNames struct {
	names []string
	open  bool
}

func (w *world) pipelineTasks() pipelineTaskNames {
	out := pipelineTaskNames{open: w.tasks().open}
	var pipeline func(spec any)
	pipeline = func(spec any) {
		for _, section := range []string{"tasks", "finally"} {
			for _, t := range tree.List(spec, section) {
				if name := tree.Text(t, "name"); name != "" && !slices.Contains(out.names, name) {
					out.names = append(out.names, name)
				}
				out.open = out.open || tree.Get(t, "pipelineRef") != nil && local(tree.Get(t, "pipelineRef")) == ""
				pipeline(tree.Get(t, "pipelineSpec"))
			}
		}
	}
	for _, o := range w.objects {
		switch {
		case o.tekton("Pipeline"):
			pipeline(tree.Get(o.data, "spec"))
		case o.tekton("PipelineRun"):
			pipeline(tree.Get(o.data, "spec", "pipelineSpec"))
		}
	}
	return out
}

// finishIntervention puts the defaults into an intervention of a cell, and the
// content of its files.
func (f *File) finishIntervention(s *Scenario, i int) {
	v := &s.Interventions[i]
	v.SwapRelease = NormalizeVersion(v.SwapRelease)
	v.Name = cmp.Or(v.Name, v.Action())
	if v.Apply == nil {
		return
	}
	var objects []*object
	for _, raw := range v.Apply.Manifests {
		if data, err := decodeObject(raw); err == nil { // else reported
			objects = append(objects, &object{data: data})
		}
	}
	for _, o := range f.read(fmt.Sprintf("interventions[%d].apply.files", i), v.Apply.Files).objects {
		objects = append(objects, o.copy())
	}
	out := &Apply{}
	for _, o := range objects {
		if o.namespaced() && o.namespace() == "" {
			set(o.data, s.Workload.Namespace, "metadata", "namespace")
		}
		raw, err := json.Marshal(o.data)
		if err != nil {
			panic(fmt.Sprintf("a manifest that was read is written: %v", err))
		}
		out.Manifests = append(out.Manifests, raw)
	}
	v.Apply = out
}
