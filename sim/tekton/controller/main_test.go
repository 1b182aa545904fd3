package controller

import (
	"runtime/debug"
	"strings"
	"testing"
)

// TestNoClouds: the libraries of the clouds that upstream's controller can ask
// stay out of simctl, see the replacements in go.mod. They came back if a new
// release reached them by another way.
func TestNoClouds(t *testing.T) {
	info, ok := debug.ReadBuildInfo()
	if !ok || len(info.Deps) == 0 {
		t.Skip("this binary does not say what it is made of")
	}
	tekton := false
	for _, m := range info.Deps {
		tekton = tekton || m.Path == "github.com/tektoncd/pipeline"
		for _, cloud := range []string{"cloud.google.com/", "github.com/aws/", "github.com/Azure/azure-sdk-for-go", "github.com/hashicorp/vault"} {
			if strings.HasPrefix(m.Path, cloud) {
				t.Errorf("%s is compiled in", m.Path)
			}
		}
	}
	if !tekton {
		t.Error("upstream's controller is not compiled in")
	}
}
