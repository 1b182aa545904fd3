//go:build go1.21

// Package hook puts an upstream Tekton controller process on virtual time and
// lets it say when it has nothing to do. In the process of a release's webhook, which
// knows no time, it does only the latter.
//
// The same source is compiled into simctl's own controller and added to a copy
// of upstream's module when another release is built, so it uses nothing but
// the standard library and packages that every release depends on.
//
// The process that started the controller talks to it over an inherited socket
// (file descriptor [wire.EnvFD]) in lines of JSON: every [wire.Request] gets one [wire.Answer].
// Without it the hook does nothing and the controller runs in real time.
//
// What is changed, and why:
//
//   - Reconcilers get a clock that stands still until the parent moves it.
//   - Delays that reconcilers ask for, and the back-off after errors, are not
//     put on the work queue but reported; the parent has the key enqueued when
//     its virtual moment has come.
//   - Upstream takes some moments from the host's clock rather than from the
//     clock it was handed, and compares its own with creationTimestamps; those
//     moments are put into virtual time before a reconciler or the API server
//     sees them.
//   - Upstream's leader election runs on virtual time: its looks at the lease are
//     delays like others, and nobody renews one.
//   - Listening sockets are bound to the loopback device.
//   - Image registries, which a controller asks for the entrypoints of steps that
//     have no command, are simulated.
package hook

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	pipelineruninformer "github.com/tektoncd/pipeline/pkg/client/injection/informers/pipeline/v1/pipelinerun"
	taskruninformer "github.com/tektoncd/pipeline/pkg/client/injection/informers/pipeline/v1/taskrun"
	customruninformer "github.com/tektoncd/pipeline/pkg/client/injection/informers/pipeline/v1beta1/customrun"
	"github.com/tektoncd/pipeline/pkg/reconciler/pipelinerun"
	"github.com/tektoncd/pipeline/pkg/reconciler/taskrun"
	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/configmap"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/logging"
	"knative.dev/pkg/reconciler"

	"simctl.dev/simctl/sim/tekton/hook/wire"
)

// Hook is one controller process's side of the channel.
type Hook struct {
	conn net.Conn // nil: real time

	mu          sync.Mutex
	now         time.Time
	expected    int
	controllers []*counted
	delays      []wire.Delay
	elected     []wire.Key
	reconciles  int
	resting     bool
	created     map[types.UID]metav1.Time
}

// Connect opens the channel that the environment names; it ends the process if
// there is one and it does not work.
func Connect() *Hook {
	register(func(pkg string) bool { return !slices.Contains(webhookOnly, pkg) })
	return connect()
}

func connect() *Hook {
	h := &Hook{created: map[types.UID]metav1.Time{}}
	fd := os.Getenv(wire.EnvFD)
	if fd == "" {
		return h
	}
	n, err := strconv.Atoi(fd)
	if err != nil {
		log.Fatalf("%s is %q, not the number of a file descriptor", wire.EnvFD, fd)
	}
	f := os.NewFile(uintptr(n), "simctl")
	conn, err := net.FileConn(f)
	_ = f.Close()
	if err != nil {
		log.Fatalf("%s is %s, which is not a socket: %v", wire.EnvFD, fd, err)
	}
	simulateRegistries()
	h.attach(conn)
	return h
}

// attach reads the first request, which sets the time, and serves the rest.
func (h *Hook) attach(conn net.Conn) {
	h.conn = conn
	first := make(chan struct{})
	go h.serve(first)
	<-first
}

func (h *Hook) serve(first chan struct{}) {
	in := bufio.NewScanner(h.conn)
	in.Buffer(nil, 64<<20)
	out := json.NewEncoder(h.conn)
	for in.Scan() {
		var r wire.Request
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			log.Fatalf("simctl sent %q: %v", in.Text(), err)
		}
		h.take(r)
		if r.Release {
			h.release()
		}
		if first != nil {
			close(first)
			first = nil
		}
		if err := out.Encode(h.answer(r)); err != nil {
			break
		}
	}
	// The parent is gone: a controller must not outlive it.
	os.Exit(0)
}

