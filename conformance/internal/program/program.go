// Package program builds the cluster's programs: upstream's own main packages, of
// the versions in this module's go.mod, and the two of this module.
package program

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Program is one program.
type Program struct {
	Name string
	// Package is its main package.
	Package string
	// Kubernetes programs say which version they are.
	Kubernetes bool
	// Static programs run in images that have nothing else.
	Static bool
}

const (
	kubernetes = "k8s.io/kubernetes"
	tekton     = "github.com/tektoncd/pipeline"
	here       = "simctl.dev/simctl/conformance/cmd/"
)

// Tekton's programs that run in images, by the name of both.
var TektonImages = []string{"entrypoint", "nop", "sidecarlogresults", "workingdirinit"}

// All are the cluster's programs, those first of which others use the packages.
func All() []Program {
	var r []Program
	for _, n := range []string{"kube-scheduler", "kube-apiserver", "kubelet", "kube-controller-manager", "kubectl"} {
		r = append(r, Program{Name: n, Package: kubernetes + "/cmd/" + n, Kubernetes: true})
	}
	for _, n := range []string{"controller", "webhook"} {
		r = append(r, Program{Name: "tekton-" + n, Package: tekton + "/cmd/" + n})
	}
	for _, n := range TektonImages {
		r = append(r, Program{Name: "tekton-" + n, Package: tekton + "/cmd/" + n, Static: true})
	}
	return append(r,
		Program{Name: "csi-attacher", Package: "github.com/kubernetes-csi/external-attacher/v4/cmd/csi-attacher"},
		Program{Name: "etcd", Package: here + "etcd"},
		Program{Name: "disk-csi", Package: here + "disk-csi"},
		Program{Name: "pause", Package: here + "pause"},
	)
}

// Builder builds programs.
type Builder struct {
	// Module is the folder of this module, Bin the folder for the programs.
	Module, Bin string
	// CGO is the value of `go env CGO_ENABLED`.
	CGO string
	Out io.Writer
}

// Build builds all that is not built or is out of date, one after another: a link
// takes 2 to 3 GB.
func (b Builder) Build(ctx context.Context) error {
	version, err := b.ModuleVersion(ctx, kubernetes)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.Bin, 0o755); err != nil {
		return err
	}
	for _, p := range All() {
		start := time.Now()
		cmd := exec.CommandContext(ctx, "go", "build", "-ldflags", b.flags(p, version), "-o", filepath.Join(b.Bin, p.Name), p.Package)
		cmd.Dir = b.Module
		// Interrupted, go ends its compilers and takes its temporary folder away.
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		// A static link warns of what is of no matter here; it is told with an error only.
		var told bytes.Buffer
		cmd.Stdout, cmd.Stderr = &told, &told
		stop := b.stillAt(ctx, p.Name, start)
		err := cmd.Run()
		stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("building %s: %w\n%s", p.Name, err, told.Bytes())
		}
		if d := time.Since(start); d > 5*time.Second {
			fmt.Fprintf(b.Out, "built %s in %s\n", p.Name, d.Round(time.Second))
		}
	}
	return nil
}

// stillAt says once a minute that a build goes on.
func (b Builder) stillAt(ctx context.Context, name string, start time.Time) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(time.Minute)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				fmt.Fprintf(b.Out, "building %s for %s\n", name, time.Since(start).Round(time.Second))
			}
		}
	}()
	return func() { cancel(); <-done }
}

func (b Builder) flags(p Program, version string) string {
	f := "-s -w"
	if p.Kubernetes {
		v := strings.Split(strings.TrimPrefix(version, "v"), ".")
		for _, x := range []struct{ name, value string }{{"gitVersion", version}, {"gitMajor", v[0]}, {"gitMinor", v[1]}, {"gitCommit", "module"}, {"gitTreeState", "archive"}} {
			f += fmt.Sprintf(" -X k8s.io/component-base/version.%s=%s", x.name, x.value)
		}
	}
	// Linked so, the compiled packages are those that all others use; without cgo
	// or with the tag netgo they would be compiled anew.
	if p.Static && b.CGO == "1" {
		f += " -linkmode external -extldflags -static"
	}
	return f
}

// ModuleVersion is the version of a module in this module's go.mod.
func (b Builder) ModuleVersion(ctx context.Context, module string) (string, error) {
	return b.list(ctx, module, "{{.Version}}")
}

// TektonConfig is the folder of Tekton's manifests.
func (b Builder) TektonConfig(ctx context.Context) (string, error) {
	dir, err := b.list(ctx, tekton, "{{.Dir}}")
	return filepath.Join(dir, "config"), err
}

func (b Builder) list(ctx context.Context, module, format string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", format, module)
	cmd.Dir, cmd.Stderr = b.Module, b.Out
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("module %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
