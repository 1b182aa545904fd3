package controlplane

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/transport"
)

// reads knows what the API server would answer to a read of a single object:
// what it said last, to a read or to a write, since every write goes through the
// tap. Tekton reads a run's Tasks, pods and TaskRuns from the API server in every
// reconcile, a third of a cell's requests.
type reads struct {
	mu      sync.Mutex
	objects map[objectKey]*known
	// rights counts the writes that may have changed who may read what.
	rights int
	// forgotten counts the objects forgotten.
	forgotten int
}

// objectKey names an object, whatever version it is read in.
type objectKey struct{ group, resource, namespace, name string }

// known is what is known of an object.
type known struct {
	// writing counts the writes under way; nothing is certain during them.
	writing int
	// writes counts those that have begun.
	writes int
	// unclear says that a write under way began before one whose outcome is not
	// known, so that its answer may not be the last word.
	unclear bool

	version uint64 // resourceVersion
	path    string // of the read that body answers
	body    []byte // JSON; nil if not known
	// readers have been allowed to read the object.
	readers map[string]bool
}

// recalls is the link that answers reads of what is known.
func (t *Tap) recalls(req *http.Request, c *call, next sender) (*http.Response, error) {
	switch c.kind {
	case kindRead:
		known, keep := t.reads.get(c.where, req)
		if known != nil {
			return c.answer(req, http.StatusOK, known), nil
		}
		resp, err := next(req, c)
		if err == nil {
			keep(resp.StatusCode, isJSON(resp), c.got)
		}
		return resp, err
	case kindWrite:
		ended := t.reads.write(c.where, req)
		resp, err := next(req, c)
		if err != nil {
			ended(0, nil, nil)
			return nil, err
		}
		ended(resp.StatusCode, c.object, c.got)
		return resp, nil
	case kindWatch, kindTrial:
	}
	return next(req, c)
}

// readable are the resources of which reads are answered: nobody writes to them
// but clients. (The API server itself writes to quotas, for instance.)
var readable = map[string]string{
	"tasks": "tekton.dev", "taskruns": "tekton.dev", "pipelines": "tekton.dev", "pipelineruns": "tekton.dev",
	"pods": "", "serviceaccounts": "", "persistentvolumeclaims": "", "persistentvolumes": "", "nodes": "",
	"statefulsets": "apps", "volumeattachments": "storage.k8s.io",
}

func isReadable(where target) bool {
	group, ok := readable[where.resource]
	return ok && group == where.group
}

func keyOf(where target) objectKey {
	return objectKey{where.group, where.resource, where.namespace, where.name}
}

// object returns what is known of an object, which may be nothing.
func (r *reads) object(k objectKey) *known {
	o := r.objects[k]
	if o == nil {
		if r.objects == nil {
			r.objects = map[objectKey]*known{}
		}
		o = &known{readers: map[string]bool{}}
		r.objects[k] = o
	}
	return o
}

// reader names who reads. Members of system:masters, whose requests impersonate
// nobody, may read everything.
func reader(req *http.Request) (who string, all bool) {
	user := req.Header.Get(transport.ImpersonateUserHeader)
	return user, user == ""
}

// answerable says whether a request asks for something as it is, as JSON.
func answerable(req *http.Request) bool {
	return req.Method == http.MethodGet && req.URL.RawQuery == "" && acceptsJSON(req.Header.Get("Accept"))
}

func acceptsJSON(accept string) bool {
	if accept == "" {
		return true
	}
	for _, a := range strings.Split(accept, ",") {
		t, params, err := mime.ParseMediaType(a)
		if err != nil || params["as"] != "" {
			return false
		}
		if t == runtime.ContentTypeJSON {
			return true
		}
	}
	return false
}

