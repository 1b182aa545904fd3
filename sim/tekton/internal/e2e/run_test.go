package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/client/clientset/versioned"
	corev1 "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/tekton/controller"
)

func TestMain(m *testing.M) {
	controlplane.ChildMain()
	controller.ChildMain()
	if kubeconfig := os.Getenv(orphanEnv); kubeconfig != "" {
		abandon(kubeconfig)
	}
	os.Exit(m.Run())
}

const systemNamespace = "openshift-pipelines"

// world is a control plane with one release's manifests, and a clock.
type world struct {
	t       *testing.T
	cp      *controlplane.ControlPlane
	clock   *clock.Clock
	build   *tekton.Build
	kube    kubernetes.Interface
	tekton  versioned.Interface
	history *history.Log
	log     *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newWorld(t *testing.T, version string) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	ctx := t.Context()
	w := &world{t: t, clock: clock.New(clock.Epoch), log: &lockedBuffer{}}
	w.history = history.NewLog(w.clock.Elapsed, nil)
	b := tekton.Builder{Progress: func(v, line string) { t.Logf("Tekton %s: %s", v, line) }}
	var err error
	if w.build, err = b.Build(ctx, version); err != nil {
		t.Fatal(err)
	}
	if w.cp, err = controlplane.Start(ctx, controlplane.Options{Logger: testr.New(t)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.cp.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the controller's log:\n%s", w.log)
		}
	})
	admin := w.cp.Admin("test")
	w.kube = kubernetes.NewForConfigOrDie(admin)
	w.tekton = versioned.NewForConfigOrDie(admin)
	w.install(ctx)
	return w
}

// must ends the test if err is not nil.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) install(ctx context.Context) {
	w.t.Helper()
	admin := w.cp.Admin("test")
	for _, ns := range []string{systemNamespace, "work"} {
		must[*corev1.Namespace](w.t)(w.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{}))
	}
	must[*corev1.ServiceAccount](w.t)(w.kube.CoreV1().ServiceAccounts("work").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}))

	crds, err := w.build.CRDs()
	if err != nil {
		w.t.Fatal(err)
	}
	// The webhook, which would convert, does not run here.
	tekton.OnlyStored(crds)
	ext := apiextensions.NewForConfigOrDie(admin).ApiextensionsV1().CustomResourceDefinitions()
	for _, crd := range crds {
		if _, err := ext.Create(ctx, crd, metav1.CreateOptions{}); err != nil {
			w.t.Fatal(err)
		}
	}
	cms, err := w.build.ConfigMaps(systemNamespace)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, cm := range cms {
		if _, err := w.kube.CoreV1().ConfigMaps(systemNamespace).Create(ctx, cm, metav1.CreateOptions{}); err != nil {
			w.t.Fatal(err)
		}
	}
	rbac, err := w.build.RBAC(systemNamespace)
	if err != nil {
		w.t.Fatal(err)
	}
	dyn := dynamic.NewForConfigOrDie(admin)
	for _, o := range rbac {
		gvr, _ := meta.UnsafeGuessKindToResource(o.GroupVersionKind())
		if _, err := dyn.Resource(gvr).Namespace(o.GetNamespace()).Create(ctx, o, metav1.CreateOptions{}); err != nil {
			w.t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, err := dyn.Resource(schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "pipelineruns"}).List(ctx, metav1.ListOptions{})
		if err == nil {
			return
		}
		if time.Now().After(deadline) || !apierrors.IsNotFound(err) {
			w.t.Fatal(err)
		}
	}
}

// start starts the controller.
func (w *world) start(ctx context.Context) (*tekton.Controller, error) {
	w.t.Helper()
	proxy, err := w.cp.Proxy(systemNamespace, tekton.ServiceAccount)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(proxy.Stop)
	c, err := tekton.Start(ctx, w.build, tekton.ControllerOptions{
		Kubeconfig: proxy.Kubeconfig, Namespace: systemNamespace, Clock: w.clock,
		Recorder: w.history, Log: w.log, Dir: w.t.TempDir(),
	})
	if err == nil {
		w.t.Cleanup(func() {
			if err := c.Stop(context.Background()); err != nil {
				w.t.Error(err)
			}
		})
	}
	return c, err
}

