package node

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"time"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/storage"
)

const defaultDuration = 10 * time.Second

// checkModels says what is wrong with the task models.
func checkModels(tasks map[string]scenario.TaskModel) error {
	for _, name := range slices.Sorted(maps.Keys(tasks)) {
		m := tasks[name]
		dists := map[string]*scenario.Distribution{"duration": m.Duration, "termination": m.Termination}
		for step, d := range m.Steps {
			dists["steps."+step] = d
		}
		for what, d := range dists {
			if _, err := d.Sample(clock.Rand(0, "check"), 0); err != nil {
				return fmt.Errorf("task model %q: %s: %w", name, what, err)
			}
		}
		if _, err := m.Memory.Bytes(); err != nil {
			return fmt.Errorf("task model %q: memory: %w", name, err)
		}
		if _, err := m.EphemeralStorage.Bytes(); err != nil {
			return fmt.Errorf("task model %q: ephemeralStorage: %w", name, err)
		}
		for i, w := range m.Writes {
			if _, _, err := writeOf(w); err != nil {
				return fmt.Errorf("task model %q: writes[%d]: %w", name, i, err)
			}
		}
	}
	return nil
}

// writeOf returns a write's bytes and mode.
func writeOf(w scenario.Write) (size int64, mode uint32, err error) {
	if size, err = w.Bytes.Bytes(); err != nil {
		return 0, 0, fmt.Errorf("bytes: %w", err)
	}
	mode = 0o644
	if w.Mode != "" {
		m, err := strconv.ParseUint(w.Mode, 8, 12)
		if err != nil {
			return 0, 0, fmt.Errorf("mode %q is not octal: %w", w.Mode, err)
		}
		mode = uint32(m)
	}
	return size, mode, nil
}

// model returns the task model of a pod, the empty one if there is none.
func (k *Kubelets) model(p *pod) scenario.TaskModel {
	for _, name := range p.models {
		if m, ok := k.o.Workload.Tasks[name]; ok {
			return m
		}
	}
	return scenario.TaskModel{}
}

// stepDuration draws how long a step takes: its own distribution, or an even
// part of the task's.
func (k *Kubelets) stepDuration(p *pod, i int, m scenario.TaskModel) time.Duration {
	draw := func(d *scenario.Distribution, fallback time.Duration, what ...string) time.Duration {
		v, err := d.Sample(clock.Rand(k.o.Seed, append([]string{"duration", p.key}, what...)...), fallback)
		if err != nil {
			// New has checked every distribution.
			k.o.Logger.Error(err, "Drawing a duration", "pod", p.key)
			return fallback
		}
		return v
	}
	if d, ok := m.Steps[p.steps[i].step]; ok && d != nil {
		return draw(d, defaultDuration, p.steps[i].step)
	}
	whole := draw(m.Duration, defaultDuration)
	if m.Duration == nil && len(m.Steps) > 0 {
		return 0 // The model gives the steps that take time.
	}
	n := len(p.steps)
	part := (whole / time.Duration(n)).Truncate(time.Millisecond)
	if i < n-1 {
		return part
	}
	for range n - 1 {
		whole -= part
	}
	return whole
}

// reads does the task's reads; it returns the complaint about the first that
// fails.
func (k *Kubelets) reads(ctx context.Context, p *pod, c *container, m scenario.TaskModel) string {
	proc := k.process(p, c)
	for _, r := range m.Reads {
		a, ok := k.workspace(ctx, p, c, r.Workspace)
		if !ok {
			continue
		}
		entry, err := k.o.Storage.Volume(a.mount.pv).Read(proc, path.Join(a.prefix, r.Path))
		if line := k.accessFact(p, a, proc, "read", r.Path, entry, err); line != "" {
			return line
		}
	}
	return ""
}

// writes does the task's writes, then its deletes; it returns the complaint about the
// first that fails.
func (k *Kubelets) writes(ctx context.Context, p *pod, c *container, m scenario.TaskModel) string {
	proc := k.process(p, c)
	for _, w := range m.Writes {
		a, ok := k.workspace(ctx, p, c, w.Workspace)
		if !ok {
			continue
		}
		size, mode, err := writeOf(w)
		if err != nil {
			return err.Error()
		}
		var entry storage.Entry
		if err = storage.ErrReadOnly; !a.readOnly {
			entry, err = k.o.Storage.Volume(a.mount.pv).Write(proc, path.Join(a.prefix, w.Path), mode, size, max(w.Files, 1))
		}
		if line := k.accessFact(p, a, proc, "write", w.Path, entry, err); line != "" {
			return line
		}
	}
	for _, r := range m.Deletes {
		a, ok := k.workspace(ctx, p, c, r.Workspace)
		if !ok {
			continue
		}
		gone, err := false, storage.ErrReadOnly
		if !a.readOnly {
			gone, err = k.o.Storage.Volume(a.mount.pv).Delete(proc, path.Join(a.prefix, r.Path))
		}
		if err != nil {
			return k.accessFact(p, a, proc, "write", r.Path, storage.Entry{}, err)
		}
		if gone {
			k.accessFact(p, a, proc, "delete", r.Path, storage.Entry{}, nil)
		}
	}
	return ""
}