func (h *Hook) take(r wire.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Now != 0 {
		h.now = time.Unix(0, r.Now).UTC()
	}
	if r.Now != 0 || r.Settled {
		for _, c := range h.controllers {
			c.settled()
		}
	}
	if r.Forget {
		h.delays, h.resting = nil, false
		clear(h.created)
		for _, c := range h.controllers {
			clear(c.attempts)
			clear(c.urgent)
			clear(c.due)
			clear(c.rounds)
			clear(c.parked)
			clear(c.parks)
		}
	}
	h.resting = h.resting || r.Rest
	for _, k := range r.Enqueue {
		for _, c := range h.controllers {
			if c.name == k.Controller && !c.lookAgain(k.Key) {
				c.enqueue(k.Key)
			}
		}
	}
}

// How often and how long an answer waits for reconcilers to come to an end. To be
// asked again costs more.
const (
	answerAfter = 300 * time.Microsecond
	answerTries = 10
)

func (h *Hook) answer(r wire.Request) wire.Answer {
	for i := 0; r.Wait && i < answerTries && h.working(); i++ {
		time.Sleep(answerAfter)
	}
	a := wire.Answer{N: r.N, Runnable: runnable()}
	// The runtime's numbers are not exact: one that says idle is right, one that
	// does not may be late.
	for i := 0; a.Runnable > 0 && i < 3; i++ {
		runtime.Gosched()
		a.Runnable = runnable()
	}
	a.Unread = sockets()
	h.mu.Lock()
	defer h.mu.Unlock()
	a.Queued, a.Active = h.load()
	a.Ready = len(h.controllers) == h.expected && h.expected > 0
	a.Leads = a.Ready
	for _, c := range h.controllers {
		a.Ready = a.Ready && c.started
		a.Leads = a.Leads && c.started && c.leads()
		a.Parked = a.Parked || len(c.parked) > 0
	}
	a.Reconciles = h.reconciles
	a.Idle = a.Queued == 0 && a.Active == 0 && a.Runnable == 0 && a.Unread == 0
	a.Delays, h.delays = h.delays, nil
	a.Elected, h.elected = h.elected, nil
	return a
}

// working says whether a key is in a work queue or a reconciler.
func (h *Hook) working() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	queued, active := h.load()
	return queued+active > 0
}

// load counts the keys in work queues and in reconcilers. Callers hold the lock.
func (h *Hook) load() (queued, active int) {
	for _, c := range h.controllers {
		// A key that the parent had enqueued counts until its reconciler has
		// it: on its way through the queue's lanes Len does not see it.
		queued += c.queue.Len() + len(c.due)
		active += c.active
	}
	return queued, active
}

// runnable counts the goroutines, the caller's aside, that run or could. Those
// in system calls do not count: one always waits there for signals, and the
// others do not stay long.
func runnable() int {
	samples := []metrics.Sample{
		{Name: "/sched/goroutines/runnable:goroutines"},
		{Name: "/sched/goroutines/running:goroutines"},
	}
	metrics.Read(samples)
	n := -1
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			n += int(s.Value.Uint64())
		}
	}
	return max(n, 0)
}

// sockets counts the bytes that wait in this process's sockets, and binds those
// that listen to the loopback device: upstream has no setting for the address.
func sockets() int {
	const fionread = 0x541b
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	unread := 0
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		listens, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
		if err != nil {
			continue // not a socket
		}
		if listens != 0 {
			_ = syscall.SetsockoptString(fd, syscall.SOL_SOCKET, syscall.SO_BINDTODEVICE, "lo")
			continue
		}
		var n int32
		if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), fionread, uintptr(unsafe.Pointer(&n))); e == 0 {
			unread += int(n)
		}
	}
	return unread
}

// Attached says whether a parent rules the time.
func (h *Hook) Attached() bool { return h.conn != nil }

// Clock returns the clock to hand to upstream's constructors.
func (h *Hook) Clock() clock.PassiveClock {
	if !h.Attached() {
		return clock.RealClock{}
	}
	return virtual{h}
}

type virtual struct{ h *Hook }

