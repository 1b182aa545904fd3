package play

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/estate"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/install"
	"simctl.dev/simctl/sim/intervention"
	"simctl.dev/simctl/sim/node"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/resolvers"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/stepper"
	"simctl.dev/simctl/sim/storage"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/user"
	"simctl.dev/simctl/sim/wellknown"
)

// Stage is what cells are played on, one after the other.
type Stage struct {
	Plane   *plane.Plane
	Install *install.Install
	Estate  *estate.Estate
	// Check, if not nil, holds cells to leaving nothing behind.
	Check  *estate.Check
	Logger logr.Logger
}

// Result is what came of a cell.
type Result struct {
	// Entries are the cell's history.
	Entries []history.Entry
	// Meddled says that the cell wrote to what is the control plane's own, or to what the
	// API server remembers by real time: no other cell is to be played on the stage.
	Meddled bool
}

// play is a cell being played.
type play struct {
	Stage
	ctx    context.Context
	cancel context.CancelCauseFunc
	cell   *scenario.Cell
	seed   int64

	log     *history.Log
	history *history.Follower // of log
	// aftermath is what is written while the cell is cleared away.
	aftermath *history.Log

	user          *user.User
	interventions *intervention.Interventions
	resolvers     *resolvers.Resolvers
	kubelets      *node.Kubelets
	disks         *storage.Driver
	overlap       overlap
	restarts      int // of Tekton's controller
	// pending is what the cell itself has put on the clock.
	pending []*clock.Event
}

// Run plays a cell and clears it away. Its history is
// written to out, if that is not nil, as it comes. builds are the releases that the cell
// needs, by version. The cell's verdict is in its history; an error says that there is
// none, or that the stage is no longer fit for others.
func (s Stage) Run(ctx context.Context, cell *scenario.Cell, builds map[string]*tekton.Build, out io.Writer) (res Result, err error) {
	if err := s.ensureRelease(ctx, cell, builds[cell.Spec.Tekton.Version]); err != nil {
		return res, err
	}
	seed := seedOf(cell)
	s.Plane.Restart(seed)
	s.Install.Reset()
	log := history.NewLog(s.Plane.Clock.Elapsed, out)

	// Where the real time goes, for the log.
	laps, last := map[string]float64{}, time.Now()
	lap := func(name string) { laps[name], last = time.Since(last).Seconds(), time.Now() }

	c := &play{Stage: s, cell: cell, seed: seed, log: log, history: history.Follow(log)}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	c.user = user.New(user.Options{Plane: s.Plane, Install: s.Install, Estate: s.Estate, History: c.history, Logger: s.Logger})
	c.interventions = intervention.New(c.ctx, intervention.Options{Cell: cell, Seed: seed, Builds: builds, Plane: s.Plane, Install: s.Install,
		User: c.user, History: c.history, Record: c.record, Machines: func() intervention.Machines { return machines{c} }, After: c.after, Logger: s.Logger})
	c.resolvers = resolvers.New(resolvers.Options{Plane: s.Plane, Remotes: cell.Remotes, Log: log, After: c.after})
	// Without its servers a cell would wait for ever.
	gone := context.AfterFunc(s.Plane.Context(), func() { c.cancel(context.Cause(s.Plane.Context())) })
	defer gone()
	defer c.bound().Stop()
	steps := stepper.New(stepper.Options{World: world{c}, Clock: s.Plane.Clock, Log: log, Record: c.record,
		Linger: cell.Spec.Lingers(), Bounds: boundsOf(cell), Logger: s.Logger})
	defer func() {
		// What the cell left is removed even if it failed half-way; a failure
		// to do so fails the cell, since the next one would not begin afresh.
		c.close()
		res.Meddled = c.user.Meddled() || c.remembered()
		if c.ctx.Err() == nil {
			err = errors.Join(err, c.clean())
			s.Plane.Record(nil)
			lap("clean")
			if s.Check != nil && !c.user.Meddled() {
				err = errors.Join(err, s.Check.End(c.ctx))
			}
			lap("check")
		}
		// Whatever was under way then complains as well, in words that say less.
		if cause := context.Cause(c.ctx); cause != nil && !errors.Is(err, cause) {
			err = errors.Join(cause, err)
		}
		c.cancel(nil)
		s.Logger.V(1).Info("Cell played", "cell", cell.ID(), "laps", laps)
	}()
	if err := c.prepare(); err != nil {
		return res, err
	}
	lap("prepare")
	end, err := steps.Run(c.ctx)
	if err != nil {
		return res, err
	}
	if end.Bound != "" {
		s.Plane.Record(nil) // what goes on is not recorded any more
	}
	c.interventions.Conclude()
	c.record(history.FactFinished, end)
	c.interventions.Missed()
	lap("loop")
	return Result{Entries: log.Entries()}, log.Err()
}

func (c *play) record(fact string, data any) {
	c.log.Record(history.NewFact(wellknown.Simctl, history.Ref{Kind: "Cell", Name: c.cell.ID()}, fact, data))
}

// close ends the cell: its history is closed, and nothing that it still had on the
// clock is done while it is cleared away.
func (c *play) close() {
	c.log.Close()
	c.aftermath = history.NewLog(c.Plane.Clock.Elapsed, nil)
	c.Plane.Record(c.aftermath)
	c.Plane.Tap().TellLast("", "", "")
	c.Plane.Tap().Withhold("", nil)
	c.Plane.Mend()
	for _, e := range c.pending {
		e.Cancel()
	}
	c.pending = nil
	if c.disks != nil {
		c.disks.Mend() // else volumes would stay attached
	}
	if c.kubelets != nil {
		c.kubelets.SpeakAgainAll(c.ctx) // else nobody would let the pods go
	}
}

