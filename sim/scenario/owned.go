package scenario

import (
	"slices"

	"simctl.dev/simctl/sim/internal/tree"
)

// The kinds of objects that interventions name by whose they are.
const (
	claimKind = "PersistentVolumeClaim"
	podKind   = "Pod"
)

// object checks that what is named by whose it is can be there.
func (f fitting) object(at string, r ObjectRef) {
	switch {
	case r.ClaimOf != nil:
		f.claimOf(at+".claimOf", r)
	case r.PodOf != nil:
		f.podOf(at+".podOf", r)
	}
}

// runs are the PipelineRuns that a reference may mean: those of the workload and those
// that interventions make. What is wrong with the name is told, and the answer is nil.
func (f fitting) runs(at, name, namespace string) []*object {
	var all, named []*object
	for _, o := range f.world.every(f.file).objects {
		if o.tekton("PipelineRun") && (namespace == "" || o.namespace() == namespace) {
			all = append(all, o)
		}
	}
	if name == "" {
		return all
	}
	var names []string
	for _, o := range all {
		if o.name() == name {
			named = append(named, o)
		}
		names = append(names, o.name())
	}
	if len(named) == 0 {
		slices.Sort(names)
		f.add(at+".run", "no PipelineRun is named %q%s", name, Suggest(name, slices.Compact(names)))
	}
	return named
}

// claimOf checks that a run makes a claim for its workspace.
func (f fitting) claimOf(at string, r ObjectRef) {
	runs := f.runs(at, r.ClaimOf.Run, r.Namespace)
	if len(runs) == 0 || r.ClaimOf.Workspace == "" {
		return
	}
	var names []string
	var other string
	for _, run := range runs {
		for _, ws := range tree.List(run.data, "spec", "workspaces") {
			name := tree.Text(ws, "name")
			names = append(names, name)
			if name != r.ClaimOf.Workspace {
				continue
			}
			if tree.Map(ws, "volumeClaimTemplate") != nil {
				return
			}
			other = run.String() + " binds to " + boundTo(ws)
		}
	}
	if other != "" {
		f.add(at+".workspace", "no claim is made for workspace %q, which %s; claimOf means a volumeClaimTemplate's claim, name others by their name", r.ClaimOf.Workspace, other)
		return
	}
	slices.Sort(names)
	whose := "no PipelineRun"
	if r.ClaimOf.Run != "" {
		whose = "PipelineRun " + r.ClaimOf.Run + " has no"
	} else {
		whose += " has a"
	}
	f.add(at+".workspace", "%s workspace %q%s", whose, r.ClaimOf.Workspace, Suggest(r.ClaimOf.Workspace, slices.Compact(names)))
}

// boundTo says what a workspace is bound to.
func boundTo(ws any) string {
	if name := tree.Text(ws, "persistentVolumeClaim", "claimName"); name != "" {
		return "PersistentVolumeClaim " + name
	}
	for _, key := range sortedKeys(tree.Map(ws)) {
		if !slices.Contains([]string{"name", "subPath"}, key) {
			return "its " + key
		}
	}
	return "nothing"
}

// podOf checks that a run has the task.
func (f fitting) podOf(at string, r ObjectRef) {
	runs := f.runs(at, r.PodOf.Run, r.Namespace)
	if r.PodOf.Run == "" {
		f.task(at+".task", r.PodOf.Task)
		return
	}
	var tasks runTasks
	for _, run := range runs {
		f.world.every(f.file).tasksOf(run, &tasks)
	}
	if task := r.PodOf.Task; len(runs) > 0 && task != "" && !tasks.open && !slices.Contains(tasks.names, task) {
		f.add(at+".task", "PipelineRun %s has no task %q%s", r.PodOf.Run, task, Suggest(task, tasks.names))
	}
}
