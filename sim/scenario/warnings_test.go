package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWarnings(t *testing.T) {
	const manifests = `apiVersion: v1
kind: Secret
metadata: {name: there}
stringData: {user: me}
---
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {name: ci}
spec:
  taskRunTemplate: {podTemplate: {nodeSelector: {gpu: "yes"}}}
  workspaces:
    - name: a
      volumeClaimTemplate: {spec: {storageClassName: blok, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
    - {name: b, secret: {secretName: gone}}
  pipelineSpec:
    workspaces: [{name: a}, {name: b}]
    tasks:
      - name: build
        taskSpec:
          steps:
            - name: one
              image: ubi
              env:
                - {name: T, valueFrom: {secretKeyRef: {name: there, key: token}}}
                - {name: U, valueFrom: {secretKeyRef: {name: there, key: user}}}
                - {name: M, valueFrom: {configMapKeyRef: {name: maybe, key: x, optional: true}}}
`
	const scenario = `apiVersion: simctl.dev/v1alpha1
kind: Scenario
metadata: {name: w}
cluster:
  nodePools: [{name: worker, count: 1}, {name: gpu, count: 1, labels: {gpu: "yes"}, taints: [{key: only, effect: NoSchedule}]}]
  storageClasses: [{name: block}]
tekton: {version: 1.15.0}
workload: {manifests: [ci.yaml]}
`
	dir := t.TempDir()
	for name, content := range map[string]string{"ci.yaml": manifests, "s.yaml": scenario} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Load(filepath.Join(dir, "s.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cells, err := f.Cells(Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`ci.yaml:14:26: Secret "gone", which workspace b of PipelineRun ci refers to, will not be found; add it to the manifests, or set workload.stubMissing: true`,
		`ci.yaml:24:56: Secret "there" has no key "token", which step one of task build of PipelineRun ci reads: its pod will not start; valid: user`,
		`ci.yaml:13:7: storage class "blok", which the claim of workspace a of PipelineRun ci names, is not in cluster.storageClasses: the claim will stay Pending; did you mean "block"?`,
		`ci.yaml:10:21: no node will take the pod of task build of PipelineRun ci (worker: no label gpu=yes; gpu: taint only is not tolerated)`,
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), lines(dir, cells[0].Warnings())); diff != "" {
		t.Error(diff)
	}
}

// TestNodeWarnings: what a pod asks of nodes is held against each as the scheduler would.
func TestNodeWarnings(t *testing.T) {
	const in = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [TERM]}}}"
	term := func(expressions string) string {
		return strings.ReplaceAll(in, "TERM", "{matchExpressions: ["+expressions+"]}")
	}
	for _, c := range []struct{ template, pools, want string }{
		{term("{key: disk, operator: In, values: [ssd, nvme]}"), "{name: a, count: 1}", "a: label disk In ssd, nvme is wanted"},
		{term("{key: disk, operator: In, values: [ssd, nvme]}"), "{name: a, count: 1}, {name: b, count: 1, labels: {disk: nvme}}", ""},
		{term("{key: gpu, operator: Exists}"), "{name: a, count: 2}", "a: label gpu Exists is wanted"},
		{term("{key: gpu, operator: DoesNotExist}"), "{name: a, count: 1, labels: {gpu: x}}", "a: label gpu DoesNotExist is wanted"},
		{term("{key: size, operator: Gt, values: ['3']}"), "{name: a, count: 1, labels: {size: '3'}}", "a: label size Gt 3 is wanted"},
		{strings.ReplaceAll(in, "TERM", "{matchExpressions: [{key: x, operator: Exists}]}, {matchExpressions: [{key: y, operator: Exists}]}"), "{name: a, count: 1, labels: {y: z}}", ""},
		{"nodeSelector: {kubernetes.io/hostname: a-1}", "{name: a, count: 2}", ""},
		{"nodeSelector: {kubernetes.io/hostname: a-2}", "{name: a, count: 2}", "a: no label kubernetes.io/hostname=a-2"},
		{"nodeSelector: {topology.kubernetes.io/zone: z2}", "{name: a, count: 2, zones: [z1, z2]}", ""},
		{"nodeSelector: {topology.kubernetes.io/zone: z2}", "{name: a, count: 1, zones: [z1, z2]}", "a: no label topology.kubernetes.io/zone=z2"},
		{"nodeSelector: {kubernetes.io/arch: arm64}", "{name: a, count: 1}", "a: no label kubernetes.io/arch=arm64"},
		{"hostNetwork: false", "{name: a, count: 1, unschedulable: true}", "a: cordoned"},
		{"tolerations: [{key: b, operator: Exists}]", "{name: a, count: 1, taints: [{key: b, effect: NoSchedule}, {key: c, effect: NoExecute}]}", "a: taint c is not tolerated"},
		{"hostNetwork: false", "{name: a, count: 1, capacity: {memory: 1Gi}}", "a: not enough memory"},
		{"hostNetwork: false", "{name: a, count: 0}, {name: b, count: 1}", ""},
	} {
		dir := t.TempDir()
		for name, content := range map[string]string{
			"ci.yaml": "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: ci}\nspec:\n  taskRunTemplate: {podTemplate: {" + c.template +
				"}}\n  pipelineSpec: {tasks: [{name: build, taskSpec: {steps: [{name: one, image: ubi, computeResources: {requests: {memory: 2Gi}}}]}}]}\n",
			"s.yaml": "apiVersion: simctl.dev/v1alpha1\nkind: Scenario\nmetadata: {name: w}\ncluster: {nodePools: [" + c.pools + "]}\ntekton: {version: 1.15.0}\nworkload: {manifests: [ci.yaml]}\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		f, err := Load(filepath.Join(dir, "s.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		cells, err := f.Cells(Options{})
		if err != nil {
			t.Fatal(err)
		}
		want := c.want
		if want != "" {
			want = "ci.yaml:5:21: no node will take the pod of task build of PipelineRun ci (" + want + ")"
		}
		if got := lines(dir, cells[0].Warnings()); got != want {
			t.Errorf("%s on %s: %q, want %q", c.template, c.pools, got, want)
		}
	}
}

// lines are problems, a line each, with files named from a folder.
func lines(dir string, problems []*Problem) string {
	var out []string
	for _, p := range problems {
		out = append(out, strings.TrimPrefix(p.Error(), dir+"/"))
	}
	return strings.Join(out, "\n")
}
