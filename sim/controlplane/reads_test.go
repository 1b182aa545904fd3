package controlplane

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/transport"
)

// readsTest has one reader, who has rights, and writes that can be begun and
// ended one by one.
type readsTest struct {
	t *testing.T
	r reads
}

const (
	podPath = "/api/v1/namespaces/a/pods/p"
	tekton  = "system:serviceaccount:tekton:controller"
)

func request(method, path, user string) *http.Request {
	req, err := http.NewRequest(method, "https://server"+path, nil)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Accept", "application/vnd.kubernetes.protobuf,application/json")
	if user != "" {
		req.Header.Set(transport.ImpersonateUserHeader, user)
	}
	return req
}

func pod(version int) (*unstructured.Unstructured, []byte) {
	body := fmt.Appendf(nil, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","resourceVersion":"%d"}}`, version)
	return parse(body), body
}

// read returns the version that is known to user, or "" if the API server must be
// asked.
func (c *readsTest) read(user string) string {
	req := request(http.MethodGet, podPath, user)
	body, _ := c.r.get(parsePath(podPath), req)
	if body == nil {
		return ""
	}
	return parse(body).GetResourceVersion()
}

// ask has the API server answer a read.
func (c *readsTest) ask(user string, version int) {
	_, keep := c.r.get(parsePath(podPath), request(http.MethodGet, podPath, user))
	_, body := pod(version)
	if keep != nil {
		keep(http.StatusOK, true, body)
	}
}

// begin begins a write; the function it returns ends it.
func (c *readsTest) begin(method, path string) func(code, version int) {
	ended := c.r.write(parsePath(path), request(method, path, ""))
	return func(code, version int) {
		o, body := pod(version)
		if version == 0 {
			o = nil
		}
		ended(code, o, body)
	}
}

func (c *readsTest) want(what, user, version string) {
	c.t.Helper()
	if got := c.read(user); got != version {
		c.t.Errorf("%s: version %q is known to %q, want %q", what, got, user, version)
	}
}

func TestReads(t *testing.T) {
	for name, test := range map[string]func(c *readsTest){
		"what a write gave": func(c *readsTest) {
			c.begin(http.MethodPatch, podPath+"/status")(200, 5)
			c.want("after the write", "", "5")
		},
		"what a creation gave": func(c *readsTest) {
			c.begin(http.MethodPost, strings.TrimSuffix(podPath, "/p"))(201, 5)
			c.want("after the creation", "", "5")
		},
		"what a read gave": func(c *readsTest) {
			c.ask("", 5)
			c.want("after the read", "", "5")
		},
		"nothing to one who has not been allowed": func(c *readsTest) {
			c.begin(http.MethodPut, podPath)(200, 5)
			c.want("before a read", tekton, "")
			c.ask(tekton, 5)
			c.want("after a read", tekton, "5")
		},
		"nothing once rights may have changed": func(c *readsTest) {
			c.ask(tekton, 5)
			end := c.begin(http.MethodPut, "/apis/rbac.authorization.k8s.io/v1/clusterroles/x")
			c.want("during the change", tekton, "")
			c.ask(tekton, 5)
			end(200, 0)
			c.want("after the change", tekton, "")
		},
		"nothing during a write": func(c *readsTest) {
			c.ask("", 5)
			end := c.begin(http.MethodPatch, podPath)
			c.want("during the write", "", "")
			end(200, 6)
			c.want("after the write", "", "6")
		},
		"what was before a refused write": func(c *readsTest) {
			c.begin(http.MethodPut, podPath)(200, 5)
			c.begin(http.MethodPut, podPath)(409, 0)
			c.want("after a conflict", "", "5")
		},
		"the later of two writes whose answers overtake each other": func(c *readsTest) {
			first, second := c.begin(http.MethodPut, podPath), c.begin(http.MethodPatch, podPath+"/status")
			second(200, 7)
			c.want("while one is under way", "", "")
			first(200, 6)
			c.want("after both", "", "7")
		},
		"nothing after a write that does not show the object": func(c *readsTest) {
			c.ask("", 5)
			c.begin(http.MethodPost, podPath+"/binding")(201, 0)
			c.want("after the binding", "", "")
		},
		"nothing of what went on beside such a write": func(c *readsTest) {
			other, binding := c.begin(http.MethodPut, podPath), c.begin(http.MethodPost, podPath+"/binding")
			binding(201, 0)
			other(200, 6)
			c.want("after both", "", "")
		},
		"nothing after a deletion": func(c *readsTest) {
			c.ask("", 5)
			c.begin(http.MethodDelete, podPath)(200, 6)
			c.want("after the deletion", "", "")
		},
		"nothing after the deletion of all": func(c *readsTest) {
			c.ask("", 5)
			end := c.begin(http.MethodDelete, strings.TrimSuffix(podPath, "/p"))
			c.want("during the deletion", "", "")
			end(200, 0)
			c.want("after the deletion", "", "")
		},
		"nothing of a creation that a deletion overtook": func(c *readsTest) {
			end := c.begin(http.MethodPost, strings.TrimSuffix(podPath, "/p"))
			c.begin(http.MethodDelete, podPath)(200, 6)
			end(201, 5)
			c.want("after both", "", "")
		},
		"nothing of a read that a write overtook": func(c *readsTest) {
			_, keep := c.r.get(parsePath(podPath), request(http.MethodGet, podPath, ""))
			c.begin(http.MethodPut, podPath)(200, 6)
			_, old := pod(5)
			keep(http.StatusOK, true, old)
			c.want("after both", "", "6")
		},
		"nothing after a type has changed": func(c *readsTest) {
			c.ask("", 5)
			c.begin(http.MethodPut, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x")(200, 0)
			c.want("after the change", "", "")
		},
		"nothing read beside a write that began before a type changed": func(c *readsTest) {
			write := c.begin(http.MethodPut, podPath)
			c.begin(http.MethodPut, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x")(200, 0)
			c.ask("", 5) // what was before the write
			c.want("during the write", "", "")
			write(200, 6)
			c.want("after the write", "", "")
		},
	} {
		t.Run(name, func(t *testing.T) { test(&readsTest{t: t}) })
	}
}

// TestReadsLeaveNothing reads what is not there, as every cell does with other
// names.
func TestReadsLeaveNothing(t *testing.T) {
	var r reads
	_, keep := r.get(parsePath(podPath), request(http.MethodGet, podPath, ""))
	keep(http.StatusNotFound, true, nil)
	if len(r.objects) > 0 {
		t.Errorf("kept: %v", r.objects)
	}
}

// TestReadsAnswerable has reads that want something else than the object as JSON.
func TestReadsAnswerable(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"a table":       func(r *http.Request) { r.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io") },
		"protobuf only": func(r *http.Request) { r.Header.Set("Accept", "application/vnd.kubernetes.protobuf") },
		"a version":     func(r *http.Request) { r.URL.RawQuery = "resourceVersion=3" },
		"another path":  func(r *http.Request) { r.URL.Path = "/api/v2/namespaces/a/pods/p" },
	} {
		t.Run(name, func(t *testing.T) {
			c := &readsTest{t: t}
			c.ask("", 5)
			req := request(http.MethodGet, podPath, "")
			change(req)
			if body, _ := c.r.get(parsePath(podPath), req); body != nil {
				t.Error("answered")
			}
		})
	}
}
