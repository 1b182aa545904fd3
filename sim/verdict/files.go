package verdict

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
)

// failedPod says of a pod that met the end of its volume's space or of its node's
// disk, or a file it may not use, what came of it; an empty outcome when it met
// nothing of it.
func (t *timeline) failedPod(r *taskRun, p *pod) (Outcome, []Link, error) {
	s, err := t.state(t.end())
	if err != nil {
		return "", nil, err
	}
	switch {
	case len(p.noSpace) > 0:
		return NoSpace, t.noSpaceCause(s, r, p, p.noSpace[0].data), nil
	case len(p.denied) > 0:
		return PermissionDenied, t.deniedCause(s, r, p, p.denied[0]), nil
	}
	if links := t.diskCause(s, r, p); links != nil {
		return NoSpace, links, nil
	}
	return "", nil, nil
}

func (t *timeline) noSpaceCause(s *history.State, r *taskRun, p *pod, f history.Space) []Link {
	claim := fmt.Sprintf("PersistentVolumeClaim %s/%s", p.namespace, f.Claim)
	links := append(t.failure(p), Link{
		What:     fmt.Sprintf("Task %s writes %d bytes more than claim %s has room for", r.task, f.Used+f.Wants-f.Size, f.Claim),
		Object:   claim,
		Evidence: fmt.Sprintf("size %d, used %d, wants %d", f.Size, f.Used, f.Wants),
	})
	if o := s.Get(history.Ref{Kind: "PersistentVolumeClaim", Namespace: p.namespace, Name: f.Claim}); o != nil {
		links = append(links, Link{
			What:     fmt.Sprintf("Claim %s asks for that size", f.Claim),
			Object:   claim,
			Evidence: "spec.resources: " + o.JSON("spec", "resources"),
		})
	}
	return links
}

func (t *timeline) deniedCause(s *history.State, r *taskRun, p *pod, denied fact[history.File]) []Link {
	f := denied.data
	if f.Verb == "write" {
		if l, ok := readOnly(s, r, p, f); ok {
			return append(t.failure(p), l)
		}
	}
	links := append(t.failure(p), Link{
		What: fmt.Sprintf("Task %s runs as uid %d and groups %s and may not %s %s",
			r.task, f.UID, numbers(f.Groups), f.Verb, f.Path),
		Object:   p.object(),
		Evidence: fmt.Sprintf("%s on claim %s: owner %d, group %d, mode %s", f.Path, f.Claim, f.Owner, f.Group, f.Mode),
	})
	var writer *fact[history.File]
	for i := range t.written {
		w := &t.written[i]
		if w.seq < denied.seq && w.data.Claim == f.Claim && within(f.Path, w.data.Path) {
			writer = w
		}
	}
	if writer != nil {
		l := Link{
			What:     fmt.Sprintf("%s was written as uid %d with mode %s", writer.data.Path, writer.data.UID, writer.data.Mode),
			Object:   fmt.Sprintf("PersistentVolumeClaim %s/%s", p.namespace, f.Claim),
			Evidence: compact(writer.data),
		}
		if writer.data.Task != "" {
			l.What = fmt.Sprintf("Task %s wrote %s as uid %d with mode %s", writer.data.Task, writer.data.Path, writer.data.UID, writer.data.Mode)
		}
		links = append(links, l)
	}
	return append(links, identity(s, p)...)
}

// readOnly says of a write to a volume on which nothing can be written why that
// is so: the claim's access modes, or the pod's volume or mount.
func readOnly(s *history.State, r *taskRun, p *pod, f history.File) (Link, bool) {
	claim := s.Get(history.Ref{Kind: "PersistentVolumeClaim", Namespace: p.namespace, Name: f.Claim})
	if claim != nil {
		modes, _ := claim.Field("spec", "accessModes").([]any)
		if len(modes) > 0 && !slices.ContainsFunc(modes, func(m any) bool { return m != string(corev1.ReadOnlyMany) }) {
			return Link{
				What:     fmt.Sprintf("Task %s writes %s, and claim %s is ReadOnlyMany", r.task, f.Path, f.Claim),
				Object:   claim.Ref.String(),
				Evidence: "spec.accessModes: " + claim.JSON("spec", "accessModes"),
			}, true
		}
	}
	if !f.ReadOnly {
		return Link{}, false
	}
	l := Link{
		What:     fmt.Sprintf("Task %s writes %s, and its pod has claim %s read-only", r.task, f.Path, f.Claim),
		Object:   p.object(),
		Evidence: "Read-only file system",
	}
	o := s.Get(history.Ref{Kind: "Pod", Namespace: p.namespace, Name: p.name})
	var spec corev1.Pod
	if o == nil || o.Decode(&spec) != nil {
		return l, true
	}
	i := indexOfClaim(&spec, f.Claim)
	if i < 0 {
		return l, true
	}
	if v := spec.Spec.Volumes[i]; v.PersistentVolumeClaim.ReadOnly {
		l.Evidence = "spec.volumes: " + compact(v)
		return l, true
	}
	for _, c := range spec.Spec.Containers {
		for _, m := range c.VolumeMounts {
			if m.Name == spec.Spec.Volumes[i].Name && m.ReadOnly {
				l.Evidence = fmt.Sprintf("container %s volumeMounts: %s", c.Name, compact(m))
			}
		}
	}
	return l, true
}

// within says that one of two paths lies under the other: what was refused is a
// file that was written, or the folder in which it should be made.
func within(a, b string) bool {
	a, b = path.Clean("/"+a), path.Clean("/"+b)
	return a == b || strings.HasPrefix(a, strings.TrimSuffix(b, "/")+"/") || strings.HasPrefix(b, strings.TrimSuffix(a, "/")+"/")
}

// identity says where a pod's uid and groups come from.
func identity(s *history.State, p *pod) []Link {
	o := s.Get(history.Ref{Kind: "Pod", Namespace: p.namespace, Name: p.name})
	if o == nil {
		return nil
	}
	var spec corev1.Pod
	if o.Decode(&spec) != nil {
		return nil
	}
	evidence := "securityContext: {}"
	if c := spec.Spec.SecurityContext; c != nil {
		evidence = "securityContext: " + compact(c)
	}
	for _, c := range spec.Spec.Containers {
		if c.SecurityContext != nil && c.SecurityContext.RunAsUser != nil {
			evidence += fmt.Sprintf(", %s runAsUser: %d", c.Name, *c.SecurityContext.RunAsUser)
		}
	}
	what := fmt.Sprintf("%s gets no group that the file is open to", p.object())
	if scc := spec.Annotations["openshift.io/scc"]; scc != "" {
		what = fmt.Sprintf("%s runs under SCC %s and gets no group that the file is open to", p.object(), scc)
		evidence += ", openshift.io/scc: " + scc
	}
	return []Link{{What: what, Object: p.object(), Evidence: evidence}}
}

func numbers(list []int64) string {
	if len(list) == 0 {
		return "none"
	}
	sorted := slices.Sorted(slices.Values(list))
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(sorted), " ", ", "), "[]")
}
