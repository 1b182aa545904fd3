package testcase

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSettings(t *testing.T) {
	std := Settings{Coschedule: "workspaces", Max: 240 * time.Second, Settle: 12 * time.Second}
	with := func(f func(*Settings)) Settings {
		s := std
		f(&s)
		return s
	}
	for _, c := range []struct {
		text string
		want Settings
		err  string
	}{
		{text: "", want: std},
		{text: "# nothing\n\n", want: std},
		{text: "coschedule=disabled\n", want: with(func(s *Settings) { s.Coschedule = "disabled" })},
		{text: "max=840 settle=30 pool=loss # for long", want: with(func(s *Settings) { s.Max, s.Settle, s.Loss = 840*time.Second, 30*time.Second, true })},
		{text: `max=300 defaults='{"default-imagepullbackoff-timeout":"2m", "a":"b"}'`, want: with(func(s *Settings) {
			s.Max, s.Defaults = 300*time.Second, map[string]string{"default-imagepullbackoff-timeout": "2m", "a": "b"}
		})},
		{text: "rare=true", want: with(func(s *Settings) { s.Rare = true })},
		{text: "rare=often", err: "rare=often"},
		{text: "maximum=3", err: "maximum=3: there is no such setting"},
		{text: "max", err: "no NAME=VALUE"},
		{text: "max=soon", err: "max=soon"},
		{text: "max=0", err: "more than 0 seconds"},
		{text: "pool=work", err: "only the pool loss"},
		{text: "defaults='{", err: "not closed"},
		{text: "defaults='[]'", err: "defaults=[]"},
	} {
		got, err := parseSettings(c.text)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: error %v, want one with %q", c.text, err, c.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: got %+v, %v, want %+v", c.text, got, err, c.want)
		}
	}
}

func TestReadAll(t *testing.T) {
	dir := t.TempDir()
	for f, content := range map[string]string{
		"a-lost/manifests/1.yaml":   "",
		"a-lost/settings":           "pool=loss",
		"b/manifests/2-run.yaml":    "",
		"b/manifests/1-task.yaml":   "",
		"b/manifests/notes.txt":     "",
		"b/actions.sh":              "true",
		"empty/manifests/notes.txt": "",
		"rare/manifests/1.yaml":     "",
		"rare/settings":             "rare=true",
		"no-case/README.md":         "",
	} {
		f = filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ReadAll(dir); err == nil || !strings.Contains(err.Error(), "no manifests") {
		t.Errorf("a case without manifests: error %v", err)
	}
	if _, err := ReadAll(dir, "b", "c"); err == nil || !strings.Contains(err.Error(), `no case "c"; there are: a-lost b empty rare`) {
		t.Errorf("a case that is not there: error %v", err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "empty")); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadAll(dir, "rare"); err != nil || len(got) != 1 {
		t.Errorf("a rare case that is named: %v, %v", got, err)
	}
	got, err := ReadAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Name != "b" || got[1].Name != "a-lost" || !got[1].Loss {
		t.Fatalf("got %+v, want b, then a-lost, which loses a node, and no rare one", got)
	}
	b := got[0]
	if want := []string{filepath.Join(dir, "b/manifests/1-task.yaml"), filepath.Join(dir, "b/manifests/2-run.yaml")}; !reflect.DeepEqual(b.Manifests, want) {
		t.Errorf("manifests %q, want %q", b.Manifests, want)
	}
	if b.Actions != filepath.Join(dir, "b/actions.sh") || got[1].Actions != "" {
		t.Errorf("actions %q and %q", b.Actions, got[1].Actions)
	}
}
