package hook

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/pkg/configmap"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/leaderelection"
	"knative.dev/pkg/logging"
	"knative.dev/pkg/reconciler"

	"simctl.dev/simctl/sim/tekton/hook/wire"
)

var start = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// parent is the other end of the channel.
type parent struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	n    int
	// first are the delays that were reported until the controller was ready,
	// elected the leases it has got after waiting for them.
	first   []wire.Delay
	elected []wire.Key
}

func (p *parent) ask(r wire.Request) wire.Answer {
	p.t.Helper()
	p.n++
	r.N = p.n
	if err := json.NewEncoder(p.conn).Encode(r); err != nil {
		p.t.Fatal(err)
	}
	line, err := p.in.ReadBytes('\n')
	if err != nil {
		p.t.Fatal(err)
	}
	var a wire.Answer
	if err := json.Unmarshal(line, &a); err != nil {
		p.t.Fatal(err)
	}
	if a.N != r.N {
		p.t.Fatalf("answer %d to request %d", a.N, r.N)
	}
	p.elected = append(p.elected, a.Elected...)
	return a
}

// settle asks until nothing is queued or reconciling, and gives all the delays.
// Goroutines of the test itself are not looked at.
func (p *parent) settle(reconciles int) []wire.Delay {
	p.t.Helper()
	var delays []wire.Delay
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		a := p.ask(wire.Request{})
		delays = append(delays, a.Delays...)
		if a.Queued == 0 && a.Active == 0 && a.Reconciles >= reconciles {
			return delays
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("not settled: %+v", a)
		}
	}
}

// fake is a reconciler that answers with what it is told to.
type fake struct {
	reconciler.LeaderAwareFuncs
	answers chan error
	// again, if set, has the key reconciled once more and takes the place of
	// answers.
	again func()
	calls atomic.Int64
}

func (f *fake) Reconcile(context.Context, string) error {
	f.calls.Add(1)
	if f.again != nil {
		f.again()
		return nil
	}
	return <-f.answers
}

// run starts a controller with a fake reconciler on a hook.
func run(t *testing.T) (*parent, *controller.Impl, *fake) {
	t.Helper()
	return runWith(t, kubefake.NewClientset())
}

// runWith starts one whose leases are those of client.
func runWith(t *testing.T, client kubernetes.Interface) (*parent, *controller.Impl, *fake) {
	t.Helper()
	t.Setenv("SYSTEM_NAMESPACE", "tekton-pipelines")
	ours, theirs := net.Pipe()
	// Not closed: the hook ends the process then.
	p := &parent{t: t, conn: ours, in: bufio.NewReader(ours)}
	h := &Hook{created: map[types.UID]metav1.Time{}}
	go h.attach(theirs)
	if a := p.ask(wire.Request{Now: start.UnixNano()}); a.Ready || a.Idle != (a.Runnable == 0) {
		t.Errorf("without controllers: %+v", a)
	}
	ctx := leaderelection.WithConfig(t.Context(), &leaderelection.Config{
		Buckets: 1, LeaseDuration: time.Minute, RenewDeadline: 40 * time.Second, RetryPeriod: 10 * time.Second,
	})
	ctx = logging.WithLogger(context.WithValue(ctx, kubeclient.Key{}, client), zap.NewNop().Sugar())
	f := &fake{answers: make(chan error, 10)}
	impl := controller.NewContext(ctx, f, controller.ControllerOptions{
		WorkQueueName: "github.com.tektoncd.pipeline.pkg.reconciler.fake.Reconciler",
		Logger:        zap.NewNop().Sugar(),
	})
	h.expected = 1
	h.count(ctx, impl)
	if p.ask(wire.Request{}).Ready {
		t.Error("ready before the workers have started")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = impl.RunContext(ctx, 2)
	}()
	t.Cleanup(func() { <-done })
	for {
		a := p.ask(wire.Request{})
		p.first = append(p.first, a.Delays...)
		if a.Ready {
			return p, impl, f
		}
		time.Sleep(time.Millisecond)
	}
}