func (w *world) quiet(ctx context.Context, c *tekton.Controller) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := w.cp.Quiet(ctx, []int{c.PID()}, controlplane.Check{Name: "tekton", Idle: c.Quiet}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) create(ctx context.Context, manifest string) {
	w.t.Helper()
	var pr v1.PipelineRun
	if err := yaml.UnmarshalStrict([]byte(manifest), &pr); err != nil {
		w.t.Fatal(err)
	}
	must[*v1.PipelineRun](w.t)(w.tekton.TektonV1().PipelineRuns("work").Create(ctx, &pr, metav1.CreateOptions{}))
}

func (w *world) pipelineRun(ctx context.Context, name string) *v1.PipelineRun {
	w.t.Helper()
	return must[*v1.PipelineRun](w.t)(w.tekton.TektonV1().PipelineRuns("work").Get(ctx, name, metav1.GetOptions{}))
}

func (w *world) taskRun(ctx context.Context, name string) *v1.TaskRun {
	w.t.Helper()
	return must[*v1.TaskRun](w.t)(w.tekton.TektonV1().TaskRuns("work").Get(ctx, name, metav1.GetOptions{}))
}

// finish steps the clock until the PipelineRun is done.
func (w *world) finish(ctx context.Context, c *tekton.Controller) {
	w.t.Helper()
	for steps := 0; !w.pipelineRun(ctx, "run").IsDone(); steps++ {
		if steps > 20 || !w.clock.Step() {
			w.t.Fatalf("the run is not done at %v s", w.clock.Elapsed())
		}
		w.quiet(ctx, c)
	}
}

// at says how many seconds after the epoch t is.
func at(t *metav1.Time) float64 {
	if t == nil {
		return -1
	}
	return t.Sub(clock.Epoch).Seconds()
}

const oneTask = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  name: run
spec:
  timeouts:
    pipeline: 2h
    tasks: 1h
  pipelineSpec:
    tasks:
    - name: work
      timeout: 30m
      taskSpec:
        steps:
        - name: step
          image: registry.example.com/work
          command: ["true"]
