package wellknown

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Names that are here are spelled nowhere else. The hook and its main are compiled with releases of
// Tekton, of which this package is no part; tests may say what they expect.
func TestNamesAreSpelledOnce(t *testing.T) {
	set := token.NewFileSet()
	own, err := parser.ParseFile(set, "wellknown.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	literals(own, func(text string, _ token.Pos) { known[text] = true })
	if len(known) < 15 {
		t.Fatalf("only %d names were found", len(known))
	}
	root := filepath.Join("..", "..")
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && rel != "." || rel == "bin" || rel == "conformance" || rel == filepath.Join("sim", "tekton", "hook") || rel == filepath.Join("sim", "tekton", "controller") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || rel == filepath.Join("sim", "wellknown", "wellknown.go"):
			return nil
		}
		f, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		literals(f, func(text string, at token.Pos) {
			if known[text] {
				t.Errorf("%s spells %q, which is in package wellknown", set.Position(at), text)
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// literals visits the strings of a file, imports aside.
func literals(f *ast.File, visit func(text string, at token.Pos)) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
				visit(text, n.Pos())
			}
		}
		return true
	})
}
