package play

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/plane"
)

// clean removes what the cell made, in the order in which a cluster can take it:
// the runs and what they own, then claims, so that machines and controllers
// detach and delete volumes, then the rest. The cluster itself stays.
func (c *play) clean() error {
	c.interventions.End() // nobody drains what is being cleared away
	s, err := c.history.State()
	if err != nil {
		return err
	}
	c.Estate.Note(c.Estate.AfterFound(c.log.Entries()))
	defer func() { c.Estate.Note(c.aftermath.Entries()) }()
	if c.Install.Changed() {
		// What is installed now may not serve them as they were made.
		c.Estate.GiveDefinitionsUp()
	}
	c.Install.Rest()
	c.Install.ShiftClock(0)
	if err := c.Install.MendWebhook(c.ctx); err != nil {
		return err
	}
	if err := c.removePolicies(s); err != nil {
		return err
	}
	done := map[string]bool{"PersistentVolume": true, "VolumeAttachment": true, "Event": true,
		"Namespace": true, "CustomResourceDefinition": true}
	// Owned before owners, or the garbage collector looks for each; but those that
	// would make new pods before pods.
	for _, kind := range []string{"Deployment", "DaemonSet", "ReplicaSet", "StatefulSet", "Pod", "TaskRun", "CustomRun", "PipelineRun", "PersistentVolumeClaim"} {
		done[kind] = true
		if err := c.deleteAll(s.List(kind)); err != nil {
			return err
		}
	}
	if err := c.Plane.SettleAll(c.ctx, c.aftermath); err != nil {
		return err
	}
	// Whatever else is in the history, machines last: a node must not go while
	// a volume is on it.
	for _, kind := range c.kinds() {
		if !done[kind] && kind != "Node" && kind != "CSINode" {
			if err := c.deleteAll(s.List(kind)); err != nil {
				return err
			}
		}
	}
	for _, kind := range []string{"VolumeAttachment", "PersistentVolume", "CSINode", "Node"} {
		if err := c.deleteAll(s.List(kind)); err != nil {
			return err
		}
	}
	if err := c.Plane.SettleAll(c.ctx, c.aftermath); err != nil {
		return err
	}
	// What the rest was in, or of.
	for _, kind := range []string{"CustomResourceDefinition", "Namespace"} {
		var own []history.Ref
		for _, o := range s.List(kind) {
			if !c.Estate.Keeps(func(r history.Ref) bool { return r == o.Ref }) && !c.Install.Owns(o.Ref) {
				own = append(own, o.Ref)
			}
		}
		if err := c.Plane.Uninstall(c.ctx, own); err != nil {
			return err
		}
	}
	return c.Plane.Quiet(c.ctx)
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
		if c.Estate.Keeps(func(r history.Ref) bool { return r == o.Ref }) || c.Install.Owns(o.Ref) || c.user.MeddledWith(o.Ref) || bootstrapped(o) {
			continue
		}
		if err := c.Plane.LetGo(c.ctx, o.Ref, finalizers(o)); err != nil {
			return err
		}
		byNamespace[o.Ref.Namespace] = append(byNamespace[o.Ref.Namespace], o.Ref)
	}
	for _, namespace := range slices.Sorted(maps.Keys(byNamespace)) {
		refs := byNamespace[namespace]
		if len(refs) > 1 && c.ours(refs[0]) {
			if err := c.Plane.DeleteAll(c.ctx, refs[0]); err != nil {
				return err
			}
			continue
		}
		for _, ref := range refs {
			if err := c.Plane.Delete(c.ctx, ref); err != nil {
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
	case ref.Namespace == "", ref.Namespace == c.Install.Namespace(), ref.Namespace != metav1.NamespaceDefault && plane.Everlasting(ref.Namespace):
		return false
	case ref.Namespace == metav1.NamespaceDefault && slices.Contains([]string{"Service", "Endpoints", "EndpointSlice"}, ref.Kind):
		return false // the API server's own
	}
	return !c.Estate.Keeps(func(r history.Ref) bool { return r.Kind == ref.Kind && r.Namespace == ref.Namespace })
}

// removePolicies removes the cell's admission policies, which might refuse that the
// rest is removed.
func (c *play) removePolicies(s *history.State) error {
	for _, kind := range plane.Policies() {
		if found := s.List(kind); len(found) > 0 {
			if err := c.deleteAll(found); err != nil {
				return err
			}
			if err := c.Plane.Heed(c.ctx, kind); err != nil {
				return err
			}
		}
	}
	return nil
}
