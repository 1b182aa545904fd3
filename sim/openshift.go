package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/loopback"
	"simctl.dev/simctl/sim/openshift"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/wellknown"
)

// viaTektonConfig is the scenario's word for flags that the Tekton operator
// renders.
const viaTektonConfig = "TektonConfig"

// absent is the scenario's word for a flag whose key is left out.
const absent = "absent"

// scc is OpenShift's admission, as a worker runs it.
type scc struct {
	engine         *openshift.Engine
	server         *loopback.Server
	configurations []runtime.Object
	refs           []history.Ref // of what it needs on the API server
	// changed says that a cell wrote to one of these: the next cell gets new ones.
	changed bool
	cancel  context.CancelFunc
	leave   func() // has the engine no longer belong to the plane
}

func (s *scc) stop() error {
	var err error
	if s.leave != nil {
		s.leave()
	}
	if s.cancel != nil {
		s.cancel()
	}
	if s.server != nil {
		err = s.server.Close()
	}
	if s.engine != nil {
		err = errors.Join(err, s.engine.Close())
	}
	return err
}

// ensureSCC starts OpenShift's admission and makes what a cluster has from its
// installation on. Whether it is asked is the cell's choice, by the webhooks'
// configuration.
func (w *worker) ensureSCC(ctx context.Context) error {
	if w.scc != nil {
		return nil
	}
	path, err := openshift.BuildEngine(ctx, openshift.BuildOptions{CacheDir: w.cacheDir, Progress: w.progress})
	if err != nil {
		return err
	}
	if err := w.plane.Servers.InstallCRDs(ctx, openshift.CRDs()); err != nil {
		return err
	}
	objects, err := openshift.ClusterObjects()
	if err != nil {
		return err
	}
	for _, u := range objects {
		if err := w.plane.Replace(ctx, u); err != nil {
			return err
		}
	}
	c, err := w.plane.ClientsFor("openshift-apiserver")
	if err != nil {
		return err
	}
	s := &scc{}
	if s.refs, err = sccRefs(); err != nil {
		return err
	}
	if err := s.start(w, path, c); err != nil {
		return errors.Join(err, s.stop())
	}
	s.leave = w.plane.Join(plane.Member{Name: "openshift", PID: s.engine.PID()})
	w.scc = s
	return nil
}

func (s *scc) start(w *worker, path string, c plane.Clients) (err error) {
	if s.engine, err = openshift.StartEngine(path); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(w.plane.Context())
	s.cancel = cancel
	a, err := openshift.New(ctx, openshift.Options{Engine: s.engine, Client: c, Dynamic: c.Dynamic, Logger: w.logger.WithName("openshift")})
	if err != nil {
		return err
	}
	if s.server, err = loopback.Serve(ctx, a.Handler()); err != nil {
		return err
	}
	mutating, validating := a.Configurations(s.server.URL, s.server.CABundle)
	s.configurations = []runtime.Object{mutating, validating}
	return nil
}

// removeSCC ends OpenShift's admission, which nobody asks any more, and removes what
// belongs to it and to nothing else.
func (c *play) removeSCC() error {
	s := c.scc
	if s == nil {
		return nil
	}
	c.worker.scc = nil
	if err := s.stop(); err != nil {
		return err
	}
	return c.plane.Uninstall(c.ctx, plane.NotAmong(s.refs, c.release.refs))
}

// constrain has OpenShift's admission decide about the cell's pods, if the cell
// is on OpenShift.
func (c *play) constrain(namespaces []*corev1.Namespace) error {
	o := c.cell.Spec.Cluster.OpenShift
	if !o.Enabled {
		return nil
	}
	if err := c.ensureSCC(c.ctx); err != nil {
		return fmt.Errorf("starting OpenShift's admission: %w", err)
	}
	slices.SortFunc(namespaces, func(a, b *corev1.Namespace) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	for i, n := range namespaces {
		openshift.Annotate(n, o, i)
	}
	for _, obj := range c.scc.configurations {
		if err := c.found(obj); err != nil {
			return err
		}
	}
	return nil
}

// grant lets ServiceAccounts use SCCs; their namespaces exist by now.
func (c *play) grant(namespaces []*corev1.Namespace) error {
	o := c.cell.Spec.Cluster.OpenShift
	if !o.Enabled {
		return nil
	}
	objects, err := openshift.Grants(o, namespaces)
	if err != nil {
		return err
	}
	for _, u := range objects {
		if err := c.found(u); err != nil {
			return err
		}
	}
	return nil
}

// operatorRelease is the Tekton operator that ships the cell's release.
func (c *play) operatorRelease() openshift.OperatorRelease {
	return openshift.OperatorRelease{Tekton: c.cell.Spec.Tekton.Version, OpenShift: c.cell.Spec.Cluster.OpenShift.Enabled}
}

// installed gives a ConfigMap of the release as the cell's cluster has it before the
// scenario says anything of it: on OpenShift the operator has rendered it.
func (c *play) installed(cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	if !c.cell.Spec.Cluster.OpenShift.Enabled {
		return cm, nil
	}
	data, err := c.operatorRelease().Installed(cm.Name, cm.Data)
	if err != nil {
		return nil, err
	}
	cm = cm.DeepCopy()
	cm.Data = data
	return cm, nil
}

// operate sets the cell's flags by a TektonConfig, which the simulated operator
// renders into the ConfigMaps.
func (c *play) operate() error {
	t := c.cell.Spec.Tekton
	config, err := openshift.TektonConfig(c.release.namespace, t.Flags, t.Defaults)
	if err != nil {
		return err
	}
	if err := c.createTyped(config); err != nil {
		return err
	}
	o := openshift.OperatorOptions{
		Release:   c.operatorRelease(),
		Namespace: c.release.namespace,
		Client:    c.plane.Operator, Dynamic: c.plane.Operator.Dynamic,
		Clock: c.plane.Clock, Logger: c.logger.WithName("operator"),
	}
	for _, cm := range c.release.configMaps {
		switch cm.Name {
		case wellknown.FeatureFlags:
			o.FeatureFlags = cm.Data
		case wellknown.ConfigDefaults:
			o.Defaults = cm.Data
		}
	}
	return openshift.NewOperator(o).Reconcile(c.ctx)
}

// sccRefs names what OpenShift's admission needs on the API server.
func sccRefs() ([]history.Ref, error) {
	var out []history.Ref
	for _, crd := range openshift.CRDs() {
		out = append(out, plane.TypeRef(crd.Name))
	}
	objects, err := openshift.ClusterObjects()
	if err != nil {
		return nil, err
	}
	for _, u := range objects {
		out = append(out, controlplane.RefOf(u))
	}
	return out, nil
}
