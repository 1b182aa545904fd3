package controlplane

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/kubernetes/scheme"

	"simctl.dev/simctl/sim/history"
)

// Tap sees the traffic of every client of one API server. It is safe for
// concurrent use.
type Tap struct {
	inFlight atomic.Int64
	activity atomic.Int64

	mu       sync.Mutex
	recorder history.Recorder
	events   eventStore
	reads    reads
	holds    holds
	faults   []*Fault
	echoes   echoes
	// last holds the latest recorded state of each object.
	last map[history.Ref]*seen
	// deleting says who has asked for the end of an object and has no answer yet.
	deleting map[target]string
	births   births

	slow atomic.Pointer[string]
	// virtual is the virtual time, if there is one.
	virtual atomic.Pointer[virtualTime]
}

type seen struct {
	version uint64
	object  map[string]any // pruned
}

// SetRecorder starts a history: what is seen from now on goes to r. A nil r
// stops recording.
func (t *Tap) SetRecorder(r history.Recorder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recorder = r
	t.last = map[history.Ref]*seen{}
	t.births.forget()
	t.events.forget()
}

// Found records an object that was there before the recording began, as created
// by actor.
func (t *Tap) Found(actor string, raw []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.recorder == nil {
		return nil
	}
	o, err := decode(raw)
	if err != nil {
		return fmt.Errorf("reading an object: %w", err)
	}
	t.state(actor, history.VerbCreate, RefOf(o), 0, prune(o))
	return nil
}

// InFlight is the number of requests, watches aside, that were sent and not
// answered.
func (t *Tap) InFlight() int64 { return t.inFlight.Load() }

// Activity is a number that grows with every request and everything a watch
// delivers.
func (t *Tap) Activity() int64 { return t.activity.Load() }

// Wrap returns a rest.Config.WrapTransport for a client whose writes are recorded
// under the name actor.
func (t *Tap) Wrap(actor string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		// Links of a chain, the first one first.
		next = roundTripper{tap: t, actor: actor, next: next}
		return faults{tap: t, actor: actor, next: next}
	}
}

type roundTripper struct {
	tap   *Tap
	actor string
	next  http.RoundTripper
}

func (rt roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	t := rt.tap
	t.activity.Add(1)
	where := parsePath(req.URL.Path)
	if isWatch(req) {
		resp, err := rt.next.RoundTrip(req)
		if err == nil {
			body := &watchBody{ReadCloser: resp.Body, ctx: req.Context(), tap: t, actor: rt.actor, where: where}
			t.holds.opened(body)
			body.echoes = isJSON(resp) && t.echoes.opened(body, req.URL.Query())
			resp.Body = body
		}
		return resp, err
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return rt.write(req, where)
	}
	t.inFlight.Add(1)
	defer t.inFlight.Add(-1)
	if isEvent(where) && req.Method == http.MethodGet {
		resp, _ := t.events.answer(req, where, nil)
		return resp, nil
	}
	known, keep := t.reads.get(where, req)
	if known != nil {
		return answerJSON(req, http.StatusOK, known), nil
	}
	resp, got, err := rt.exchange(req)
	if err == nil {
		keep(resp.StatusCode, isJSON(resp), got)
	}
	return resp, err
}

