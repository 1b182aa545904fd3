package verdict

import (
	"maps"
	"math"
	"slices"
)

// timing says where the virtual time of a cell went.
func timing(t *timeline) Timing {
	out := Timing{Tasks: []TaskTiming{}, Nodes: []string{}, Attaches: t.attaches, Detaches: t.detaches}
	nodes := map[string]bool{}
	for _, r := range t.taskRuns {
		if len(r.pods) == 0 {
			out.Tasks = append(out.Tasks, TaskTiming{Task: r.task, TaskRun: r.name, PipelineRun: r.pipelineRun, Start: r.created})
			continue
		}
		for i, p := range r.pods {
			start := r.created
			if i > 0 {
				// An attempt begins when the one before it was given up.
				start = p.created
				for _, at := range r.attempts {
					if at > r.pods[i-1].created && at <= p.created {
						start = at
					}
				}
			}
			out.Tasks = append(out.Tasks, podTiming(r, p, start))
			if p.node != "" {
				nodes[p.node] = true
			}
			if p.volumes != nil {
				out.AttachSeconds += p.volumes.AttachSeconds
				out.MountSeconds += p.volumes.MountSeconds
				out.OwnershipSeconds += p.volumes.OwnershipSeconds
			}
			out.PullSeconds += p.pull
		}
	}
	out.Nodes = slices.AppendSeq(out.Nodes, maps.Keys(nodes))
	slices.Sort(out.Nodes)
	return out
}

func podTiming(r *taskRun, p *pod, start float64) TaskTiming {
	out := TaskTiming{Task: r.task, TaskRun: r.name, PipelineRun: r.pipelineRun, Pod: p.name, Node: p.node, Start: start}
	out.Queued = seconds(p.created - start)
	if p.boundSeq == 0 {
		return out
	}
	out.Scheduled = seconds(p.boundT - p.created)
	if p.volumes == nil {
		out.Attached = p.attached
		return out
	}
	out.Attached = seconds(p.volumes.AttachSeconds)
	out.Mounted = seconds(p.volumes.MountSeconds + p.volumes.OwnershipSeconds)
	if p.busySeq == 0 {
		return out
	}
	out.Pulled = seconds(p.busyT - p.volumesT)
	if n := len(p.containers); n > 0 {
		out.Running = seconds(p.containers[n-1].t - p.busyT)
	}
	return out
}

// seconds returns a length of time, exact to the millisecond: moments are.
func seconds(s float64) *float64 {
	s = math.Round(max(s, 0)*1000) / 1000
	return &s
}
