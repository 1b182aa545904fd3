package review

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/util/version"

	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/releases"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// Player plays cells and returns what is known of each, in their order. A cell that
// could not be run has the outcome [verdict.Error] and says why. An error ends the
// review, which is made of what is known by then: the run of a cell that was not played
// has no outcome.
type Player func(ctx context.Context, cells []scenario.Cell) ([]impact.Run, error)

// Plan is what a review plays.
type Plan struct {
	// Path are the releases, the one that runs now first, as [Path] returns them.
	Path []string
	// Files are the scenarios, Cells their cells on each release of the path. What the
	// scenarios expect of them does not count.
	Files []*scenario.File
	Cells []scenario.Cell
	// Seed and Repeats are those that the cells were made with; nil for the scenarios'
	// own.
	Seed    *int64
	Repeats *int
	// Remedies asks for what may mend the cells that a bump breaks, MidRun for the bump
	// at each phase of each task of a run.
	Remedies, MidRun bool
	// AfterRun asks for the bump after the end of the runs, Rollback for the way back as
	// well.
	AfterRun, Rollback bool
	// Unfit, unless nil, is told of each candidate that a scenario does not allow, and
	// Untried of each that simctl could not run. Neither is in the review.
	Unfit   func(scenario string, c impact.Candidate, why error)
	Untried func(c impact.Candidate, why string)
}

// Path returns the releases that are called so (1.3.1, osp-1.20), which are two at least
// and no one twice.
func Path(named []string) ([]string, error) {
	if len(named) < 2 {
		return nil, errors.New("a path has two releases at least")
	}
	versions, err := releases.ParseAll(named)
	if err != nil {
		return nil, err
	}
	var out []string
	for i, v := range versions {
		if slices.Contains(out, v) {
			return nil, fmt.Errorf("%s is on the path twice", named[i])
		}
		out = append(out, v)
	}
	return out, nil
}

// Between returns the exact versions from one release to another, with every known
// release between them. Where both are releases of OpenShift Pipelines, these are its
// releases. To an older release the way is the same, backwards.
func Between(from, to string) ([]string, error) {
	ends, err := Path([]string{from, to})
	if err != nil {
		return nil, err
	}
	_, one := releases.OpenShift(from)
	_, other := releases.OpenShift(to)
	first, err := version.ParseSemantic(ends[0])
	if err != nil {
		return nil, fmt.Errorf("reading the version %s: %w", ends[0], err)
	}
	last, err := version.ParseSemantic(ends[1])
	if err != nil {
		return nil, fmt.Errorf("reading the version %s: %w", ends[1], err)
	}
	back := last.LessThan(first)
	if back {
		first, last = last, first
	}
	var between []string
	for _, r := range releases.Known() {
		v, err := version.ParseSemantic(r.Version)
		if err != nil {
			return nil, fmt.Errorf("reading the version %s: %w", r.Version, err)
		}
		if first.LessThan(v) && v.LessThan(last) && (!one || !other || r.OpenShiftPipelines != "") {
			between = append(between, r.Version)
		}
	}
	if back {
		slices.Reverse(between)
	}
	return append(append(ends[:1:1], between...), ends[1]), nil
}

// Make makes the review. With an error it returns what was known by then, and says in
// [impact.Review.Incomplete] what is missing: it has no steps if no cell could be compared.
func (p Plan) Make(ctx context.Context, play Player) (impact.Review, error) {
	r := &making{Plan: p, play: play, files: map[string]*scenario.File{}, runs: map[string]impact.Run{},
		out: impact.Review{APIVersion: impact.APIVersion, Kind: impact.Kind}}
	r.Cells = unexpected(slices.Clone(p.Cells))
	for _, f := range p.Files {
		r.files[f.Scenario.Metadata.Name] = f
	}
	err := r.compare(ctx)
	if err == nil && p.Remedies {
		err = r.remedies(ctx)
	}
	if err == nil && p.MidRun {
		err = r.midRun(ctx)
	}
	if err == nil && (p.AfterRun || p.Rollback) {
		err = r.afterRun(ctx)
	}
	return r.out, err
}

// making is a review being made.
type making struct {
	Plan
	play  Player
	files map[string]*scenario.File // by the scenario's name
	runs  map[string]impact.Run     // by the cell's ID
	out   impact.Review
}

