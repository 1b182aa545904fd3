package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/node"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/stepper"
	"simctl.dev/simctl/sim/storage"
	"simctl.dev/simctl/sim/wellknown"
)

// play runs one cell and gives its history.
func (w *worker) play(ctx context.Context, cell *scenario.Cell, builds builds, out io.Writer) (entries []history.Entry, err error) {
	if err := w.watchOver(ctx); err != nil {
		return nil, err
	}
	if err := w.ensureRelease(ctx, cell, builds[cell.Spec.Tekton.Version]); err != nil {
		return nil, err
	}
	w.plane.Restart(seedOf(cell))
	w.install.Reset()
	log := history.NewLog(w.plane.Clock.Elapsed, out)

	// Where the real time goes, for the log.
	laps, last := map[string]float64{}, time.Now()
	lap := func(name string) { laps[name], last = time.Since(last).Seconds(), time.Now() }

	c := &play{worker: w, cell: cell, log: log, state: history.NewState(), interventions: newInterventions(cell, builds),
		resolutions: resolutions{taken: map[string]bool{}}, foreign: map[history.Ref]bool{}}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	// Without its servers a cell would wait for ever.
	gone := context.AfterFunc(w.plane.Context(), func() { c.cancel(context.Cause(w.plane.Context())) })
	defer gone()
	defer c.bound().Stop()
	steps := stepper.New(stepper.Options{World: world{c}, Clock: c.plane.Clock, Log: log, Record: c.record,
		Linger: cell.Linger, Bounds: boundsOf(cell), Logger: c.logger})
	defer func() {
		// What the cell left is removed even if it failed half-way; a failure
		// to do so fails the cell, since the next one would not begin afresh.
		c.close()
		if c.ctx.Err() == nil {
			err = errors.Join(err, c.clean())
			w.plane.Record(nil)
			lap("clean")
			err = errors.Join(err, c.alone())
			lap("check")
		}
		// Whatever was under way then complains as well, in words that say less.
		if cause := context.Cause(c.ctx); cause != nil && !errors.Is(err, cause) {
			err = errors.Join(cause, err)
		}
		c.cancel(nil)
		c.logger.V(1).Info("Cell played", "cell", cell.ID(), "laps", laps)
	}()
	if err := c.prepare(); err != nil {
		return nil, err
	}
	lap("prepare")
	end, err := steps.Run(c.ctx)
	if err != nil {
		return nil, err
	}
	if end.Bound != "" {
		c.plane.Record(nil) // what goes on is not recorded any more
	}
	c.record(history.FactFinished, end)
	c.missed()
	lap("loop")
	return log.Entries(), log.Err()
}

// close ends the cell: its history is closed, and nothing that it still had on the
// clock is done while it is cleared away.
func (c *play) close() {
	c.log.Close()
	c.aftermath = history.NewLog(c.plane.Clock.Elapsed, nil)
	c.plane.Record(c.aftermath)
	c.plane.Tap().Withhold("", nil)
	c.plane.Tap().Mend()
	for _, e := range c.pending {
		e.Cancel()
	}
	c.pending = nil
}

// after has something done after a time, if the cell has not ended by then.
func (c *play) after(d time.Duration, key string, run func()) {
	c.pending = append(c.pending, c.plane.Clock.Schedule(d, clock.Work, key, run))
}

// seedOf gives each repeat its own draws, the same ones in every cell: cells
// are compared with equal luck.
func seedOf(cell *scenario.Cell) int64 {
	return clock.Rand(cell.Spec.Seed, "repeat", fmt.Sprint(cell.Repeat)).Int64()
}

// play is a cell being played.
type play struct {
	*worker
	ctx    context.Context
	cancel context.CancelCauseFunc
	cell   *scenario.Cell
	log    *history.Log

	// state is the history folded as far as read.
	state *history.State
	read  int

	runs     []*unstructured.Unstructured
	restarts int

	interventions *interventions
	overlap       overlap
	resolutions   resolutions

	// foreign are the control plane's own objects that the user wrote to.
	foreign map[history.Ref]bool
	// pending is what the cell itself has put on the clock.
	pending []*clock.Event
	// aftermath is what is written while the cell is cleared away.
	aftermath *history.Log
}