// get returns the JSON that a read would bring, or nil if it is not known; keep is
// then to be told what the API server answers.
func (r *reads) get(where target, req *http.Request) (body []byte, keep func(code int, json bool, body []byte)) {
	if !isReadable(where) || where.name == "" || where.subresource != "" || !answerable(req) {
		return nil, func(int, bool, []byte) {}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.object(keyOf(where))
	who, all := reader(req)
	if o.writing == 0 && o.body != nil && o.path == req.URL.Path && (all || o.readers[who]) {
		return o.body, nil
	}
	before, rights := o.writes, r.rights
	return nil, func(code int, json bool, body []byte) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if code != http.StatusOK {
			r.drop(keyOf(where), o)
			return
		}
		if r.rights == rights {
			o.readers[who] = true
		}
		if o.writing == 0 && o.writes == before && json {
			o.path, o.body, o.version = req.URL.Path, body, 0
		}
	}
}

// write notes that a write begins; what it returns is to be told how it ended: the
// status that the API server answered with, 0 if it did not, the object in the
// answer, and the answer.
func (r *reads) write(where target, req *http.Request) (ended func(code int, o *unstructured.Unstructured, got []byte)) {
	nothing := func(int, *unstructured.Unstructured, []byte) {}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case where.group == "rbac.authorization.k8s.io":
		// Once more after it, for who has read in between.
		r.forgetReaders()
		return func(int, *unstructured.Unstructured, []byte) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.forgetReaders()
		}
	case where.resource == "customresourcedefinitions":
		return r.forgetAround(func(objectKey) bool { return true })
	case !isReadable(where):
		return nothing
	case where.name == "" && req.Method == http.MethodPost:
		// Nothing is known of what does not exist yet.
		before := r.forgotten
		return func(code int, o *unstructured.Unstructured, got []byte) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if o == nil || code != http.StatusCreated || r.forgotten != before {
				// The new object may be gone again.
				return
			}
			where.name = o.GetName()
			r.object(keyOf(where)).learn(req.URL.Path+"/"+where.name, o, got)
		}
	case where.name == "":
		// A collection is deleted, everywhere or in a namespace.
		return r.forgetAround(func(k objectKey) bool {
			return k.group == where.group && k.resource == where.resource && (where.namespace == "" || k.namespace == where.namespace)
		})
	}
	known := r.object(keyOf(where))
	known.writing++
	known.writes++
	return func(code int, o *unstructured.Unstructured, got []byte) {
		r.mu.Lock()
		defer r.mu.Unlock()
		known.writing--
		switch {
		case code >= http.StatusBadRequest && code < http.StatusInternalServerError:
			// Refused: nothing has changed.
		case code == 0 || o == nil || code >= http.StatusBadRequest || req.Method == http.MethodDelete ||
			o.GetDeletionTimestamp() != nil || where.subresource != "" && where.subresource != "status":
			r.forgotten++
			known.forget()
		default:
			known.learn(strings.TrimSuffix(req.URL.Path, "/"+where.subresource), o, got)
		}
		if known.writing == 0 {
			known.unclear = false
			r.drop(keyOf(where), known)
		}
	}
}

// learn takes an answer as an object's latest state.
func (o *known) learn(path string, obj *unstructured.Unstructured, got []byte) {
	version, err := strconv.ParseUint(obj.GetResourceVersion(), 10, 64)
	if err != nil {
		o.forget()
		return
	}
	if o.unclear || version < o.version {
		return
	}
	o.path, o.body, o.version = path, got, version
}

func (o *known) forget() {
	o.body = nil
	o.writes++
	o.unclear = o.writing > 0
}

func (r *reads) forgetReaders() {
	r.rights++
	for _, o := range r.objects {
		clear(o.readers)
	}
}

// forgetAround forgets the objects that are meant, now and when the write that
// changes them has ended.
func (r *reads) forgetAround(meant func(objectKey) bool) (ended func(int, *unstructured.Unstructured, []byte)) {
	r.forgetAll(meant)
	return func(int, *unstructured.Unstructured, []byte) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.forgetAll(meant)
	}
}

func (r *reads) forgetAll(meant func(objectKey) bool) {
	for k, o := range r.objects {
		if meant(k) {
			r.forgotten++
			o.forget()
			r.drop(k, o)
		}
	}
}

// drop takes an object off the list of which nothing is known, unless a write to
// it is under way.
func (r *reads) drop(k objectKey, o *known) {
	if o.writing == 0 && o.body == nil && r.objects[k] == o {
		delete(r.objects, k)
	}
}