// write has a write done and recorded. The API server has it once it is sent,
// whatever its caller does then: one that goes away before the answer comes gets
// none, and the answer is read and recorded all the same.
func (rt roundTripper) write(req *http.Request, where target) (*http.Response, error) {
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	var sent []byte
	if req.Body != nil {
		var err error
		if sent, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close()
		sent = rt.tap.toVirtual(sent)
	}
	type answer struct {
		resp *http.Response
		err  error
	}
	answered := make(chan answer, 1)
	t := rt.tap
	t.inFlight.Add(1)
	go func() {
		defer t.inFlight.Add(-1)
		own := req.Clone(context.WithoutCancel(ctx))
		if req.Body != nil {
			own.Body, own.ContentLength = io.NopCloser(bytes.NewReader(sent)), int64(len(sent))
		}
		resp, err := rt.carryOut(own, where, sent) //nolint:bodyclose // whoever asked closes it; it is in memory
		answered <- answer{resp, err}
	}()
	select {
	case a := <-answered:
		return a.resp, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// carryOut has a write answered, and records it.
func (rt roundTripper) carryOut(req *http.Request, where target, sent []byte) (*http.Response, error) {
	t := rt.tap
	if req.Body != nil {
		// What is recorded is JSON.
		req.Header.Set("Accept", runtime.ContentTypeJSON)
	}
	if isEvent(where) {
		resp, got := t.events.answer(req, where, sent)
		t.record(rt.actor, req, where, resp.StatusCode, sent, got, parse(got))
		return resp, nil
	}
	if req.URL.Query().Has("dryRun") {
		resp, _, err := rt.exchange(req)
		return resp, err
	}
	if req.Method == http.MethodDelete && where.name != "" || isEviction(where) {
		defer t.deletes(where, rt.actor)()
	}
	born := func() {}
	if req.Method == http.MethodPost && where.name == "" {
		born = sync.OnceFunc(t.creates(where))
		defer born()
	}
	t.holds.sends(rt.actor, where, sent)
	t.tellTime(req, where)
	ended := t.reads.write(where, req)
	resp, got, err := rt.exchange(req)
	if err != nil {
		ended(0, nil, nil)
		return nil, err
	}
	o := parse(got)
	if isEviction(where) && resp.StatusCode < http.StatusMultipleChoices {
		// The answer does not show what has become of the pod.
		got, o = rt.evicted(req)
	}
	ended(resp.StatusCode, o, got)
	var version string
	if o != nil {
		version = o.GetResourceVersion()
	}
	t.record(rt.actor, req, where, resp.StatusCode, sent, got, o)
	born()
	if changes(req, resp.StatusCode) {
		t.echoes.wait(req.Context(), rt.actor, where, version, t.holds.holds)
	}
	return resp, nil
}

// isEviction says whether a request asks for the eviction of a pod.
func isEviction(where target) bool {
	return where.group == "" && where.resource == "pods" && where.subresource == "eviction"
}

// evicted returns the pod that was evicted as it is now; nil if it is gone. The API server
// has dated the reason by the host's clock, and nobody can tell it the time: that is
// put right here.
func (rt roundTripper) evicted(eviction *http.Request) (got []byte, pod *unstructured.Unstructured) {
	path := strings.TrimSuffix(eviction.URL.Path, "/eviction")
	got = rt.pod(eviction, http.MethodGet, path, nil)
	if fix := rt.tap.redated(got); fix != nil {
		if fixed := rt.pod(eviction, http.MethodPatch, path+"/status", fix); fixed != nil {
			got = fixed
		}
	}
	return got, parse(got)
}

// pod has a request about a pod answered on behalf of another one; nil if there is no
// such pod.
func (rt roundTripper) pod(of *http.Request, method, path string, patch []byte) []byte {
	req := of.Clone(of.Context())
	req.Method, req.URL.Path, req.URL.RawQuery = method, path, ""
	req.Body, req.ContentLength = http.NoBody, 0
	if patch != nil {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(patch)), int64(len(patch))
		req.Header.Set("Content-Type", string(types.StrategicMergePatchType))
	}
	resp, got, err := rt.exchange(req)
	if err != nil {
		return nil
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil
	}
	return got
}

// creates notes that something is being created in a collection until the function that
// it returns is called.
func (t *Tap) creates(where target) (over func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.births.begin(where, &t.mu)
}

// deletes notes who deletes an object until the function that it returns is called.
func (t *Tap) deletes(where target, actor string) (over func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	where.subresource = ""
	if t.deleting == nil {
		t.deleting = map[target]string{}
	}
	t.deleting[where] = actor
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.deleting, where)
	}
}

