package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/history"
)

type entries []history.Entry

func (e *entries) Record(x history.Entry) { *e = append(*e, x) }

// record has the tap record a write and its answer.
func (t *Tap) record(actor string, req *http.Request, where target, code int, sent, got []byte, o *unstructured.Unstructured) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recordLocked(actor, req, where, code, sent, got, o)
}

// TestOvertaken has the answer to a pod's deletion come after that to the
// creation of the next pod of its name, as with a StatefulSet's: the history has
// them in the order in which they took place.
func TestOvertaken(t *testing.T) {
	podOf := func(uid string, version int) []byte {
		return fmt.Appendf(nil, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"a","uid":%q,"resourceVersion":"%d"}}`, uid, version)
	}
	for name, deleted := range map[string][]byte{
		"the pod":  podOf("one", 7),
		"a status": []byte(`{"kind":"Status","apiVersion":"v1","status":"Success","details":{"name":"p","kind":"pods","uid":"one"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			var tap Tap
			var got entries
			tap.SetRecorder(&got)
			collection := parsePath("/api/v1/namespaces/a/pods")
			where := parsePath(podPath)
			create := func(actor string, body []byte) {
				tap.record(actor, request(http.MethodPost, "/api/v1/namespaces/a/pods", ""), collection, http.StatusCreated, body, body, parse(body))
			}
			create("tekton", podOf("one", 5))
			over := tap.deletes(where, "machines")
			create("statefulset-controller", podOf("two", 8))
			tap.record("machines", request(http.MethodDelete, podPath, ""), where, http.StatusOK, nil, deleted, parse(deleted))
			over()
			var said []string
			for _, e := range got {
				said = append(said, e.Actor+" "+e.Verb)
			}
			want := []string{"tekton create", "machines delete", "statefulset-controller create"}
			if !slices.Equal(said, want) {
				t.Errorf("got %v, want %v", said, want)
			}
			if tap.last[history.Ref{APIVersion: "v1", Kind: "Pod", Namespace: "a", Name: "p"}] == nil {
				t.Error("the new pod is not known")
			}
		})
	}
}

