package estate

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestDefinitions has a workload whose definitions can stay for the next cell,
// and some in which one may be refused because of what was made before it.
func TestDefinitions(t *testing.T) {
	type object struct{ version, kind string }
	workload := []object{
		{"v1", "Namespace"}, {"v1", "Secret"}, {"v1", "ServiceAccount"}, {"rbac.authorization.k8s.io/v1", "Role"},
		{"v1", "PersistentVolumeClaim"}, {"tekton.dev/v1beta1", "Task"}, {"tekton.dev/v1", "Pipeline"}, {"tekton.dev/v1", "PipelineRun"},
	}
	all := []string{"Secret", "ServiceAccount", "Role", "Task", "Pipeline"}
	for name, test := range map[string]struct {
		beside []object
		want   []string
	}{
		"nothing else":        {nil, all},
		"a quota":             {[]object{{"v1", "ResourceQuota"}}, nil},
		"a policy":            {[]object{{"admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"}}, nil},
		"somebody's own Task": {[]object{{"example.com/v1", "Task"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var manifests []*unstructured.Unstructured
			for _, o := range append(slices.Clone(workload), test.beside...) {
				u := &unstructured.Unstructured{}
				u.SetAPIVersion(o.version)
				u.SetKind(o.kind)
				manifests = append(manifests, u)
			}
			var got []string
			for _, u := range Definitions(manifests) {
				got = append(got, u.GetKind())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
