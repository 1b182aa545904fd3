package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/install"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/wellknown"
)

// interventions are what a cell's scenario does in the middle of the runs.
type interventions struct {
	list   []*intervention
	builds builds
	// read counts the entries of the history that were looked at; facts are what
	// they say of pods.
	read  int
	facts map[string]map[history.Ref]bool
	// failed is why one could not be carried out.
	failed error
	// evictions are those that a drained node waits for, by their pods.
	evictions map[string]*eviction
}

// intervention is one of them.
type intervention struct {
	*scenario.Intervention
	index int
	// set says that its trigger has come or is on the clock, done that it was
	// carried out.
	set, done bool
}

func newInterventions(cell *scenario.Cell, builds builds) *interventions {
	out := &interventions{builds: builds, evictions: map[string]*eviction{}, facts: map[string]map[history.Ref]bool{
		history.FactVolumesAttached: {}, history.FactVolumesReady: {}, history.FactImagePulled: {}, history.FactContainersBusy: {},
	}}
	for i := range cell.Spec.Interventions {
		out.list = append(out.list, &intervention{Intervention: &cell.Spec.Interventions[i], index: i})
	}
	return out
}

// plan puts the interventions that have a time on the clock, and has Tekton's
// controller not be told at once of the end of those TaskRuns at which something is
// done: it would have acted on it by the time that all is quiet. Nor is it told of
// those whose pods go before it hears of it. The runs are about to be created.
func (c *play) plan() {
	ends := map[string]bool{}
	for _, v := range c.interventions.list {
		switch {
		case v.When == nil:
			c.schedule(v, v.At)
		case v.When.Phase == scenario.PhaseDone && v.After == "":
			ends[v.When.Task] = true
		}
	}
	c.plane.Tap().Withhold("taskruns", func(object []byte) bool {
		if len(ends) == 0 && !c.plane.Controllers.Collecting(func(*corev1.Pod) bool { return true }) {
			return false
		}
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON(object) != nil || !final(field(u, "status", "conditions")) {
			return false
		}
		overtaken := c.overtaken(u)
		return ends[u.GetLabels()[wellknown.PipelineTaskLabel]] || overtaken
	})
}

// schedule has an intervention carried out after a time.
func (c *play) schedule(v *intervention, after string) {
	v.set = true
	d, err := time.ParseDuration(after)
	if err != nil {
		c.interventions.failed = fmt.Errorf("reading the time of intervention %d (%s): %w", v.index, v.Name, err)
		return
	}
	c.after(d, fmt.Sprintf("intervention/%04d", v.index), func() { c.carryOut(v) })
}

// intervene carries out the first intervention whose moment has just come, and
// puts those on the clock that come some time after theirs. It reports whether
// it did anything. The cell's history is folded.
func (c *play) intervene() (bool, error) {
	all := c.interventions
	if all.failed != nil {
		return false, all.failed
	}
	all.look(c.log.Entries())
	did := false
	for _, v := range all.list {
		if v.set || !all.reached(c.state, *v.When) {
			continue
		}
		did = true
		if v.After != "" {
			c.schedule(v, v.After)
			continue
		}
		v.set = true
		c.carryOut(v)
		break
	}
	return did, all.failed
}

// look reads the facts that were recorded since the last call.
func (all *interventions) look(entries []history.Entry) {
	for _, e := range entries[all.read:] {
		if pods := all.facts[e.Fact]; pods != nil && e.Object.Kind == "Pod" {
			e.Object.APIVersion = ""
			pods[e.Object] = true
		}
	}
	all.read = len(entries)
}

// The labels by which TaskRuns and pods are found.
// reached says whether a TaskRun of a pipeline task has reached a phase.
func (all *interventions) reached(s *history.State, m scenario.Moment) bool {
	for _, run := range s.All("TaskRun") {
		if run.Text("metadata", "labels", wellknown.PipelineTaskLabel) != m.Task {
			continue
		}
		switch m.Phase {
		case scenario.PhaseQueued:
			return true
		case scenario.PhaseDone:
			if final(run.Field("status", "conditions")) {
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

func (all *interventions) podReached(s *history.State, pod *history.Object, phase string) bool {
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

// missed records the interventions whose trigger never came.
func (c *play) missed() {
	for _, v := range c.interventions.list {
		if v.done {
			continue
		}
		f := v.fact()
		f.Missed = true
		c.record(history.FactIntervention, f)
		c.logger.Info("An intervention was not made: the cell ended first", "cell", c.cell.ID(), "trigger", f.Trigger, "what", f.What)
	}
}

func (v *intervention) fact() history.Intervention {
	return history.Intervention{Index: v.index, Name: v.Name, Trigger: v.Trigger(), Action: v.Action(), What: v.What()}
}

// noEffect is why an intervention had no effect: an answer that whoever did this
// on a cluster would have got too.
type noEffect struct{ error }

func ineffective(format string, args ...any) error { return noEffect{fmt.Errorf(format, args...)} }

// carryOut does what an intervention says and records it.
func (c *play) carryOut(v *intervention) {
	v.done = true
	f := v.fact()
	c.logger.V(1).Info("Intervention", "cell", c.cell.ID(), "what", f.What, "now", c.plane.Clock.Elapsed())
	err := c.act(v.Intervention, &f)
	var answer apierrors.APIStatus
	var none noEffect
	var operator *install.OperatorError
	switch {
	case err == nil:
	case errors.As(err, &none), errors.As(err, &operator), errors.As(err, &answer), errors.Is(err, tekton.ErrExited):
		f.Failure = err.Error()
	default:
		c.interventions.failed = fmt.Errorf("intervention %d (%s): %w", v.index, f.What, err)
	}
	c.record(history.FactIntervention, f)
}

func (c *play) act(v *scenario.Intervention, f *history.Intervention) error {
	// Objects may have been written since the history was folded.
	if err := c.fold(); err != nil {
		return err
	}
	do := acts()[v.Action()]
	if do == nil {
		return errors.New("it says nothing that is to be done")
	}
	return do(c, v, f)
}
