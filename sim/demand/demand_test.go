package demand_test

import (
	"reflect"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/demand"
)

// of returns the demands of manifests.
func of(t *testing.T, manifests ...string) *demand.Demands {
	t.Helper()
	var objects []map[string]any
	for _, m := range manifests {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(m), &o); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	return demand.Of(objects, "default")
}

// What is used of an object that is not given is all in the references to it, with the
// parameters put in that are known.
func TestUse(t *testing.T) {
	task := func(spec string) string {
		return "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: r}\nspec:\n  params: [{name: claim, value: models}, {name: key, value: token}]\n  taskSpec:\n    params: [{name: claim}, {name: key}]\n" + spec
	}
	for _, test := range []struct {
		name, manifest, kind, of string
		want                     demand.Use
	}{
		{
			"an element of a step's result", task(`
    steps:
      - {name: list, ref: {name: lister}}
      - {name: use, image: i, script: "echo $(steps.list.results.files[2]) $(steps.list.results.files[0])"}
`), "StepAction", "lister", demand.Use{Results: []demand.Result{{Name: "files", Type: "array", Length: 3}}},
		},
		{
			"a key of a step's result", task(`
    steps:
      - {name: list, ref: {name: lister}}
      - {name: use, image: i, script: "echo $(steps.list.results.image.url) $(steps.other.results.x)"}
`), "StepAction", "lister", demand.Use{Results: []demand.Result{{Name: "image", Type: "object", Properties: []string{"url"}}}},
		},
		{
			"a claim by a parameter", task(`
    volumes: [{name: v, persistentVolumeClaim: {claimName: $(params.claim)}}]
    steps: [{name: s, image: i}]
`), "PersistentVolumeClaim", "models", demand.Use{},
		},
		{
			"a key by a parameter", task(`
    steps: [{name: s, image: i, env: [{name: T, valueFrom: {secretKeyRef: {name: hub, key: $(params.key)}}}]}]
`), "Secret", "hub", demand.Use{Keys: []string{"token"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := of(t, test.manifest)
			i := slices.IndexFunc(d.References, func(r demand.Reference) bool { return r.Kind == test.kind && r.Name == test.of })
			if i < 0 {
				t.Fatalf("no reference to %s %s in %+v", test.kind, test.of, d.References)
			}
			if r := d.References[i]; r.Given || !reflect.DeepEqual(r.Use, test.want) {
				t.Errorf("given %v, it uses %+v, want %+v", r.Given, r.Use, test.want)
			}
		})
	}
}

// What not all pass is optional.
func TestJoin(t *testing.T) {
	all := demand.Join([]demand.Use{
		{Params: []demand.Param{{Name: "a", Type: "string"}, {Name: "b", Type: "string"}}, Workspaces: []demand.Workspace{{Name: "w"}}},
		{Params: []demand.Param{{Name: "a", Type: "string"}}, Keys: []string{"k"}},
	})
	want := demand.Use{
		Params:     []demand.Param{{Name: "a", Type: "string"}, {Name: "b", Type: "string", Optional: true}},
		Workspaces: []demand.Workspace{{Name: "w", Optional: true}},
		Keys:       []string{"k"},
	}
	if !reflect.DeepEqual(all, want) {
		t.Errorf("joined %+v, want %+v", all, want)
	}
}

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		toleration demand.Toleration
		want       bool
	}{
		{demand.Toleration{Key: "gpu", Operator: "Exists"}, true},
		{demand.Toleration{Operator: "Exists"}, true},
		{demand.Toleration{Key: "gpu", Value: "true", Effect: "NoSchedule"}, true},
		{demand.Toleration{Key: "gpu", Value: "false"}, false},
		{demand.Toleration{Key: "gpu", Operator: "Exists", Effect: "NoExecute"}, false},
		{demand.Toleration{Key: "other", Operator: "Exists"}, false},
		{demand.Toleration{}, false},
	} {
		if got := test.toleration.Matches("gpu", "true", "NoSchedule"); got != test.want {
			t.Errorf("%+v tolerates gpu=true:NoSchedule: %v", test.toleration, got)
		}
	}
}
