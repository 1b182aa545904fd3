package controlplane

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
)

type network func(*http.Request) (*http.Response, error)

func (n network) RoundTrip(req *http.Request) (*http.Response, error) { return n(req) }

// A fault meets one client's requests, is in the history of its writes, leaves watches
// alone, and ends.
func TestFault(t *testing.T) {
	tap, log := &Tap{}, history.NewLog(func() float64 { return 0 }, nil)
	tap.SetRecorder(log)
	through := 0
	server := network(func(req *http.Request) (*http.Response, error) {
		through++
		return answerJSON(req, http.StatusOK, []byte(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"n"}}`)), nil
	})
	send := func(actor, method, path, body string) *http.Response {
		req, err := http.NewRequestWithContext(context.Background(), method, "http://x"+path, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tap.Wrap(actor)(server).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	over := tap.Fail(Fault{Actor: "a", Code: http.StatusServiceUnavailable})
	resp := send("a", http.MethodPut, "/api/v1/namespaces/n/pods/p", `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"n"}}`)
	said, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(said), "ServiceUnavailable") || through != 0 {
		t.Errorf("a write is answered with %d %s; %d requests came through", resp.StatusCode, said, through)
	}
	entries := log.Entries()
	if len(entries) != 1 || entries[0].Kind != history.KindRefused || entries[0].Code != http.StatusServiceUnavailable || entries[0].Object.Name != "p" {
		t.Errorf("the history has %+v", entries)
	}
	for _, ok := range []struct{ actor, path string }{{"b", "/api/v1/namespaces/n/pods/p"}, {"a", "/api/v1/pods?watch=true"}} {
		before := through
		resp := send(ok.actor, http.MethodGet, ok.path, "")
		_ = resp.Body.Close()
		if through == before {
			t.Errorf("%s does not get %s", ok.actor, ok.path)
		}
	}
	over()
	over() // once more does no harm
	resp = send("a", http.MethodGet, "/api/v1/namespaces/n/pods/q", "")
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("after its end: %d", resp.StatusCode)
	}
	tap.Fail(Fault{Actor: "a", Code: http.StatusInternalServerError})
	tap.Mend()
	resp = send("a", http.MethodGet, "/api/v1/namespaces/n/pods/r", "")
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("a fault outlives Mend: %d", resp.StatusCode)
	}
}

// A fault meets the resources and verbs that it is about, and says so.
func TestFaultOfSomeRequests(t *testing.T) {
	server := network(func(req *http.Request) (*http.Response, error) {
		return answerJSON(req, http.StatusOK, []byte(`{}`)), nil
	})
	const pods = "/api/v1/namespaces/n/pods"
	for _, tt := range []struct {
		resources, verbs string
		method, path     string
		met              bool
	}{
		{"", "", http.MethodGet, pods, true},
		{"", "list", http.MethodGet, pods, true},
		{"", "list", http.MethodGet, pods + "/p", false},
		{"", "get", http.MethodGet, pods + "/p", true},
		{"", "get", http.MethodGet, pods + "?watch=true", false},
		{"", "create", http.MethodPost, pods, true},
		{"", "update patch", http.MethodPatch, pods + "/p", true},
		{"", "update", http.MethodPatch, pods + "/p", false},
		{"", "update", http.MethodPut, pods + "/p", true},
		{"", "delete", http.MethodDelete, pods + "/p", true},
		{"", "delete", http.MethodDelete, pods, false},
		{"", "deletecollection", http.MethodDelete, pods, true},
		{"pods", "", http.MethodGet, pods + "/p", true},
		{"pods", "", http.MethodPut, pods + "/p/status", false},
		{"pods/status", "", http.MethodPut, pods + "/p/status", true},
		{"pods/*", "", http.MethodPut, pods + "/p/status", true},
		{"pods/*", "", http.MethodPut, pods + "/p", false},
		{"services pods", "get", http.MethodGet, pods + "/p", true},
		{"services", "", http.MethodGet, pods + "/p", false},
	} {
		tap, met := &Tap{}, 0
		tap.Fail(Fault{Actor: "a", Resources: strings.Fields(tt.resources), Verbs: strings.Fields(tt.verbs), Code: http.StatusTooManyRequests, Met: func(string) { met++ }})
		req, err := http.NewRequestWithContext(context.Background(), tt.method, "http://x"+tt.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tap.Wrap("a")(server).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.StatusCode == http.StatusTooManyRequests; got != tt.met || got != (met == 1) {
			t.Errorf("%s %s meets (%s) of (%s): %t, told %d times; want %t", tt.method, tt.path, tt.verbs, tt.resources, got, met, tt.met)
		}
	}
}

type meddler func(*http.Request) (*http.Response, error)

func (l meddler) RoundTrip(req *http.Request) (*http.Response, error) { return l(req) }

// A fault of another kind is a link of its own: it meets what it wants to, and lets the
// rest through.
func TestFaultOfItsOwnKind(t *testing.T) {
	tap, log := &Tap{}, history.NewLog(func() float64 { return 0 }, nil)
	tap.SetRecorder(log)
	server := network(func(req *http.Request) (*http.Response, error) {
		return answerJSON(req, http.StatusOK, []byte(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"n"}}`)), nil
	})
	var met []string
	over := tap.Fail(Fault{Actor: "a", Met: func(request string) { met = append(met, request) }, Link: func(next http.RoundTripper) http.RoundTripper {
		return meddler(func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodPut {
				return Refuse(req, http.StatusForbidden, "not today"), nil
			}
			return next.RoundTrip(req)
		})
	}})
	send := func(method string) int {
		req, err := http.NewRequestWithContext(context.Background(), method, "http://x/api/v1/namespaces/n/pods/p", strings.NewReader(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"n"}}`))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tap.Wrap("a")(server).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusForbidden && !strings.Contains(string(said), `"reason":"Forbidden"`) {
			t.Errorf("a client cannot tell a refusal by %s", said)
		}
		return resp.StatusCode
	}
	if put, patch := send(http.MethodPut), send(http.MethodPatch); put != http.StatusForbidden || patch != http.StatusOK {
		t.Errorf("a PUT is answered with %d, a PATCH with %d", put, patch)
	}
	if !slices.Equal(met, []string{"a: PUT pods"}) {
		t.Errorf("the fault has met %q", met)
	}
	entries := log.Entries()
	if len(entries) != 2 || entries[0].Kind != history.KindRefused || entries[0].Message != "not today" || entries[1].Kind != history.KindObject {
		t.Errorf("the history has %+v", entries)
	}
	over()
	if put := send(http.MethodPut); put != http.StatusOK {
		t.Errorf("after its end: %d", put)
	}
}
