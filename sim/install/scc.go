package install

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/loopback"
	"simctl.dev/simctl/sim/openshift"
	"simctl.dev/simctl/sim/plane"
)

// scc is OpenShift's admission, as it runs on the plane.
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

// EnsureSCC has OpenShift's admission run, and makes what a cluster has from its
// installation on. It returns the webhooks' configurations by which it is asked: whether
// they are on the API server is the cluster's choice.
func (in *Install) EnsureSCC(ctx context.Context) ([]runtime.Object, error) {
	if in.scc == nil {
		if err := in.startSCC(ctx); err != nil {
			return nil, fmt.Errorf("starting OpenShift's admission: %w", err)
		}
	}
	return in.scc.configurations, nil
}

func (in *Install) startSCC(ctx context.Context) error {
	path, err := openshift.BuildEngine(ctx, openshift.BuildOptions{CacheDir: in.CacheDir, Progress: in.Progress})
	if err != nil {
		return err
	}
	if err := in.Plane.Servers.InstallCRDs(ctx, openshift.CRDs()); err != nil {
		return err
	}
	objects, err := openshift.ClusterObjects()
	if err != nil {
		return err
	}
	for _, u := range objects {
		if err := in.Plane.Replace(ctx, u); err != nil {
			return err
		}
	}
	c, err := in.Plane.ClientsFor("openshift-apiserver")
	if err != nil {
		return err
	}
	s := &scc{}
	if s.refs, err = sccRefs(); err != nil {
		return err
	}
	if err := s.start(in, path, c); err != nil {
		return errors.Join(err, s.stop())
	}
	s.leave = in.Plane.Join(plane.Member{Name: "openshift", PID: s.engine.PID()})
	in.scc = s
	return nil
}

func (s *scc) start(in *Install, path string, c plane.Clients) (err error) {
	if s.engine, err = openshift.StartEngine(path); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(in.Plane.Context())
	s.cancel = cancel
	a, err := openshift.New(ctx, openshift.Options{Engine: s.engine, Client: c, Dynamic: c.Dynamic, Logger: in.Logger.WithName("openshift")})
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

// RemoveSCC ends OpenShift's admission, which nobody asks any more, and removes what
// belongs to it and to nothing else.
func (in *Install) RemoveSCC(ctx context.Context) error {
	s := in.scc
	if s == nil {
		return nil
	}
	in.scc = nil
	if err := s.stop(); err != nil {
		return err
	}
	return in.Plane.Uninstall(ctx, plane.NotAmong(s.refs, in.release.refs))
}

// SCCChanged says whether somebody wrote to what OpenShift's admission needs: it has to be
// removed and made anew.
func (in *Install) SCCChanged() bool { return in.scc != nil && in.scc.changed }

// WaitSCC waits until the API server asks OpenShift's admission, or no longer does: it
// learns of a webhook a moment after the configuration was written.
func (in *Install) WaitSCC(ctx context.Context, asked bool) error {
	return openshift.WaitInForce(ctx, in.Plane.Simctl, in.Namespace(), asked)
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