// prepare sets up the cluster and creates the workload, the runs last.
func (c *play) prepare() error {
	spec := &c.cell.Spec
	disks, err := storage.New(storage.Options{
		Client: c.plane.Machines, Informers: c.plane.Informers, Clock: c.plane.Clock, Seed: c.plane.Seed(), Recorder: c.log,
		Classes: spec.Cluster.StorageClasses, Volumes: spec.Workload.Volumes, Logger: c.logger.WithName("storage"),
	})
	if err != nil {
		return err
	}
	kubelets, err := node.New(node.Options{
		Client: c.plane.Machines, Dynamic: c.plane.Machines.Dynamic, Informers: c.plane.Informers, Clock: c.plane.Clock, Seed: c.plane.Seed(),
		Recorder: c.log, Storage: disks, Workload: spec.Workload, Registry: spec.Cluster.Registry,
		Kubelet: spec.Cluster.Kubelet, Logger: c.logger.WithName("node"),
	})
	if err != nil {
		return err
	}
	c.plane.Informers.StartWithContext(c.plane.Context())
	c.plane.Informers.WaitForCacheSyncWithContext(c.ctx)
	if err := disks.Start(c.ctx); err != nil {
		return err
	}
	if err := kubelets.Start(c.ctx); err != nil {
		return err
	}
	c.plane.ServeKubelets(kubelets.Handler())

	objects, err := decode(c.cell.Objects)
	if err != nil {
		return err
	}
	definitions := definitionsOf(objects)
	if err := c.removeOtherDefinitions(definitions); err != nil {
		return err
	}
	if err := c.ensureCluster(disks, objects); err != nil {
		return err
	}
	if err := c.install.Configure(c.ctx, spec.Tekton, spec.Cluster.OpenShift.Enabled); err != nil {
		return err
	}
	if err := c.ensureDefinitions(definitions); err != nil {
		return err
	}
	if err := c.estateStands(); err != nil {
		return err
	}
	var rest []*unstructured.Unstructured
	for _, u := range objects {
		switch kind := u.GetKind(); {
		case kind == "Namespace", kind == "Node", slices.Contains(definitions, u):
		case kind == "PipelineRun", kind == "TaskRun":
			c.runs = append(c.runs, u)
		default:
			rest = append(rest, u)
		}
	}
	policiesFirst(rest)
	for _, u := range rest {
		if err := c.create(u); err != nil {
			return err
		}
		if err := c.plane.Heed(c.ctx, u.GetKind()); err != nil {
			return err
		}
	}
	// Claims of classes that bind at once are bound before a run begins, as on
	// a cluster where they have stood for a while.
	if err := c.plane.Settle(c.ctx); err != nil {
		return err
	}
	c.plan()
	for _, u := range c.runs {
		if err := c.create(u); err != nil {
			return err
		}
	}
	return nil
}

func decode(objects []json.RawMessage) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for _, raw := range objects {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(raw); err != nil {
			return nil, fmt.Errorf("reading a manifest: %w", err)
		}
		out = append(out, u)
	}
	return out, nil
}

// create creates an object of the user's, or makes it as wanted if it is there already: a
// namespace's `default` ServiceAccount, or a namespace that stayed. What the API
// server refuses is in the history: for a workload that is an outcome, not an
// error.
func (c *play) create(u *unstructured.Unstructured) error {
	u = u.DeepCopy()
	client, err := c.plane.Resource(c.plane.User, u)
	if meta.IsNoMatchError(err) && inertIfUnknown(u) {
		c.inert(u, "the API server has no such kind, and nothing here would act on it")
		return nil
	}
	if err != nil {
		return err
	}
	u, refused, err := c.admit(u)
	if refused != "" || err != nil {
		return err
	}
	if _, ok := withoutController[u.GroupVersionKind().GroupKind()]; ok {
		c.inert(u, "its controller does not run here: it makes no pods")
	}
	c.plane.User.Warnings() // of other writes
	_, err = client.Create(c.ctx, u, metav1.CreateOptions{})
	c.dropped(u, c.plane.User.Warnings())
	if apierrors.IsAlreadyExists(err) {
		var old *unstructured.Unstructured
		if old, err = client.Get(c.ctx, u.GetName(), metav1.GetOptions{}); err == nil {
			c.install.Touch(u)
			err = c.meddles(u)
		}
		if err == nil {
			u.SetResourceVersion(old.GetResourceVersion())
			_, err = client.Update(c.ctx, u, metav1.UpdateOptions{})
		}
	}
	if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("creating %s %s: %w", u.GetKind(), u.GetName(), err)
	}
	return nil
}

