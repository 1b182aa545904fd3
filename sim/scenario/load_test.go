package scenario

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	sigsyaml "sigs.k8s.io/yaml"
)

// golden holds text against a file, or writes the file with -update.
func golden(t *testing.T, file, have string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(have), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if have != string(want) {
		t.Errorf("%s: have\n%s\nwant\n%s", file, have, want)
	}
}

// TestBad loads the scenarios of testdata/bad, which all have something wrong:
// NAME.txt is the whole error.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files (%v)", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			_, err := Load(file)
			if err == nil {
				t.Fatal("no error")
			}
			lines := strings.Split(err.Error(), "\n")
			if n := len(Problems(err)); n != len(lines) {
				t.Errorf("%d problems in %d lines", n, len(lines))
			}
			for _, l := range lines {
				if !strings.HasPrefix(l, "testdata/") {
					t.Errorf("names no file: %s", l)
				}
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", err.Error()+"\n")
		})
	}
}

// TestRepository: a repository whose runs are for Pipelines-as-Code has nothing else to
// read, and the folder that has them is named.
func TestRepository(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, ".tekton"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := ReadManifests([]string{root}, nil)
	if want := "name " + filepath.Join(root, ".tekton"); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v, want %q at the end", err, want)
	}
}

// TestNull loads what is there and says nothing: it is as good as an empty file.
func TestNull(t *testing.T) {
	for _, content := range []string{"null", "~", "&a", "---\n---"} {
		f, err := loadContent("x.yaml", []byte(content))
		if f != nil || len(Problems(err)) != 1 {
			t.Errorf("%q is loaded as %v, with %v", content, f, err)
		}
	}
}

// TestGood loads the scenarios of testdata/good/NAME: cells.txt is what they
// expand to, each object written out where it comes first.
func TestGood(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*/scenario.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files (%v)", err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			f, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			cells, err := f.Cells(Options{})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join(dir, "cells.txt"), describe(t, cells))
		})
	}
}

// TestInputs: what is read is listed once, by way of kustomizations, of axis values
// and of interventions.
func TestInputs(t *testing.T) {
	for _, c := range []struct{ scenario, want string }{
		{"kustomize", "good/kustomize/scenario.yaml kustomize/base/claim.yaml kustomize/base/kustomization.yaml kustomize/base/rbac.yaml " +
			"kustomize/base/run.yaml kustomize/tasks/kustomization.yaml kustomize/tasks/pipeline.yaml"},
		{"interventions", "good/interventions/scenario.yaml good/interventions/quota.yaml manifests/account.yaml " +
			"manifests/claim.yaml manifests/pipeline.yaml manifests/run.yaml"},
	} {
		f, err := Load(filepath.Join("testdata", "good", c.scenario, "scenario.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, i := range f.Inputs() {
			content, err := os.ReadFile(i.Path)
			if err != nil {
				t.Fatal(err)
			}
			if i.SHA256 != fmt.Sprintf("%x", sha256.Sum256(content)) {
				t.Errorf("%s has another hash than %s", i.Path, i.SHA256)
			}
			path, err := filepath.Rel("testdata", i.Path)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, path)
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("read %s, want %s", got, c.want)
		}
	}
}

