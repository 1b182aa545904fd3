package intervention

import (
	"slices"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// look reads the facts that were recorded since the last call.
func (all *Interventions) look(entries []history.Entry) {
	for _, e := range entries[all.read:] {
		if pods := all.facts[e.Fact]; pods != nil && e.Object.Kind == "Pod" {
			e.Object.APIVersion = ""
			pods[e.Object] = true
		}
	}
	all.read = len(entries)
}

// reached says whether a TaskRun of a pipeline task has reached a phase.
func (all *Interventions) reached(s *history.State, m scenario.Moment) bool {
	for _, run := range s.All("TaskRun") {
		if run.Text("metadata", "labels", wellknown.PipelineTaskLabel) != m.Task {
			continue
		}
		switch m.Phase {
		case scenario.PhaseQueued:
			return true
		case scenario.PhaseDone:
			if history.Ended(run.Field("status", "conditions")) {
				return true
			}
			continue
		}
		for _, pod := range podsOf(s, run) {
			if all.podReached(s, pod, m.Phase) {
				return true
			}
		}
	}
	return false
}

func (all *Interventions) podReached(s *history.State, pod *history.Object, phase string) bool {
	ref := pod.Ref
	ref.APIVersion = ""
	switch phase {
	case scenario.PhaseScheduled:
		return pod.Text("spec", "nodeName") != ""
	case scenario.PhaseAttached:
		return all.facts[history.FactVolumesAttached][ref] || attached(s, pod)
	case scenario.PhaseMounted:
		return all.facts[history.FactVolumesReady][ref]
	case scenario.PhasePulled:
		return all.facts[history.FactImagePulled][ref]
	case scenario.PhaseRunning:
		return all.facts[history.FactContainersBusy][ref]
	}
	return false
}

// podsOf gives the pods that a TaskRun has had, the latest last.
func podsOf(s *history.State, run *history.Object) []*history.Object {
	var out []*history.Object
	for _, pod := range s.All("Pod") {
		if pod.Ref.Namespace == run.Ref.Namespace && pod.Text("metadata", "labels", wellknown.TaskRunLabel) == run.Ref.Name {
			out = append(out, pod)
		}
	}
	slices.SortStableFunc(out, func(a, b *history.Object) int {
		switch {
		case a.Created < b.Created:
			return -1
		case a.Created > b.Created:
			return 1
		}
		return 0
	})
	return out
}

// attached says whether a pod's claims are all attached to its node, as far as
// their drivers attach.
func attached(s *history.State, pod *history.Object) bool {
	node := pod.Text("spec", "nodeName")
	if node == "" {
		return false
	}
	volumes, _ := pod.Field("spec", "volumes").([]any)
	for _, v := range volumes {
		m, _ := v.(map[string]any)
		claim, _ := m["persistentVolumeClaim"].(map[string]any)
		name, _ := claim["claimName"].(string)
		if name == "" {
			continue
		}
		pvc := s.Live("PersistentVolumeClaim", pod.Ref.Namespace, name)
		if pvc == nil {
			return false
		}
		pv := s.Live("PersistentVolume", "", pvc.Text("spec", "volumeName"))
		if pv == nil {
			return false
		}
		driver := s.Live("CSIDriver", "", pv.Text("spec", "csi", "driver"))
		if driver != nil && driver.Field("spec", "attachRequired") == false {
			continue
		}
		if !slices.ContainsFunc(s.List("VolumeAttachment"), func(a *history.Object) bool {
			return a.Text("spec", "nodeName") == node && a.Text("spec", "source", "persistentVolumeName") == pv.Ref.Name &&
				a.Field("status", "attached") == true
		}) {
			return false
		}
	}
	return true
}
