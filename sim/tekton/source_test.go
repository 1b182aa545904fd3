package tekton

import (
	"flag"
	"os"
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
