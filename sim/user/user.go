package user

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/estate"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/install"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/wellknown"
)

// User is the user of one cell.
type User struct {
	Options
	// foreign are the control plane's own objects that the user wrote to.
	foreign map[history.Ref]bool
}

// Options are what a User is made of.
type Options struct {
	Plane   *plane.Plane
	Install *install.Install
	Estate  *estate.Estate
	// History is the cell's.
	History *history.Follower
	Logger  logr.Logger
}

// New returns a user who has done nothing yet.
func New(o Options) *User { return &User{Options: o, foreign: map[history.Ref]bool{}} }

// Create creates an object, or makes it as wanted if it is there already: a
// namespace's `default` ServiceAccount, or a namespace that stayed. What the API
// server refuses is in the history: for a workload that is an outcome, not an
// error.
func (user *User) Create(ctx context.Context, u *unstructured.Unstructured) error {
	u = u.DeepCopy()
	client, err := user.Plane.Resource(user.Plane.User, u)
	if meta.IsNoMatchError(err) && inertIfUnknown(u) {
		user.inert(u, "the API server has no such kind, and nothing here would act on it")
		return nil
	}
	if err != nil {
		return err
	}
	if _, ok := withoutController[u.GroupVersionKind().GroupKind()]; ok {
		user.inert(u, "its controller does not run here: it makes no pods")
	}
	user.Plane.User.Warnings() // of other writes
	_, err = client.Create(ctx, u, metav1.CreateOptions{})
	user.dropped(u, user.Plane.User.Warnings())
	if apierrors.IsAlreadyExists(err) {
		var old *unstructured.Unstructured
		if old, err = client.Get(ctx, u.GetName(), metav1.GetOptions{}); err == nil {
			err = user.Touch(u)
		}
		if err == nil {
			u.SetResourceVersion(old.GetResourceVersion())
			_, err = client.Update(ctx, u, metav1.UpdateOptions{})
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
func (user *User) inert(u *unstructured.Unstructured, reason string) {
	user.History.Log().Record(history.NewFact(wellknown.Simctl, manifestRef(u), history.FactInert, history.Inert{Reason: reason}))
}

// dropped records the warnings of fields of a manifest that its kind does not have.
func (user *User) dropped(u *unstructured.Unstructured, unknown []string) {
	if len(unknown) == 0 {
		return
	}
	slices.Sort(unknown)
	user.inert(u, strings.Join(slices.Compact(unknown), ", ")+": the API server drops it with a warning (kubectl, unless told --validate=warn, does not send it)")
}

// Touch takes note that the user is about to write to an object that is there, as everybody
// must who writes as the user: what is installed may have to be made anew for the next cell.
// If it is neither the cell's nor made anew then it is the control plane's own, which is
// of no use any more ([User.Meddled]).
func (user *User) Touch(u *unstructured.Unstructured) error {
	user.Install.Touch(u)
	s, err := user.History.State()
	if err != nil {
		return err
	}
	ref := user.Plane.RefOf(u)
	same := func(r history.Ref) bool { return plane.Same(r, ref) }
	if plane.InEveryNamespace(ref) || user.Install.Owns(ref) || user.Estate.Keeps(same) ||
		slices.ContainsFunc(s.List(ref.Kind), func(o *history.Object) bool { return same(o.Ref) }) {
		return nil
	}
	user.Logger.V(1).Info("The control plane is given up after the cell", "because", ref.String())
	user.foreign[ref] = true
	return nil
}

// Meddled says whether the user wrote to what is the control plane's own: no other cell
// is to be played on it.
func (user *User) Meddled() bool { return len(user.foreign) > 0 }

// MeddledWith says whether an object is the control plane's own and the user wrote to it.
func (user *User) MeddledWith(ref history.Ref) bool { return user.foreign[ref] }