var object = types.NamespacedName{Namespace: "work", Name: "run"}

func TestDelays(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "taskruns"}, "run", errors.New("it has changed"))
	const late = time.Millisecond
	for _, test := range []struct {
		name   string
		answer error
		want   *wire.Delay
	}{
		{"success", nil, nil},
		{"skipped", controller.NewSkipKey("work/run"), nil},
		{"permanent error", controller.NewPermanentError(errors.New("no")), nil},
		{"later", controller.NewRequeueAfter(time.Hour), &wire.Delay{At: int64(time.Hour + late), Reason: wire.Retry, Attempt: 1}},
		{"wrapped", fmt.Errorf("so: %w", controller.NewRequeueAfter(time.Second)), &wire.Delay{At: int64(time.Second + late), Reason: wire.Retry, Attempt: 1}},
		{"at once", controller.NewRequeueImmediately(), &wire.Delay{At: int64(late), Reason: wire.Retry, Attempt: 1}},
		{"too late", controller.NewRequeueAfter(-time.Hour), &wire.Delay{At: int64(late), Reason: wire.Retry, Attempt: 1}},
		{"conflict", conflict, &wire.Delay{At: int64(5*time.Millisecond + late), Reason: wire.Failure, Attempt: 1, Error: conflict.Error()}},
		{"error", errors.New("no"), &wire.Delay{At: int64(5*time.Millisecond + late), Reason: wire.Failure, Attempt: 1, Error: "no"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, impl, f := run(t)
			f.answers <- test.answer
			impl.EnqueueKey(object)
			got := p.settle(1)
			var want []wire.Delay
			if test.want != nil {
				d := *test.want
				d.At += start.UnixNano()
				d.Key = wire.Key{Controller: "fake", Key: "work/run"}
				want = []wire.Delay{d}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if n := impl.WorkQueue().NumRequeues(object); n != 0 {
				t.Errorf("the work queue counts %d attempts of its own", n)
			}
		})
	}
}

// TestUrgent: a key that is to be looked at again at once, each time it is looked at,
// waits a little longer each time, up to a second; another answer makes it begin
// anew.
func TestUrgent(t *testing.T) {
	p, impl, f := run(t)
	next := func(answer error) time.Duration {
		f.answers <- answer
		n := p.ask(wire.Request{}).Reconciles + 1
		impl.EnqueueKey(object)
		delays := p.settle(n)
		if len(delays) == 0 {
			return 0
		}
		return time.Duration(delays[0].At - start.UnixNano())
	}
	at := controller.NewRequeueAfter(-time.Minute)
	var got []int64
	for range 12 {
		got = append(got, next(at).Milliseconds())
	}
	want := []int64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000}
	if !slices.Equal(got, want) {
		t.Errorf("delays in ms %v, want %v", got, want)
	}
	next(nil)
	if got := next(at); got != time.Millisecond {
		t.Errorf("after a success: %v", got)
	}
}

// TestBackoff follows one key through failures, a success and another failure.
func TestBackoff(t *testing.T) {
	p, impl, f := run(t)
	failure := errors.New("no")
	now, reconciles := start, 0
	next := func(answer error) []wire.Delay {
		f.answers <- answer
		reconciles++
		if reconciles == 1 {
			impl.EnqueueKey(object)
			return p.settle(reconciles)
		}
		// It may be done before it is answered.
		a := p.ask(wire.Request{Now: now.UnixNano(), Enqueue: []wire.Key{{Controller: "fake", Key: "work/run"}}})
		return append(a.Delays, p.settle(reconciles)...)
	}
	for i, want := range []int{5, 10, 20, 40, 80} {
		got := next(failure)
		if len(got) != 1 || got[0].At != now.Add(time.Duration(want+1)*time.Millisecond).UnixNano() || got[0].Attempt != i+1 {
			t.Fatalf("failure %d gave %+v, want %d ms after %v", i+1, got, want, now)
		}
		now = time.Unix(0, got[0].At).UTC()
	}
	if got := next(nil); got != nil {
		t.Fatalf("success gave %+v", got)
	}
	if got := next(failure); len(got) != 1 || got[0].Attempt != 1 {
		t.Errorf("a failure after a success gave %+v, want attempt 1", got)
	}
	p.ask(wire.Request{Forget: true})
	if got := next(failure); len(got) != 1 || got[0].Attempt != 1 {
		t.Errorf("a failure after forgetting gave %+v, want attempt 1", got)
	}
}