// TestWhatADeletionChanges: a deletion that ends an object says what it changed of it
// before, of what is its own to change.
func TestWhatADeletionChanges(t *testing.T) {
	podOf := func(version int, deletion, phase string) []byte {
		return fmt.Appendf(nil, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"a","uid":"one","resourceVersion":"%d"%s},"status":{"phase":%q}}`, version, deletion, phase)
	}
	for name, c := range map[string]struct{ before, answer, want string }{
		"by force":  {"", `,"deletionTimestamp":"2026-01-01T00:00:00Z","deletionGracePeriodSeconds":0`, `{"metadata":{"deletionGracePeriodSeconds":0,"deletionTimestamp":"2026-01-01T00:00:00Z"}}`},
		"the last":  {`,"deletionTimestamp":"2026-01-01T00:00:00Z","deletionGracePeriodSeconds":30`, `,"deletionTimestamp":"2026-01-01T00:00:00Z","deletionGracePeriodSeconds":0`, `{"metadata":{"deletionGracePeriodSeconds":0}}`},
		"unchanged": {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var tap Tap
			var got entries
			tap.SetRecorder(&got)
			body := podOf(5, c.before, "Pending")
			tap.record("user", request(http.MethodPost, "/api/v1/namespaces/a/pods", ""), parsePath("/api/v1/namespaces/a/pods"), http.StatusCreated, body, body, parse(body))
			answer := podOf(6, c.answer, "Running")
			tap.record("user", request(http.MethodDelete, podPath, ""), parsePath(podPath), http.StatusOK, nil, answer, parse(answer))
			if len(got) != 2 || got[1].Verb != history.VerbDelete || string(got[1].Patch) != c.want {
				t.Errorf("the history has %v", got[1:])
			}
		})
	}
}

// TestOvertakenCreation has the answers to writes to a new pod come before that to its
// creation: somebody who watches may be quicker than its creator.
func TestOvertakenCreation(t *testing.T) {
	podAt := func(name, uid string, version int, phase string) []byte {
		return fmt.Appendf(nil, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":%q,"namespace":"a","uid":%q,"resourceVersion":"%d"},"spec":{"containers":[]},"status":{"phase":%q}}`,
			name, uid, version, phase)
	}
	const pods = "/api/v1/namespaces/a/pods"
	var tap Tap
	var got entries
	create := func(actor string, body []byte) {
		tap.record(actor, request(http.MethodPost, pods, ""), parsePath(pods), http.StatusCreated, body, body, parse(body))
	}
	write := func(actor, method, path string, sent string, body []byte) {
		tap.record(actor, request(method, path, sent), parsePath(path), http.StatusOK, []byte(sent), body, parse(body))
	}
	for name, c := range map[string]struct {
		do   func()
		want []string
	}{
		"an update and a binding": {func() {
			over := tap.creates(parsePath(pods))
			write("kube-scheduler", http.MethodPost, pods+"/p/binding", `{"target":{"name":"n1"}}`, nil)
			write("kubelet", http.MethodPut, pods+"/p/status", "", podAt("p", "one", 7, "Running"))
			create("tekton", podAt("p", "one", 5, "Pending"))
			over()
		}, []string{"tekton create p", "kube-scheduler bind p", "kubelet update p"}},
		"an update of the next of its name": {func() {
			create("tekton", podAt("p", "one", 5, "Pending"))
			defer tap.deletes(parsePath(pods+"/p"), "machines")()
			over := tap.creates(parsePath(pods))
			write("kubelet", http.MethodPut, pods+"/p/status", "", podAt("p", "two", 9, "Running"))
			create("tekton", podAt("p", "two", 8, "Pending"))
			over()
		}, []string{"tekton create p", "machines delete p", "tekton create p", "kubelet update p"}},
		"a deletion": {func() {
			over := tap.creates(parsePath(pods))
			write("user", http.MethodDelete, pods+"/p", "", []byte(`{"kind":"Status","apiVersion":"v1","status":"Success","details":{"name":"p","kind":"pods","uid":"one"}}`))
			create("tekton", podAt("p", "one", 5, "Pending"))
			over()
		}, []string{"tekton create p", "user delete p"}},
		"one that was there before the history": {func() {
			first, second := tap.creates(parsePath(pods)), tap.creates(parsePath(pods))
			write("kubelet", http.MethodPut, pods+"/old/status", "", podAt("old", "zero", 3, "Running"))
			write("kubelet", http.MethodPut, pods+"/old/status", "", podAt("old", "zero", 4, "Failed"))
			create("tekton", podAt("p", "one", 5, "Pending"))
			first()
			second() // refused
			write("kubelet", http.MethodPut, pods+"/old/status", "", podAt("old", "zero", 8, "Succeeded"))
		}, []string{"tekton create p", "kubelet update old", "kubelet update old", "kubelet update old"}},
		"another that is known": {func() {
			create("tekton", podAt("p", "one", 5, "Pending"))
			over := tap.creates(parsePath(pods))
			write("kubelet", http.MethodPut, pods+"/p/status", "", podAt("p", "one", 6, "Running"))
			create("tekton", podAt("q", "two", 7, "Pending"))
			over()
		}, []string{"tekton create p", "kubelet update p", "tekton create q"}},
		"another history has begun": {func() {
			over := tap.creates(parsePath(pods))
			write("kubelet", http.MethodPut, pods+"/p/status", "", podAt("p", "one", 7, "Running"))
			tap.SetRecorder(&got)
			over()
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got = nil
			tap.SetRecorder(&got)
			c.do()
			var said []string
			for _, e := range got {
				said = append(said, e.Actor+" "+e.Verb+" "+e.Object.Name)
			}
			if !slices.Equal(said, c.want) {
				t.Errorf("got %v, want %v", said, c.want)
			}
			if len(tap.births) > 0 {
				t.Errorf("still waiting: %v", tap.births)
			}
		})
	}
}