// compare plays the cells on every release and sets neighbours on the path against
// each other. With an error it does so with the cells that are known.
func (r *making) compare(ctx context.Context) error {
	err := r.playAll(ctx, r.Cells)
	on := map[string][]impact.Run{}
	known := 0
	for _, c := range r.Cells {
		if run := r.runs[c.ID()]; r.known(c.ID()) {
			known++
			on[c.Spec.Tekton.Version] = append(on[c.Spec.Tekton.Version], run)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		r.out.LeftOut = append(r.out.LeftOut, impact.LeftOutOf(r.files[name].Scenario, r.Cells)...)
	}
	for i, v := range r.Path {
		r.out.Path = append(r.out.Path, impact.ReleaseOf(v))
		if i > 0 {
			r.out.Steps = append(r.out.Steps, impact.Compare(on[r.Path[i-1]], on[v], r.out.Path[i-1], r.out.Path[i]))
		}
	}
	r.rows(on)
	if err == nil {
		return nil
	}
	r.incomplete(known, len(r.Cells), "cells on the releases")
	compared := false
	for i := range r.out.Steps {
		// The count says it: hundreds of cells may have one side only.
		r.out.Steps[i].Missing = nil
		compared = compared || r.out.Steps[i].Compared() > 0
	}
	if !compared {
		r.out.Steps = nil
	}
	return err
}

// rows sets the cells on all releases side by side. The folder of a scenario's file says
// whose it is, if there are several.
func (r *making) rows(on map[string][]impact.Run) {
	var sides [][]impact.Run
	for _, v := range r.Path {
		sides = append(sides, on[v])
	}
	r.out.Rows = impact.Rows(sides...)
	folders := map[string]bool{}
	for _, f := range r.files {
		folders[filepath.Dir(f.Path)] = true
	}
	for i, row := range r.out.Rows {
		if f := r.files[row.Scenario]; f != nil && len(folders) > 1 {
			r.out.Rows[i].Folder = filepath.Dir(f.Path)
		}
	}
}

// incomplete notes how much of something is known, if that is not all.
func (r *making) incomplete(known, all int, of string) {
	if known < all {
		r.out.Incomplete = append(r.out.Incomplete, fmt.Sprintf("%d of %d %s are known", known, all, of))
	}
}

// known says that a cell was played and simctl could run it.
func (r *making) known(id string) bool {
	o := r.runs[id].Cell.Outcome
	return o != "" && o != verdict.Error
}

// allKnown says so of some cells.
func (r *making) allKnown(ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !r.known(id) })
}

// playAll plays cells of which each has to be known afterwards.
func (r *making) playAll(ctx context.Context, cells []scenario.Cell) error {
	if err := r.try(ctx, cells); err != nil {
		return err
	}
	for _, c := range cells {
		if why, failed := r.failed(c.ID()); failed {
			return fmt.Errorf("%s could not be run: %s", c.ID(), why)
		}
	}
	return nil
}

// try plays cells, some of which simctl may not be able to run.
func (r *making) try(ctx context.Context, cells []scenario.Cell) error {
	if len(cells) == 0 {
		return nil
	}
	runs, err := r.play(ctx, cells)
	if err == nil && len(runs) != len(cells) {
		return fmt.Errorf("%d cells were played of %d", len(runs), len(cells))
	}
	for i, run := range runs {
		r.runs[cells[i].ID()] = run
	}
	return err
}

// failed says why simctl could not run a cell that was played.
func (r *making) failed(id string) (why string, failed bool) {
	c := r.runs[id].Cell
	return c.Error, c.Outcome == verdict.Error
}

// of returns the runs of cells.
func (r *making) of(ids []string) []impact.Run {
	var out []impact.Run
	for _, id := range ids {
		out = append(out, r.runs[id])
	}
	return out
}

// variant returns the repeats of a cell on a version with one value more, as that of
// an axis of its own, put upon what the cell's other axes set. Nothing is expected
// of them.
func (r *making) variant(f *scenario.File, axes []string, values map[string]string, version, axis string, value scenario.Value) ([]scenario.Cell, error) {
	opts := scenario.Options{Seed: r.Seed, Repeats: r.Repeats, Versions: []string{version}, Set: map[string][]string{},
		Extra: []scenario.Axis{{Name: axis, Values: []scenario.Value{value}}}}
	for _, a := range axes {
		opts.Set[a] = []string{values[a]}
	}
	cells, err := f.Cells(opts)
	return unexpected(cells), err
}

// unexpected takes what is expected out of cells.
func unexpected(cells []scenario.Cell) []scenario.Cell {
	for i := range cells {
		cells[i].Expected = nil
	}
	return cells
}

// cellSet are cells to be played, each once.
type cellSet struct {
	cells []scenario.Cell
	has   map[string]bool
}

// add returns the IDs of the cells that are added, or were before.
func (s *cellSet) add(cells []scenario.Cell) []string {
	var ids []string
	for _, c := range cells {
		id := c.ID()
		ids = append(ids, id)
		if !s.has[id] {
			if s.has == nil {
				s.has = map[string]bool{}
			}
			s.has[id], s.cells = true, append(s.cells, c)
		}
	}
	return ids
}
