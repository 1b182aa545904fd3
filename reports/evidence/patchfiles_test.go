package evidence

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// pairOfCells is a run of two cells, the first of which stops.
func pairOfCells(before, after *scenario.Cell) Input {
	in := matrix([][]string{{"before", "after"}, {"x"}}, func(v []string) verdict.Finding {
		if v[0] == "before" {
			return finding(verdict.Deadlock, "the root")
		}
		return finding(verdict.Success, "")
	})
	for i, c := range []*scenario.Cell{before, after} {
		in.Specs[scenario.IDOf(in.Result.Cells[i])] = c
	}
	return in
}

func cellOf(t *testing.T, manifests ...string) *scenario.Cell {
	t.Helper()
	c := &scenario.Cell{Spec: scenario.Scenario{Tekton: scenario.Tekton{Version: "1.3.1", Flags: map[string]string{}}}}
	for _, m := range manifests {
		raw, err := yaml.YAMLToJSON([]byte(m))
		if err != nil {
			t.Fatal(err)
		}
		c.Objects = append(c.Objects, raw)
	}
	return c
}

const (
	someRun = `
kind: PipelineRun
metadata: {generateName: build-, namespace: ci}
spec:
  params: [{name: a, value: "1"}, {name: b, value: "2"}]
  taskRunTemplate: {podTemplate: {securityContext: {fsGroup: 2000}, tolerations: [{key: x, operator: Exists}]}}
`
	otherRun = `
kind: PipelineRun
metadata: {generateName: build-, namespace: ci}
spec:
  params: [{name: a, value: "1"}, {name: b, value: "3"}]
  taskRunTemplate: {podTemplate: {tolerations: [{key: x, operator: Exists}, {key: "y", operator: Exists}]}}
`
	someClaim = `
kind: PersistentVolumeClaim
metadata: {name: src, namespace: ci}
spec: {accessModes: [ReadWriteOncePod], resources: {requests: {storage: 1Gi}}}
`
	otherClaim = `
kind: PersistentVolumeClaim
metadata: {name: src, namespace: ci}
spec: {accessModes: [ReadWriteMany], storageClassName: nfs, resources: {requests: {storage: 1Gi}}}
`
	largerClaim = `
kind: PersistentVolumeClaim
metadata: {name: src, namespace: ci}
spec: {accessModes: [ReadWriteOncePod], resources: {requests: {storage: 2Gi}}}
`
	somePipeline = `
kind: Pipeline
metadata: {name: build, namespace: ci}
spec: {tasks: [{name: a, taskRef: {name: a}, timeout: 1h}], description: text}
`
	otherPipeline = `
kind: Pipeline
metadata: {name: build, namespace: ci}
spec: {tasks: [{name: a, taskRef: {name: a}, retries: 1}]}
`
)

// Applied to the objects of the cell that stops, the files give those of the one that does
// not.
func TestPatchFilesGiveTheOtherCell(t *testing.T) {
	for name, tt := range map[string]struct{ before, after []string }{
		"a run":             {[]string{someRun}, []string{otherRun}},
		"a run back":        {[]string{otherRun}, []string{someRun}},
		"a claim":           {[]string{someClaim}, []string{otherClaim}},
		"a pipeline":        {[]string{somePipeline}, []string{otherPipeline}},
		"an object comes":   {[]string{someRun}, []string{someRun, someClaim}},
		"an object goes":    {[]string{someRun, someClaim}, []string{someRun}},
		"several at a time": {[]string{someRun, someClaim, somePipeline}, []string{otherRun, otherClaim, otherPipeline}},
	} {
		checkPatches(t, name, pairOfCells(cellOf(t, tt.before...), cellOf(t, tt.after...)), 1)
	}
	checkPatches(t, "the incident", load(t, "incident"), 3)
}

