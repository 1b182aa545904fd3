package install

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simctl.dev/simctl/sim/openshift"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// viaTektonConfig is the scenario's word for flags that the Tekton operator
// renders.
const viaTektonConfig = "TektonConfig"

// absent is the scenario's word for a flag whose key is left out.
const absent = "absent"

// Configure sets the release's flags and defaults, on OpenShift or not.
func (in *Install) Configure(ctx context.Context, t scenario.Tekton, onOpenShift bool) error {
	t.Flags = maps.Clone(t.Flags) // others share them
	if t.Flags == nil {
		t.Flags = map[string]string{}
	}
	in.release.settings, in.release.openshift = t, onOpenShift
	// The cell before may have left others, and a refused configuration leaves
	// the controller with the one it had, which must be the release's own.
	for _, cm := range in.release.configMaps {
		if cm.Name == wellknown.FeatureFlags || cm.Name == wellknown.ConfigDefaults {
			if err := in.updateConfigMap(ctx, cm); err != nil {
				return err
			}
		}
	}
	if err := in.Plane.Quiet(ctx); err != nil {
		return err
	}
	if t.Via == viaTektonConfig {
		if err := in.operate(ctx); err != nil {
			return err
		}
		return in.Plane.Quiet(ctx)
	}
	for _, cm := range in.release.configMaps {
		set := map[string]map[string]string{wellknown.FeatureFlags: t.Flags, wellknown.ConfigDefaults: t.Defaults}[cm.Name]
		base, err := in.installed(cm)
		if err != nil {
			return err
		}
		if len(set) == 0 && base == cm {
			continue
		}
		want := base.DeepCopy()
		setKeys(want, set)
		if err := in.updateConfigMap(ctx, want); err != nil && !apierrors.IsBadRequest(err) {
			return err // what the webhook refuses is in the history
		}
	}
	return in.Plane.Quiet(ctx)
}

// setKeys puts a scenario's keys into a ConfigMap; absent takes one out.
func setKeys(cm *corev1.ConfigMap, keys map[string]string) {
	if cm.Data == nil {
		cm.Data = map[string]string{}
	}
	for k, v := range keys {
		if v == absent {
			delete(cm.Data, k)
		} else {
			cm.Data[k] = v
		}
	}
}

// updateConfigMap writes a ConfigMap of Tekton's, about which its webhook is asked.
func (in *Install) updateConfigMap(ctx context.Context, cm *corev1.ConfigMap) error {
	if _, err := in.Plane.Operator.CoreV1().ConfigMaps(cm.Namespace).Update(ctx, cm, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("writing ConfigMap %s: %w", cm.Name, err)
	}
	return nil
}

// OperatorError is what the Tekton operator says of flags that it does not take.
type OperatorError struct{ Err error }

// Error implements error.
func (e *OperatorError) Error() string { return e.Err.Error() }

// Unwrap returns the operator's own error.
func (e *OperatorError) Unwrap() error { return e.Err }

// SetFlags sets Tekton's flags while its controller runs. What the operator refuses is an
// [*OperatorError].
func (in *Install) SetFlags(ctx context.Context, flags map[string]string) error {
	maps.Copy(in.release.settings.Flags, flags)
	if in.release.settings.Via == viaTektonConfig {
		if err := in.operate(ctx); err != nil {
			return &OperatorError{err}
		}
		return nil
	}
	cm, err := in.Plane.Operator.CoreV1().ConfigMaps(in.release.namespace).Get(ctx, wellknown.FeatureFlags, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading ConfigMap %s: %w", wellknown.FeatureFlags, err)
	}
	setKeys(cm, flags)
	return in.updateConfigMap(ctx, cm)
}

// operatorRelease is the Tekton operator that ships the release.
func (in *Install) operatorRelease() openshift.OperatorRelease {
	return openshift.OperatorRelease{Tekton: in.release.settings.Version, OpenShift: in.release.openshift}
}

// installed gives a ConfigMap of the release as the cluster has it before the
// scenario says anything of it: on OpenShift the operator has rendered it.
func (in *Install) installed(cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	if !in.release.openshift {
		return cm, nil
	}
	data, err := in.operatorRelease().Installed(cm.Name, cm.Data)
	if err != nil {
		return nil, err
	}
	cm = cm.DeepCopy()
	cm.Data = data
	return cm, nil
}

// operate sets the flags by a TektonConfig, which the simulated operator
// renders into the ConfigMaps.
func (in *Install) operate(ctx context.Context) error {
	t := in.release.settings
	config, err := openshift.TektonConfig(in.release.namespace, t.Flags, t.Defaults)
	if err != nil {
		return err
	}
	if err := in.Plane.Replace(ctx, config); err != nil {
		return err
	}
	o := openshift.OperatorOptions{
		Release:   in.operatorRelease(),
		Namespace: in.release.namespace,
		Client:    in.Plane.Operator, Dynamic: in.Plane.Operator.Dynamic,
		Clock: in.Plane.Clock, Logger: in.Logger.WithName("operator"),
	}
	for _, cm := range in.release.configMaps {
		switch cm.Name {
		case wellknown.FeatureFlags:
			o.FeatureFlags = cm.Data
		case wellknown.ConfigDefaults:
			o.Defaults = cm.Data
		}
	}
	return openshift.NewOperator(o).Reconcile(ctx)
}