func TestBackoffLimit(t *testing.T) {
	for failures, want := range map[int]time.Duration{
		0: 5 * time.Millisecond, 10: 5120 * time.Millisecond, 17: 655360 * time.Millisecond,
		18: 1000 * time.Second, 20: 1000 * time.Second, 1000: 1000 * time.Second,
	} {
		if got := backoff(failures); got != want {
			t.Errorf("backoff(%d) = %v, want %v", failures, got, want)
		}
	}
}

// TestCounts has a reconciler that does not come back.
func TestCounts(t *testing.T) {
	p, impl, f := run(t)
	impl.EnqueueKey(object)
	for p.ask(wire.Request{}).Active == 0 {
		time.Sleep(time.Millisecond)
	}
	a := p.ask(wire.Request{Enqueue: []wire.Key{{Controller: "fake", Key: "work/run"}}})
	if a.Active != 1 || a.Queued == 0 || a.Idle {
		t.Errorf("one reconciling and the same key queued: %+v", a)
	}
	f.answers <- nil
	f.answers <- nil
	p.settle(2)
}

// TestBusy: a key that sets itself off is left alone after many rounds, gets a few
// more whenever all is quiet or time moves, and is like others again once it has
// come to rest by itself.
func TestBusy(t *testing.T) {
	p, impl, f := run(t)
	busy := true
	f.again = func() {
		if busy {
			impl.EnqueueKey(object)
		}
	}
	reconciled := func(r wire.Request) (calls int64, delays []wire.Delay) {
		p.ask(r)
		before, n := f.calls.Load(), p.ask(wire.Request{}).Reconciles+1
		impl.EnqueueKey(object)
		for {
			// Between two rounds a key is nowhere to be seen for a moment.
			delays = append(delays, p.settle(n)...)
			a := p.ask(wire.Request{})
			delays = append(delays, a.Delays...)
			if a.Parked == busy {
				return f.calls.Load() - before, delays
			}
		}
	}
	left := func(after time.Duration, attempt int) []wire.Delay {
		return []wire.Delay{{Key: wire.Key{Controller: "fake", Key: "work/run"}, Reason: wire.Busy, Attempt: attempt, At: start.Add(after).UnixNano()}}
	}
	for _, step := range []struct {
		name  string
		r     wire.Request
		rests bool
		calls int64
		want  []wire.Delay
	}{
		{name: "at first", calls: maxRounds, want: left(time.Second, 1)},
		{name: "not quiet in between", calls: 0},
		{name: "all was quiet", r: wire.Request{Settled: true}, calls: maxBusyRounds, want: left(2*time.Second, 2)},
		{name: "time has moved", r: wire.Request{Now: start.Add(time.Minute).UnixNano()}, calls: maxBusyRounds, want: left(time.Minute+4*time.Second, 3)},
		{name: "it has come to rest", r: wire.Request{Settled: true}, rests: true, calls: 1},
		{name: "busy once more", r: wire.Request{Settled: true}, calls: maxRounds, want: left(time.Minute+time.Second, 1)},
	} {
		busy = !step.rests
		calls, delays := reconciled(step.r)
		if calls != step.calls || !reflect.DeepEqual(delays, step.want) {
			t.Errorf("%s: %d calls and %+v, want %d and %+v", step.name, calls, delays, step.calls, step.want)
		}
		if parked := p.ask(wire.Request{}).Parked; parked == step.rests {
			t.Errorf("%s: parked %v", step.name, parked)
		}
	}
}