// checkPatches applies the files of a report's changes.
func checkPatches(t *testing.T, name string, in Input, changes int) {
	t.Helper()
	r := build(t, in)
	all := append(slices.Clone(r.Changes), r.Alternatives...)
	if len(all) != changes {
		t.Fatalf("%s: there are %d changes, want %d", name, len(all), changes)
	}
	files := map[string]PatchFile{}
	for _, f := range r.PatchFiles() {
		if _, twice := files[f.Name]; twice || strings.ContainsAny(f.Name, "/ ") {
			t.Errorf("%s: the file %s", name, f.Name)
		}
		files[f.Name] = f
	}
	used := 0
	for _, c := range all {
		got := objects(c.Base.spec)
		d := compare(c.Base.spec, c.Proof.spec)
		for _, o := range d.objects {
			f := fileOf(t, name, files, c, strings.ToLower(o.kind))
			used++
			k := keyOf(t, got, objects(c.Proof.spec), o)
			switch o.after {
			case nil:
				if !strings.Contains(f.Text, "kubectl delete "+strings.ToLower(o.kind)+" "+o.name+" -n ci\n") {
					t.Errorf("%s: %s", name, f.Text)
				}
				delete(got, k)
			default:
				got[k] = patched(t, got[k], f.Text)
			}
		}
		if want := objects(c.Proof.spec); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the objects become\n%s, want\n%s", name, asJSON(got), asJSON(want))
		}
		if len(d.flags) > 0 {
			data := map[string]any{}
			for k, v := range d.flags {
				data[k] = valueOrNil(v[0])
			}
			f := fileOf(t, name, files, c, "configmap-feature-flags")
			used++
			after := patched(t, map[string]any{"data": withoutNil(data)}, f.Text)["data"].(map[string]any)
			for k, v := range d.flags {
				if x, _ := after[k].(string); x != v[1] {
					t.Errorf("%s: flag %s becomes %q, want %q", name, k, x, v[1])
				}
			}
		}
	}
	if used == 0 || used > len(files) {
		t.Errorf("%s: %d files were applied, of %d", name, used, len(files))
	}
}

// fileOf finds the file of a change and an object.
func fileOf(t *testing.T, name string, files map[string]PatchFile, c *Change, object string) PatchFile {
	t.Helper()
	for file, f := range files {
		about := strings.Contains(file, "-"+object+"-") || strings.HasSuffix(file, "-"+object+".yaml")
		if about && strings.Contains(f.Text, ": "+c.What+"\n") {
			if strings.Count(f.Text, file) == 0 && strings.HasSuffix(file, ".yaml") {
				t.Errorf("%s: %s does not say how it is applied", name, file)
			}
			return f
		}
	}
	t.Fatalf("%s: there is no file for %s of %q", name, object, c.What)
	return PatchFile{}
}

func keyOf(t *testing.T, before, after map[string]map[string]any, o objectDelta) string {
	t.Helper()
	for _, k := range keys(before, after) {
		if reflect.DeepEqual(before[k], o.before) && reflect.DeepEqual(after[k], o.after) {
			return k
		}
	}
	t.Fatalf("no object is %+v", o)
	return ""
}

