package cli

import (
	"context"
	"io"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// Engine is what the verbs need of package sim.
type Engine interface {
	// Run runs cells and returns the result of each that was finished, in their
	// order. When ctx is cancelled it stops promptly and returns what is finished
	// with ctx's error.
	Run(ctx context.Context, cells []scenario.Cell, o RunOptions) ([]verdict.Cell, error)
	// Releases lists the Tekton releases that are known.
	Releases(cacheDir string) ([]Release, error)
	// BuildAll makes Tekton releases ready and says where the controller of each
	// is, one call of done at a time. Progress is told in lines, from several
	// goroutines. The error is ctx's.
	BuildAll(ctx context.Context, cacheDir string, versions []string, progress func(version, line string), done func(version, path string, err error)) error
	// Pack writes builds of releases, and of OpenShift's admission, for other machines,
	// making them first where they are not there; Unpack takes them. Progress is told in
	// lines, from several goroutines.
	Pack(ctx context.Context, cacheDir string, releases []string, w io.Writer, progress func(line string)) error
	Unpack(ctx context.Context, cacheDir string, r io.Reader, progress func(line string)) error
	// Prune removes builds.
	Prune(cacheDir string, o PruneOptions) ([]Pruned, error)
	// Builds says which of the builds that releases, and OpenShift's admission,
	// need are there.
	Builds(ctx context.Context, cacheDir string, versions []string, openShift bool) (Builds, error)
	// Foresee says which pods of a cell OpenShift's admission is likely to refuse, by what
	// is known without playing it.
	Foresee(c *scenario.Cell) ([]*scenario.Problem, error)
	// SCCObjects are the SCCs of a cluster with OpenShift Pipelines, and what says who may use
	// them in some namespaces.
	SCCObjects(namespaces []string) ([]*unstructured.Unstructured, error)
	// StockSCCs are OpenShift's own security context constraints.
	StockSCCs() ([]*unstructured.Unstructured, error)
}

// RunOptions are options of [Engine.Run].
type RunOptions struct {
	// Parallel is how many control planes run side by side; 0 leaves the choice
	// to the engine.
	Parallel int
	// OutDir is the run's folder, CacheDir that of the builds of Tekton.
	OutDir, CacheDir string
	// FailFast stops at the first cell that fails; that is no error.
	FailFast bool
	// CheckCells has every cell checked for what it leaves on its control plane.
	CheckCells bool
	// CheckHistories has every cell's history held to the invariants of histories.
	CheckHistories bool
	// Progress is called from several goroutines, one at a time.
	Progress func(Event)
	Logger   logr.Logger
}

// EventKind says what an [Event] tells.
type EventKind string

// The kinds of events.
const (
	EventBuild        EventKind = "build"
	EventBuilt        EventKind = "built"
	EventControlPlane EventKind = "control-plane"
	EventCellStarted  EventKind = "cell-started"
	EventCellDone     EventKind = "cell-done"
)

// Event is a step of a run.
type Event struct {
	Kind EventKind
	// Cell is set for events of a cell, Result once it is done.
	Cell   *scenario.Cell
	Result *verdict.Cell
	// Release is the Tekton release that is built, or what else is.
	Release string
	Message string
}

// Release is an upstream Tekton release.
type Release struct {
	Version string
	// BuiltIn: compiled into simctl. Built: built before, in the cache.
	BuiltIn, Built bool
	// OpenShiftPipelines is the version of OpenShift Pipelines that carries it.
	OpenShiftPipelines string
}

// PruneOptions say which builds [Engine.Prune] removes besides those that are of
// no use.
type PruneOptions struct {
	Versions []string
	All      bool
	// UnusedSince, unless zero, is for builds not used since.
	UnusedSince time.Time
}

// Pruned is something that was removed; Busy says that it was not, because it is
// being built.
type Pruned struct {
	Path  string
	Bytes int64
	Why   string
	Busy  bool
}

// Builds are what runs need to have built.
type Builds struct {
	// Dir is the cache.
	Dir   string
	Parts []Part
	// GoVersion is that of the compiler ("1.26.4"); GoErr says that there is none,
	// and to install it.
	GoVersion string
	GoErr     error
}

// Part is something that is built once.
type Part struct {
	Name           string
	BuiltIn, Ready bool
	// Took is how long such a build has taken on this host, 0 if that is not
	// known.
	Took time.Duration
}
