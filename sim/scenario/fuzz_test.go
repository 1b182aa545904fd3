package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad loads what may be a scenario: it does not panic, each line of its error is a
// problem that names a file, and what is loaded has the same cells twice.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*/scenario.yaml", "../../scenarios/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no scenarios: %v", err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	// Manifests are found from here.
	const path = "testdata/bad/fuzzed.yaml"
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := loadContent(path, content)
		if err != nil {
			if lines := strings.Split(err.Error(), "\n"); len(lines) != len(Problems(err)) || strings.Contains(err.Error(), "\r") {
				t.Errorf("%d problems in %d lines:\n%s", len(Problems(err)), len(lines), err)
			}
			return
		}
		ids := func() string {
			cells, err := file.Cells(Options{Versions: []string{"1.15.0"}})
			if err != nil {
				return err.Error()
			}
			var b strings.Builder
			for _, c := range cells {
				b.WriteString(c.ID() + " " + c.Fingerprint() + "\n")
			}
			return b.String()
		}
		if a, b := ids(), ids(); a != b {
			t.Errorf("expanded twice:\n%s\n%s", a, b)
		}
	})
}
