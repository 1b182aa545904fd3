package tekton

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// hookSource is the hook, with the package of what it says to its parent.
//
//go:embed hook/hook.go hook/registry.go hook/election.go hook/webhook.go hook/wire/wire.go
var hookSource embed.FS

// hookImport is the hook's import path here, which its files name each other by.
const hookImport = "simctl.dev/simctl/sim/tekton/hook"

// hookDir is where the hook is put in a copy of upstream's module.
const hookDir = "internal/simctlhook"

// webhookDir is where upstream's cmd/webhook is put there, as a package that the
// controller's main calls: two programs in one share nearly all of their code.
const webhookDir = "internal/simctlwebhook"

// skipped are folders of upstream's module that the controller is not built
// from. The vendor folder of a module zip is not complete.
var skipped = []string{"vendor", "docs", "examples", "hack", "tekton", "test", "third_party"}

// copySource puts a copy of upstream's module in dir, without its ways to the
// clouds: Go refuses an overlay on its module cache.
func copySource(dir, module string) error {
	err := filepath.WalkDir(module, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(module, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, rel)
		switch {
		case d.IsDir() && slices.Contains(skipped, rel):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case strings.HasSuffix(path, "_test.go"):
			return nil
		case filepath.Ext(path) != ".go":
			return copyFile(to, path)
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if src, err = withoutClouds(src); err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		return os.WriteFile(to, src, 0o644)
	})
	if err != nil {
		return fmt.Errorf("copying upstream's module: %w", err)
	}
	return nil
}

// addHook adds the hook to the copy of upstream's module in dir.
func addHook(dir string, noProbes bool) error {
	if err := writeHook(dir); err != nil {
		return err
	}
	if err := addWebhook(dir, noProbes); err != nil {
		return fmt.Errorf("making a package of upstream's cmd/webhook: %w", err)
	}
	name := filepath.Join(dir, "cmd", "controller", "main.go")
	src, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading upstream's main: %w", err)
	}
	if src, err = hookMain(src, noProbes); err != nil {
		return fmt.Errorf("putting the hook into upstream's cmd/controller/main.go: %w", err)
	}
	return os.WriteFile(name, src, 0o644)
}

// addWebhook makes a package of the copy of upstream's cmd/webhook in dir.
func addWebhook(dir string, noProbes bool) error {
	files, err := filepath.Glob(filepath.Join(dir, "cmd", "webhook", "*.go"))
	if err != nil {
		return err
	}
	to := filepath.Join(dir, webhookDir)
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	mains := 0
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		src, main, err := webhookPackage(src, noProbes)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		if main {
			mains++
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(name)), src, 0o644); err != nil {
			return err
		}
	}
	if mains != 1 {
		return fmt.Errorf("found %d functions main that call sharedmain.MainWithContext, expected 1", mains)
	}
	return nil
}

// webhookPackage makes a file of a package of a file of upstream's cmd/webhook: its main
// is Main and begins by telling that it is there. main says whether it is this file that
// has it.
func webhookPackage(src []byte, noProbes bool) (out []byte, main bool, err error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "main.go", src, parser.SkipObjectResolution)
	if err != nil {
		return nil, false, err
	}
	offset := func(p token.Pos) int { return fset.Position(p).Offset }
	edits := []edit{{offset(file.Name.Pos()), offset(file.Name.End()), path.Base(webhookDir)}}
	insert := func(p token.Pos, text string) { edits = append(edits, edit{offset(p), offset(p), text}) }
	mains, calls := 0, 0
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "main" && n.Recv == nil {
				mains++
				edits = append(edits, edit{offset(n.Name.Pos()), offset(n.Name.End()), "Main"})
				insert(n.Body.Lbrace+1, "\n\tsimctlhook.ConnectWebhook()")
			}
		case *ast.CallExpr:
			if !selects(n.Fun, "sharedmain", "MainWithContext") || len(n.Args) < 2 {
				return true
			}
			calls++
			if noProbes {
				insert(n.Args[0].Pos(), "sharedmain.WithHealthProbesDisabled(")
				insert(n.Args[0].End(), ")")
			}
		}
		return true
	})
	if mains != calls || mains > 1 || mains == 1 && len(file.Imports) == 0 {
		return nil, false, fmt.Errorf("found %d functions main and %d calls of sharedmain.MainWithContext", mains, calls)
	}
	if mains == 1 {
		insert(file.Imports[0].Pos(), fmt.Sprintf("simctlhook %q\n\t", Module+"/"+hookDir))
	}
	return apply(src, edits), mains == 1, nil
}

// writeHook puts the hook's files into the copy of upstream's module in dir.
func writeHook(dir string) error {
	paths, err := hookPaths(dir)
	if err != nil {
		return err
	}
	err = eachHookFile(func(name string, content []byte) error {
		to := filepath.Join(dir, hookDir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, []byte(paths.Replace(string(content))), 0o644)
	})
	if err != nil {
		return fmt.Errorf("writing the hook: %w", err)
	}
	return nil
}

// eachHookFile calls do with the hook's files in the order of their names, which begin
// at its folder.
func eachHookFile(do func(name string, content []byte) error) error {
	return fs.WalkDir(hookSource, "hook", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := hookSource.ReadFile(path)
		if err != nil {
			return err
		}
		return do(strings.TrimPrefix(path, "hook/"), content)
	})
}

