package scc

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"

	"simctl.dev/simctl/sim/demand"
	"simctl.dev/simctl/sim/internal/tree"
)

// stock are OpenShift's own SCCs.
func stock(t *testing.T) []map[string]any {
	t.Helper()
	content, err := os.ReadFile("../openshift/manifests/sccs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096); ; {
		var o map[string]any
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
}

// pod wants things written as "field value".
func pod(imageUser bool, wants ...string) demand.Pod {
	p := demand.Pod{ImageUser: imageUser}
	for _, w := range wants {
		field, value, _ := strings.Cut(w, " ")
		p.Security = append(p.Security, demand.Privilege{Field: field, Value: value})
	}
	return p
}

func TestLeast(t *testing.T) {
	ranges := Ranges{UIDs: "1000680000/10000", Groups: "1000680000/10000"}
	sccs := stock(t)
	for _, c := range []struct {
		pod  demand.Pod
		want string
	}{
		{pod(false, "fsGroup 2000", "runAsUser 1001"), "nonroot-v2"},
		{pod(true, "fsGroup 2000"), "anyuid"}, // nonroot-v2 would keep images out that name root
		{pod(true, "runAsUser 0"), "pipelines-scc"},
		{pod(true, "capability SETFCAP"), "pipelines-scc"},
		{pod(true, "capability SETFCAP", "fsGroup 2000"), "privileged"}, // one SCC must take all of it
		{pod(true, "allowPrivilegeEscalation true", "fsGroup 1000680000"), "pipelines-scc"},
		{pod(true, "hostPath /dev", "fsGroup 5"), "hostmount-anyuid"},
		{pod(true, "capability SYS_ADMIN"), "privileged"},
		{pod(false, "runAsUser 0", "privileged true"), "privileged"},
	} {
		if got := tree.Name(Least(sccs, c.pod, ranges)); got != c.want {
			t.Errorf("%v: %q, want %q", c.pod.Security, got, c.want)
		}
	}
}

func TestRefuses(t *testing.T) {
	sccs := stock(t)
	ranges := Ranges{UIDs: "1000680000/10000", Groups: "1000680000/10000,5/1"}
	own := map[string]any{"metadata": map[string]any{"name": "own"}, "fsGroup": map[string]any{"type": "MustRunAs", "ranges": []any{map[string]any{"min": 5, "max": 7}}},
		"runAsUser": map[string]any{"type": "MustRunAsRange", "uidRangeMin": 100, "uidRangeMax": 200}}
	sccs = append(sccs, own)
	for _, c := range []struct{ scc, wants, want string }{
		{"restricted-v2", "fsGroup 2000", "fsGroup 2000 is outside 1000680000/10000,5/1"},
		{"restricted-v2", "fsGroup 1000680001", "fsGroup 1000680001 is not 1000680000, the first of 1000680000/10000,5/1 and the only one allowed"},
		{"restricted-v2", "fsGroup 1000680000", ""},
		{"restricted-v2", "runAsUser 1000689999", ""},
		{"restricted-v2", "runAsUser 1000690000", "runAsUser 1000690000 is outside 1000680000/10000"},
		{"nonroot-v2", "runAsUser 0", "runAsUser 0 is root"},
		{"nonroot-v2", "runAsUser 7", ""},
		{"restricted-v2", "capability NET_BIND_SERVICE", ""},
		{"restricted-v2", "capability SETFCAP", "capability SETFCAP is not allowed"},
		{"privileged", "capability SYS_ADMIN", ""},
		{"anyuid", "privileged true", "privileged containers are not allowed"},
		{"restricted-v2", "allowPrivilegeEscalation true", "privilege escalation is not allowed"},
		{"own", "allowPrivilegeEscalation true", ""},
		{"own", "fsGroup 6", ""},
		{"own", "fsGroup 8", "fsGroup 8 is outside 5-7"},
		{"own", "runAsUser 150", ""},
		{"own", "runAsUser 201", "runAsUser 201 is outside 100-200"},
		{"anyuid", "hostPath /x", "host paths are not allowed"},
		{"hostmount-anyuid", "hostPath /x", ""},
	} {
		for _, s := range sccs {
			if tree.Name(s) != c.scc {
				continue
			}
			got := ""
			for _, r := range Refuses(s, pod(false, c.wants), ranges) {
				got += r.Why
			}
			if got != c.want {
				t.Errorf("%s, %s: %q, want %q", c.scc, c.wants, got, c.want)
			}
		}
	}
	if got := Refuses(sccs[0], pod(false, "runAsUser 5"), Ranges{}); len(got) != 1 {
		t.Errorf("without a range: %v", got)
	}
}

func TestAllows(t *testing.T) {
	for _, s := range stock(t) {
		if want, ok := map[string]string{
			"nonroot-v2":       "any user but root and any fsGroup",
			"pipelines-scc":    "any user, root too, privilege escalation and capability SETFCAP",
			"anyuid":           "any user, root too, any fsGroup and privilege escalation",
			"hostmount-anyuid": "any user, root too, any fsGroup, privilege escalation and the host's files",
			"privileged":       "everything, the host's devices and files too",
		}[tree.Name(s)]; ok && Allows(s) != want {
			t.Errorf("%s allows %q, want %q", tree.Name(s), Allows(s), want)
		}
	}
}
