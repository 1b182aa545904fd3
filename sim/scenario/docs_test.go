package scenario

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestDocs loads the examples of docs/scenario.md: the whole one as it stands,
// the others in place of its parts, so that the page cannot show what is refused.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/scenario.md")
	if err != nil {
		t.Fatal(err)
	}
	scenarios, err := filepath.Abs("../../scenarios")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 8 {
		t.Fatalf("only %d examples", len(blocks))
	}
	whole := map[string]yaml.Node{}
	for i, b := range blocks {
		parts := map[string]yaml.Node{}
		if err := yaml.Unmarshal([]byte(b[1]), &parts); err != nil {
			t.Fatalf("example %d: %v", i, err)
		}
		file := map[string]yaml.Node{}
		if i == 0 {
			whole = parts
		} else {
			for _, key := range []string{"apiVersion", "kind", "metadata", "cluster", "tekton", "workload"} {
				file[key] = whole[key]
			}
			// The whole example has its version from an axis.
			file["tekton"] = mustNode(t, "{version: 1.15.0}")
		}
		for key, n := range parts {
			file[key] = n
		}
		text, err := yaml.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), "scenario.yaml")
		// Relative to the scenarios that simctl ships.
		text = []byte(strings.ReplaceAll(string(text), "pipelines/", scenarios+"/pipelines/"))
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Load(name)
		if err != nil {
			t.Errorf("example %d:\n%s\n%v", i, b[1], err)
			continue
		}
		cells, err := f.Cells(Options{})
		if err != nil {
			t.Errorf("example %d: %v", i, err)
		}
		if i == 0 && len(cells) != 20 {
			t.Errorf("the whole example has %d cells, the page says 20", len(cells))
		}
	}
	for _, s := range StockSCCs {
		if !strings.Contains(string(page), s) {
			t.Errorf("the page does not name the SCC %s", s)
		}
	}
}

func mustNode(t *testing.T, text string) yaml.Node {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	return *n.Content[0]
}
