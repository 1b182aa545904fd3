package main

import (
	"context"
	"errors"
	"io"
	"os/signal"
	"syscall"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/klog/v2"

	"simctl.dev/simctl/cmd/simctl/internal/cli"
	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/openshift"
	"simctl.dev/simctl/sim/pack"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/verdict"
)

// engine is package sim as the verbs see it.
type engine struct{}

var _ cli.Engine = engine{}

func (engine) Run(ctx context.Context, cells []scenario.Cell, o cli.RunOptions) ([]verdict.Cell, error) {
	// Upstream code that is handed no logger says it to this one.
	klog.SetLogger(o.Logger)
	// Nobody reads the progress any more: that must not end this process while its
	// control planes stand.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	results, err := sim.Run(ctx, cells, sim.Options{
		Parallel: o.Parallel, OutDir: o.OutDir, FailFast: o.FailFast, CacheDir: o.CacheDir, Logger: o.Logger,
		CheckCells: o.CheckCells, CheckHistories: o.CheckHistories,
		Progress: func(e sim.Event) {
			o.Progress(cli.Event{Kind: cli.EventKind(e.Kind), Cell: e.Cell, Result: e.Result, Release: e.Release, Message: e.Message})
		},
	})
	if errors.Is(err, sim.ErrFailFast) {
		err = nil
	}
	return results, err
}

func (engine) Releases(cacheDir string) ([]cli.Release, error) {
	b := &tekton.Builder{CacheDir: cacheDir}
	var out []cli.Release
	for _, r := range tekton.Releases() {
		built, _, _ := b.Status(r.Version)
		out = append(out, cli.Release{Version: r.Version, BuiltIn: r.BuiltIn, Built: built, OpenShiftPipelines: r.OpenShiftPipelines})
	}
	return out, nil
}

func (engine) BuildAll(ctx context.Context, cacheDir string, versions []string, progress func(version, line string), done func(version, path string, err error)) error {
	b := &tekton.Builder{CacheDir: cacheDir, Progress: progress}
	return b.BuildAll(ctx, versions, func(version string, build *tekton.Build, err error) {
		path := ""
		if build != nil {
			path = build.Path
		}
		done(version, path, err)
	})
}

func (engine) Pack(ctx context.Context, cacheDir string, versions []string, w io.Writer, progress func(line string)) error {
	return pack.Write(ctx, w, versions, pack.Options{CacheDir: cacheDir, Progress: progress})
}

func (engine) Unpack(ctx context.Context, cacheDir string, r io.Reader, progress func(line string)) error {
	return pack.Read(ctx, r, pack.Options{CacheDir: cacheDir, Progress: progress})
}

func (engine) Prune(cacheDir string, o cli.PruneOptions) ([]cli.Pruned, error) {
	b := &tekton.Builder{CacheDir: cacheDir}
	removed, err := b.Prune(tekton.PruneOptions{Versions: o.Versions, All: o.All, UnusedSince: o.UnusedSince})
	if err == nil {
		var more []openshift.Pruned
		more, err = openshift.PruneEngine(cacheDir, o.All, o.UnusedSince)
		removed = append(removed, more...)
	}
	var out []cli.Pruned
	for _, r := range removed {
		out = append(out, cli.Pruned(r))
	}
	return out, err
}

func (engine) Foresee(c *scenario.Cell) ([]*scenario.Problem, error) { return openshift.Foresee(c) }

func (engine) SCCObjects(namespaces []string) ([]*unstructured.Unstructured, error) {
	return openshift.SCCObjects(namespaces)
}

func (engine) StockSCCs() ([]*unstructured.Unstructured, error) { return openshift.StockSCCs() }

func (engine) Builds(ctx context.Context, cacheDir string, versions []string, openShift bool) (cli.Builds, error) {
	var out cli.Builds
	b := &tekton.Builder{CacheDir: cacheDir}
	for _, v := range versions {
		ready, _, _ := b.Status(v)
		out.Parts = append(out.Parts, cli.Part{Name: "Tekton " + v, BuiltIn: v == tekton.BuiltIn, Ready: ready, Took: b.Took(v)})
	}
	out.GoVersion, out.GoErr = b.GoVersion(ctx)
	ready, took, err := openshift.EngineStatus(cacheDir)
	if err != nil {
		return out, err
	}
	if openShift {
		out.Parts = append(out.Parts, cli.Part{Name: "OpenShift's SCC", Ready: ready, Took: took})
	}
	out.Dir, err = b.Dir()
	return out, err
}
