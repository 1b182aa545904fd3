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
	links := append(t.failure(p), claimFull.link(claim, fmt.Sprintf("size %d, used %d, wants %d", f.Size, f.Used, f.Wants), r.task, f.Used+f.Wants-f.Size, f.Claim))
	if o := s.Get(history.Ref{Kind: "PersistentVolumeClaim", Namespace: p.namespace, Name: f.Claim}); o != nil {
		links = append(links, claimSize.link(claim, "spec.resources: "+o.JSON("spec", "resources"), f.Claim))
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
	links := append(t.failure(p), fileDenied.link(p.object(), fmt.Sprintf("%s on claim %s: owner %d, group %d, mode %s", f.Path, f.Claim, f.Owner, f.Group, f.Mode), r.task, f.UID, numbers(f.Groups), f.Verb, f.Path))
	var writer *fact[history.File]
	for i := range t.written {
		w := &t.written[i]
		if w.seq < denied.seq && w.data.Claim == f.Claim && within(f.Path, w.data.Path) {
			writer = w
		}
	}
	if writer != nil {
		l := fileWritten.link(fmt.Sprintf("PersistentVolumeClaim %s/%s", p.namespace, f.Claim), compact(writer.data), writer.data.Path, writer.data.UID, writer.data.Mode)
		if writer.data.Task != "" {
			l = fileWrittenBy.link(l.Object, l.Evidence, writer.data.Task, writer.data.Path, writer.data.UID, writer.data.Mode)
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
			return claimReadOnlyMany.link(claim.Ref.String(), "spec.accessModes: "+claim.JSON("spec", "accessModes"), r.task, f.Path, f.Claim), true
		}
	}
	if !f.ReadOnly {
		return Link{}, false
	}
	l := claimReadOnly.link(p.object(), "Read-only file system", r.task, f.Path, f.Claim)
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
	if scc := spec.Annotations["openshift.io/scc"]; scc != "" {
		return []Link{podSCC.link(p.object(), evidence+", openshift.io/scc: "+scc, p.object(), scc)}
	}
	return []Link{podGroups.link(p.object(), evidence, p.object())}
}

func numbers(list []int64) string {
	if len(list) == 0 {
		return "none"
	}
	sorted := slices.Sorted(slices.Values(list))
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(sorted), " ", ", "), "[]")
}