// after has something done after a time, if the cell has not ended by then.
func (c *play) after(d time.Duration, key string, run func()) {
	c.pending = append(c.pending, c.Plane.Clock.Schedule(d, clock.Work, key, run))
}

// seedOf gives each repeat its own draws, the same ones in every cell: cells
// are compared with equal luck.
func seedOf(cell *scenario.Cell) int64 {
	return clock.Rand(cell.Spec.Seed, "repeat", fmt.Sprint(cell.Repeat)).Int64()
}

// prepare sets up the cluster and creates the workload, the runs last.
func (c *play) prepare() error {
	spec := &c.cell.Spec
	disks, err := storage.New(storage.Options{
		Client: c.Plane.Machines, Informers: c.Plane.Informers, Clock: c.Plane.Clock, Seed: c.seed, Recorder: c.log,
		Classes: spec.Cluster.StorageClasses, Volumes: spec.Workload.Volumes, Logger: c.Logger.WithName("storage"),
	})
	if err != nil {
		return err
	}
	c.disks = disks
	c.kubelets, err = node.New(node.Options{
		Client: c.Plane.Machines, Dynamic: c.Plane.Machines.Dynamic, Informers: c.Plane.Informers, Clock: c.Plane.Clock, Seed: c.seed,
		Recorder: c.log, Storage: disks, Workload: spec.Workload, Registry: spec.Cluster.Registry,
		Kubelet: spec.Cluster.Kubelet, Logger: c.Logger.WithName("node"),
	})
	if err != nil {
		return err
	}
	c.Plane.Informers.StartWithContext(c.Plane.Context())
	c.Plane.Informers.WaitForCacheSyncWithContext(c.ctx)
	if err := disks.Start(c.ctx); err != nil {
		return err
	}
	if err := c.kubelets.Start(c.ctx); err != nil {
		return err
	}
	c.Plane.ServeKubelets(c.kubelets.Handler())

	objects, err := decode(c.cell.Objects)
	if err != nil {
		return err
	}
	definitions := estate.Definitions(objects)
	if err := c.Estate.RemoveOtherDefinitions(c.ctx, spec.Tekton, definitions); err != nil {
		return err
	}
	if err := c.Estate.EnsureCluster(c.ctx, estate.Wanted{Cluster: spec.Cluster, Manifests: objects, Disks: disks}); err != nil {
		return err
	}
	c.Plane.Record(c.log)
	if err := c.Estate.RecordCluster(); err != nil {
		return err
	}
	if err := c.Install.Configure(c.ctx, spec.Tekton, spec.Cluster.OpenShift.Enabled); err != nil {
		return err
	}
	if err := c.Estate.EnsureDefinitions(c.ctx, spec.Tekton, definitions, func(u *unstructured.Unstructured) error { return c.user.Create(c.ctx, u) }); err != nil {
		return err
	}
	if c.Check != nil {
		if err := c.Check.Begin(c.ctx); err != nil {
			return err
		}
	}
	var rest, runs []*unstructured.Unstructured
	for _, u := range objects {
		switch kind := u.GetKind(); {
		case kind == "Namespace", kind == "Node", slices.Contains(definitions, u):
		case kind == "PipelineRun", kind == "TaskRun":
			runs = append(runs, u)
		default:
			rest = append(rest, u)
		}
	}
	policiesFirst(rest)
	for _, u := range rest {
		if err := c.user.Create(c.ctx, u); err != nil {
			return err
		}
		if err := c.Plane.Heed(c.ctx, u.GetKind()); err != nil {
			return err
		}
	}
	// Claims of classes that bind at once are bound before a run begins, as on
	// a cluster where they have stood for a while.
	if err := c.Plane.Settle(c.ctx); err != nil {
		return err
	}
	c.withhold(c.interventions.Plan())
	for _, u := range runs {
		if err := c.user.Create(c.ctx, u); err != nil {
			return err
		}
	}
	return nil
}

func decode(objects []json.RawMessage) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for _, raw := range objects {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(raw); err != nil {
			return nil, fmt.Errorf("reading a manifest: %w", err)
		}
		out = append(out, u)
	}
	return out, nil
}

// policiesFirst puts admission policies before all else and keeps the order otherwise: the
// API server itself refuses and changes by them what is written, so that they belong to the
// cluster that a workload finds. They are taken away before anything else is.
func policiesFirst(objects []*unstructured.Unstructured) {
	policies := plane.Policies()
	isPolicy := func(u *unstructured.Unstructured) bool { return slices.Contains(policies, u.GetKind()) }
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int {
		switch p, q := isPolicy(a), isPolicy(b); {
		case p && !q:
			return -1
		case q && !p:
			return 1
		}
		return 0
	})
}

// remembered says whether the cell had objects that the API server's admission goes by for
// up to half a minute of real time after they are gone: where its informers have not heard
// of any in a namespace yet, its plug-ins LimitRanger and ResourceQuota ask for them and keep
// the answer (liveLookupCache).
func (c *play) remembered() bool {
	return slices.ContainsFunc(c.log.Entries(), func(e history.Entry) bool {
		return e.Kind == history.KindObject && (e.Object.Kind == "LimitRange" || e.Object.Kind == "ResourceQuota")
	})
}