// TestHeirs: a TaskRun's pod comes after the TaskRun in the history, though the answer to
// the pod's creation is the first to come.
func TestHeirs(t *testing.T) {
	const taskRun = `{"kind":"TaskRun","apiVersion":"tekton.dev/v1","metadata":{"name":"%s","namespace":"a","uid":"%s","resourceVersion":"5"}}`
	const pod = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"a","uid":"two","resourceVersion":"6",
		"ownerReferences":[{"kind":"TaskRun","apiVersion":"tekton.dev/v1","name":"t","uid":"one"}]}}`
	for name, c := range map[string]struct {
		answer string // to the creation of the TaskRun
		code   int
		want   []string
	}{
		"born":       {fmt.Sprintf(taskRun, "t", "one"), http.StatusCreated, []string{"create TaskRun", "create Pod"}},
		"not born":   {string(refusal(http.StatusConflict, "")), http.StatusConflict, []string{"create Pod"}},
		"of another": {fmt.Sprintf(taskRun, "u", "three"), http.StatusCreated, []string{"create TaskRun", "create Pod"}},
	} {
		t.Run(name, func(t *testing.T) {
			var tap Tap
			var got entries
			tap.SetRecorder(&got)
			sent, answer := make(chan struct{}), make(chan struct{})
			client := tap.Wrap("tekton")(roundTrip(func(req *http.Request) (*http.Response, error) {
				if strings.HasSuffix(req.URL.Path, "/pods") {
					return answerJSON(req, http.StatusCreated, []byte(pod)), nil
				}
				close(sent)
				<-answer
				return answerJSON(req, c.code, []byte(c.answer)), nil
			}))
			over := make(chan error)
			create := func(path string) {
				_, err := client.RoundTrip(request(http.MethodPost, path, "")) //nolint:bodyclose // there is none
				over <- err
			}
			go create("/apis/tekton.dev/v1/namespaces/a/taskruns")
			<-sent
			go create("/api/v1/namespaces/a/pods")
			for waits := false; !waits; runtime.Gosched() {
				tap.mu.Lock()
				for _, c := range tap.births {
					waits = waits || len(c.heirs) > 0
				}
				tap.mu.Unlock()
			}
			close(answer)
			for range 2 {
				if err := <-over; err != nil {
					t.Fatal(err)
				}
			}
			var said []string
			for _, e := range got {
				said = append(said, e.Verb+" "+e.Object.Kind)
			}
			if !slices.Equal(said, c.want) {
				t.Errorf("got %v, want %v", said, c.want)
			}
			if len(tap.births) > 0 {
				t.Errorf("still waiting: %v", tap.births)
			}
		})
	}
}

// roundTrip is a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestCallerGone: a writer that goes away before the answer comes does not take its
// write back, and all is not quiet until the answer is there.
func TestCallerGone(t *testing.T) {
	const body = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"a","resourceVersion":"5"}}`
	var tap Tap
	var got entries
	tap.SetRecorder(&got)
	sent, answer := make(chan struct{}), make(chan struct{})
	client := tap.Wrap("tekton")(roundTrip(func(req *http.Request) (*http.Response, error) {
		close(sent)
		select {
		case <-answer:
			return answerJSON(req, http.StatusCreated, []byte(body)), nil
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}))
	ctx, leave := context.WithCancel(t.Context())
	over := make(chan error)
	go func() {
		_, err := client.RoundTrip(request(http.MethodPost, "/api/v1/namespaces/a/pods", "").WithContext(ctx)) //nolint:bodyclose // there is none
		over <- err
	}()
	<-sent
	leave()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller got %v, want %v", err, context.Canceled)
	}
	if n := tap.InFlight(); n != 1 {
		t.Errorf("%d requests are on their way, want 1", n)
	}
	close(answer)
	for tap.InFlight() > 0 {
		runtime.Gosched()
	}
	if len(got) != 1 || got[0].Actor != "tekton" || got[0].Verb != history.VerbCreate || got[0].Object.Name != "p" {
		t.Errorf("the history has %v, want the creation of p", got)
	}
}

// unheard counts the writes that have no answer yet.
func (t *Tap) unheard() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, c := range t.births {
		n += c.unanswered
	}
	for _, o := range t.orders {
		n += o.unanswered
		for _, a := range o.answered {
			if a.made {
				n-- // a birth as long as it waits
			}
		}
	}
	return n
}