// answerJSON is an answer that the tap gives itself.
func answerJSON(req *http.Request, code int, body []byte) *http.Response {
	return &http.Response{
		Status:     strconv.Itoa(code) + " " + http.StatusText(code),
		StatusCode: code,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {runtime.ContentTypeJSON}},
		ContentLength: int64(len(body)),
		Body:          io.NopCloser(bytes.NewReader(body)),
		Request:       req,
	}
}

func isJSON(resp *http.Response) bool {
	t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return err == nil && t == runtime.ContentTypeJSON
}

// parse returns the object of an answer; nil if it has none.
func parse(got []byte) *unstructured.Unstructured {
	o, err := decode(got)
	if err != nil || o.GetKind() == "" || o.GetKind() == "Status" || strings.HasSuffix(o.GetKind(), "List") {
		return nil
	}
	return o
}

// decode reads a JSON object, of a kind or not.
func decode(raw []byte) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	err := utiljson.Unmarshal(raw, &o.Object)
	return o, err
}

// RefOf names an object as histories do.
func RefOf(o *unstructured.Unstructured) history.Ref {
	return history.Ref{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// exchange has the API server answer and reads the answer whole: a request is
// over when its answer is here.
func (rt roundTripper) exchange(req *http.Request) (*http.Response, []byte, error) {
	resp, err := rt.next.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(got))
	rt.tap.activity.Add(1)
	rt.tap.heed(resp.StatusCode, got)
	return resp, got, nil
}

// ErrTooSlow says that the API server gave a request up because it took too long in
// real time: what follows from that says something of this host and nothing of a
// pipeline.
var ErrTooSlow = errors.New("the API server gave a request up for want of real time: this host is too busy")

// tooSlow are the words with which it does so: its own, etcd's, and Go's for a
// webhook that has not answered.
var tooSlow = []string{
	"request did not complete within", "unable to return a response in the time allotted",
	"etcdserver: request timed out", "resource quota evaluation timed out", "context deadline exceeded", "Client.Timeout exceeded",
}

// heed looks whether a request was given up.
func (t *Tap) heed(code int, got []byte) {
	if code < http.StatusInternalServerError {
		return
	}
	var s status
	if json.Unmarshal(got, &s) == nil && slices.ContainsFunc(tooSlow, func(words string) bool { return strings.Contains(s.Message, words) }) {
		t.slow.CompareAndSwap(nil, &s.Message)
	}
}

// TooSlow is an [ErrTooSlow] from the first request on that the API server has given up.
func (t *Tap) TooSlow() error {
	if words := t.slow.Load(); words != nil {
		return fmt.Errorf("%w: %s", ErrTooSlow, *words)
	}
	return nil
}

// status is the API server's refusal.
type status struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// target is what a request's path says.
type target struct {
	group, resource, namespace, name, subresource string
}

func parsePath(path string) target {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var t target
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		t.group = parts[1]
		parts = parts[3:]
	default:
		return t
	}
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
		t.namespace = parts[1]
		parts = parts[2:]
	}
	t.resource = parts[0]
	if len(parts) > 1 {
		t.name = parts[1]
	}
	if len(parts) > 2 {
		t.subresource = parts[2]
	}
	return t
}

// notRecorded are requests that change nothing, or nothing of interest.
func notRecorded(t target) bool {
	switch t.group {
	case "authorization.k8s.io", "authentication.k8s.io", "coordination.k8s.io":
		return true
	}
	return t.resource == "" || t.subresource == "token"
}

// record records a write by its answer and the object in it, if it has one, of which
// it takes hold.
func (t *Tap) record(actor string, req *http.Request, where target, code int, sent, got []byte, o *unstructured.Unstructured) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.recorder == nil || notRecorded(where) {
		return
	}
	verb := map[string]string{http.MethodPost: history.VerbCreate, http.MethodDelete: history.VerbDelete}[req.Method]
	if verb == "" {
		verb = history.VerbUpdate
	}
	if code >= 300 {
		t.refused(actor, verb, where, code, sent, got)
		return
	}
	accepted := func() { t.accepted(actor, verb, where, sent, got, o) }
	switch {
	case where.name == "":
		accepted()
		if o != nil {
			t.births.answered(where, o.GetName())
		}
	case t.births.due(where) && !t.knows(where, o):
		t.births.wait(where, accepted)
	default:
		accepted()
	}
}

