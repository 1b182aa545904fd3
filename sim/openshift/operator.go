package openshift

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/internal/work"
	"simctl.dev/simctl/sim/wellknown"
)

// lastAppliedAnnotation holds what the operator last rendered into a ConfigMap.
const lastAppliedAnnotation = "operator.tekton.dev/last-applied-data"

// OperatorOptions are what an [Operator] needs.
type OperatorOptions struct {
	Release OperatorRelease
	// Namespace is where Tekton and its ConfigMaps are.
	Namespace string
	// FeatureFlags and Defaults are the data of the release's own ConfigMaps.
	FeatureFlags map[string]string
	Defaults     map[string]string

	Client  kubernetes.Interface
	Dynamic dynamic.Interface
	Clock   *clock.Clock
	Logger  logr.Logger
}

// Operator is the part of the simulated Tekton operator that keeps Tekton's
// ConfigMaps as the TektonConfig says. It writes a ConfigMap only when what it
// renders differs from what it rendered before, so a change made by hand stays
// until then.
type Operator struct {
	o    OperatorOptions
	list *work.List
	stop context.CancelFunc
	done func()
}

// NewOperator returns an operator that has not begun.
func NewOperator(o OperatorOptions) *Operator { return &Operator{o: o} }

// Start watches the TektonConfig and reconciles after each of its changes, as work
// on the virtual clock. The type must be established. Stop ends it, as does the
// context.
func (op *Operator) Start(ctx context.Context) error {
	ctx, op.stop = context.WithCancel(ctx)
	const key = "tekton-operator"
	op.list = work.NewList(op.o.Clock, key, func([]string) {
		work.Retry(ctx, op.o.Clock, op.o.Logger, key, func() error { return op.Reconcile(ctx) })
	})
	factory := dynamicinformer.NewDynamicSharedInformerFactory(op.o.Dynamic, 0)
	informer := factory.ForResource(tektonConfigResource).Informer()
	add := func(any) { op.list.Add(TektonConfigName) }
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: add, UpdateFunc: func(_, obj any) { add(obj) },
	}); err != nil {
		op.stop()
		return fmt.Errorf("watching the TektonConfig: %w", err)
	}
	factory.Start(ctx.Done())
	op.done = factory.Shutdown
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		op.Stop()
		return fmt.Errorf("watching the TektonConfig: %w", ctx.Err())
	}
	return nil
}

// Stop ends the watch.
func (op *Operator) Stop() {
	op.stop()
	op.list.Close()
	op.done()
}

// Reconcile renders the TektonConfig into the ConfigMaps once. Without a
// TektonConfig it does nothing.
func (op *Operator) Reconcile(ctx context.Context) error {
	tc, err := op.o.Dynamic.Resource(tektonConfigResource).Get(ctx, TektonConfigName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading the TektonConfig: %w", err)
	}
	spec, _, err := unstructured.NestedMap(tc.Object, "spec", "pipeline")
	if err != nil {
		return fmt.Errorf("reading the TektonConfig: %w", err)
	}
	flags, err := RenderFeatureFlags(op.o.Release, spec, op.o.FeatureFlags)
	if err != nil {
		return err
	}
	defaults, err := RenderDefaults(op.o.Release, spec, op.o.Defaults)
	if err != nil {
		return err
	}
	if err := op.apply(ctx, wellknown.FeatureFlags, flags); err != nil {
		return err
	}
	return op.apply(ctx, wellknown.ConfigDefaults, defaults)
}

// apply writes what was rendered, if it is not what was rendered the last time. A
// key that is no longer rendered goes, one that somebody else added stays.
func (op *Operator) apply(ctx context.Context, name string, data map[string]string) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("writing ConfigMap %s: %w", name, err)
	}
	configMaps := op.o.Client.CoreV1().ConfigMaps(op.o.Namespace)
	cm, err := configMaps.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		cm = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: op.o.Namespace, Name: name, Annotations: map[string]string{lastAppliedAnnotation: string(text)},
		}, Data: data}
		if _, err = configMaps.Create(ctx, cm, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("making ConfigMap %s: %w", name, err)
		}
		return nil
	} else if err != nil {
		return fmt.Errorf("reading ConfigMap %s: %w", name, err)
	}
	last := cm.Annotations[lastAppliedAnnotation]
	if last == string(text) {
		return nil
	}
	var before map[string]string
	if last != "" {
		if err := json.Unmarshal([]byte(last), &before); err != nil {
			return fmt.Errorf("reading the last data of ConfigMap %s: %w", name, err)
		}
	}
	if cm.Annotations == nil {
		cm.Annotations = map[string]string{}
	}
	if cm.Data == nil {
		cm.Data = map[string]string{}
	}
	cm.Annotations[lastAppliedAnnotation] = string(text)
	for key := range before {
		if _, still := data[key]; !still {
			delete(cm.Data, key)
		}
	}
	maps.Copy(cm.Data, data)
	if _, err := configMaps.Update(ctx, cm, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("writing ConfigMap %s: %w", name, err)
	}
	return nil
}
