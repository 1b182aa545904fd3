package intervention

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/scenario"
)

// evictionRetry is how long `kubectl drain` waits before it asks once more for an
// eviction that a PodDisruptionBudget did not allow (EvictErrorRetryDelay in
// k8s.io/kubectl/pkg/drain).
const evictionRetry = 5 * time.Second

// eviction is one that was refused for now and is asked for again.
type eviction struct {
	namespace, name string
	// key names the pod without what was made up.
	key   string
	event *clock.Event
}

// drain empties a node as `kubectl drain --ignore-daemonsets --delete-emptydir-data`
// does: it is cordoned, and the API server is asked to evict its pods. How they end
// is their kubelet's business. kubectl asks for all pods at the same time; here it is
// in the order of their names.
func drain(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	d := v.Drain
	if err := all.cordon(d.Ref(), true, f); err != nil {
		return err
	}
	pods, err := all.Plane.User.CoreV1().Pods("").List(all.ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", f.Node).String()})
	if err != nil {
		return fmt.Errorf("listing the pods of Node %s: %w", f.Node, err)
	}
	slices.SortStableFunc(pods.Items, func(a, b corev1.Pod) int { return strings.Compare(plane.PodKey(&a), plane.PodKey(&b)) })
	evicted, unmanaged := drained(pods.Items)
	if len(unmanaged) > 0 && !d.Force {
		return ineffective("cannot delete Pods that declare no controller (use --force to override): %s", strings.Join(unmanaged, ", "))
	}
	var failed error
	for i := range evicted {
		failed = errors.Join(failed, all.evict(&eviction{namespace: evicted[i].Namespace, name: evicted[i].Name, key: "drain/" + plane.PodKey(&evicted[i])}))
	}
	return failed
}

// drained gives the pods that a drain evicts, and names those among them that no
// controller would make anew. DaemonSets put theirs back at once, and a mirror pod is
// only the picture of one that the API server cannot end.
func drained(pods []corev1.Pod) (evicted []corev1.Pod, unmanaged []string) {
	for i := range pods {
		p := &pods[i]
		over := ended(p)
		controller := metav1.GetControllerOf(p)
		if _, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]; mirror || controller != nil && controller.Kind == "DaemonSet" && !over {
			continue
		}
		if controller == nil && !over {
			unmanaged = append(unmanaged, p.Namespace+"/"+p.Name)
		}
		evicted = append(evicted, *p)
	}
	return evicted, unmanaged
}

// evict asks the API server to evict a pod, and once more later if a
// PodDisruptionBudget does not allow it now. It gives the answer that ends the
// drain of this pod without success.
func (all *Interventions) evict(e *eviction) error {
	err := all.Plane.User.PolicyV1().Evictions(e.namespace).Evict(all.ctx, &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.namespace, Name: e.name}, DeleteOptions: &metav1.DeleteOptions{}})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case apierrors.IsTooManyRequests(err):
		id := e.namespace + "/" + e.name
		if all.evictions[id] != nil {
			return nil // another drain waits for it
		}
		all.evictions[id] = e
		e.event = all.Plane.Clock.Schedule(evictionRetry, clock.Retry, e.key, func() {
			delete(all.evictions, id)
			all.evictAgain(e)
		})
		return nil
	case err != nil:
		return fmt.Errorf("evicting Pod %s/%s: %w", e.namespace, e.name, err)
	}
	return nil
}

// evictAgain asks once more. What the API server answers is in the history, as it is
// on kubectl's screen; only what is no answer ends the cell.
func (all *Interventions) evictAgain(e *eviction) {
	err := all.evict(e)
	var answer apierrors.APIStatus
	if err != nil && !errors.As(err, &answer) {
		all.failed = err
	}
}

// cancelled takes the refused evictions off the clock and gives them in the order of
// their names.
func (all *Interventions) cancelled() []*eviction {
	var out []*eviction
	for id, e := range all.evictions {
		if e.event.Cancel() {
			out = append(out, e)
		}
		delete(all.evictions, id)
	}
	slices.SortFunc(out, func(a, b *eviction) int { return strings.Compare(a.key+a.name, b.key+b.name) })
	return out
}