func (v virtual) Now() time.Time {
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	return v.h.now
}

func (v virtual) Since(t time.Time) time.Duration { return v.Now().Sub(t) }

// Constructor is what upstream's NewController functions give.
type Constructor = func(context.Context, configmap.Watcher) *controller.Impl

// Wrap puts the controller that ctor makes on virtual time.
func (h *Hook) Wrap(ctor Constructor) Constructor {
	if !h.Attached() {
		return ctor
	}
	h.mu.Lock()
	h.expected++
	h.mu.Unlock()
	return func(ctx context.Context, cmw configmap.Watcher) *controller.Impl {
		impl := ctor(ctx, cmw)
		h.correct(ctx, impl)
		h.count(ctx, impl)
		return impl
	}
}

// count replaces the controller's reconciler by one that is counted.
func (h *Hook) count(ctx context.Context, impl *controller.Impl) {
	c := &counted{
		hook:     h,
		name:     shortName(impl.Name),
		inner:    impl.Reconciler,
		queue:    impl.WorkQueue(),
		add:      impl.EnqueueKey,
		attempts: map[string]int{},
		urgent:   map[string]int{},
		due:      map[string]bool{},
		reasons:  map[string]string{},
		rounds:   map[string]int{},
		parked:   map[string]bool{},
		parks:    map[string]int{},
	}
	if la, ok := impl.Reconciler.(reconciler.LeaderAware); ok {
		impl.Reconciler = struct {
			controller.Reconciler
			reconciler.LeaderAware
		}{c, starter{la, &sync.Once{}, func() error { return c.elect(ctx, impl, la) }}}
	} else {
		c.started = true
		impl.Reconciler = c
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.controllers = append(h.controllers, c)
}

// shortName returns "taskrun" for
// "github.com.tektoncd.pipeline.pkg.reconciler.taskrun.Reconciler".
func shortName(name string) string {
	parts := strings.Split(name, ".")
	if len(parts) < 2 {
		return name
	}
	return parts[len(parts)-2]
}

// counted is a reconciler that counts and whose delays the parent serves.
type counted struct {
	hook  *Hook
	name  string
	inner controller.Reconciler
	queue interface{ Len() int }
	add   func(types.NamespacedName)

	// Guarded by hook.mu.
	started  bool
	electors []*elector
	// active counts reconcilers that run, and looks at leases.
	active   int
	attempts map[string]int
	due      map[string]bool
	// urgent counts how often in a row a key was to be looked at again at once.
	urgent map[string]int
	// reasons holds what correct found out about the delay of a key that is
	// being reconciled.
	reasons map[string]string
	// rounds counts a key's reconciles since all was quiet; parked are those that
	// have had too many, parks how often in a row they had.
	rounds map[string]int
	parked map[string]bool
	parks  map[string]int
}

func (c *counted) enqueue(key string) {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return
	}
	c.due[key] = true
	c.add(types.NamespacedName{Namespace: namespace, Name: name})
}

// Reconcile implements controller.Reconciler. The order of the cases is that of
// knative's controller.Impl.
func (c *counted) Reconcile(ctx context.Context, key string) error {
	began := time.Now()
	h := c.hook
	h.mu.Lock()
	h.reconciles++
	delete(c.due, key)
	delete(c.reasons, key)
	if h.resting {
		h.mu.Unlock()
		return controller.NewSkipKey(key)
	}
	if c.keepsBusy(key) {
		h.mu.Unlock()
		return controller.NewSkipKey(key)
	}
	c.active++
	h.mu.Unlock()

	err := c.inner.Reconcile(ctx, key)

	h.mu.Lock()
	defer h.mu.Unlock()
	c.active--
	if err == nil || controller.IsSkipKey(err) {
		delete(c.attempts, key)
		delete(c.urgent, key)
		return err
	}
	if ok, after := controller.IsRequeueKey(err); ok {
		reason := c.reasons[key]
		if reason == "" {
			reason = wire.Retry
		}
		c.wait(key, after, reason, nil)
		return controller.NewSkipKey(key)
	}
	if !apierrors.IsConflict(err) && controller.IsPermanentError(err) {
		delete(c.attempts, key)
		return err
	}
	if !apierrors.IsConflict(err) {
		logging.FromContext(ctx).Errorw("Reconcile error", zap.Duration("duration", time.Since(began)), zap.Error(err))
	}
	c.wait(key, backoff(c.attempts[key]), wire.Failure, err)
	return controller.NewSkipKey(key)
}

