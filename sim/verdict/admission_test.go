package verdict

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
)

func stateOf(t *testing.T, objects ...string) *timeline.View {
	t.Helper()
	return timelineOf(t, objects...).Now()
}

func timelineOf(t *testing.T, objects ...string) *timeline.Timeline {
	t.Helper()
	tl := timeline.New()
	for i, raw := range objects {
		var o struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Name      string `json:"name"`
				Namespace string `json:"namespace"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal([]byte(raw), &o); err != nil {
			t.Fatal(err)
		}
		err := tl.Add(history.Entry{Seq: i + 1, Kind: history.KindObject, Verb: history.VerbCreate, Body: json.RawMessage(raw),
			Object: history.Ref{Kind: o.Kind, Namespace: o.Metadata.Namespace, Name: o.Metadata.Name}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return tl
}

const rangedNamespace = `{"kind":"Namespace","metadata":{"name":"ns","annotations":{` +
	`"openshift.io/sa.scc.uid-range":"1000970000/10000","openshift.io/sa.scc.supplemental-groups":"1000970000/10000"},` +
	`"labels":{"pod-security.kubernetes.io/enforce":"baseline"}}}`

func TestRefusalCause(t *testing.T) {
	const (
		scc = `pods "a" is forbidden: unable to validate against any security context constraint: `
		no  = `provider "anyuid": Forbidden: not usable by user or serviceaccount`
	)
	tests := []struct {
		name    string
		message string
		objects []string
		account string
		noPod   bool
		context *corev1.PodSecurityContext
		want    string
		object  string
		// evidence is compared where a test has it.
		evidence string
	}{
		{
			name:    "policy",
			message: `taskruns.tekton.dev "a" is forbidden: ValidatingAdmissionPolicy 'no-deploy' with binding 'all' denied request: no deployments on Fridays`,
			want:    "ValidatingAdmissionPolicy no-deploy, which ValidatingAdmissionPolicyBinding all puts in force, does not let it in",
			object:  "ValidatingAdmissionPolicy no-deploy",
		},
		{
			name:    "fsGroup outside",
			message: scc + `[` + no + `, provider restricted-v2: .spec.securityContext.fsGroup: Invalid value: []int64{2000}: 2000 is not an allowed group]`,
			objects: []string{rangedNamespace},
			want:    "fsGroup 2000 is outside 1000970000/10000 and ServiceAccount default may use restricted-v2 only",
			object:  "ServiceAccount ns/default",
		},
		{
			name:    "fsGroup inside but not the first",
			message: scc + `provider restricted-v2: .spec.securityContext.fsGroup: Invalid value: []int64{1000970005}: 1000970005 is not an allowed group`,
			objects: []string{rangedNamespace},
			want:    "fsGroup 1000970005 is not 1000970000, the first of 1000970000/10000 and the only one allowed, and ServiceAccount default may use restricted-v2 only",
			object:  "ServiceAccount ns/default",
		},
		{
			name:    "uid and group, two SCCs",
			account: "builder",
			message: scc + `[` + no + `, provider restricted-v2: .spec.securityContext.fsGroup: Invalid value: []int64{2000}: 2000 is not an allowed group, provider restricted-v2: .containers[0].runAsUser: Invalid value: 0: must be in the ranges: [1000970000, 1000979999], provider nonroot-v2: .containers[0].runAsUser: Invalid value: 0: running with the root UID is forbidden]`,
			objects: []string{rangedNamespace},
			want:    "fsGroup 2000 is outside 1000970000/10000, runAsUser 0 is outside 1000970000/10000, containers[0].runAsUser: Invalid value: 0: running with the root UID is forbidden and ServiceAccount builder may use restricted-v2, nonroot-v2 only",
			object:  "ServiceAccount ns/builder",
		},
		{
			name:    "a quota counts what containers do not say",
			message: `pods "a" is forbidden: failed quota: compute: must specify limits.cpu for: prepare,step-s`,
			objects: []string{`{"kind":"ResourceQuota","metadata":{"name":"compute","namespace":"ns"},"spec":{"hard":{"limits.cpu":"3"}}}`},
			want:    "ResourceQuota compute takes only pods all of whose containers say what they need",
			object:  "ResourceQuota ns/compute",
		},
		{
			name:    "a default limit below the request",
			message: `Pod "a" is invalid: spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 500m. Maybe invalid TaskSpec`,
			objects: []string{
				`{"kind":"LimitRange","metadata":{"name":"claims","namespace":"ns"},"spec":{"limits":[{"type":"PersistentVolumeClaim","max":{"storage":"1Gi"}}]}}`,
				`{"kind":"LimitRange","metadata":{"name":"large","namespace":"ns"},"spec":{"limits":[{"type":"Container","default":{"cpu":"1","memory":"500m"}}]}}`,
				`{"kind":"LimitRange","metadata":{"name":"small","namespace":"ns"},"spec":{"limits":[{"type":"Container","default":{"cpu":"0.5"}}]}}`,
			},
			want:   "LimitRange small gives containers that name no limit one below what they request",
			object: "LimitRange ns/small",
		},
		{
			name:     "an SCC with groups of its own takes not even the namespace's first",
			message:  scc + `provider own: .spec.securityContext.fsGroup: Invalid value: []int64{1000970000}: 1000970000 is not an allowed group`,
			objects:  []string{rangedNamespace},
			want:     "fsGroup 1000970000 is not allowed and ServiceAccount default may use own only",
			object:   "ServiceAccount ns/default",
			evidence: "serviceAccountName: default\nusable by ServiceAccount default: own\nopenshift.io/sa.scc.supplemental-groups: 1000970000/10000\nopenshift.io/sa.scc.uid-range: 1000970000/10000",
		},
		{
			name:    "an SCC with groups of its own does not take a supplemental group of the namespace's",
			message: scc + `provider own: .spec.securityContext.supplementalGroups: Invalid value: []int64{1000970005}: 1000970005 is not an allowed group`,
			objects: []string{rangedNamespace},
			want:    "supplementalGroups 1000970005 is not allowed and ServiceAccount default may use own only",
			object:  "ServiceAccount ns/default",
		},
		{
			name:    "fsGroup is the first behind the range",
			message: scc + `provider restricted-v2: .spec.securityContext.fsGroup: Invalid value: []int64{1000980000}: 1000980000 is not an allowed group`,
			objects: []string{rangedNamespace},
			want:    "fsGroup 1000980000 is outside 1000970000/10000 and ServiceAccount default may use restricted-v2 only",
			object:  "ServiceAccount ns/default",
		},
		{
			name:     "groups have a range of their own, and the pod says nothing",
			message:  scc + `provider restricted-v2: .spec.securityContext.fsGroup: Invalid value: []int64{1000}: 1000 is not an allowed group`,
			objects:  []string{`{"kind":"Namespace","metadata":{"name":"ns","annotations":{"openshift.io/sa.scc.uid-range":"1000/10","openshift.io/sa.scc.supplemental-groups":"5000/10"}}}`},
			context:  &corev1.PodSecurityContext{},
			want:     "fsGroup 1000 is outside 5000/10 and ServiceAccount default may use restricted-v2 only",
			object:   "ServiceAccount ns/default",
			evidence: "serviceAccountName: default\nusable by ServiceAccount default: restricted-v2\nopenshift.io/sa.scc.supplemental-groups: 5000/10\nopenshift.io/sa.scc.uid-range: 1000/10",
		},
		{
			name:    "groups have the range of the uids",
			message: scc + `provider restricted-v2: .spec.securityContext.fsGroup: Invalid value: []int64{2000}: 2000 is not an allowed group`,
			objects: []string{`{"kind":"Namespace","metadata":{"name":"ns","annotations":{"openshift.io/sa.scc.uid-range":"1000/10"}}}`},
			want:    "fsGroup 2000 is outside 1000/10 and ServiceAccount default may use restricted-v2 only",
			object:  "ServiceAccount ns/default",
		},
		{
			name:     "neither the pod nor the namespace is known",
			message:  scc + `provider restricted-v2: .spec.securityContext.fsGroup: Invalid value: []int64{2000}: 2000 is not an allowed group`,
			noPod:    true,
			want:     "fsGroup 2000 is not allowed and ServiceAccount default may use restricted-v2 only",
			object:   "ServiceAccount ns/default",
			evidence: "serviceAccountName: default\nusable by ServiceAccount default: restricted-v2",
		},
		{
			name:    "a group that is no number",
			message: scc + `provider restricted-v2: .spec.securityContext.fsGroup: Invalid value: []int64{}: 99999999999999999999 is not an allowed group`,
			objects: []string{rangedNamespace},
			want:    "fsGroup 99999999999999999999 is not allowed and ServiceAccount default may use restricted-v2 only",
			object:  "ServiceAccount ns/default",
		},
		{
			name:    "the namespace is not known",
			message: scc + `provider restricted-v2: .containers[0].runAsUser: Invalid value: 0: must be in the ranges: [1000970000, 1000979999]`,
			want:    "runAsUser 0 is outside 1000970000-1000979999 and ServiceAccount default may use restricted-v2 only",
			object:  "ServiceAccount ns/default",
		},
		{
			name:    "none usable",
			message: scc + `[` + no + `]`,
			want:    "ServiceAccount default may use no SCC that takes the pod",
			object:  "ServiceAccount ns/default",
		},
		{
			name:    "PodSecurity",
			message: `pods "a" is forbidden: violates PodSecurity "baseline:latest": privileged (container "a" must not set securityContext.privileged=true)`,
			objects: []string{rangedNamespace},
			want:    "Namespace ns takes only pods that meet the Pod Security Standard baseline:latest",
			object:  "Namespace ns",
		},
		{
			name:    "quota",
			message: `pods "a" is forbidden: exceeded quota: small, requested: requests.cpu=2, used: requests.cpu=3, limited: requests.cpu=4`,
			want:    "ResourceQuota small leaves no room for requests.cpu=2: requests.cpu=3 of requests.cpu=4 are used",
			object:  "ResourceQuota ns/small",
		},
		{
			name:    "LimitRange",
			message: `pods "a" is forbidden: minimum cpu usage per Container is 100m, but request is 50m`,
			objects: []string{`{"kind":"LimitRange","metadata":{"name":"floor","namespace":"ns"},"spec":{"limits":[{"min":{"cpu":"100m"}}]}}`},
			want:    "LimitRange floor does not allow what the pod asks for",
			object:  "LimitRange ns/floor",
		},
		{
			name:    "ServiceAccount",
			message: `pods "a" is forbidden: error looking up service account ns/model-pipeline-sa: serviceaccount "model-pipeline-sa" not found`,
			want:    "ServiceAccount model-pipeline-sa does not exist in namespace ns",
			object:  "ServiceAccount ns/model-pipeline-sa",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{ServiceAccountName: test.account, SecurityContext: test.context}}
			if test.noPod {
				pod = nil
			}
			links := refusalCause(stateOf(t, test.objects...), "ns", test.message, pod)
			if len(links) != 1 {
				t.Fatalf("%d links", len(links))
			}
			l := links[0]
			if l.What != test.want {
				t.Errorf("what   %s\nwant   %s", l.What, test.want)
			}
			if l.Object != test.object {
				t.Errorf("object %s, want %s", l.Object, test.object)
			}
			if l.Evidence == "" || test.evidence != "" && l.Evidence != test.evidence {
				t.Errorf("evidence %q, want %q", l.Evidence, test.evidence)
			}
		})
	}
	if links := refusalCause(stateOf(t), "ns", "pods \"a\" is forbidden: for a reason of its own", nil); links != nil {
		t.Errorf("an unknown refusal is explained: %v", links)
	}
	// The author's own limit, whatever the defaults are.
	for limit, limits := range map[string]string{
		"500m": `{"type":"Container","default":{"cpu":"1"}},{"type":"openshift.io/Image","default":{"cpu":"500m"}}`,
		"0":    `{"type":"Container","default":{"memory":"1Gi"}}`,
	} {
		own := `Pod "a" is invalid: spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of ` + limit
		if links := refusalCause(stateOf(t, `{"kind":"LimitRange","metadata":{"name":"l","namespace":"ns"},"spec":{"limits":[`+limits+`]}}`), "ns", own, nil); links != nil {
			t.Errorf("a limit of %s that is no default is said to be one: %v", limit, links)
		}
	}
}

// A quota of a namespace is not taken up by what was left in another one.
func TestClaimsLeftOfTheNamespace(t *testing.T) {
	objects := func(namespace string) []string {
		return []string{
			`{"kind":"StatefulSet","metadata":{"name":"s","namespace":"` + namespace + `","labels":{"app.kubernetes.io/component":"affinity-assistant","tekton.dev/pipelineRun":"r"}},"spec":{"volumeClaimTemplates":[{"metadata":{"name":"c"}}]}}`,
			`{"kind":"PersistentVolumeClaim","metadata":{"name":"c-s-0","namespace":"` + namespace + `"}}`,
			`{"kind":"PipelineRun","metadata":{"name":"r","namespace":"` + namespace + `"}}`,
		}
	}
	for namespace, want := range map[string]int{"ns": 1, "other": 0} {
		tl := timelineOf(t, objects(namespace)...)
		if err := tl.Add(history.Entry{Seq: 4, Kind: history.KindObject, Verb: history.VerbDelete, Object: history.Ref{Kind: "PipelineRun", Namespace: namespace, Name: "r"}}); err != nil {
			t.Fatal(err)
		}
		links := claimsLeft(tl.Now(), "ns", `exceeded quota: q, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=1, limited: persistentvolumeclaims=1`)
		if len(links) != want {
			t.Errorf("of namespace %s: %v", namespace, links)
		}
	}
}

func TestParseRange(t *testing.T) {
	tests := []struct{ in, want string }{
		{"1000970000/10000", "1000970000 10000 true"},
		{"1-100", "1 100 true"},
		{"5/2,100/3", "5 2 true"},
		{"", "0 1 false"},
		{"7", "7 -6 false"},
		{"a-5", "0 6 false"},
		{"5-a", "5 -4 false"},
		{"a/5", "0 5 false"},
		{"5/a", "5 0 false"},
	}
	for _, test := range tests {
		first, size, ok := parseRange(test.in)
		if got := fmt.Sprint(first, size, ok); got != test.want {
			t.Errorf("parseRange(%q) is %s, want %s", test.in, got, test.want)
		}
	}
}

// TestBrief: of the SCCs in a refusal those that could be used are told first, the others
// by their number.
func TestBrief(t *testing.T) {
	const (
		begins = `pods "a" is forbidden: unable to validate against any security context constraint: `
		no     = `Forbidden: not usable by user or serviceaccount`
		group  = `provider restricted-v2: .spec.securityContext.fsGroup: Invalid value: []int64{2000}: 2000 is not an allowed group`
		uid    = `provider restricted-v2: .containers[0].runAsUser: Invalid value: 0: must be in the ranges: [1000, 1999]`
	)
	for _, tt := range []struct{ name, words, want string }{
		{"other words", "exceeded quota: [a, b]", "exceeded quota: [a, b]"},
		{"one", begins + `provider "anyuid": ` + no, begins + `provider "anyuid": ` + no},
		{"a few", begins + `[provider "anyuid": ` + no + `, ` + group + `]`, begins + `[provider "anyuid": ` + no + `, ` + group + `]`},
		{"around one that could", begins + `[provider "a": ` + no + `, provider "b": ` + no + `, ` + group + `, provider "c": ` + no + `]`,
			begins + `[` + group + `; 3 others are not usable by user or serviceaccount]`},
		{"one that could at the end", begins + `[provider "a": ` + no + `, provider "b": ` + no + `, provider "c": ` + no + `, ` + group + `, ` + uid + `]. Maybe [x]`,
			begins + `[` + group + `, ` + uid + `; 3 others are not usable by user or serviceaccount]. Maybe [x]`},
		{"none that could", begins + `[provider "a": ` + no + `, provider "b": ` + no + `, provider "c": ` + no + `]`,
			begins + `[3 are not usable by user or serviceaccount]`},
		{"cut", begins + `[` + group + `, provider "a": ` + no + `, provider "b": ` + no + `, provider "c": ` + no + `, provider "d": Forb...`,
			begins + `[` + group + `, provider "d": Forb...; 3 others are not usable by user or serviceaccount`},
		{"twice", strings.Repeat(begins+`[provider "a": `+no+`, provider "b": `+no+`, provider "c": `+no+`] `, 2),
			strings.Repeat(begins+`[3 are not usable by user or serviceaccount] `, 2)},
	} {
		if got := Brief(tt.words); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}