// hookPaths returns what turns the hook's import paths into those that it has in a
// module of upstream's: its own, and those of the types that the module's reconcilers
// have, which up to 0.48 are those of tekton.dev/v1beta1; all that the hook uses is
// named there as it is in tekton.dev/v1.
func hookPaths(module string) (*strings.Replacer, error) {
	src, err := os.ReadFile(filepath.Join(module, "pkg", "reconciler", "taskrun", "taskrun.go"))
	if err != nil {
		return nil, fmt.Errorf("reading upstream's reconciler of TaskRuns: %w", err)
	}
	paths := []string{`"` + hookImport + "/", `"` + Module + "/" + hookDir + "/"}
	switch {
	case bytes.Contains(src, []byte("*v1.TaskRun")):
	case bytes.Contains(src, []byte("*v1beta1.TaskRun")):
		for _, path := range []string{"/pkg/apis/pipeline/v1%s\"", "/pkg/client/injection/informers/pipeline/v1%s/"} {
			paths = append(paths, Module+fmt.Sprintf(path, ""), Module+fmt.Sprintf(path, "beta1"))
		}
	default:
		return nil, errors.New("upstream's reconciler of TaskRuns takes neither v1.TaskRun nor v1beta1.TaskRun: this release needs another hook")
	}
	return strings.NewReplacer(paths...), nil
}

func copyFile(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

// Upstream's ways to the clouds: credentials of their registries, and the clients
// of their key management, which are imported for their side effects. No
// simulated cluster can reach a cloud, and the libraries are a fifth of what is
// compiled.
const (
	cloudCredentials  = "github.com/google/go-containerregistry/pkg/authn/k8schain"
	secretCredentials = "github.com/google/go-containerregistry/pkg/authn/kubernetes" //nolint:gosec // a package
	cloudKeys         = "github.com/sigstore/sigstore/pkg/signature/kms/"
)

// withoutClouds takes upstream's ways to the clouds out of a source file. The built-in
// release has them: only a replace in go.mod could take them out, and with one go install
// refuses a module.
func withoutClouds(src []byte) ([]byte, error) {
	if !bytes.Contains(src, []byte(cloudCredentials)) && !bytes.Contains(src, []byte(cloudKeys)) {
		return src, nil
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", src, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var edits []edit
	for _, i := range file.Imports {
		from, to := fset.Position(i.Pos()).Offset, fset.Position(i.End()).Offset
		path, err := strconv.Unquote(i.Path.Value)
		switch {
		case err != nil:
			return nil, err
		case path == cloudCredentials:
			// Both packages have New and Options, with one meaning.
			name := "k8schain"
			if i.Name != nil {
				name = i.Name.Name
			}
			edits = append(edits, edit{from, to, fmt.Sprintf("%s %q", name, secretCredentials)})
		case strings.HasPrefix(path, cloudKeys) && i.Name != nil && i.Name.Name == "_":
			edits = append(edits, edit{from: from, to: to})
		}
	}
	return apply(src, edits), nil
}

// edit replaces src[from:to].
type edit struct {
	from, to int
	text     string
}

// apply returns src with the edits made; those at one place keep their order.
func apply(src []byte, edits []edit) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int { return a.from - b.from })
	var out []byte
	at := 0
	for _, e := range edits {
		out = append(append(out, src[at:e.from]...), e.text...)
		at = e.to
	}
	return append(out, src[at:]...)
}

// hookMain changes upstream's main as little as the hook needs: which of the two programs
// this is, the clock that constructors get, the constructors, the client configuration,
// and, with noProbes, the context, so that knative does not listen on its fixed port.
func hookMain(src []byte, noProbes bool) ([]byte, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "main.go", src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	offset := func(p token.Pos) int { return fset.Position(p).Offset }
	var edits []edit
	insert := func(p token.Pos, text string) { edits = append(edits, edit{offset(p), offset(p), text}) }

	clocks, constructors, mains := 0, 0, 0
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "main" && n.Recv == nil {
				insert(n.Body.Lbrace+1, "\n\tif simctlhook.IsWebhook() {\n\t\tsimctlwebhook.Main()\n\t\treturn\n\t}\n\tsimctl := simctlhook.Connect()")
			}
		case *ast.CompositeLit:
			if selects(n.Type, "clock", "RealClock") {
				clocks++
				edits = append(edits, edit{offset(n.Pos()), offset(n.End()), "simctl.Clock()"})
			}
		case *ast.CallExpr:
			if !selects(n.Fun, "sharedmain", "MainWithConfig") || len(n.Args) < 3 {
				return true
			}
			mains++
			insert(n.Args[2].Pos(), "simctl.Config(")
			insert(n.Args[2].End(), ")")
			if noProbes {
				insert(n.Args[0].Pos(), "sharedmain.WithHealthProbesDisabled(")
				insert(n.Args[0].End(), ")")
			}
			for _, arg := range n.Args {
				if c, ok := arg.(*ast.CallExpr); ok && selects(c.Fun, "", "NewController") {
					constructors++
					insert(c.Pos(), "simctl.Wrap(")
					insert(c.End(), ")")
				}
			}
		}
		return true
	})
	switch {
	case mains != 1:
		return nil, fmt.Errorf("found %d calls of sharedmain.MainWithConfig, expected 1", mains)
	case constructors == 0:
		return nil, errors.New("found no NewController(...) among the arguments of sharedmain.MainWithConfig")
	case clocks == 0:
		return nil, errors.New("found no clock.RealClock{}: this release takes no clock")
	case len(file.Imports) == 0:
		return nil, errors.New("found no imports")
	}
	insert(file.Imports[0].Pos(), fmt.Sprintf("simctlhook %q\n\tsimctlwebhook %q\n\t", Module+"/"+hookDir, Module+"/"+webhookDir))

	// Upstream's import of the clock has no other use now.
	return append(apply(src, edits), "\nvar _ = clock.RealClock{}\n"...), nil
}

// selects says whether e is pkg.name; an empty pkg means any.
func selects(e ast.Expr, pkg, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && (pkg == "" || x.Name == pkg)
}
