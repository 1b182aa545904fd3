package cli

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func (f *fakeEngine) StockSCCs() ([]*unstructured.Unstructured, error) { return nil, nil }

func (f *fakeEngine) Builds(cacheDir string, versions []string, openShift bool) (Builds, error) {
	b := Builds{Dir: cacheDir}
	for _, v := range versions {
		b.Parts = append(b.Parts, Part{Name: "Tekton " + v, BuiltIn: v == "1.15.0", Ready: v != "1.3.1", Took: 90 * time.Second})
	}
	if openShift {
		b.Parts = append(b.Parts, Part{Name: "OpenShift's SCC", Ready: true})
	}
	return b, nil
}