`

// versions are the releases to test.
func versions() []string {
	if v := os.Getenv("SIMCTL_TEST_TEKTON"); v != "" {
		return strings.Split(v, ",")
	}
	return []string{tekton.BuiltIn}
}

// TestTimeouts has a pod that never runs: the TaskRun's time-out must come at
// its virtual moment, the PipelineRun must end with it, and no moment of the
// host's clock may be left in their statuses.
func TestTimeouts(t *testing.T) {
	for _, version := range versions() {
		t.Run(version, func(t *testing.T) {
			ctx := t.Context()
			w := newWorld(t, version)
			c, err := w.start(ctx)
			if err != nil {
				t.Fatal(err)
			}
			w.quiet(ctx, c)
			w.create(ctx, oneTask)
			w.quiet(ctx, c)
			tr := w.taskRun(ctx, "run-work")
			if tr.Status.PodName == "" {
				t.Fatalf("the TaskRun has no pod: %+v", tr.Status)
			}
			if got := at(tr.Status.StartTime); got != 0 {
				t.Errorf("the TaskRun started at %v s, want 0", got)
			}
			if got := at(w.pipelineRun(ctx, "run").Status.StartTime); got != 0 {
				t.Errorf("the PipelineRun started at %v s, want 0", got)
			}
			if p := w.clock.Pending(clock.Work); len(p) != 0 {
				t.Errorf("there is work on the clock: %+v", p)
			}
			var keys []string
			for _, e := range w.clock.Pending(clock.Timeout) {
				keys = append(keys, e.Key+" "+e.At.Sub(clock.Epoch).Truncate(time.Second).String())
			}
			if want := []string{"tekton/taskrun/work/run-work 30m0s", "tekton/pipelinerun/work/run 1h0m0s"}; version == tekton.BuiltIn && !slices.Equal(keys, want) {
				t.Errorf("time-outs %v, want %v", keys, want)
			}
			w.finish(ctx, c)
			pr := w.pipelineRun(ctx, "run")
			tr = w.taskRun(ctx, "run-work")
			if got := tr.Status.GetCondition(apis.ConditionSucceeded); got.Reason != "TaskRunTimeout" {
				t.Errorf("the TaskRun ended with %v", got)
			}
			for name, got := range map[string]*metav1.Time{
				"the TaskRun ended":             tr.Status.CompletionTime,
				"the PipelineRun ended":         pr.Status.CompletionTime,
				"the TaskRun's condition":       &tr.Status.GetCondition(apis.ConditionSucceeded).LastTransitionTime.Inner,
				"the PipelineRun's condition":   &pr.Status.GetCondition(apis.ConditionSucceeded).LastTransitionTime.Inner,
				"the PipelineRun has started":   {Time: pr.Status.StartTime.Add(1800 * time.Second)},
				"the TaskRun has not restarted": {Time: tr.Status.StartTime.Add(1800 * time.Second)},
			} {
				if at(got) != 1800 {
					t.Errorf("%s at %v s, want 1800", name, at(got))
				}
			}
		})
	}
}

// TestInvalidFlags: a release refuses to start with flags that are not valid,
// and its words are kept.
func TestInvalidFlags(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, tekton.BuiltIn)
	flags := must[*corev1.ConfigMap](t)(w.kube.CoreV1().ConfigMaps(systemNamespace).Get(ctx, "feature-flags", metav1.GetOptions{}))
	flags.Data["coschedule"] = "sometimes"
	must[*corev1.ConfigMap](t)(w.kube.CoreV1().ConfigMaps(systemNamespace).Update(ctx, flags, metav1.UpdateOptions{}))
	_, err := w.start(ctx)
	var exit *tekton.ExitError
	if !errors.As(err, &exit) || !errors.Is(err, tekton.ErrExited) {
		t.Fatalf("starting gave %v, want an ExitError", err)
	}
	if exit.Code == 0 || !strings.Contains(exit.Words, "coschedule") {
		t.Errorf("it ended with %d and %q", exit.Code, exit.Words)
	}
	found := false
	for _, e := range w.history.Entries() {
		found = found || e.Fact == history.FactTektonExited
	}
	if !found {
		t.Error("the history does not have its end")
	}
}

// TestCrash kills the controller in the middle of a run: its end is a finding,
// and another one goes on with the run, whose time-out stays where it was.
func TestCrash(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, tekton.BuiltIn)
	first, err := w.start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.create(ctx, oneTask)
	w.quiet(ctx, first)
	if err := syscall.Kill(first.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.Exited()
	var exit *tekton.ExitError
	if _, err := first.Quiet(); !errors.As(err, &exit) || exit.Code != -1 {
		t.Errorf("Quiet gave %v, want an ExitError with -1", err)
	}
	if err := first.ExitErr(); !errors.Is(err, tekton.ErrExited) {
		t.Errorf("ExitErr gave %v", err)
	}
	entries := w.history.Entries()
	if last := entries[len(entries)-1]; last.Fact != history.FactTektonExited {
		t.Errorf("the history ends with %+v, want %s", last, history.FactTektonExited)
	}
	if err := first.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if left := append(w.clock.Pending(clock.Work), w.clock.Pending(clock.Timeout)...); len(left) != 0 {
		t.Errorf("a stopped controller has left %+v on the clock", left)
	}
	w.clock.Schedule(10*time.Minute, clock.Work, "pause", func() {})
	w.clock.Step()
	second, err := w.start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.quiet(ctx, second)
	w.finish(ctx, second)
	if got := at(w.taskRun(ctx, "run-work").Status.CompletionTime); got != 1800 {
		t.Errorf("the TaskRun ended at %v s, want 1800", got)
	}
	second.Reset()
	if left := append(w.clock.Pending(clock.Work), w.clock.Pending(clock.Timeout)...); len(left) != 0 {
		t.Errorf("after a reset there is %+v on the clock", left)
	}
	if err := second.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := second.Stop(ctx); err != nil {
		t.Errorf("stopping again: %v", err)
	}
	if err := syscall.Kill(second.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d after Stop: %v", second.PID(), err)
	}
}

// TestQuota: the release waits for a quota that nobody frees. Its looking again
// must not keep time moving for ever, and the TaskRun's time does not run while
// its pod cannot be made.
func TestQuota(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, tekton.BuiltIn)
	must[*corev1.ResourceQuota](t)(w.kube.CoreV1().ResourceQuotas("work").Create(ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
	}, metav1.CreateOptions{}))
	c, err := w.start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// No quota controller runs here.
	quota := must[*corev1.ResourceQuota](t)(w.kube.CoreV1().ResourceQuotas("work").Get(ctx, "none", metav1.GetOptions{}))
	quota.Status.Hard = quota.Spec.Hard
	quota.Status.Used = quota.Spec.Hard
	quota = must[*corev1.ResourceQuota](t)(w.kube.CoreV1().ResourceQuotas("work").UpdateStatus(ctx, quota, metav1.UpdateOptions{}))
	w.create(ctx, oneTask)
	w.quiet(ctx, c)
	for steps := 0; len(w.clock.Pending(clock.Work)) != 0; steps++ {
		if steps > 20 {
			t.Fatalf("there is work on the clock after %v s: %+v", w.clock.Elapsed(), w.clock.Pending(clock.Work))
		}
		w.clock.Step()
		w.quiet(ctx, c)
	}
	if reason := w.taskRun(ctx, "run-work").Status.GetCondition(apis.ConditionSucceeded).Reason; reason != "ExceededResourceQuota" {
		t.Errorf("the TaskRun waits with %s", reason)
	}
	if got := w.clock.Elapsed(); got < 60 || got > 600 {
		t.Errorf("it was given up at %v s", got)
	}
	if err := w.kube.CoreV1().ResourceQuotas("work").Delete(ctx, quota.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	freed := w.clock.Now()
	for steps := 0; w.taskRun(ctx, "run-work").Status.PodName == ""; steps++ {
		if steps > 3 || !w.clock.Step() {
			t.Fatalf("no pod at %v s, though the quota is gone", w.clock.Elapsed())
		}
		w.quiet(ctx, c)
	}
	if started := w.taskRun(ctx, "run-work").Status.StartTime; started.Time.Before(freed.Truncate(time.Second)) {
		t.Errorf("the TaskRun started at %v s, before its pod could be made", at(started))
	}
}

// orphanEnv makes the test binary a process that starts a controller and dies.
const orphanEnv = "SIMCTL_TEST_ORPHAN"

func abandon(kubeconfig string) {
	b, err := (&tekton.Builder{}).Build(context.Background(), tekton.BuiltIn)
	if err == nil {
		var c *tekton.Controller
		if c, err = tekton.Start(context.Background(), b, tekton.ControllerOptions{
			Kubeconfig: kubeconfig, Namespace: systemNamespace, Clock: clock.New(clock.Epoch),
		}); err == nil {
			fmt.Println(c.PID())
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

// TestOrphan: a controller does not outlive a simctl that was killed.
func TestOrphan(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, tekton.BuiltIn)
	proxy, err := w.cp.Proxy(systemNamespace, tekton.ServiceAccount)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Stop()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), orphanEnv+"="+proxy.Kubeconfig)
	out, _ := cmd.Output() // it kills itself
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatalf("it said %q", out)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return
		}
		// Nobody may be there to reap it.
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there", pid)
		}
	}
}
