package tekton

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// staleGoMod says whether the go command refuses a go.mod as not up to date.
func staleGoMod(err error) bool {
	return err != nil && strings.Contains(err.Error(), "updates to go.mod needed")
}

// raiseGo puts a later go version into the go.mod of the copy src of a module:
// 0.70.0 names an earlier one than its dependencies ask for, which the go command
// that upstream used let pass. Whatever else the go command would change for
// upstream's own sources is an error: a release is built from what upstream required.
func (b *Builder) raiseGo(ctx context.Context, src, module, work, version string) error {
	dir := filepath.Join(work, "mod")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	names := []string{"go.mod", "go.sum"}
	for _, name := range names {
		if err := copyFile(filepath.Join(dir, name), filepath.Join(module, name)); err != nil {
			return err
		}
	}
	if _, err := b.gocmd(version).Output(ctx, module, "list", "-mod=mod", "-modfile="+filepath.Join(dir, "go.mod"), "-deps", "./cmd/controller"); err != nil {
		return fmt.Errorf("bringing its go.mod up to date: %w", err)
	}
	for _, name := range names {
		same, err := sameButGo(filepath.Join(module, name), filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if !same {
			return fmt.Errorf("its %s is not up to date, and more than the version of Go would change", name)
		}
	}
	return copyFile(filepath.Join(src, "go.mod"), filepath.Join(dir, "go.mod"))
}

// sameButGo says whether two files differ in no line but those that name a
// version of Go.
func sameButGo(a, b string) (bool, error) {
	left, err := os.ReadFile(a)
	right, err2 := os.ReadFile(b)
	if err := errors.Join(err, err2); err != nil {
		return false, err
	}
	lines := func(raw []byte) []string {
		return slices.DeleteFunc(strings.Split(string(raw), "\n"), func(l string) bool {
			return l == "" || strings.HasPrefix(l, "go ") || strings.HasPrefix(l, "toolchain ")
		})
	}
	return slices.Equal(lines(left), lines(right)), nil
}
