package install

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/tekton"
)

// laid gives an install with a release of which nothing runs.
func laid() *Install {
	return &Install{release: &release{build: &tekton.Build{Version: "1.0.0"}, namespace: "tekton-pipelines",
		refs: []history.Ref{{APIVersion: "v1", Kind: "ConfigMap", Namespace: "tekton-pipelines", Name: "feature-flags"},
			{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole", Name: "tekton"}}}}
}

// TestNote: a release that somebody wrote to is made anew, but for its flags, which are
// written before each cell.
func TestNote(t *testing.T) {
	for name, test := range map[string]struct {
		ref                          history.Ref
		owns, part, changed, madeNew bool
	}{
		"its flags":      {ref: history.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "tekton-pipelines", Name: "feature-flags"}, owns: true, madeNew: true},
		"its role":       {ref: history.Ref{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole", Name: "tekton"}, owns: true, part: true, changed: true, madeNew: true},
		"another's role": {ref: history.Ref{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole", Name: "other"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := laid()
			if in.Owns(test.ref) != test.owns || (in.Part(test.ref) != "") != test.part {
				t.Errorf("owns it: %t, part %q", in.Owns(test.ref), in.Part(test.ref))
			}
			in.Note(test.ref)
			if in.Changed() != test.changed || in.MadeAnew(test.ref) != test.madeNew {
				t.Errorf("changed %t, made anew %t", in.Changed(), in.MadeAnew(test.ref))
			}
		})
	}
}

// TestFits: nothing fits that does not run, and nothing is there at first.
func TestFits(t *testing.T) {
	build := &tekton.Build{Version: "1.0.0"}
	if (&Install{}).Fits(build, "tekton-pipelines", false) || laid().Fits(build, "tekton-pipelines", false) {
		t.Error("a release fits whose controller does not run")
	}
	if laid().Running() || laid().Retrying() != nil {
		t.Error("a controller runs that was not started")
	}
}

func TestSetKeys(t *testing.T) {
	cm := &corev1.ConfigMap{}
	setKeys(cm, map[string]string{"a": "1", "b": "2"})
	setKeys(cm, map[string]string{"a": absent, "c": "3"})
	if want := map[string]string{"b": "2", "c": "3"}; !maps.Equal(cm.Data, want) {
		t.Errorf("got %v, want %v", cm.Data, want)
	}
}