// describe writes cells for the golden files.
func describe(t *testing.T, cells []Cell) string {
	t.Helper()
	var b strings.Builder
	written := map[string]bool{}
	for _, c := range cells {
		fmt.Fprintf(&b, "%s\n", c.ID())
		for _, k := range sortedKeys(c.Values) {
			fmt.Fprintf(&b, "  %s = %s\n", k, c.Values[k])
		}
		if c.Expected != nil {
			fmt.Fprintf(&b, "  expected: %s", strings.Join(c.Expected.Outcome, " or "))
			if c.Expected.Recovered != nil {
				fmt.Fprintf(&b, ", recovered %t", *c.Expected.Recovered)
			}
			b.WriteByte('\n')
		}
		spec := c.Spec
		spec.Workload.Overrides, spec.Workload.Manifests = Overrides{}, nil
		write := func(what string, v any) {
			data, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if written[string(data)] {
				fmt.Fprintf(&b, "  %s: as above\n", what)
				return
			}
			written[string(data)] = true
			asYAML, err := sigsyaml.JSONToYAML(data)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "  %s:\n", what)
			for l := range strings.Lines(string(asYAML)) {
				b.WriteString("    " + l)
			}
		}
		write("spec", spec)
		for _, raw := range c.Objects {
			data, err := decodeObject(raw)
			if err != nil {
				t.Fatal(err)
			}
			o := &object{data: data}
			write(o.String(), data)
		}
		for _, r := range c.Remotes {
			write(r.File, r.Object)
		}
	}
	return b.String()
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const head = "apiVersion: simctl.dev/v1alpha1\nkind: Scenario\n"
	write("b.yaml", head)
	write("a.yml", "# comment\n"+head)
	write("sub/deep/c.yaml", head)
	write("sub/slip.yaml", "apiVersion: simctl.dev/v1alpha1\nkind: Scenaro\n")
	write("sub/broken.yaml", head+"cluster: [\n")
	write("sub/task.yaml", "apiVersion: tekton.dev/v1\nkind: Task\n")
	write("sub/result.yaml", "apiVersion: simctl.dev/v1alpha1\nkind: RunResult\n")
	write("sub/template.yaml", "{{ if }}\nnot yaml: [")
	write("sub/list.yaml", "- a\n- b\n")
	write(".hidden/d.yaml", head)
	write("sub/notes.txt", head)
	write("above/below/e.yaml", head)
	if err := os.Mkdir(filepath.Join(dir, "none"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "sub"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}

	at := func(names ...string) []string {
		for i := range names {
			names[i] = filepath.Join(dir, names[i])
		}
		return names
	}
	tests := []struct {
		name, wantErr string
		paths, want   []string
	}{
		{name: "folder", paths: at("."), want: at("a.yml", "b.yaml")},
		{name: "folder and all below", paths: at("..."), want: at("a.yml", "above/below/e.yaml", "b.yaml", "sub/broken.yaml", "sub/deep/c.yaml", "sub/slip.yaml")},
		{name: "file and its folder, once each", paths: at("b.yaml", "."), want: at("b.yaml", "a.yml")},
		{name: "folder twice", paths: at("sub", "sub/..."), want: at("sub/broken.yaml", "sub/slip.yaml", "sub/deep/c.yaml")},
		{name: "link to a folder", paths: at("link/..."), want: at("link/broken.yaml", "link/deep/c.yaml", "link/slip.yaml")},
		{name: "any extension if named", paths: at("sub/notes.txt"), want: at("sub/notes.txt")},
		{name: "no scenario", paths: at("sub/task.yaml"), wantErr: "not a scenario"},
		{name: "empty folder", paths: at("none"), wantErr: "no scenario in this folder"},
		{name: "folder of folders", paths: at("above"), wantErr: "for the 1 in the folders below it, name "},
		{name: "slip", paths: at("b.yam"), wantErr: `did you mean "b.yaml"?`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			have, err := Find(test.paths)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("have error %v, want %q", err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(have, test.want) {
				t.Errorf("have %q, want %q", have, test.want)
			}
		})
	}
}

func TestLoadAllWantsUniqueNames(t *testing.T) {
	content, err := os.ReadFile("testdata/good/plain/scenario.yaml")
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := filepath.Abs("testdata/manifests")
	if err != nil {
		t.Fatal(err)
	}
	content = bytes.ReplaceAll(content, []byte("../../manifests"), []byte(manifests))
	dir := t.TempDir()
	for _, name := range []string{"a.yaml", "b.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := LoadAll([]string{dir})
	if len(files) != 1 || err == nil || !strings.Contains(err.Error(), `scenario "plain" is in`) {
		t.Errorf("have %d files, error %v", len(files), err)
	}
}
