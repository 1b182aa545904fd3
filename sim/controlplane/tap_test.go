package controlplane

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"simctl.dev/simctl/sim/history"
)

type entries []history.Entry

func (e *entries) Record(x history.Entry) { *e = append(*e, x) }

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