// patched applies a file to an object; where there is none the file is one.
func patched(t *testing.T, o map[string]any, text string) map[string]any {
	t.Helper()
	patch, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if o != nil {
		if patch, err = jsonpatch.MergePatch([]byte(asJSON(o)), patch); err != nil {
			t.Fatal(err)
		}
	}
	var out map[string]any
	if err := json.Unmarshal(patch, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// What cannot be changed on the cluster is changed in its file, all else where it is; the
// nodes and the grants by commands.
func TestPatchFilesSayHow(t *testing.T) {
	cluster := func(c scenario.Cluster) *scenario.Cell {
		return &scenario.Cell{Spec: scenario.Scenario{Cluster: c}}
	}
	pool := func(p scenario.NodePool) scenario.Cluster {
		p.Name, p.Count = "gpu", 2
		return scenario.Cluster{NodePools: []scenario.NodePool{p}}
	}
	taint := []scenario.Taint{{Key: "nvidia.com/gpu", Value: "true", Effect: "NoSchedule"}}
	grants := []scenario.SCCGrant{{SCC: "anyuid", ServiceAccount: "ci", Namespace: "build"}}
	openshift := func(g []scenario.SCCGrant) *scenario.Cell {
		return cluster(scenario.Cluster{OpenShift: scenario.OpenShift{Enabled: true, Grants: g}})
	}
	release := func(v string) *scenario.Cell {
		return &scenario.Cell{Spec: scenario.Scenario{Tekton: scenario.Tekton{Version: v}}}
	}
	for name, tt := range map[string]struct {
		before, after *scenario.Cell
		want          string
	}{
		"a run":          {cellOf(t, someRun), cellOf(t, otherRun), "# kubectl patch --local -f FILE --type merge --patch-file option-01-1-pipelinerun-build.yaml -o yaml | kubectl create -f -\n"},
		"a claim":        {cellOf(t, someClaim), cellOf(t, otherClaim), "# kubectl patch --local -f FILE --type merge --patch-file option-01-1-persistentvolumeclaim-src.yaml -o yaml | kubectl create -f -\n"},
		"a claim's size": {cellOf(t, someClaim), cellOf(t, largerClaim), "# kubectl patch persistentvolumeclaim src -n ci --type merge --patch-file option-01-1-persistentvolumeclaim-src.yaml\n"},
		"a pipeline":     {cellOf(t, somePipeline), cellOf(t, otherPipeline), "# kubectl patch pipeline build -n ci --type merge --patch-file option-01-1-pipeline-build.yaml\n"},
		"a taint goes":   {cluster(pool(scenario.NodePool{Taints: taint})), cluster(pool(scenario.NodePool{})), "\nset -e\nkubectl taint nodes gpu-0 gpu-1 nvidia.com/gpu:NoSchedule-\n"},
		"a taint comes":  {cluster(pool(scenario.NodePool{})), cluster(pool(scenario.NodePool{Taints: taint})), "\nset -e\nkubectl taint nodes gpu-0 gpu-1 nvidia.com/gpu=true:NoSchedule\n"},
		"a label":        {cluster(pool(scenario.NodePool{})), cluster(pool(scenario.NodePool{Labels: map[string]string{"disk": "ssd"}})), "\nset -e\nkubectl label nodes gpu-0 gpu-1 disk=ssd --overwrite\n"},
		"a label goes":   {cluster(pool(scenario.NodePool{Labels: map[string]string{"disk": "ssd"}})), cluster(pool(scenario.NodePool{})), "\nset -e\nkubectl label nodes gpu-0 gpu-1 disk-\n"},
		"a cordon":       {cluster(pool(scenario.NodePool{Unschedulable: true})), cluster(pool(scenario.NodePool{})), "\nset -e\nkubectl uncordon gpu-0 gpu-1\n"},
		"a grant":        {openshift(nil), openshift(grants), "\nset -e\noc adm policy add-scc-to-user anyuid -z ci -n build\n"},
		"a grant goes":   {openshift(grants), openshift(nil), "\nset -e\noc adm policy remove-scc-from-user anyuid -z ci -n build\n"},
		"a release":      {release("1.3.1"), release("1.15.0"), "\nset -e\nkubectl apply -f https://storage.googleapis.com/tekton-releases/pipeline/previous/v1.15.0/release.yaml\n"},
		"a run goes":     {cellOf(t, someRun), cellOf(t), "# By hand: create no PipelineRun from the file of build-\n"},
		"by hand":        {cluster(pool(scenario.NodePool{})), cluster(pool(scenario.NodePool{Zones: []string{"a"}})), "# By hand: add zones: [a] to the node pool gpu of the cluster\n"},
	} {
		files := build(t, pairOfCells(tt.before, tt.after)).PatchFiles()
		if len(files) != 1 {
			t.Errorf("%s: the files are %+v", name, files)
			continue
		}
		if !strings.Contains(files[0].Text, tt.want) {
			t.Errorf("%s: %s says\n%s, want\n%s", name, files[0].Name, files[0].Text, tt.want)
		}
	}
	if files := build(t, pairOfCells(release("1.3.1"), release("1.3.1"))).PatchFiles(); len(files) != 0 {
		t.Errorf("for a change of nothing there are %+v", files)
	}
}
