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
		`Secret "gone", which workspace b of PipelineRun ci refers to, will not be found; add it to the manifests, or set workload.stubMissing: true`,
		`Secret "there" has no key "token", which step one of task build of PipelineRun ci reads: its pod will not start`,
		`storage class "blok", which the claim of workspace a of PipelineRun ci names, is not in cluster.storageClasses: the claim will stay Pending; did you mean "block"?`,
		`no node will take the pod of task build of PipelineRun ci (worker: no label gpu=yes; gpu: taint only is not tolerated)`,
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), strings.Join(cells[0].Warnings(), "\n")); diff != "" {
		t.Error(diff)
	}
}
