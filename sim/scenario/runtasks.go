package scenario

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	"simctl.dev/simctl/sim/internal/resolver"
	"simctl.dev/simctl/sim/internal/tree"
)

// runTasks are the tasks of runs.
type runTasks struct {
	// names are those of pipeline tasks, tasks those of the Tasks that they refer to.
	names, tasks []string
	// open says that there may be others.
	open bool
}

func addName(list *[]string, name string) {
	if name != "" && !slices.Contains(*list, name) {
		*list = append(*list, name)
	}
}

// every is the world with all that interventions make in it as well.
func (w *world) every(f *File) *world {
	if w.all != nil {
		return w.all
	}
	all := &world{spec: w.spec, objects: slices.Clone(w.objects)}
	for i := range w.spec.Interventions {
		v := w.spec.Interventions[i].Apply
		if v == nil {
			continue
		}
		var applied []*object
		for _, raw := range v.Manifests {
			if data, err := decodeObject(raw); err == nil { // else reported
				applied = append(applied, &object{file: f.Path, data: data})
			}
		}
		for _, o := range append(applied, f.read(fmt.Sprintf("interventions[%d].apply.files", i), v.Files).objects...) {
			if o = o.copy(); o.namespaced() && o.namespace() == "" {
				set(o.data, cmp.Or(w.spec.Workload.Namespace, DefaultNamespace), "metadata", "namespace")
			}
			all.objects = append(all.objects, o)
		}
	}
	all.elsewhere(filepath.Dir(f.Path))
	// What only resolvers fetch is not among the objects.
	for i, o := range w.remote {
		if !slices.Contains(all.remote, o) {
			all.remote, all.candidates = append(all.remote, o), append(all.candidates, w.candidates[i])
		}
	}
	w.all = all
	return all
}

// runTasks are the tasks of all runs.
func (w *world) runTasks() runTasks {
	var out runTasks
	for _, o := range w.objects {
		switch {
		case o.tekton("PipelineRun"):
			w.tasksOf(o, &out)
		case o.tekton("TaskRun"):
			w.takeTask(o, o.data["spec"], &out)
		}
	}
	return out
}

// tasksOf takes the tasks of a run, those of pipelines within it too.
func (w *world) tasksOf(run *object, out *runTasks) {
	seen := map[string]bool{}
	var pipeline func(from *object, spec any)
	refer := func(from *object, ref any) {
		p := w.byResolver(from, ref, nil, "Pipeline")
		if name := local(ref); p == nil && name != "" {
			p = w.find("Pipeline", run.namespace(), name)
		}
		if p == nil {
			out.open = true
			return
		}
		if id := p.file + " " + p.String(); !seen[id] {
			seen[id] = true
			pipeline(p, p.data["spec"])
		}
	}
	pipeline = func(from *object, spec any) {
		for _, section := range []string{"tasks", "finally"} {
			for _, t := range tree.List(spec, section) {
				addName(&out.names, tree.Text(t, "name"))
				w.takeTask(from, t, out)
				if ref := tree.Get(t, "pipelineRef"); ref != nil {
					refer(from, ref)
				}
				pipeline(from, tree.Get(t, "pipelineSpec"))
			}
		}
	}
	if ref := tree.Get(run.data, "spec", "pipelineRef"); ref != nil {
		refer(run, ref)
	}
	pipeline(run, tree.Get(run.data, "spec", "pipelineSpec"))
}

// takeTask takes the Task that a task refers to.
func (w *world) takeTask(from *object, t any, out *runTasks) {
	ref := tree.Get(t, "taskRef")
	if ref == nil || resolver.Custom(ref) != "" {
		return
	}
	if o := w.byResolver(from, ref, nil, "Task"); o != nil {
		addName(&out.tasks, o.name())
		return
	}
	name := local(ref)
	addName(&out.tasks, name)
	out.open = out.open || name == ""
}
