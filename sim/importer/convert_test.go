package importer_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"simctl.dev/simctl/sim/importer"
	"simctl.dev/simctl/sim/scenario"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// options of the data folders; the others have none.
var options = map[string]importer.Options{
	"forbidden": {Namespace: "team-a"},
}

// TestConvert makes a scenario of each folder testdata/NAME/dump, compares it
// with testdata/NAME/want, and has it checked as simctl validate does.
func TestConvert(t *testing.T) {
	dumps, err := filepath.Glob(filepath.Join("testdata", "*", "dump"))
	if err != nil || len(dumps) == 0 {
		t.Fatal("no data", err)
	}
	for _, dump := range dumps {
		folder := filepath.Dir(dump)
		name := filepath.Base(folder)
		t.Run(name, func(t *testing.T) {
			d, err := importer.ReadFiles([]string{dump})
			if err != nil {
				t.Fatal(err)
			}
			r, err := importer.Convert(d, options[name])
			if err != nil {
				t.Fatal(err)
			}
			want := filepath.Join(folder, "want")
			if *update {
				if err := os.RemoveAll(want); err != nil {
					t.Fatal(err)
				}
				write(t, want, r.Files)
			}
			if diff := cmp.Diff(read(t, want), text(r.Files)); diff != "" {
				t.Errorf("the files differ (-want +got); -update rewrites them:\n%s", diff)
			}
			dir := t.TempDir()
			write(t, dir, r.Files)
			files, err := scenario.LoadAll([]string{filepath.Join(dir, "scenario.yaml")})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := scenario.Expand(files, scenario.Options{}); err != nil {
				t.Error(err)
			}
			for _, private := range []string{"hunter2", "aHVudGVyMg==", "uid:", "managedFields", "somebody@example.com", "resourceVersion"} {
				for path, content := range text(r.Files) {
					if strings.Contains(content, private) {
						t.Errorf("%s has %s", path, private)
					}
				}
			}
		})
	}
}

func TestNamespaceAndRuns(t *testing.T) {
	d, err := importer.ReadFiles([]string{filepath.Join("testdata", "openshift", "dump")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := importer.Convert(d, importer.Options{Runs: []string{"nope"}}); err == nil || !strings.Contains(err.Error(), "modelcar-old, modelcar-x7k2p") {
		t.Errorf("a run that is not there: %v", err)
	}
	r, err := importer.Convert(d, importer.Options{Runs: []string{"modelcar-old"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(r.Files["manifests/runs.yaml"]); !strings.Contains(got, "name: modelcar-old") || strings.Contains(got, "x7k2p") {
		t.Errorf("the run that was named is not the one that is kept:\n%s", got)
	}
	other := d.Objects[0].DeepCopy()
	other.SetKind("PipelineRun")
	other.SetAPIVersion("tekton.dev/v1")
	other.SetNamespace("elsewhere")
	d.Objects = append(d.Objects, other)
	if _, err := importer.Convert(d, importer.Options{}); !errors.Is(err, importer.ErrNamespace) || !strings.Contains(err.Error(), "elsewhere, private-ai-demo") {
		t.Errorf("runs in two namespaces: %v", err)
	}
}

func TestReadFiles(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.json":       `{"kind":"SecretList","apiVersion":"v1","items":[{"metadata":{"name":"s","namespace":"n"},"type":"Opaque","data":{"k":"aHVudGVyMg=="}}]}`,
		"b.yaml":       "apiVersion: v1\nkind: Node\nmetadata: {name: one}\n---\n\n---\napiVersion: v1\nkind: Node\nmetadata: {name: two}\n",
		"notes.txt":    "apiVersion: v1\nkind: Node\nmetadata: {name: not-read}\n",
		"broken.yaml":  "apiVersion: v1\nkind: [\n",
		"braces.yaml":  "apiVersion: v1\nkind: Node\nmetadata: {name: {{ name }}}\n",
		"merged.yaml":  "apiVersion: v1\nkind: Node\nmetadata: &three {name: three}\nspec: {<<: *three, name: x}\n",
		"version.json": `{"major":"1"}`,
		"other.yaml":   "- not an object\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := importer.ReadFiles([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, u := range d.Objects {
		names = append(names, u.GetKind()+" "+u.GetName())
		if _, has := u.Object["data"]; has {
			t.Errorf("%s has its values", u.GetName())
		}
	}
	if diff := cmp.Diff([]string{"Secret s", "Node one", "Node two", "Node three"}, names); diff != "" {
		t.Error(diff)
	}
	if len(d.Gaps) != 2 || !strings.HasSuffix(d.Gaps[0].What, "braces.yaml") || !strings.HasSuffix(d.Gaps[1].What, "broken.yaml") {
		t.Errorf("gaps: %v", d.Gaps)
	} else if want := "line 3: a key must be plain text; if a text begins with {{, put it in quotes"; d.Gaps[0].Why != want {
		t.Errorf("a template is not read for %q, want %q", d.Gaps[0].Why, want)
	}
	if _, err := importer.ReadFiles([]string{filepath.Join(dir, "notes.txt"), filepath.Join(dir, "nope")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a path that is not there: %v", err)
	}
	if _, err := importer.ReadFiles([]string{t.TempDir()}); err == nil {
		t.Error("an empty folder is a dump")
	}
}

func write(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		raw, err := os.ReadFile(path)
		files[rel] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func text(files map[string][]byte) map[string]string {
	out := map[string]string{}
	for name, content := range files {
		out[name] = string(content)
	}
	return out
}
