// Package scenarios_test checks what is shipped here against the code that will
// take it: the pipelines against Tekton's own validation, which no webhook does
// in a simulation.
package scenarios_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/yaml"
)

// tekton is what Tekton's webhook asks of an object.
type tekton interface {
	apis.Defaultable
	apis.Validatable
}

func TestPipelinesPassTektonsValidation(t *testing.T) {
	files, err := filepath.Glob("pipelines/*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("incidents/manifests/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, more...)
	kinds := map[string]int{}
	for _, file := range files {
		if file == "incidents/manifests/shared-task.yaml" {
			continue // Tekton 1.0 and later refuse it: that is the incident.
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		docs := yamlutil.NewDocumentDecoder(io.NopCloser(bytes.NewReader(content)))
		for {
			doc := make([]byte, len(content)+1)
			n, err := docs.Read(doc)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			doc = doc[:n]
			var meta struct{ APIVersion, Kind string }
			if err := yaml.Unmarshal(doc, &meta); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if !strings.HasPrefix(meta.APIVersion, "tekton.dev/") {
				continue
			}
			if meta.APIVersion != "tekton.dev/v1" {
				t.Errorf("%s: %s; every release has tekton.dev/v1", file, meta.APIVersion)
				continue
			}
			kinds[meta.Kind]++
			var obj tekton
			switch meta.Kind {
			case "Task":
				obj = &v1.Task{}
			case "Pipeline":
				obj = &v1.Pipeline{}
			case "PipelineRun":
				obj = &v1.PipelineRun{}
			default:
				t.Errorf("%s: unexpected kind %s", file, meta.Kind)
				continue
			}
			if err := yaml.UnmarshalStrict(doc, obj); err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if run, ok := obj.(*v1.PipelineRun); ok && run.Name == "" {
				run.Name = run.GenerateName + "abcde" // as the API server does before admission
			}
			ctx := apis.WithinCreate(context.Background())
			obj.SetDefaults(ctx)
			if err := obj.Validate(ctx); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	for _, kind := range []string{"Task", "Pipeline", "PipelineRun"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s found", kind)
		}
	}
}
