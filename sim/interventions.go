package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
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
	c.cp.Tap().Withhold("taskruns", func(object []byte) bool {
		if len(ends) == 0 && !c.kube.Collecting(func(*corev1.Pod) bool { return true }) {
			return false
		}
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON(object) != nil || !final(field(u, "status", "conditions")) {
			return false
		}
		overtaken := c.overtaken(u)
		return ends[u.GetLabels()[labelPipelineTask]] || overtaken
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
const (
	labelPipelineTask = "tekton.dev/pipelineTask"
	labelTaskRun      = "tekton.dev/taskRun"
)

// reached says whether a TaskRun of a pipeline task has reached a phase.
func (all *interventions) reached(s *history.State, m scenario.Moment) bool {
	for _, run := range s.All("TaskRun") {
		if run.Text("metadata", "labels", labelPipelineTask) != m.Task {
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
		if pod.Ref.Namespace == run.Ref.Namespace && pod.Text("metadata", "labels", labelTaskRun) == run.Ref.Name {
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
	c.logger.V(1).Info("Intervention", "cell", c.cell.ID(), "what", f.What, "now", c.clock.Elapsed())
	err := c.act(v.Intervention, &f)
	var answer apierrors.APIStatus
	var none noEffect
	switch {
	case err == nil:
	case errors.As(err, &none), errors.As(err, &answer), errors.Is(err, tekton.ErrExited):
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
	switch {
	case v.Apply != nil:
		return c.apply(v.Apply)
	case v.Patch != nil:
		return c.patch(v.Patch)
	case v.Delete != nil:
		return c.remove(v.Delete)
	case len(v.SetFlags) > 0:
		return c.setFlags(v.SetFlags)
	case v.Controller != "":
		f.Controller = v.Controller
		return c.control(v.Controller)
	case v.SwapRelease != "":
		f.FormerRelease, f.Release = c.release.build.Version, v.SwapRelease
		return c.swap(c.interventions.builds[v.SwapRelease])
	case v.RemoveNode != nil:
		return c.removeNode(*v.RemoveNode, f)
	case v.Cordon != nil:
		return c.cordon(*v.Cordon, true, f)
	case v.Uncordon != nil:
		return c.cordon(*v.Uncordon, false, f)
	case v.Drain != nil:
		return c.drain(v.Drain, f)
	case v.Taint != nil:
		return c.taint(*v.Taint, f)
	case v.Untaint != nil:
		return c.untaint(*v.Untaint, f)
	}
	return errors.New("it says nothing that is to be done")
}

// fieldManager is whose fields an apply sets.
const fieldManager = "simctl"

// apply creates manifests, or merges them into the objects that are there.
func (c *play) apply(a *scenario.Apply) error {
	objects, err := decode(a.Manifests)
	if err != nil {
		return err
	}
	for _, u := range objects {
		client, err := c.resource(c.user, u)
		if err != nil {
			return noKind(err)
		}
		c.touches(u)
		if u.GetName() != "" {
			_, err = client.Get(c.ctx, u.GetName(), metav1.GetOptions{})
		}
		if u.GetName() == "" || apierrors.IsNotFound(err) {
			admitted, refused, err := c.admit(u)
			if err != nil {
				return err
			}
			if refused != "" {
				return ineffective("%s", refused)
			}
			if _, err := client.Create(c.ctx, admitted, metav1.CreateOptions{FieldManager: fieldManager}); err != nil {
				return err
			}
			if err := c.heed(u.GetKind()); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := c.meddles(u); err != nil {
			return err
		}
		if _, err := client.Apply(c.ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true}); err != nil {
			return err
		}
		if err := c.heed(u.GetKind()); err != nil {
			return err
		}
	}
	return nil
}

// noKind makes a kind that the API server does not have an answer like others.
func noKind(err error) error {
	if meta.IsNoMatchError(err) {
		return noEffect{err}
	}
	return err
}

// touches notes a write to what belongs to an installation, which the next cell must
// not find. It shows in the history only if the object still has a place there.
func (c *play) touches(u *unstructured.Unstructured) {
	if c.ofSCC(c.refOf(u)) {
		c.scc.changed = true
	}
	switch kind := u.GetKind(); {
	case u.GetNamespace() == c.release.namespace, kind == "CustomResourceDefinition", strings.HasPrefix(kind, "ClusterRole"):
		c.release.changed = true
	}
}

// meddles notes a write of the user's to an object that was there: if it is neither the
// cell's nor made anew for the next one then it is the control plane's own, which is of
// no use any more.
func (c *play) meddles(u *unstructured.Unstructured) error {
	if err := c.fold(); err != nil {
		return err
	}
	ref := c.refOf(u)
	same := func(r history.Ref) bool { return sameObject(r, ref) }
	if inEveryNamespace(ref) || c.isInstalled(ref) || c.keeps(same) ||
		slices.ContainsFunc(c.state.List(ref.Kind), func(o *history.Object) bool { return same(o.Ref) }) {
		return nil
	}
	c.logger.V(1).Info("The control plane is given up after the cell", "because", ref.String())
	c.foreign[ref] = true
	c.worker.meddled = true
	return nil
}

// refOf names an object as the API server does: what is asked for may come with a namespace
// though its kind is the cluster's.
func (w *worker) refOf(u *unstructured.Unstructured) history.Ref {
	ref := controlplane.RefOf(u)
	gvk := u.GroupVersionKind()
	if m, err := w.mapper.RESTMapping(gvk.GroupKind(), gvk.Version); err == nil && m.Scope.Name() == meta.RESTScopeNameRoot {
		ref.Namespace = ""
	}
	return ref
}

// inEveryNamespace says whether an object is one of those that controllers make in every
// namespace, and make anew if it goes.
func inEveryNamespace(ref history.Ref) bool {
	return ref.Kind == "ServiceAccount" && ref.Name == "default" || ref.Kind == "ConfigMap" && ref.Name == "kube-root-ca.crt"
}

// named gives the objects that a reference means, by name.
func (c *play) named(ref scenario.ObjectRef) ([]*unstructured.Unstructured, error) {
	gvk, err := c.kindOf(ref)
	if err != nil {
		return nil, noKind(err)
	}
	if ref.Namespace == "" {
		ref.Namespace = c.cell.Spec.Workload.Namespace
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(gvk)
	u.SetNamespace(ref.Namespace)
	u.SetName(ref.Name)
	if ref.Name != "" {
		return []*unstructured.Unstructured{u}, nil
	}
	client, err := c.resource(c.user, u)
	if err != nil {
		return nil, noKind(err)
	}
	found, err := client.List(c.ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(ref.Labels).String()})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", ref, err)
	}
	var out []*unstructured.Unstructured
	for i := range found.Items {
		item := u.DeepCopy()
		item.SetName(found.Items[i].GetName())
		out = append(out, item)
	}
	if len(out) == 0 {
		return nil, ineffective("there is no %s", ref)
	}
	slices.SortFunc(out, func(a, b *unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out, nil
}

// kindOf finds the API version of a kind that is given without one.
func (c *play) kindOf(ref scenario.ObjectRef) (schema.GroupVersionKind, error) {
	if ref.APIVersion != "" {
		return schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind), nil
	}
	if err := c.ensureMapper(); err != nil {
		return schema.GroupVersionKind{}, err
	}
	plural, _ := meta.UnsafeGuessKindToResource(schema.GroupVersionKind{Kind: ref.Kind})
	gvk, err := c.mapper.KindFor(plural)
	if err != nil {
		return gvk, fmt.Errorf("finding the API version of kind %s: %w", ref.Kind, err)
	}
	return gvk, nil
}

func (c *play) patch(p *scenario.ObjectPatch) error {
	objects, err := c.named(p.Ref())
	if err != nil {
		return err
	}
	kind := types.MergePatchType
	if strings.HasPrefix(strings.TrimSpace(string(p.Patch)), "[") {
		kind = types.JSONPatchType
	}
	for _, u := range objects {
		client, err := c.resource(c.user, u)
		if err != nil {
			return noKind(err)
		}
		c.touches(u)
		if err := c.meddles(u); err != nil {
			return err
		}
		if _, err := client.Patch(c.ctx, u.GetName(), kind, p.Patch, metav1.PatchOptions{FieldManager: fieldManager}); err != nil {
			return err
		}
		if err := c.heed(u.GetKind()); err != nil {
			return err
		}
	}
	return nil
}

func (c *play) remove(d *scenario.ObjectDeletion) error {
	objects, err := c.named(d.Ref())
	if err != nil {
		return err
	}
	background := metav1.DeletePropagationBackground
	for _, u := range objects {
		client, err := c.resource(c.user, u)
		if err != nil {
			return noKind(err)
		}
		c.touches(u)
		if err := c.meddles(u); err != nil {
			return err
		}
		if err := client.Delete(c.ctx, u.GetName(), metav1.DeleteOptions{PropagationPolicy: &background, GracePeriodSeconds: d.GracePeriodSeconds}); err != nil {
			return err
		}
		if err := c.heed(u.GetKind()); err != nil {
			return err
		}
	}
	return nil
}

// now gives the cell as it is from now on, to be changed: other cells share the
// scenario.
func (c *play) now() *scenario.Cell {
	cell := *c.cell
	cell.Spec.Tekton.Flags = maps.Clone(cell.Spec.Tekton.Flags)
	if cell.Spec.Tekton.Flags == nil {
		cell.Spec.Tekton.Flags = map[string]string{}
	}
	c.cell = &cell
	return &cell
}

// setFlags sets Tekton's flags while its controller runs.
func (c *play) setFlags(flags map[string]string) error {
	maps.Copy(c.now().Spec.Tekton.Flags, flags)
	if c.cell.Spec.Tekton.Via == viaTektonConfig {
		if err := c.operate(); err != nil {
			return noEffect{err} // what the operator's webhook says
		}
		return nil
	}
	cm, err := c.operator.CoreV1().ConfigMaps(c.release.namespace).Get(c.ctx, featureFlags, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading ConfigMap %s: %w", featureFlags, err)
	}
	if cm.Data == nil {
		cm.Data = map[string]string{}
	}
	for k, v := range flags {
		if v == absent {
			delete(cm.Data, k)
		} else {
			cm.Data[k] = v
		}
	}
	return c.updateConfigMap(cm)
}

// control does something to Tekton's controller.
func (c *play) control(what string) error {
	running := c.release.controller
	if running == nil && what != scenario.ControllerStart && what != scenario.ControllerRestart {
		return ineffective("the controller does not run")
	}
	switch what {
	case scenario.ControllerStop:
		return c.stopController(c.ctx)
	case scenario.ControllerStart:
		if running != nil {
			return ineffective("the controller runs already")
		}
	case scenario.ControllerKill:
		// The loop sees its end and starts it again, as its Deployment would.
		if err := syscall.Kill(running.PID(), syscall.SIGKILL); err != nil {
			return fmt.Errorf("killing the controller: %w", err)
		}
		select {
		case <-running.Exited():
			return nil
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
	}
	return c.startController(c.ctx)
}

// swap replaces the release by another one as an operator's upgrade does, but
// for one thing: the old controller is gone before the new one comes, since
// leader election lets one of them work at a time. The flags that were set stay
// set.
func (c *play) swap(build *tekton.Build) error {
	if err := c.stopController(c.ctx); err != nil {
		return err
	}
	crds, err := build.CRDs()
	if err != nil {
		return err
	}
	configMaps, err := c.layOut(c.ctx, build, crds, c.release.namespace)
	if err != nil {
		return err
	}
	// What was laid out is among what the cell has written, and goes with it.
	c.release.build, c.release.configMaps, c.release.changed = build, configMaps, true
	more, err := installedBy(build, crds, c.release.namespace)
	if err != nil {
		return err
	}
	// What only the release before has stays, as on a cluster.
	c.release.refs = append(c.release.refs, notAmong(more, c.release.refs)...)
	if c.release.schemas, err = schemasOf(crds); err != nil {
		return err
	}
	c.now().Spec.Tekton.Version = build.Version
	if err := c.configure(); err != nil {
		return err
	}
	return c.startController(c.ctx)
}

// nodeOf gives the name of the node that a reference means.
func (c *play) nodeOf(ref scenario.NodeRef) (string, error) {
	if ref.NodeOf == "" {
		return ref.Name, nil
	}
	name := ""
	for _, run := range c.state.All("TaskRun") {
		if run.Text("metadata", "labels", labelPipelineTask) != ref.NodeOf {
			continue
		}
		for _, pod := range podsOf(c.state, run) {
			if n := pod.Text("spec", "nodeName"); n != "" {
				name = n
			}
		}
	}
	if name == "" {
		return "", ineffective("no pod of task %s has had a node", ref.NodeOf)
	}
	return name, nil
}

// updateNode changes a node and records its name.
func (c *play) updateNode(ref scenario.NodeRef, f *history.Intervention, change func(*corev1.Node)) error {
	name, err := c.nodeOf(ref)
	if err != nil {
		return err
	}
	f.Node = name
	node, err := c.user.CoreV1().Nodes().Get(c.ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading Node %s: %w", name, err)
	}
	change(node)
	if _, err := c.user.CoreV1().Nodes().Update(c.ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("writing Node %s: %w", name, err)
	}
	return nil
}

// removeNode deletes a Node; its machine goes with it.
func (c *play) removeNode(ref scenario.NodeRef, f *history.Intervention) error {
	name, err := c.nodeOf(ref)
	if err != nil {
		return err
	}
	f.Node = name
	if err := c.user.CoreV1().Nodes().Delete(c.ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("deleting Node %s: %w", name, err)
	}
	return nil
}

func (c *play) cordon(ref scenario.NodeRef, cordoned bool, f *history.Intervention) error {
	return c.updateNode(ref, f, func(n *corev1.Node) { n.Spec.Unschedulable = cordoned })
}

func (c *play) taint(t scenario.NodeTaint, f *history.Intervention) error {
	return c.updateNode(t.Node, f, func(n *corev1.Node) {
		n.Spec.Taints = append(without(n.Spec.Taints, t.Key, t.Effect),
			corev1.Taint{Key: t.Key, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	})
}

func (c *play) untaint(t scenario.NodeTaint, f *history.Intervention) error {
	return c.updateNode(t.Node, f, func(n *corev1.Node) { n.Spec.Taints = without(n.Spec.Taints, t.Key, t.Effect) })
}

// without gives the taints that have not this key and effect; every effect if it
// is empty.
func without(taints []corev1.Taint, key, effect string) []corev1.Taint {
	return slices.DeleteFunc(slices.Clone(taints), func(t corev1.Taint) bool {
		return t.Key == key && (effect == "" || string(t.Effect) == effect)
	})
}
