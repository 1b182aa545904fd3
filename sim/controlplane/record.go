package controlplane

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"

	"simctl.dev/simctl/sim/history"
)

// records is the link that puts into the history what is written and what is refused.
func (t *Tap) records(req *http.Request, c *call, next sender) (*http.Response, error) {
	if c.kind != kindWrite {
		return next(req, c)
	}
	switch {
	case isEvent(c.where): // nobody waits for one
	case req.Method == http.MethodDelete && c.where.name != "", isEviction(c.where):
		defer t.deletes(c.where, c.actor)()
	}
	resp, err := next(req, c)
	if c.over != nil {
		defer c.over()
	}
	if err != nil {
		t.inTurn(req, c, 0)
		return nil, err
	}
	if c.over != nil {
		t.afterOwners(c)
	}
	t.inTurn(req, c, resp.StatusCode)
	return resp, nil
}

// afterOwners waits until the owners of what was created are in the history: whoever
// makes something for an object that he watches may have his answer before the object's
// creator has.
func (t *Tap) afterOwners(c *call) {
	if c.object == nil {
		return
	}
	for _, owner := range c.object.GetOwnerReferences() {
		where := target{group: schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).Group, resource: resourceOf(owner.Kind), namespace: c.where.namespace, name: owner.Name}
		var born <-chan struct{}
		t.mu.Lock()
		last := t.last[history.Ref{APIVersion: owner.APIVersion, Kind: owner.Kind, Namespace: c.where.namespace, Name: owner.Name}]
		if where.resource != c.where.resource && (last == nil || last.another(owner.UID)) {
			born = t.births.owned(where)
		}
		t.mu.Unlock()
		if born != nil {
			<-born
		}
	}
}

// creates notes that something is being created in a collection until the function that
// it returns is called.
func (t *Tap) creates(where target) (over func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.births.begin(where, &t.mu)
}

// deletes notes who deletes an object until the function that it gives is called.
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

// notRecorded are requests that change nothing, or nothing of interest.
func notRecorded(t target) bool {
	switch t.group {
	case "authorization.k8s.io", "authentication.k8s.io", "coordination.k8s.io":
		return true
	}
	return t.resource == "" || t.subresource == "token"
}

// recordLocked records a write by its answer and the object in it, if it has one, of
// which it takes hold. Callers hold the lock.
func (t *Tap) recordLocked(actor string, req *http.Request, where target, code int, sent, got []byte, o *unstructured.Unstructured) {
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
	_, known := t.named(where)
	return known
}

// named is the object of the history that a request's path names; false if it has none.
func (t *Tap) named(where target) (history.Ref, bool) {
	for ref := range t.last {
		if ref.Name == where.name && ref.Namespace == where.namespace && resourceOf(ref.Kind) == where.resource {
			return ref, true
		}
	}
	return history.Ref{}, false
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
	if e.Object.Kind == "" { // a patch, of what is known by its name
		e.Object.Kind = where.resource
		if ref, known := t.named(where); known {
			e.Object.APIVersion, e.Object.Kind = ref.APIVersion, ref.Kind
		}
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
	ref, known := t.named(where)
	if !known || t.last[ref].another(answer.Details.UID) {
		return
	}
	t.recorder.Record(history.Entry{Kind: history.KindObject, Actor: actor, Verb: history.VerbDelete, Object: ref})
	delete(t.last, ref)
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
