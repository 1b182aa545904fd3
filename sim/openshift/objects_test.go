package openshift

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"simctl.dev/simctl/sim/scenario"
)

func TestAnnotate(t *testing.T) {
	for _, c := range []struct {
		name  string
		o     scenario.OpenShift
		own   map[string]string
		index int
		want  map[string]string
	}{
		{
			name: "the first block of the default range",
			want: map[string]string{UIDRangeAnnotation: "1000680000/10000", SupplementalGroupsAnnotation: "1000680000/10000", MCSAnnotation: "s0:c26,c0"},
		},
		{
			name: "the next block", index: 1,
			want: map[string]string{UIDRangeAnnotation: "1000690000/10000", SupplementalGroupsAnnotation: "1000690000/10000", MCSAnnotation: "s0:c26,c1"},
		},
		{
			name: "the scenario's range", o: scenario.OpenShift{UIDRange: "1000970000/10000"}, index: 26,
			want: map[string]string{UIDRangeAnnotation: "1000970000/10000", SupplementalGroupsAnnotation: "1000970000/10000", MCSAnnotation: "s0:c27,c0"},
		},
		{
			name: "the scenario's groups", o: scenario.OpenShift{UIDRange: "1000970000/10000", SupplementalGroups: "5/5"},
			want: map[string]string{UIDRangeAnnotation: "1000970000/10000", SupplementalGroupsAnnotation: "5/5", MCSAnnotation: "s0:c26,c0"},
		},
		{
			name: "the manifest's own range goes for groups too", o: scenario.OpenShift{UIDRange: "1000970000/10000"},
			own:  map[string]string{UIDRangeAnnotation: "1/10", "a": "b"},
			want: map[string]string{UIDRangeAnnotation: "1/10", SupplementalGroupsAnnotation: "1/10", MCSAnnotation: "s0:c26,c0", "a": "b"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			ns := &corev1.Namespace{}
			ns.Annotations = c.own
			Annotate(ns, c.o, c.index)
			if d := cmp.Diff(c.want, ns.Annotations); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// Labels must be two different categories below 1024, and different by index.
func TestMCS(t *testing.T) {
	seen := map[string]bool{}
	for i := range 5000 {
		l := mcs(i)
		if seen[l] {
			t.Fatalf("%s a second time for %d", l, i)
		}
		seen[l] = true
	}
}

func TestGrants(t *testing.T) {
	names := func(o scenario.OpenShift) (got []string) {
		objects, err := Grants(o, []*corev1.Namespace{
			{ObjectMeta: metav1.ObjectMeta{Name: "a"}},
			{ObjectMeta: metav1.ObjectMeta{Name: "b", Annotations: map[string]string{NamespaceSCCAnnotation: "anyuid"}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "openshift-ours"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range objects {
			name := object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
			if role, ok, _ := unstructured.NestedString(object.Object, "roleRef", "name"); ok && role != object.GetName() {
				name += " (" + role + ")"
			}
			if subjects, ok := object.Object["subjects"].([]any); ok {
				for _, s := range subjects {
					name += " " + s.(map[string]any)["name"].(string)
				}
			}
			got = append(got, name)
		}
		return got
	}
	want := []string{
		"ClusterRole /system:openshift:scc:our-own",
		"RoleBinding a/system:openshift:scc:anyuid x y",
		"RoleBinding a/system:openshift:scc:our-own x",
		"RoleBinding b/system:openshift:scc:anyuid y",
		"RoleBinding openshift-ours/system:openshift:scc:anyuid y",
	}
	got := names(scenario.OpenShift{PipelinesSCC: ptr.To(false), Grants: []scenario.SCCGrant{
		{SCC: "anyuid", ServiceAccount: "x", Namespace: "a"},
		{SCC: "our-own", ServiceAccount: "x", Namespace: "a"},
		{SCC: "anyuid", ServiceAccount: "y"},
		{SCC: "anyuid", ServiceAccount: "y", Namespace: "a"},
		{SCC: "anyuid", ServiceAccount: "y", Namespace: "elsewhere"},
	}})
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	want = []string{
		"ClusterRole /pipelines-scc-clusterrole",
		"ServiceAccount a/pipeline",
		"RoleBinding a/pipelines-scc-rolebinding (pipelines-scc-clusterrole) pipeline",
		"RoleBinding a/openshift-pipelines-edit (edit) pipeline",
		"ServiceAccount b/pipeline", "Role b/pipelines-scc-role",
		"RoleBinding b/pipelines-scc-rolebinding (pipelines-scc-role) pipeline",
		"RoleBinding b/openshift-pipelines-edit (edit) pipeline",
	}
	if d := cmp.Diff(want, names(scenario.OpenShift{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
