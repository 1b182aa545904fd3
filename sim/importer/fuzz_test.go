package importer_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"simctl.dev/simctl/sim/importer"
)

// FuzzImport makes a scenario of what may be a dump: it does not panic, an error, a gap
// and a note are one line each, and the same dump makes the same files.
func FuzzImport(f *testing.F) {
	err := filepath.WalkDir("testdata", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.Contains(path, "/dump/") {
			return err
		}
		raw, err := os.ReadFile(path)
		f.Add(raw)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		file := filepath.Join(t.TempDir(), "dump.yaml")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		one := func(what string) {
			if strings.ContainsAny(what, "\n\r") {
				t.Errorf("several lines: %q", what)
			}
		}
		convert := func() (map[string]string, string) {
			d, err := importer.ReadFiles([]string{file})
			if err != nil {
				return nil, err.Error()
			}
			for _, g := range d.Gaps {
				one(g.String())
			}
			r, err := importer.Convert(d, importer.Options{Namespace: "team-a"})
			if err != nil {
				return nil, err.Error()
			}
			for _, n := range r.Notes {
				one(n)
			}
			return text(r.Files), ""
		}
		files, problem := convert()
		one(problem)
		again, other := convert()
		if diff := cmp.Diff(files, again); diff != "" || problem != other {
			t.Errorf("imported twice:\n%s\n%s\n%s", diff, problem, other)
		}
	})
}