// withoutController are the kinds of upstream that make pods and whose controllers
// are not among those of package kube.
var withoutController = map[schema.GroupKind]struct{}{
	{Group: "batch", Kind: "Job"}:                           {},
	{Group: "batch", Kind: "CronJob"}:                       {},
	{Kind: "ReplicationController"}:                         {},
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}: {},
}

// inertIfUnknown says of an object whose kind is not served whether the cell can
// be played without it. What users keep beside their pipelines - triggers, routes,
// monitors - has no part in a run; a kind of Kubernetes' own that is not there is
// misspelt or too old, and a run must be there.
func inertIfUnknown(u *unstructured.Unstructured) bool {
	group := u.GroupVersionKind().Group
	if u.GetKind() == "PipelineRun" || u.GetKind() == "TaskRun" {
		return false
	}
	return strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io")
}

// manifestRef names an object that has not been made: what is to have a name made up
// goes by the beginning of it.
func manifestRef(u *unstructured.Unstructured) history.Ref {
	ref := controlplane.RefOf(u)
	if ref.Name == "" {
		ref.Name = u.GetGenerateName()
	}
	return ref
}

// inert records that a manifest has no effect.
func (c *play) inert(u *unstructured.Unstructured, reason string) {
	c.log.Record(history.NewFact(wellknown.Simctl, manifestRef(u), history.FactInert, history.Inert{Reason: reason}))
}

// admit gives an object of the user's as Tekton's webhook would leave it, or the
// words with which it would refuse it, which are recorded then.
func (c *play) admit(u *unstructured.Unstructured) (admitted *unstructured.Unstructured, refused string, err error) {
	a, err := c.install.Admit(u)
	if err != nil {
		return nil, "", err
	}
	c.dropped(u, a.Dropped)
	if a.Refused != "" {
		c.log.Record(history.Entry{Kind: history.KindRefused, Actor: wellknown.User, Verb: "create", Object: manifestRef(u), Code: http.StatusBadRequest,
			Reason: string(metav1.StatusReasonBadRequest), Message: a.Refused, Body: a.Sent})
	}
	return a.Object, a.Refused, nil
}

// dropped records the warnings of fields of a manifest that its kind does not have.
func (c *play) dropped(u *unstructured.Unstructured, unknown []string) {
	if len(unknown) == 0 {
		return
	}
	slices.Sort(unknown)
	c.inert(u, strings.Join(slices.Compact(unknown), ", ")+": the API server drops it with a warning (kubectl, unless told --validate=warn, does not send it)")
}

// fold reads what was recorded since the last call.
func (c *play) fold() error {
	entries := c.log.Entries()
	for _, e := range entries[c.read:] {
		if err := c.state.Apply(e); err != nil {
			return fmt.Errorf("reading the cell's own history: %w", err)
		}
	}
	c.read = len(entries)
	return nil
}

func (c *play) record(fact string, data any) {
	c.log.Record(history.NewFact(wellknown.Simctl, history.Ref{Kind: "Cell", Name: c.cell.ID()}, fact, data))
}