// TestRest: keys that come while the reconcilers rest are gone, and they work
// again afterwards.
func TestRest(t *testing.T) {
	p, impl, f := run(t)
	p.ask(wire.Request{Rest: true})
	impl.EnqueueKey(object)
	if delays := p.settle(1); len(delays) != 0 { // the reconciler itself would wait for an answer
		t.Errorf("a resting reconciler asks for %+v", delays)
	}
	p.ask(wire.Request{Forget: true})
	impl.EnqueueKey(object)
	f.answers <- nil
	p.settle(2)
}

func TestClock(t *testing.T) {
	p, _, _ := run(t)
	h := &Hook{}
	if h.Attached() || time.Since(h.Clock().Now()).Abs() > time.Minute {
		t.Error("a hook without a parent does not have real time")
	}
	ctor := func(context.Context, configmap.Watcher) *controller.Impl { return nil }
	if got := h.Wrap(ctor); reflect.ValueOf(got).Pointer() != reflect.ValueOf(ctor).Pointer() {
		t.Error("a hook without a parent wraps constructors")
	}
	p.ask(wire.Request{Now: start.Add(time.Hour).UnixNano()})
}

// TestStamp: objects get the virtual moment they are first seen in, keep it, and
// one that was started before gets its start; the transform that was there
// stays.
func TestStamp(t *testing.T) {
	ours, theirs := net.Pipe()
	p := &parent{t: t, conn: ours, in: bufio.NewReader(ours)}
	h := &Hook{created: map[types.UID]metav1.Time{}}
	go h.attach(theirs)
	p.ask(wire.Request{Now: start.Add(1500 * time.Millisecond).UnixNano()})

	informer := cache.NewSharedIndexInformer(&cache.ListWatch{}, &v1.TaskRun{}, 0, nil)
	if err := informer.SetTransform(func(obj any) (any, error) {
		obj.(*v1.TaskRun).Labels = map[string]string{"seen": "yes"}
		return obj, nil
	}); err != nil {
		t.Fatal(err)
	}
	h.stamp(informer)
	transform := field(informer, "transform").Interface().(cache.TransformFunc)
	created := func(uid types.UID, at time.Time, started *metav1.Time) time.Time {
		t.Helper()
		tr := &v1.TaskRun{ObjectMeta: metav1.ObjectMeta{UID: uid, CreationTimestamp: metav1.NewTime(at)}}
		tr.Status.StartTime = started
		obj, err := transform(tr)
		if err != nil {
			t.Fatal(err)
		}
		if obj.(*v1.TaskRun).Labels["seen"] != "yes" {
			t.Error("the earlier transform was not used")
		}
		return obj.(*v1.TaskRun).CreationTimestamp.Time
	}
	host := time.Now()
	if got := created("a", host, nil); !got.Equal(start.Add(time.Second)) {
		t.Errorf("first seen at 1.5 s, created %v", got)
	}
	p.ask(wire.Request{Now: start.Add(time.Minute).UnixNano()})
	if got := created("a", host, nil); !got.Equal(start.Add(time.Second)) {
		t.Errorf("seen again at 60 s, created %v", got)
	}
	if got := created("b", host, &metav1.Time{Time: start.Add(30 * time.Second)}); !got.Equal(start.Add(30 * time.Second)) {
		t.Errorf("started at 30 s, created %v", got)
	}
	if got := created("c", start.Add(5*time.Second), nil); !got.Equal(start.Add(5 * time.Second)) {
		t.Errorf("a virtual creation time was changed to %v", got)
	}
}

// TestLoopback: a listening socket of any address is bound to the loopback
// device.
func TestLoopback(t *testing.T) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	sockets()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var device string
	if cerr := raw.Control(func(fd uintptr) {
		device, err = unix.GetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE)
	}); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	if device != "lo" {
		t.Errorf("the socket is bound to %q", device)
	}
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = peer.Close() }()
	if n := sockets(); n != 0 {
		t.Errorf("%d bytes are waiting, none was sent", n)
	}
	if _, err := conn.Write([]byte("12345")); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); sockets() != 5; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are waiting, want 5", sockets())
		}
	}
}
