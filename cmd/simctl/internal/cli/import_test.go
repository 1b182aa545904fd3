package cli

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func (f *fakeEngine) StockSCCs() ([]*unstructured.Unstructured, error) { return nil, nil }
