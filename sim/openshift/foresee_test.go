package openshift

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// What is foreseen is what becomes of the shipped cells: those that are expected to end by
// SCC admission, and no other.
func TestForeseeShipped(t *testing.T) {
	files, err := scenario.LoadAll([]string{"../../scenarios/..."})
	if err != nil {
		t.Fatal(err)
	}
	cells, err := scenario.Expand(files, scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, c := range cells {
		if !c.Spec.Cluster.OpenShift.Enabled || c.Expected == nil || c.Repeat > 0 || len(c.Expected.Outcome) != 1 {
			continue
		}
		problems, err := Foresee(&c)
		if err != nil {
			t.Fatal(err)
		}
		outcome := c.Expected.Outcome[0]
		seen[outcome]++
		switch {
		case outcome == string(verdict.AdmissionDenied) && len(problems) == 0:
			t.Errorf("%s %v: nothing is foreseen of what is refused", c.Scenario, c.Values)
		case outcome == string(verdict.Success) && len(problems) > 0:
			t.Errorf("%s %v: foreseen, and it succeeds: %v", c.Scenario, c.Values, problems[0])
		}
	}
	if seen[string(verdict.AdmissionDenied)] < 5 || seen[string(verdict.Success)] < 5 {
		t.Errorf("too few cells to tell: %v", seen)
	}
}

// What may be used is what grants, role bindings, SCCs themselves and the operator say, and
// what is refused is told at its place.
func TestForesee(t *testing.T) {
	const run = `apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {name: ci}
spec:
  taskRunTemplate:
    serviceAccountName: ACCOUNT
    podTemplate: {securityContext: {fsGroup: 2000}}
  pipelineSpec:
    tasks:
      - name: build
        taskSpec:
          steps: [{name: run, image: ubi, securityContext: {runAsUser: 1001}}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: robot}
---
`
	const role = `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: scc}
rules: [{apiGroups: [security.openshift.io], resources: [securitycontextconstraints], verbs: [use], resourceNames: [nonroot-v2]}]
---
`
	const bound = `apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: scc}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ROLE}
subjects: [{kind: ServiceAccount, name: robot}]
`
	const refused = "run.yaml:7:37: SCC admission is likely to refuse the pod of task build of PipelineRun ci: of what ServiceAccount robot may use, none takes it: " +
		"restricted-v2 (fsGroup 2000 is outside 1000680000/10000; runAsUser 1001 is outside 1000680000/10000); a grant of nonroot-v2 would (it allows any user but root and any fsGroup)"
	for name, c := range map[string]struct{ account, grants, more, want string }{
		"nothing granted":  {"robot", "[]", "", refused},
		"granted":          {"robot", "[{scc: nonroot-v2, serviceAccount: robot}]", "", ""},
		"granted to other": {"robot", "[{scc: nonroot-v2, serviceAccount: default}]", "", refused},
		"bound to a role":  {"robot", "[]", role + strings.ReplaceAll(bound, "ROLE", "Role, name: scc"), ""},
		"bound to oc's":    {"robot", "[]", strings.ReplaceAll(bound, "ROLE", `ClusterRole, name: "system:openshift:scc:anyuid"`), ""},
		"too little":       {"robot", "[]", strings.ReplaceAll(bound, "ROLE", "ClusterRole, name: edit"), refused},
		"pipelines-scc": {"pipeline", "[]", "", strings.ReplaceAll(strings.ReplaceAll(refused, "robot", "pipeline"), "; a grant",
			", pipelines-scc (fsGroup 2000 is outside 1000680000/10000); a grant")},
		"an SCC of one's own": {"robot", "[]", `apiVersion: security.openshift.io/v1
kind: SecurityContextConstraints
metadata: {name: own}
runAsUser: {type: RunAsAny}
fsGroup: {type: RunAsAny}
users: ["system:serviceaccount:default:robot"]
`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range map[string]string{
				"run.yaml": strings.ReplaceAll(run, "ACCOUNT", c.account) + c.more,
				"s.yaml": `apiVersion: simctl.dev/v1alpha1
kind: Scenario
metadata: {name: s}
cluster:
  nodePools: [{name: worker, count: 1}]
  openshift: {enabled: true, grants: ` + c.grants + `}
tekton: {version: 1.15.0}
workload: {manifests: [run.yaml]}
`} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			f, err := scenario.Load(filepath.Join(dir, "s.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			cells, err := f.Cells(scenario.Options{})
			if err != nil {
				t.Fatal(err)
			}
			problems, err := Foresee(&cells[0])
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range problems {
				got = append(got, strings.TrimPrefix(p.Error(), dir+"/"))
			}
			if g := strings.Join(got, "\n"); g != c.want {
				t.Errorf("have %s\nwant %s", g, c.want)
			}
		})
	}
}
