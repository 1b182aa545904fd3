package tekton

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestHookMain(t *testing.T) {
	src, err := os.ReadFile("testdata/module/cmd/controller/main.go.txt")
	if err != nil {
		t.Fatal(err)
	}
	for golden, noProbes := range map[string]bool{"testdata/main.golden.txt": false, "testdata/main-probes.golden.txt": true} {
		got, err := hookMain(src, noProbes)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(golden, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s: got\n%s", golden, got)
		}
	}
}

func TestHookMainRefuses(t *testing.T) {
	src, err := os.ReadFile("testdata/module/cmd/controller/main.go.txt")
	if err != nil {
		t.Fatal(err)
	}
	for words, change := range map[string]*strings.Replacer{
		"sharedmain.MainWithConfig":     strings.NewReplacer("MainWithConfig", "MainNamed"),
		"NewController":                 strings.NewReplacer("NewController", "Controller"),
		"clock.RealClock{}":             strings.NewReplacer("clock.RealClock{}", "nil"),
		"expected 'package', found foo": strings.NewReplacer("package main", "foo"),
	} {
		if _, err := hookMain([]byte(change.Replace(string(src))), false); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("got %v, want an error with %q", err, words)
		}
	}
}

// TestWriteHook: the hook has the types that the release's reconcilers have, and all
// of it is there.
func TestWriteHook(t *testing.T) {
	const (
		newTypes, oldTypes         = `"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"`, `"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"`
		newInformers, oldInformers = `/informers/pipeline/v1/taskrun"`, `/informers/pipeline/v1beta1/taskrun"`
		wire                       = `"github.com/tektoncd/pipeline/internal/simctlhook/wire"`
	)
	for _, test := range []struct {
		reconciler string
		has, not   []string
		err        string
	}{
		{reconciler: "tr *v1.TaskRun", has: []string{newTypes, newInformers, wire}, not: []string{oldTypes, oldInformers}},
		{reconciler: "tr *v1beta1.TaskRun", has: []string{oldTypes, oldInformers, wire}, not: []string{newTypes, newInformers}},
		{reconciler: "tr *v2.TaskRun", err: "another hook"},
	} {
		module := t.TempDir()
		dir := filepath.Join(module, "pkg", "reconciler", "taskrun")
		if err := errors.Join(os.MkdirAll(dir, 0o750), os.WriteFile(filepath.Join(dir, "taskrun.go"), []byte(test.reconciler), 0o600)); err != nil {
			t.Fatal(err)
		}
		err := writeHook(module)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: got %v, want an error with %q", test.reconciler, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		readSources(t, filepath.Join(module, hookDir), got)
		for name := range readSources(t, "hook", map[string]string{}) {
			if got[name] == "" {
				t.Errorf("%s: %s of the hook is left out", test.reconciler, name)
			}
		}
		for name, src := range got {
			if strings.Contains(src, hookImport) {
				t.Errorf("%s: %s imports what upstream's module does not have", test.reconciler, name)
			}
		}
		for _, s := range test.has {
			if !strings.Contains(got["hook.go"], s) {
				t.Errorf("%s: the hook has no %s", test.reconciler, s)
			}
		}
		for _, s := range test.not {
			if strings.Contains(got["hook.go"], s) {
				t.Errorf("%s: the hook has %s", test.reconciler, s)
			}
		}
	}
}

// readSources adds the Go files below dir that are no tests to out, by their names
// there, and returns out.
func readSources(t *testing.T, dir string, out map[string]string) map[string]string {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		src, err := os.ReadFile(path)
		out[name] = string(src)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWithoutClouds: what stays must be what the rest of the file uses.
func TestWithoutClouds(t *testing.T) {
	for name, test := range map[string]struct{ src, want string }{
		"credentials": {
			"package pod\n\nimport (\n\t\"context\"\n\n\t\"github.com/google/go-containerregistry/pkg/authn/k8schain\"\n)\n\nvar _ = k8schain.New // authn/k8schain\n",
			"package pod\n\nimport (\n\t\"context\"\n\n\tk8schain \"github.com/google/go-containerregistry/pkg/authn/kubernetes\"\n)\n\nvar _ = k8schain.New // authn/k8schain\n",
		},
		"by another name": {
			"package pod\n\nimport chain \"github.com/google/go-containerregistry/pkg/authn/k8schain\"\n",
			"package pod\n\nimport chain \"github.com/google/go-containerregistry/pkg/authn/kubernetes\"\n",
		},
		"keys": {
			"package verifier\n\nimport (\n\t\"github.com/sigstore/sigstore/pkg/signature/kms\"\n\t_ \"github.com/sigstore/sigstore/pkg/signature/kms/aws\" // registers\n\t_ \"github.com/sigstore/sigstore/pkg/signature/kms/gcp\"\n)\n",
			"package verifier\n\nimport (\n\t\"github.com/sigstore/sigstore/pkg/signature/kms\"\n\t // registers\n\t\n)\n",
		},
		"a client that is used by name": {
			"package verifier\n\nimport \"github.com/sigstore/sigstore/pkg/signature/kms/fake\"\n",
			"package verifier\n\nimport \"github.com/sigstore/sigstore/pkg/signature/kms/fake\"\n",
		},
		"neither": {"not Go at all", "not Go at all"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := withoutClouds([]byte(test.src))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
	if _, err := withoutClouds([]byte("foo " + cloudKeys)); err == nil {
		t.Error("a file that cannot be read is no error")
	}
}

// TestWebhookPackage: upstream's cmd/webhook becomes a package with its main in it; what is
// built otherwise is told.
func TestWebhookPackage(t *testing.T) {
	const src = `package main

import (
	"knative.dev/pkg/injection/sharedmain"
)

func main() {
	sharedmain.MainWithContext(ctx, name,
		certificates.NewController)
}

func main2() {}
`
	got, main, err := webhookPackage([]byte(src), true)
	if err != nil || !main {
		t.Fatal(main, err)
	}
	const want = `package simctlwebhook

import (
	simctlhook "github.com/tektoncd/pipeline/internal/simctlhook"
	"knative.dev/pkg/injection/sharedmain"
)

func Main() {
	simctlhook.ConnectWebhook()
	sharedmain.MainWithContext(sharedmain.WithHealthProbesDisabled(ctx), name,
		certificates.NewController)
}

func main2() {}
`
	if string(got) != want {
		t.Errorf("got\n%s", got)
	}
	if got, main, err := webhookPackage([]byte("package main\n\nvar types = 1\n"), false); err != nil || main || string(got) != "package simctlwebhook\n\nvar types = 1\n" {
		t.Errorf("a file without main: %s, %t, %v", got, main, err)
	}
	for _, change := range []*strings.Replacer{
		strings.NewReplacer("MainWithContext", "MainNamed"),
		strings.NewReplacer("func main()", "func other()"),
		strings.NewReplacer("package main", "foo"),
	} {
		if _, _, err := webhookPackage([]byte(change.Replace(src)), false); err == nil {
			t.Errorf("%s is taken", change.Replace(src))
		}
	}
}
