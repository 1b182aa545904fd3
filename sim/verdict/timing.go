package verdict

import (
	"maps"
	"math"
	"slices"

	"simctl.dev/simctl/sim/timeline"
)

// timing says where the virtual time of a cell went.
func timing(t *judging) Timing {
	out := Timing{Tasks: []TaskTiming{}, Nodes: []string{}, Attaches: len(t.Attached), Detaches: len(t.Detached)}
	nodes := map[string]bool{}
	for _, r := range t.TaskRuns {
		if len(r.Pods) == 0 {
			out.Tasks = append(out.Tasks, TaskTiming{Task: r.Task, TaskRun: r.Name, PipelineRun: r.PipelineRun, Start: r.Created})
			continue
		}
		for i, p := range r.Pods {
			start := r.Created
			if i > 0 {
				// An attempt begins when the one before it was given up.
				start = p.Created
				for _, at := range r.Attempts {
					if at > r.Pods[i-1].Created && at <= p.Created {
						start = at
					}
				}
			}
			out.Tasks = append(out.Tasks, podTiming(r, p, start))
			if p.Node != "" {
				nodes[p.Node] = true
			}
			if p.Volumes != nil {
				out.AttachSeconds += p.Volumes.AttachSeconds
				out.MountSeconds += p.Volumes.MountSeconds
				out.OwnershipSeconds += p.Volumes.OwnershipSeconds
			}
			out.PullSeconds += p.PullSeconds
		}
	}
	out.Nodes = slices.AppendSeq(out.Nodes, maps.Keys(nodes))
	slices.Sort(out.Nodes)
	return out
}

func podTiming(r *timeline.TaskRun, p *timeline.Pod, start float64) TaskTiming {
	out := TaskTiming{Task: r.Task, TaskRun: r.Name, PipelineRun: r.PipelineRun, Pod: p.Name, Node: p.Node, Start: start}
	out.Queued = seconds(p.Created - start)
	if p.BoundSeq == 0 {
		return out
	}
	out.Scheduled = seconds(p.BoundT - p.Created)
	if p.Volumes == nil {
		out.Attached = p.AttachSeconds
		return out
	}
	out.Attached = seconds(p.Volumes.AttachSeconds)
	out.Mounted = seconds(p.Volumes.MountSeconds + p.Volumes.OwnershipSeconds)
	if p.BusySeq == 0 {
		return out
	}
	out.Pulled = seconds(p.BusyT - p.VolumesT)
	if n := len(p.Containers); n > 0 {
		out.Running = seconds(p.Containers[n-1].T - p.BusyT)
	}
	return out
}

// seconds returns a length of time, exact to the millisecond: moments are.
func seconds(s float64) *float64 {
	s = math.Round(max(s, 0)*1000) / 1000
	return &s
}