// TestInOrder has the answers to writes to one pod come in another order than that in
// which the API server did them.
func TestInOrder(t *testing.T) {
	const pods = "/api/v1/namespaces/a/pods"
	pod := func(uid string, version int, phase string) string {
		return fmt.Sprintf(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"a","uid":%q,"resourceVersion":"%d"},"status":{"phase":%q}}`, uid, version, phase)
	}
	const gone = `{"kind":"Status","apiVersion":"v1","status":"Success","details":{"name":"p","kind":"pods","uid":"one"}}`
	type write struct {
		actor, method, path, answer string
		code                        int
	}
	fail := write{"pod-garbage-collector", http.MethodPatch, podPath + "/status", pod("one", 7, "Failed"), http.StatusOK}
	create := write{"statefulset-controller", http.MethodPost, pods, pod("two", 9, "Pending"), http.StatusCreated}
	for name, c := range map[string]struct {
		// begin and end are in the order in which they are sent and answered.
		begin []write
		end   []int
		want  []string
	}{
		"a patch and a deletion": {
			[]write{fail, {"statefulset-controller", http.MethodDelete, podPath, pod("one", 7, "Failed"), http.StatusOK}}, []int{1, 0},
			[]string{"pod-garbage-collector update", "statefulset-controller delete"},
		},
		"a patch, a deletion that shows nothing, and the next pod": {
			[]write{fail, {"statefulset-controller", http.MethodDelete, podPath, gone, http.StatusOK}, create}, []int{2, 1, 0},
			[]string{"pod-garbage-collector update", "statefulset-controller delete", "statefulset-controller create"},
		},
		"two patches": {
			[]write{{"taint-eviction-controller", http.MethodPatch, podPath + "/status", pod("one", 6, "Running"), http.StatusOK}, fail}, []int{1, 0},
			[]string{"taint-eviction-controller update", "pod-garbage-collector update"},
		},
		"one that is refused": {
			[]write{{"kubelet", http.MethodPatch, podPath + "/status", `{"kind":"Status","apiVersion":"v1","reason":"Conflict"}`, http.StatusConflict}, fail}, []int{1, 0},
			[]string{"pod-garbage-collector update"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var tap Tap
			var got entries
			tap.SetRecorder(&got)
			before := pod("one", 5, "Pending")
			tap.record("statefulset-controller", request(http.MethodPost, pods, ""), parsePath(pods), http.StatusCreated, nil, []byte(before), parse([]byte(before)))
			answers := map[string]chan struct{}{}
			sent := make(chan struct{})
			over := make(chan error)
			for i, w := range c.begin {
				id := fmt.Sprint(i)
				answer := make(chan struct{})
				answers[id] = answer
				client := tap.Wrap(w.actor)(roundTrip(func(req *http.Request) (*http.Response, error) {
					sent <- struct{}{}
					<-answer
					return answerJSON(req, w.code, []byte(w.answer)), nil
				}))
				go func() {
					_, err := client.RoundTrip(request(w.method, w.path, "{}")) //nolint:bodyclose // there is none
					over <- err
				}()
				<-sent
			}
			for n, i := range c.end {
				close(answers[fmt.Sprint(i)])
				for tap.unheard() > len(c.begin)-n-1 {
					runtime.Gosched()
				}
			}
			for range c.begin {
				if err := <-over; err != nil {
					t.Error(err)
				}
			}
			var said []string
			for _, e := range got[1:] {
				said = append(said, e.Actor+" "+e.Verb)
			}
			if !slices.Equal(said, c.want) {
				t.Errorf("got %v, want %v", said, c.want)
			}
			if len(tap.orders) > 0 {
				t.Errorf("still waiting: %v", tap.orders)
			}
		})
	}
}

// TestVersions: what says nothing of its version has its place all the same.
func TestVersions(t *testing.T) {
	for name, c := range map[string]struct {
		answered []answered
		want     string
	}{
		"an eviction and the deletion after it": {[]answered{{gone: true}, {version: 7}}, "1 0"},
		"and the next of the name":              {[]answered{{version: 9, made: true}, {gone: true}, {version: 7}}, "2 1 0"},
		"a deletion with the version before it": {[]answered{{version: 7, gone: true}, {version: 7}}, "1 0"},
		"a binding":                             {[]answered{{version: 7}, {}}, "1 0"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for i := range c.answered {
				c.answered[i].record = func() { got = append(got, strconv.Itoa(i)) }
			}
			for _, a := range inOrder(c.answered) {
				a.record()
			}
			if said := strings.Join(got, " "); said != c.want {
				t.Errorf("recorded in the order %s, want %s", said, c.want)
			}
		})
	}
}
