package main

import (
	"context"
	"errors"

	"k8s.io/klog/v2"

	"simctl.dev/simctl/cmd/simctl/internal/cli"
	"simctl.dev/simctl/sim"
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
	results, err := sim.Run(ctx, cells, sim.Options{
		Parallel: o.Parallel, OutDir: o.OutDir, FailFast: o.FailFast, CacheDir: o.CacheDir, Logger: o.Logger,
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

func (engine) Build(ctx context.Context, cacheDir, version string, progress func(string)) (string, error) {
	b := &tekton.Builder{CacheDir: cacheDir, Progress: func(_, line string) { progress(line) }}
	build, err := b.Build(ctx, version)
	if err != nil {
		return "", err
	}
	return build.Path, nil
}