// How often a key may be reconciled before all is quiet. A TaskRun has its own
// writes and its pod's to follow; others have those of TaskRuns, so that for them it
// is counted anew when one was reconciled. One that is known to set itself off gets
// little more than it takes to see what is new.
const (
	maxRounds     = 25
	maxTaskRounds = 12
	maxBusyRounds = 4
)

// keepsBusy says that a key is to be left alone, since its reconciler only follows
// its own writes: releases from 1.6 on, for one, lengthen the status of a TaskRun
// whose pod is pending and whose steps have no names with every look at it, and
// earlier ones list the TaskRuns of a matrix in another order each time. On a
// cluster that costs a processor; here time would never go on. Whoever was left
// alone gets another look later, each time after twice as long, besides that for
// which something else gives cause.
func (c *counted) keepsBusy(key string) bool {
	c.rounds[key]++
	most := maxRounds
	switch {
	case c.parks[key] > 0:
		most = maxBusyRounds
	case c.name == "taskrun":
		most = maxTaskRounds
	}
	if c.rounds[key] <= most {
		if c.name == "taskrun" {
			c.hook.follow(c)
		}
		return false
	}
	if !c.parked[key] {
		c.parked[key] = true
		after := time.Second << min(c.parks[key], 12)
		c.parks[key]++
		c.hook.delays = append(c.hook.delays, wire.Delay{
			Key: wire.Key{Controller: c.name, Key: key}, Reason: wire.Busy, Attempt: c.parks[key], At: c.hook.now.Add(after).UnixNano(),
		})
	}
	return true
}

// follow gives the keys of all controllers but one rounds for what that one is about
// to write.
func (h *Hook) follow(one *counted) {
	for _, c := range h.controllers {
		if c == one {
			continue
		}
		for key, n := range c.rounds {
			if c.parks[key] == 0 {
				n = 0
			}
			c.rounds[key] = min(n, maxBusyRounds-2)
		}
	}
}

// settled notes that all is quiet: who has come to rest by itself is not busy.
func (c *counted) settled() {
	for key := range c.rounds {
		if !c.parked[key] {
			delete(c.parks, key)
		}
	}
	clear(c.rounds)
	clear(c.parked)
}

// wait reports that key is to be reconciled again.
func (c *counted) wait(key string, after time.Duration, reason string, err error) {
	d := wire.Delay{Key: wire.Key{Controller: c.name, Key: key}, Reason: reason}
	if reason == wire.Deadline {
		delete(c.attempts, key)
	} else {
		c.attempts[key]++
		d.Attempt = c.attempts[key]
	}
	if err != nil {
		d.Error = err.Error()
	}
	// A real queue is always a little late. Virtual time that stands still
	// would show a reconciler the very moment of its deadline, which is not past
	// it, and it would ask for nothing, again and again. One that asks for a moment
	// in the past again and again would hold a processor all the while on a cluster;
	// here it would hold time, so it gets its way less and less often.
	late := time.Millisecond
	if after > 0 {
		delete(c.urgent, key)
	} else {
		late = min(late<<min(c.urgent[key], 10), longestUrgent)
		c.urgent[key]++
	}
	d.At = c.hook.now.Add(max(after, 0) + late).UnixNano()
	c.hook.delays = append(c.hook.delays, d)
}

// longestUrgent is how long at most a key waits that wants no delay.
const longestUrgent = time.Second

// backoff is the delay after the given number of earlier failures in a row: the
// exponential part of client-go's DefaultTypedControllerRateLimiter.
func backoff(failures int) time.Duration {
	const base, limit = 5 * time.Millisecond, 1000 * time.Second
	if failures > 20 {
		return limit
	}
	return min(base<<failures, limit)
}

