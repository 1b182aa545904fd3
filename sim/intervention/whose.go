package intervention

import (
	"slices"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/reconciler/volumeclaim"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/wellknown"
)

// whose puts the name of an object that is named by whose it is into a reference, as the
// history stands at this moment.
func (all *Interventions) whose(ref *scenario.ObjectRef) error {
	switch {
	case ref.ClaimOf != nil:
		return all.claimOf(ref)
	case ref.PodOf != nil:
		return all.podOf(ref)
	}
	return nil
}

// claimOf finds the claim of a run's volumeClaimTemplate, of the last run that has one for
// the workspace.
func (all *Interventions) claimOf(ref *scenario.ObjectRef) error {
	now := all.timeline.Now()
	for _, r := range slices.Backward(all.timeline.Runs) {
		run := now.Live("PipelineRun", r.Namespace, r.Name)
		if run == nil || r.Gone != nil || ref.Namespace != "" && r.Namespace != ref.Namespace ||
			ref.ClaimOf.Run != "" && !all.timeline.IsNamed(r.Namespace, r.Name, ref.ClaimOf.Run) {
			continue
		}
		template, ok := templateOf(run, ref.ClaimOf.Workspace)
		if !ok {
			continue
		}
		// Tekton's own function: the claim is called so or, if the assistant's StatefulSet
		// makes it, begins so.
		name := volumeclaim.GeneratePVCNameFromWorkspaceBinding(template, v1.WorkspaceBinding{Name: ref.ClaimOf.Workspace},
			metav1.OwnerReference{UID: types.UID(run.Text("metadata", "uid"))})
		for _, claim := range now.In("PersistentVolumeClaim", r.Namespace) {
			if claim.Ref.Name == name || strings.HasPrefix(claim.Ref.Name, name+"-"+wellknown.AffinityAssistant+"-") {
				ref.Namespace, ref.Name = r.Namespace, claim.Ref.Name
				return nil
			}
		}
		return ineffective("there is no claim of workspace %s of %s", ref.ClaimOf.Workspace, r.Object())
	}
	return ineffective("no PipelineRun has %s", ref)
}

// templateOf is the name in a run's volumeClaimTemplate for a workspace, which may be
// empty; false if the run has no such template.
func templateOf(run *history.Object, workspace string) (string, bool) {
	list, _ := run.Field("spec", "workspaces").([]any)
	for _, ws := range list {
		if tree.Text(ws, "name") == workspace && tree.Get(ws, "volumeClaimTemplate") != nil {
			return tree.Text(ws, "volumeClaimTemplate", "metadata", "name"), true
		}
	}
	return "", false
}

// podOf finds the pod of a task that was made last. If it is gone, the API server says so.
func (all *Interventions) podOf(ref *scenario.ObjectRef) error {
	p := all.timeline.PodOfTask(ref.PodOf.Task, ref.PodOf.Attempt, func(r *timeline.TaskRun) bool {
		return (ref.Namespace == "" || r.Namespace == ref.Namespace) &&
			(ref.PodOf.Run == "" || all.timeline.IsNamed(r.Namespace, r.PipelineRun, ref.PodOf.Run))
	})
	if p == nil {
		return ineffective("there has been no %s", strings.TrimPrefix(ref.String(), "the "))
	}
	ref.Namespace, ref.Name = p.Namespace, p.Name
	return nil
}
