package plane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"simctl.dev/simctl/scheduler"
	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/loopback"
	"simctl.dev/simctl/sim/internal/resolver"
	"simctl.dev/simctl/sim/internal/work"
	"simctl.dev/simctl/sim/kube"
	"simctl.dev/simctl/sim/wellknown"
)

// Plane is a running control plane. Its methods are called by the goroutine that steps
// its clock, but for Recorder and Seed.
type Plane struct {
	Clock       *clock.Clock
	Servers     *controlplane.ControlPlane // etcd and the API server
	Scheduler   *scheduler.Scheduler
	Controllers *kube.Controllers
	// Informers are those of the simulated machines.
	Informers informers.SharedInformerFactory
	// Simctl makes the cluster, User the workload, Operator Tekton's configuration;
	// Machines are kubelets and CSI drivers, Resolvers stands for Tekton's. All may do
	// everything.
	Simctl, User, Operator, Machines, Resolvers Clients

	logger logr.Logger
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	atEnd  []func() error
	mapper meta.RESTMapper
	seed   atomic.Int64
	// unscheduled is how many have had the scheduler stopped, and not started again.
	unscheduled int

	// kubeletPort is where the API server finds every kubelet, kubelets whose those
	// are that run now.
	kubeletPort int
	kubelets    atomic.Pointer[http.Handler]

	members    []*Member
	recorder   history.Recorder // nil if nothing is recorded
	recorderMu sync.Mutex
}

// Options are what a Plane is made of.
type Options struct {
	// Log takes what its servers print.
	Log    io.Writer
	Logger logr.Logger
}

// Start starts a control plane. It lives until ctx ends, one of its servers does, or it
// is stopped.
func Start(ctx context.Context, o Options) (*Plane, error) {
	p := &Plane{Clock: clock.New(clock.Epoch), logger: o.Logger}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	if err := p.start(o); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

func (p *Plane) start(o Options) (err error) {
	if p.Servers, err = controlplane.Start(p.ctx, controlplane.Options{Log: o.Log, Logger: o.Logger, Ended: p.cancel}); err != nil {
		return err
	}
	p.Tap().SetClock(p.Clock.Now)
	for actor, c := range map[string]*Clients{
		wellknown.Simctl: &p.Simctl, wellknown.User: &p.User, wellknown.Operator: &p.Operator,
		wellknown.Machines: &p.Machines, resolver.Actor: &p.Resolvers,
	} {
		if *c, err = p.ClientsFor(actor); err != nil {
			return err
		}
	}
	server, err := loopback.Serve(p.ctx, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if k := p.kubelets.Load(); k != nil {
			(*k).ServeHTTP(rw, r)
		}
	}))
	if err != nil {
		return fmt.Errorf("starting the kubelets' server: %w", err)
	}
	p.kubeletPort = server.Port
	p.Informers = informers.NewSharedInformerFactory(p.Machines, 0)
	if err := p.startScheduler(); err != nil {
		return err
	}
	p.Controllers, err = kube.Start(p.ctx, kube.Options{
		ConfigFor: p.configFor,
		Clock:     p.Clock,
		Seed:      p.Seed,
		Logger:    p.logger.WithName("kube"),
	})
	return err
}

func (p *Plane) startScheduler() error {
	client, err := kubernetes.NewForConfig(p.configFor(wellknown.KubeScheduler))
	if err != nil {
		return fmt.Errorf("making the scheduler's client: %w", err)
	}
	p.Scheduler, err = scheduler.New(p.ctx, scheduler.Options{
		Client: client, Clock: p.Clock, Hold: true,
		Recorder: p.Recorder,
		Seed:     p.Seed,
		PodKey:   PodKey,
		Logger:   p.logger.WithName("scheduler"),
	})
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	p.wg.Go(func() {
		if err := p.Scheduler.Run(p.ctx); err != nil {
			failed <- err
		}
	})
	select {
	case <-p.Scheduler.Synced():
		return nil
	case err := <-failed:
		return err
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// configFor gives the identity that a component of Kubernetes has on a cluster.
func (p *Plane) configFor(component string) *rest.Config {
	switch component {
	case wellknown.KubeScheduler, kube.Manager:
		return p.Servers.User("system:"+component, component)
	}
	return p.Servers.ServiceAccount(metav1.NamespaceSystem, component)
}

// PodKey names a pod without what the API server or Tekton made up.
func PodKey(p *corev1.Pod) string {
	if t := p.Labels[wellknown.PipelineTaskLabel]; t != "" {
		return p.Namespace + "/" + t
	}
	return p.Namespace + "/" + work.StableName(p.Name)
}

// Context returns the context of everything that runs on the plane. It ends with it, and
// its cause is why.
func (p *Plane) Context() context.Context { return p.ctx }

// AtEnd has f called when the plane is stopped: once its clients have been told to end,
// and before its servers do. Last come, first called.
func (p *Plane) AtEnd(f func() error) { p.atEnd = append(p.atEnd, f) }

// Stop ends everything that runs on the plane, clients before the servers they talk to.
// What goes wrong with that is logged.
func (p *Plane) Stop() {
	p.cancel(nil)
	var err error
	for _, f := range slices.Backward(p.atEnd) {
		err = errors.Join(err, f())
	}
	if p.Controllers != nil {
		p.Controllers.Wait()
	}
	if p.Informers != nil {
		p.Informers.Shutdown()
	}
	if p.Servers != nil {
		err = errors.Join(err, p.Servers.Stop())
	}
	p.wg.Wait()
	if err != nil {
		p.logger.Error(err, "Stopping the control plane failed")
	}
}

// Tap returns what sees the traffic of every client.
func (p *Plane) Tap() *controlplane.Tap { return p.Servers.Tap() }

// Restart has the plane begin anew: its clock's events are dropped but for upkeep, as is
// what the scheduler and the controllers wait for, and draws are made with a seed.
func (p *Plane) Restart(seed int64) {
	p.Clock.Restart()
	p.Scheduler.Reset()
	p.Controllers.Reset()
	p.seed.Store(seed)
}

// Seed returns what draws are made with.
func (p *Plane) Seed() int64 { return p.seed.Load() }

// Record has everything recorded from now on that is written, refused, scheduled, or
// said by members; nil has nothing recorded.
func (p *Plane) Record(r history.Recorder) {
	p.recorderMu.Lock()
	p.recorder = r
	p.recorderMu.Unlock()
	p.Tap().SetRecorder(r)
	for _, m := range p.members {
		if m.Record != nil {
			m.Record(r)
		}
	}
}

// Recorder returns where to is recorded, or nil. It may be called from any goroutine.
func (p *Plane) Recorder() history.Recorder {
	p.recorderMu.Lock()
	defer p.recorderMu.Unlock()
	return p.recorder
}

// ServeKubelets has the API server's requests to kubelets answered by h from now on.
func (p *Plane) ServeKubelets(h http.Handler) { p.kubelets.Store(&h) }

// KubeletPort returns the port of the loopback device at which every node's kubelet is
// found.
func (p *Plane) KubeletPort() int { return p.kubeletPort }