// correct makes the reconcilers of TaskRuns and PipelineRuns see and set
// moments of virtual time alone.
func (h *Hook) correct(ctx context.Context, impl *controller.Impl) {
	// Every constructor may have put its own transform in the place of ours.
	h.stamp(taskruninformer.Get(ctx).Informer())
	h.stamp(pipelineruninformer.Get(ctx).Informer())
	h.stamp(customruninformer.Get(ctx).Informer())
	inner := field(impl.Reconciler, "reconciler")
	if !inner.IsValid() {
		return // not generated for a kind: no moments
	}
	name := shortName(impl.Name)
	switch r := inner.Interface().(type) {
	case *taskrun.Reconciler:
		inner.Set(reflect.ValueOf(&taskRuns{r, h, name}))
	case *pipelinerun.Reconciler:
		inner.Set(reflect.ValueOf(&pipelineRuns{r, h, name}))
	}
}

// field returns an unexported field of the struct that v points to: neither
// knative's generated reconcilers nor client-go's informers have another way
// in. It is invalid if there is no such field.
func field(v any, name string) reflect.Value {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.Elem().Kind() != reflect.Struct {
		return reflect.Value{}
	}
	f := p.Elem().FieldByName(name)
	if !f.IsValid() {
		return f
	}
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

// Config has clients made of cfg see virtual creationTimestamps in the answers
// to their creations; informers get theirs by stamp. It gives cfg back.
func (h *Hook) Config(cfg *rest.Config) *rest.Config {
	if h.Attached() {
		cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return creations{h, next} })
	}
	return cfg
}

type creations struct {
	h    *Hook
	next http.RoundTripper
}

var creationTimestamp = regexp.MustCompile(`"creationTimestamp":"([^"]*)"`)

// RoundTrip implements http.RoundTripper.
func (c creations) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err != nil || req.Method != http.MethodPost || resp.StatusCode != http.StatusCreated {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	now := c.h.present()
	body = creationTimestamp.ReplaceAllFunc(body, func(found []byte) []byte {
		t, err := time.Parse(time.RFC3339, string(creationTimestamp.FindSubmatch(found)[1]))
		if err != nil {
			return found
		}
		m := metav1.NewTime(t)
		c.h.toVirtual(now, &m)
		return []byte(`"creationTimestamp":"` + m.UTC().Format(time.RFC3339) + `"`)
	})
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Del("Content-Length")
	return resp, nil
}

// stamp gives the objects of an informer virtual creationTimestamps: the moment
// they were first seen, which is the moment they were created in, because time
// stands still until everybody has seen them. An API server that has the
// virtual time itself is left alone.
func (h *Hook) stamp(informer cache.SharedIndexInformer) {
	var before cache.TransformFunc
	f := field(informer, "transform")
	if !f.IsValid() {
		log.Fatalf("%T has no transform: this release needs another hook", informer)
	}
	before, _ = f.Interface().(cache.TransformFunc)
	err := informer.SetTransform(func(obj any) (any, error) {
		if before != nil {
			var err error
			if obj, err = before(obj); err != nil {
				return obj, err
			}
		}
		if o, ok := obj.(metav1.Object); ok {
			h.setCreation(o)
		}
		return obj, nil
	})
	if err != nil {
		log.Fatalf("setting the transform of %T: %v", informer, err)
	}
}

func (h *Hook) setCreation(o metav1.Object) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.real(o.GetCreationTimestamp().Time) {
		return
	}
	t, ok := h.created[o.GetUID()]
	if !ok {
		t = metav1.NewTime(h.now.Truncate(time.Second))
		// After a restart of the controller the runs are older than that.
		if started := startTime(o); started != nil && started.Before(&t) {
			t = *started
		}
		h.created[o.GetUID()] = t
	}
	o.SetCreationTimestamp(t)
}

func startTime(o metav1.Object) *metav1.Time {
	switch o := o.(type) {
	case *v1.TaskRun:
		return o.Status.StartTime
	case *v1.PipelineRun:
		return o.Status.StartTime
	}
	return nil
}

