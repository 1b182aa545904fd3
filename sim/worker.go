package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"simctl.dev/simctl/scheduler"
	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/loopback"
	"simctl.dev/simctl/sim/internal/resolver"
	"simctl.dev/simctl/sim/internal/work"
	"simctl.dev/simctl/sim/kube"
	"simctl.dev/simctl/sim/node"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/verdict"
	"simctl.dev/simctl/sim/wellknown"
)

// worker is one control plane with everything around it.
type worker struct {
	dir      string
	index    int
	cacheDir string
	logger   logr.Logger
	progress func(line string)

	ctx    context.Context // of everything the worker started
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	logs   []io.Closer

	cp        *controlplane.ControlPlane
	clock     *clock.Clock
	simctl    clients // admin, for the cluster
	user      clients // admin, for the workload
	machines  clients
	operator  clients // admin, for Tekton's configuration
	resolvers clients // admin, for what Tekton's resolvers do
	informers informers.SharedInformerFactory
	sched     *scheduler.Scheduler
	kube      *kube.Controllers
	scc       *scc             // nil until a cell wants OpenShift
	converter *loopback.Server // nil until a release is installed
	// kubeletPort is where the API server finds every kubelet, kubelets whose those
	// of the cell that runs are.
	kubeletPort int
	kubelets    atomic.Pointer[node.Kubelets]
	older       bool // a cell has had manifests of Tekton's v1beta1
	seed        atomic.Int64
	tektonPID   atomic.Int64 // of the Tekton controller that was last started

	log     *history.Log // of the cell that runs
	logMu   sync.Mutex
	release *release
	mapper  meta.RESTMapper
	cluster *cluster // nil until a cell has made one
	// definitions are what the last cell's workload was defined by; nil if
	// nothing is there.
	definitions *kept
	// checkCells says that cells are to be checked for what they leave; estate is
	// what such a check compares with, nil while there is none.
	checkCells bool
	estate     *estate
	// meddled says that a cell wrote to what is the control plane's own: no other cell
	// is to be played on it.
	meddled bool
	// checkHistories says that histories are to be checked before they are judged.
	checkHistories bool
}

// release is a started Tekton controller.
type release struct {
	build      *tekton.Build
	namespace  string
	configMaps []*corev1.ConfigMap
	proxy      *controlplane.Proxy
	controller *tekton.Controller // nil while it is stopped
	schemas    schemas            // of the release's kinds
	refs       []history.Ref      // of what is installed
	// changed says that a cell wrote to what is installed, beyond the flags.
	changed bool
}

type clients struct {
	kubernetes.Interface
	dynamic  dynamic.Interface
	warnings *warnings
}

func (w *worker) clientsFor(actor string) (clients, error) {
	cfg := w.cp.Admin(actor)
	warnings := &warnings{}
	cfg.WarningHandlerWithContext = warnings
	k, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return clients{}, fmt.Errorf("making the client of %s: %w", actor, err)
	}
	d, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return clients{}, fmt.Errorf("making the client of %s: %w", actor, err)
	}
	return clients{Interface: k, dynamic: d, warnings: warnings}, nil
}

// newWorker starts a control plane with the upstream controllers and the
// scheduler. Its logs go to files of DIR/logs.
func newWorker(ctx context.Context, dir string, index int, cacheDir string, logger logr.Logger, progress func(string)) (*worker, error) {
	w := &worker{dir: dir, index: index, cacheDir: cacheDir, logger: logger, progress: progress,
		clock: clock.New(clock.Epoch)}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	if err := w.start(); err != nil {
		w.stop()
		return nil, err
	}
	return w, nil
}

// logFile opens one of the worker's logs.
func (w *worker) logFile(name string) (io.Writer, error) {
	name = filepath.Join(w.dir, "logs", strconv.Itoa(w.index)+"-"+name+".log")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("opening a log: %w", err)
	}
	w.logs = append(w.logs, f)
	return f, nil
}

func (w *worker) start() (err error) {
	out, err := w.logFile("control-plane")
	if err != nil {
		return err
	}
	if w.cp, err = controlplane.Start(w.ctx, controlplane.Options{Log: out, Logger: w.logger, Ended: w.cancel}); err != nil {
		return err
	}
	w.cp.Tap().SetClock(w.clock.Now)
	for actor, c := range map[string]*clients{wellknown.Simctl: &w.simctl, wellknown.User: &w.user, wellknown.Machines: &w.machines, wellknown.Operator: &w.operator, resolver.Actor: &w.resolvers} {
		if *c, err = w.clientsFor(actor); err != nil {
			return err
		}
	}
	w.cp.Tap().Echo(tekton.ServiceAccount, func() bool { return controlplane.Resting(int(w.tektonPID.Load())) })
	server, err := loopback.Serve(w.ctx, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if k := w.kubelets.Load(); k != nil {
			k.Handler().ServeHTTP(rw, r)
		}
	}))
	if err != nil {
		return fmt.Errorf("starting the kubelets' server: %w", err)
	}
	w.kubeletPort = server.Port
	w.informers = informers.NewSharedInformerFactory(w.machines, 0)
	if err := w.startScheduler(); err != nil {
		return err
	}
	w.kube, err = kube.Start(w.ctx, kube.Options{
		ConfigFor: w.configFor,
		Clock:     w.clock,
		Seed:      w.seed.Load,
		Logger:    w.logger.WithName("kube"),
	})
	if err != nil {
		return err
	}
	return nil
}

