package node

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/internal/work"
	"simctl.dev/simctl/sim/wellknown"
)

// Labels that Tekton puts on the pods of TaskRuns.
var (
	// retrySuffix ends the name of a retry's pod (Build in pkg/pod/pod.go of
	// Tekton).
	retrySuffix = regexp.MustCompile(`-pod-retry(\d+)$`)
	// matrixSuffix ends the name of a TaskRun that is one of a matrix.
	matrixSuffix = regexp.MustCompile(`-(\d+)$`)
)

// identity is what a pod is called without anything random: draws and the
// order of events depend on it.
type identity struct {
	// key is NAMESPACE/RUN/TASK/ATTEMPT, or NAMESPACE/POD for other pods.
	key string
	// task is the pipeline task, or the Task of a TaskRun on its own.
	task string
	// models are the names a task model is looked up by, best first.
	models  []string
	attempt int
}

// identities tells the runs apart that have the same name but for its random
// part: by the order in which their first pods came to nodes.
type identities map[string][]string

func (ids identities) run(namespace, name string) string {
	stable := namespace + "/" + work.StableName(name)
	seen := ids[stable]
	for i, n := range seen {
		if n == name {
			return numbered(stable, i)
		}
	}
	ids[stable] = append(seen, name)
	return numbered(stable, len(seen))
}

func numbered(name string, i int) string {
	if i == 0 {
		return name
	}
	return fmt.Sprintf("%s#%d", name, i+1)
}

func (ids identities) of(p *corev1.Pod) identity {
	taskRun := p.Labels[wellknown.TaskRunLabel]
	if taskRun == "" {
		return identity{key: ids.other(p), attempt: 1}
	}
	id := identity{task: p.Labels[wellknown.PipelineTaskLabel], attempt: 1}
	run := p.Labels[wellknown.PipelineRunLabel]
	matrix := ""
	if id.task != "" && !strings.HasSuffix(taskRun, "-"+id.task) {
		if m := matrixSuffix.FindStringSubmatch(taskRun); m != nil {
			matrix = "-" + m[1]
		}
	}
	for _, l := range []string{wellknown.PipelineTaskLabel, wellknown.TaskLabel, wellknown.ClusterTaskLabel} {
		if v := p.Labels[l]; v != "" {
			id.models = append(id.models, v)
			if id.task == "" {
				id.task = v
			}
		}
	}
	if run == "" {
		run = taskRun
	}
	if id.task == "" {
		id.task = work.StableName(taskRun)
	}
	id.models = append(id.models, "*")
	if m := retrySuffix.FindStringSubmatch(p.Name); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			id.attempt = n + 1
		}
	}
	id.key = fmt.Sprintf("%s/%s%s/%d", ids.run(p.Namespace, run), id.task, matrix, id.attempt)
	return id
}

// other names a pod that is no TaskRun's. An affinity assistant carries its
// run's label; two of one run differ in their claims.
func (ids identities) other(p *corev1.Pod) string {
	run := p.Labels[wellknown.PipelineRunLabel]
	if run == "" {
		return ids.run(p.Namespace, p.Name)
	}
	key := ids.run(p.Namespace, run) + "/" + work.StableName(p.Name)
	for _, v := range p.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			key += "/" + work.StableName(v.PersistentVolumeClaim.ClaimName)
		}
	}
	return key
}