// real says whether t comes from the host's clock. Virtual time is decades
// away from it. Callers hold the lock.
func (h *Hook) real(t time.Time) bool {
	apart := h.now.Sub(t)
	return !t.IsZero() && (apart > 10*365*24*time.Hour || apart < -10*365*24*time.Hour)
}

// toVirtual puts moments that come from the host's clock to the present.
func (h *Hook) toVirtual(now metav1.Time, ts ...*metav1.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range ts {
		if t != nil && h.real(t.Time) {
			*t = now
		}
	}
}

func (h *Hook) conditions(now metav1.Time, cs []apis.Condition) {
	for i := range cs {
		h.toVirtual(now, &cs[i].LastTransitionTime.Inner)
	}
}

func (h *Hook) present() metav1.Time {
	return metav1.NewTime(h.Clock().Now().Truncate(time.Second))
}

// because notes the reason of the delay that a reconciler asked for: a deadline
// if it is one of the given moments.
func (h *Hook) because(name, key string, event error, deadlines ...time.Time) {
	ok, after := controller.IsRequeueKey(event)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	reason := wire.Retry
	for _, d := range deadlines {
		if h.now.Add(after).Sub(d).Abs() < time.Second {
			reason = wire.Deadline
		}
	}
	for _, c := range h.controllers {
		if c.name == name {
			c.reasons[key] = reason
		}
	}
}

// taskRuns is upstream's reconciler of TaskRuns on virtual time.
type taskRuns struct {
	*taskrun.Reconciler
	h    *Hook
	name string
}

// ReconcileKind implements the generated Interface.
func (r *taskRuns) ReconcileKind(ctx context.Context, tr *v1.TaskRun) reconciler.Event {
	now := r.h.present()
	created := tr.CreationTimestamp
	fresh := !tr.HasStarted()
	if fresh {
		// Upstream starts a TaskRun at the host's time, but not before its
		// creationTimestamp.
		tr.CreationTimestamp = now
	}
	event := r.Reconciler.ReconcileKind(ctx, tr)
	if fresh {
		tr.Status.StartTime = tr.Status.StartTime.DeepCopy()
		tr.CreationTimestamp = created
	}
	s := &tr.Status
	r.h.toVirtual(now, s.StartTime, s.CompletionTime)
	r.h.conditions(now, s.Conditions)
	for i := range s.RetriesStatus {
		old := &s.RetriesStatus[i]
		r.h.toVirtual(now, old.StartTime, old.CompletionTime)
		r.h.conditions(now, old.Conditions)
	}
	for i := range s.Steps {
		if t := s.Steps[i].Terminated; t != nil {
			r.h.toVirtual(now, &t.StartedAt, &t.FinishedAt)
		}
	}
	if s.StartTime != nil && !tr.IsDone() {
		r.h.because(r.name, tr.Namespace+"/"+tr.Name, event, s.StartTime.Add(tr.GetTimeout(ctx)))
	}
	return event
}

// pipelineRuns is upstream's reconciler of PipelineRuns on virtual time.
type pipelineRuns struct {
	*pipelinerun.Reconciler
	h    *Hook
	name string
}

// ReconcileKind implements the generated Interface.
func (r *pipelineRuns) ReconcileKind(ctx context.Context, pr *v1.PipelineRun) reconciler.Event {
	event := r.Reconciler.ReconcileKind(ctx, pr)
	now := r.h.present()
	s := &pr.Status
	r.h.toVirtual(now, s.StartTime, s.CompletionTime, s.FinallyStartTime)
	r.h.conditions(now, s.Conditions)
	if s.StartTime != nil && !pr.IsDone() {
		deadlines := []time.Time{s.StartTime.Add(pr.PipelineTimeout(ctx))}
		if d := pr.TasksTimeout(); d != nil {
			deadlines = append(deadlines, s.StartTime.Add(d.Duration))
		}
		if d := pr.FinallyTimeout(); d != nil && s.FinallyStartTime != nil {
			deadlines = append(deadlines, s.FinallyStartTime.Add(d.Duration))
		}
		r.h.because(r.name, pr.Namespace+"/"+pr.Name, event, deadlines...)
	}
	return event
}