// knows says whether an object that was written to is in the history: that which the
// answer shows or, if it shows none, that which the request names.
func (t *Tap) knows(where target, o *unstructured.Unstructured) bool {
	if t.births.waitsFor(where) {
		return false
	}
	if o != nil {
		last := t.last[RefOf(o)]
		return last != nil && !last.another(o.GetUID())
	}
	for ref := range t.last {
		if ref.Name == where.name && ref.Namespace == where.namespace && resourceOf(ref.Kind) == where.resource {
			return true
		}
	}
	return false
}

// accepted records a write that was accepted.
func (t *Tap) accepted(actor, verb string, where target, sent, got []byte, o *unstructured.Unstructured) {
	if where.subresource == "binding" {
		t.bind(actor, where, sent)
		return
	}
	if isEviction(where) {
		if verb = history.VerbUpdate; o == nil {
			verb = history.VerbDelete // of a pod that had ended
		}
	}
	if o == nil {
		if verb == history.VerbDelete && where.name != "" {
			// The answer does not show what was deleted.
			t.gone(actor, where, got)
		}
		return
	}
	ref, grace := RefOf(o), o.GetDeletionGracePeriodSeconds()
	over := len(o.GetFinalizers()) == 0 &&
		(verb == history.VerbDelete || o.GetDeletionTimestamp() != nil) &&
		(grace == nil || *grace == 0)
	if verb == history.VerbDelete && !over {
		// A graceful deletion only sets the timestamp.
		verb = history.VerbUpdate
	}
	if last := t.last[ref]; (over || isEviction(where)) && last != nil && last.another(o.GetUID()) {
		// The answer was overtaken by that to the creation of the next object
		// of this name.
		return
	}
	version, _ := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if verb != history.VerbDelete {
		t.state(actor, verb, ref, version, prune(o))
	}
	if over {
		e := history.Entry{Kind: history.KindObject, Actor: actor, Verb: history.VerbDelete, Object: ref}
		if last := t.last[ref]; last != nil && verb == history.VerbDelete {
			if metadata, ok := history.MergePatch(last.object, prune(o))["metadata"]; ok {
				e.Patch, _ = json.Marshal(map[string]any{"metadata": metadata})
			}
		}
		t.recorder.Record(e)
		delete(t.last, ref)
	}
}

// state records an object's new state.
func (t *Tap) state(actor, verb string, ref history.Ref, version uint64, object map[string]any) {
	e := history.Entry{Kind: history.KindObject, Actor: actor, Verb: verb, Object: ref}
	last := t.last[ref]
	if verb == history.VerbCreate && last != nil && last.another(uidOf(object)) {
		// The one before is gone, and the answer to its deletion is still on its
		// way.
		by := t.deleting[target{resource: resourceOf(ref.Kind), namespace: ref.Namespace, name: ref.Name, group: schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).Group}]
		if by == "" {
			by = apiServerName
		}
		t.recorder.Record(history.Entry{Kind: history.KindObject, Actor: by, Verb: history.VerbDelete, Object: ref})
		delete(t.last, ref)
		last = nil
	}
	var err error
	switch {
	case last == nil:
		e.Body, err = json.Marshal(object)
	case version != 0 && version < last.version:
		// Answers overtook each other: the later state is recorded already.
		return
	default:
		patch := history.MergePatch(last.object, object)
		if len(patch) == 0 {
			return
		}
		e.Patch, err = json.Marshal(patch)
	}
	if err != nil {
		return
	}
	t.last[ref] = &seen{version: version, object: object}
	t.recorder.Record(e)
}