// clean removes what the cell made, in the order in which a cluster can take it:
// the runs and what they own, then claims, so that machines and controllers
// detach and delete volumes, then the rest. The cluster itself stays.
func (c *play) clean() error {
	c.interventions.cancelled() // nobody drains what is being cleared away
	if err := c.fold(); err != nil {
		return err
	}
	c.noteTouched(c.afterFound(c.log.Entries()))
	defer func() { c.noteTouched(c.aftermath.Entries()) }()
	if c.install.Changed() {
		// What is installed now may not serve them as they were made.
		c.worker.definitions = nil
	}
	c.install.Rest()
	if err := c.removePolicies(); err != nil {
		return err
	}
	done := map[string]bool{"PersistentVolume": true, "VolumeAttachment": true, "Event": true,
		"Namespace": true, "CustomResourceDefinition": true}
	// Owned before owners, or the garbage collector looks for each; but those that
	// would make new pods before pods.
	for _, kind := range []string{"Deployment", "DaemonSet", "ReplicaSet", "StatefulSet", "Pod", "TaskRun", "CustomRun", "PipelineRun", "PersistentVolumeClaim"} {
		done[kind] = true
		if err := c.deleteAll(c.state.List(kind)); err != nil {
			return err
		}
	}
	if err := c.plane.SettleAll(c.ctx, c.aftermath); err != nil {
		return err
	}
	// Whatever else is in the history, machines last: a node must not go while
	// a volume is on it.
	for _, kind := range c.kinds() {
		if !done[kind] && kind != "Node" && kind != "CSINode" {
			if err := c.deleteAll(c.state.List(kind)); err != nil {
				return err
			}
		}
	}
	for _, kind := range []string{"VolumeAttachment", "PersistentVolume", "CSINode", "Node"} {
		if err := c.deleteAll(c.state.List(kind)); err != nil {
			return err
		}
	}
	if err := c.plane.SettleAll(c.ctx, c.aftermath); err != nil {
		return err
	}
	// What the rest was in, or of.
	for _, kind := range []string{"CustomResourceDefinition", "Namespace"} {
		var own []history.Ref
		for _, o := range c.state.List(kind) {
			if !c.keeps(func(r history.Ref) bool { return r == o.Ref }) && !c.install.Owns(o.Ref) {
				own = append(own, o.Ref)
			}
		}
		if err := c.plane.Uninstall(c.ctx, own); err != nil {
			return err
		}
	}
	return c.plane.Quiet(c.ctx)
}

// kinds lists the kinds that the cell's objects have, sorted.
func (c *play) kinds() []string {
	var out []string
	for _, e := range c.log.Entries() {
		if e.Kind == history.KindObject && !slices.Contains(out, e.Object.Kind) {
			out = append(out, e.Object.Kind)
		}
	}
	slices.Sort(out)
	return out
}

// deleteAll deletes objects of one kind.
func (c *play) deleteAll(objects []*history.Object) error {
	byNamespace := map[string][]history.Ref{}
	for _, o := range objects {
		if c.keeps(func(r history.Ref) bool { return r == o.Ref }) || c.install.Owns(o.Ref) || c.foreign[o.Ref] || bootstrapped(o) {
			continue
		}
		if err := c.plane.LetGo(c.ctx, o.Ref, finalizers(o)); err != nil {
			return err
		}
		byNamespace[o.Ref.Namespace] = append(byNamespace[o.Ref.Namespace], o.Ref)
	}
	for _, namespace := range slices.Sorted(maps.Keys(byNamespace)) {
		refs := byNamespace[namespace]
		if len(refs) > 1 && c.ours(refs[0]) {
			if err := c.plane.DeleteAll(c.ctx, refs[0]); err != nil {
				return err
			}
			continue
		}
		for _, ref := range refs {
			if err := c.plane.Delete(c.ctx, ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// finalizers returns an object's.
func finalizers(o *history.Object) []string {
	list, _ := o.Field("metadata", "finalizers").([]any)
	var out []string
	for _, f := range list {
		if s, ok := f.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// bootstrapped says whether the API server makes an object when it starts; controllers
// write to such roles as well.
func bootstrapped(o *history.Object) bool {
	return o.Text("metadata", "labels", "kubernetes.io/bootstrapping") != ""
}

// ours says whether all objects of a kind in a namespace are the cell's.
func (c *play) ours(ref history.Ref) bool {
	switch {
	case ref.Kind == "ServiceAccount", ref.Kind == "ConfigMap":
		return false // one of each is in every namespace
	case ref.Namespace == "", ref.Namespace == c.install.Namespace(), ref.Namespace != metav1.NamespaceDefault && plane.Everlasting(ref.Namespace):
		return false
	case ref.Namespace == metav1.NamespaceDefault && slices.Contains([]string{"Service", "Endpoints", "EndpointSlice"}, ref.Kind):
		return false // the API server's own
	}
	return !c.keeps(func(r history.Ref) bool { return r.Kind == ref.Kind && r.Namespace == ref.Namespace })
}