func (w *worker) startScheduler() error {
	cfg := w.configFor(wellknown.KubeScheduler)
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("making the scheduler's client: %w", err)
	}
	w.sched, err = scheduler.New(w.ctx, scheduler.Options{
		Client: client, Clock: w.clock, Hold: true,
		Recorder: w.recorder,
		Seed:     w.seed.Load,
		PodKey:   podKey,
		Logger:   w.logger.WithName("scheduler"),
	})
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	w.wg.Go(func() {
		if err := w.sched.Run(w.ctx); err != nil {
			failed <- err
		}
	})
	select {
	case <-w.sched.Synced():
		return nil
	case err := <-failed:
		return err
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

// podKey names a pod without what the API server or Tekton made up.
func podKey(p *corev1.Pod) string {
	if t := p.Labels[wellknown.PipelineTaskLabel]; t != "" {
		return p.Namespace + "/" + t
	}
	return p.Namespace + "/" + work.StableName(p.Name)
}

// configFor gives the identity that a component of Kubernetes has on a cluster.
func (w *worker) configFor(component string) *rest.Config {
	switch component {
	case wellknown.KubeScheduler, kube.Manager:
		return w.cp.User("system:"+component, component)
	}
	return w.cp.ServiceAccount(metav1.NamespaceSystem, component)
}

// recorder is where the cell that runs is recorded, or nil.
func (w *worker) recorder() history.Recorder {
	w.logMu.Lock()
	defer w.logMu.Unlock()
	if w.log == nil {
		return nil
	}
	return w.log
}

func (w *worker) setLog(l *history.Log) {
	w.logMu.Lock()
	w.log = l
	w.logMu.Unlock()
	var r history.Recorder
	if l != nil {
		r = l
	}
	w.cp.Tap().SetRecorder(r)
	if w.release != nil && w.release.controller != nil {
		w.release.controller.SetRecorder(r)
	}
}

// stop ends everything the worker started, clients before the servers they
// talk to.
func (w *worker) stop() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), 5*time.Second)
	defer cancel()
	w.stopRelease(ctx)
	w.cancel(nil)
	if w.scc != nil {
		if err := w.scc.stop(); err != nil {
			w.logger.Error(err, "Stopping OpenShift's admission failed")
		}
	}
	if w.kube != nil {
		w.kube.Wait()
	}
	if w.informers != nil {
		w.informers.Shutdown()
	}
	if w.estate != nil {
		if err := w.estate.store.Close(); err != nil {
			w.logger.Error(err, "Closing the connection to etcd failed")
		}
	}
	if w.cp != nil {
		if err := w.cp.Stop(); err != nil {
			w.logger.Error(err, "Stopping the control plane failed")
		}
	}
	w.wg.Wait()
	for _, l := range w.logs {
		_ = l.Close()
	}
}

func (w *worker) stopRelease(ctx context.Context) {
	if w.release == nil {
		return
	}
	if w.release.controller != nil {
		if err := w.release.controller.Stop(ctx); err != nil {
			w.logger.Error(err, "Stopping a Tekton controller failed")
		}
	}
	if w.release.proxy != nil {
		w.release.proxy.Stop()
	}
	w.release = nil
}

// run implements cellRunner.
func (w *worker) run(ctx context.Context, cell *scenario.Cell, builds builds) (verdict.Cell, error) {
	dir := filepath.Join("cells", cell.ID())
	file := filepath.Join(dir, "history.jsonl")
	if err := os.MkdirAll(filepath.Join(w.dir, dir), 0o750); err != nil {
		return verdict.Cell{}, fmt.Errorf("making the cell's folder: %w", err)
	}
	f, err := os.Create(filepath.Join(w.dir, file))
	if err != nil {
		return verdict.Cell{}, fmt.Errorf("opening the cell's history: %w", err)
	}
	entries, err := w.play(ctx, cell, builds, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return verdict.Cell{}, err
	}
	if w.checkHistories {
		if err := sound(entries); err != nil {
			return verdict.Cell{}, fmt.Errorf("%w: see %s", err, file)
		}
	}
	res, err := judge(cell, entries)
	res.History = file
	return res, err
}

// spent implements cellRunner.
func (w *worker) spent() bool { return w.meddled }

// ensureMapper makes the kinds known that are served now.
func (w *worker) ensureMapper() error {
	groups, err := restmapper.GetAPIGroupResources(w.simctl.Discovery())
	if err != nil {
		return fmt.Errorf("asking for the API's kinds: %w", err)
	}
	w.mapper = restmapper.NewDiscoveryRESTMapper(groups)
	return nil
}

// Quiet implements stepper.Plane.
func (w *worker) Quiet(ctx context.Context) error { return w.quiet(ctx) }

// Schedule implements stepper.Plane.
func (w *worker) Schedule() (tried, waiting int) {
	if tried = w.sched.TryNext(); tried > 0 {
		return tried, 0
	}
	return 0, w.sched.Backoff()
}

// quiet waits until nothing goes on any more.
func (w *worker) quiet(ctx context.Context) error {
	checks := []controlplane.Check{
		{Name: "scheduler", Idle: func() (bool, error) { return w.sched.Idle(), nil }},
		{Name: "kube", Idle: func() (bool, error) { return w.kube.Quiet(), nil }},
	}
	var pids []int
	if w.release != nil && w.release.controller != nil {
		pids = append(pids, w.release.controller.PID())
		checks = append(checks, controlplane.Check{Name: "tekton", Idle: w.release.controller.Quiet})
	}
	if w.scc != nil {
		pids = append(pids, w.scc.engine.PID())
	}
	err := w.cp.Quiet(ctx, pids, checks...)
	if err == nil && w.release != nil && w.release.controller != nil {
		w.release.controller.Settled()
	}
	return err
}