func (t *Tap) refused(actor, verb string, where target, code int, sent, got []byte) {
	switch code {
	case http.StatusNotFound, http.StatusConflict, http.StatusGone:
		// The ordinary course of optimistic concurrency, not a refusal.
		return
	}
	var s status
	_ = json.Unmarshal(got, &s)
	e := history.Entry{Kind: history.KindRefused, Actor: actor, Verb: verb, Code: code, Reason: s.Reason, Message: s.Message}
	if o, err := decode(toJSON(sent)); err == nil && o.GetKind() != "" {
		e.Object = RefOf(o)
		if e.Object.Name == "" {
			e.Object.Name = o.GetGenerateName()
		}
		e.Body, _ = json.Marshal(prune(o))
	}
	if e.Object.Kind == "" {
		e.Object.Kind = where.resource
	}
	if e.Object.Namespace == "" {
		e.Object.Namespace = where.namespace
	}
	if e.Object.Name == "" {
		e.Object.Name = where.name
	}
	t.recorder.Record(e)
}

// toJSON returns a request's body as JSON: a client in another process may send
// protobuf. What cannot be read is left as it is.
func toJSON(body []byte) []byte {
	if json.Valid(body) {
		return body
	}
	o, gvk, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return body
	}
	o.GetObjectKind().SetGroupVersionKind(*gvk)
	raw, err := json.Marshal(o)
	if err != nil {
		return body
	}
	return raw
}

// bind records what a pods/binding request did, which its answer does not show.
func (t *Tap) bind(actor string, where target, sent []byte) {
	var binding struct {
		Target struct {
			Name string `json:"name"`
		} `json:"target"`
	}
	if json.Unmarshal(toJSON(sent), &binding) != nil {
		return
	}
	ref := history.Ref{APIVersion: "v1", Kind: "Pod", Namespace: where.namespace, Name: where.name}
	last := t.last[ref]
	if last == nil {
		return
	}
	pod := runtime.DeepCopyJSON(last.object)
	spec, _ := pod["spec"].(map[string]any)
	if spec == nil {
		return
	}
	spec["nodeName"] = binding.Target.Name
	st, _ := pod["status"].(map[string]any)
	if st == nil {
		st = map[string]any{}
		pod["status"] = st
	}
	scheduled := map[string]any{"type": "PodScheduled", "status": "True"}
	conditions, _ := st["conditions"].([]any)
	kept := []any{scheduled}
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] != "PodScheduled" {
			kept = append(kept, m)
		}
	}
	st["conditions"] = kept
	t.state(actor, history.VerbBind, ref, last.version, pod)
}

// another says whether a uid is known and not the object's.
func (s *seen) another(uid types.UID) bool {
	have := uidOf(s.object)
	return uid != "" && have != "" && uid != have
}

func uidOf(object map[string]any) types.UID {
	return (&unstructured.Unstructured{Object: object}).GetUID()
}

// gone records the end of an object that a request's path names. The answer may
// tell its uid.
func (t *Tap) gone(actor string, where target, got []byte) {
	var answer struct {
		Details struct {
			UID types.UID `json:"uid"`
		} `json:"details"`
	}
	_ = json.Unmarshal(got, &answer)
	for ref, last := range t.last {
		if ref.Name == where.name && ref.Namespace == where.namespace && resourceOf(ref.Kind) == where.resource {
			if last.another(answer.Details.UID) {
				return
			}
			t.recorder.Record(history.Entry{Kind: history.KindObject, Actor: actor, Verb: history.VerbDelete, Object: ref})
			delete(t.last, ref)
			return
		}
	}
}

// resourceOf returns the plural of the kinds that appear here.
func resourceOf(kind string) string {
	k := strings.ToLower(kind)
	switch {
	case strings.HasSuffix(k, "class"), strings.HasSuffix(k, "s"):
		return k + "es"
	case strings.HasSuffix(k, "y"):
		return strings.TrimSuffix(k, "y") + "ies"
	}
	return k + "s"
}

// prune takes out what would only make a history longer, and secrets.
func prune(o *unstructured.Unstructured) map[string]any {
	for _, field := range []string{"managedFields", "resourceVersion", "generation"} {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	if o.GetKind() == "Secret" {
		delete(o.Object, "data")
		delete(o.Object, "stringData")
	}
	return o.Object
}
