package verdict

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
)

// failedPod says of a pod that met the end of its volume's space or of its node's
// disk, or a file it may not use, what came of it; an empty outcome when it met
// nothing of it.
func (t *judging) failedPod(r *timeline.TaskRun, p *timeline.Pod) (Outcome, []Link) {
	s := t.Now()
	switch {
	case len(p.NoSpace) > 0:
		return NoSpace, t.noSpaceCause(s, r, p, p.NoSpace[0].Data)
	case len(p.Denied) > 0:
		return PermissionDenied, t.deniedCause(s, r, p, p.Denied[0])
	}
	if links := t.diskCause(s, r, p); links != nil {
		return NoSpace, links
	}
	if links := t.evictedForMemory(s, p); links != nil {
		return Failed, links
	}
	return "", nil
}

func (t *judging) noSpaceCause(s *timeline.View, r *timeline.TaskRun, p *timeline.Pod, f history.Space) []Link {
	claim := fmt.Sprintf("PersistentVolumeClaim %s/%s", p.Namespace, f.Claim)
	links := append(t.failure(p), claimFull.link(claim, fmt.Sprintf("size %d, used %d, wants %d", f.Size, f.Used, f.Wants), r.Task, f.Used+f.Wants-f.Size, f.Claim))
	if o := s.Get("PersistentVolumeClaim", p.Namespace, f.Claim); o != nil {
		links = append(links, claimSize.link(claim, "spec.resources: "+o.JSON("spec", "resources"), f.Claim))
	}
	return links
}

func (t *judging) deniedCause(s *timeline.View, r *timeline.TaskRun, p *timeline.Pod, denied timeline.Fact[history.File]) []Link {
	f := denied.Data
	if f.Verb == "write" {
		if l, ok := readOnly(s, r, p, f); ok {
			return append(t.failure(p), l)
		}
	}
	links := append(t.failure(p), fileDenied.link(p.Object(), fmt.Sprintf("%s on claim %s: owner %d, group %d, mode %s", f.Path, f.Claim, f.Owner, f.Group, f.Mode), r.Task, f.UID, numbers(f.Groups), f.Verb, f.Path))
	var writer *timeline.Fact[history.File]
	written := t.FilesWritten(f.Claim)
	for i := range written {
		if w := &written[i]; w.Seq < denied.Seq && within(f.Path, w.Data.Path) {
			writer = w
		}
	}
	if writer != nil {
		l := fileWritten.link(fmt.Sprintf("PersistentVolumeClaim %s/%s", p.Namespace, f.Claim), compact(writer.Data), writer.Data.Path, writer.Data.UID, writer.Data.Mode)
		if writer.Data.Task != "" {
			l = fileWrittenBy.link(l.Object, l.Evidence, writer.Data.Task, writer.Data.Path, writer.Data.UID, writer.Data.Mode)
		}
		links = append(links, l)
	}
	return append(links, identity(s, p)...)
}

// readOnly says of a write to a volume on which nothing can be written why that
// is so: the claim's access modes, or the pod's volume or mount.
func readOnly(s *timeline.View, r *timeline.TaskRun, p *timeline.Pod, f history.File) (Link, bool) {
	claim := s.Get("PersistentVolumeClaim", p.Namespace, f.Claim)
	if claim != nil {
		if modes, _ := claim.Field("spec", "accessModes").([]any); len(modes) == 1 && modes[0] == string(corev1.ReadOnlyMany) {
			return claimReadOnlyMany.link(claim.Ref.String(), "spec.accessModes: "+claim.JSON("spec", "accessModes"), r.Task, f.Path, f.Claim), true
		}
	}
	if !f.ReadOnly {
		return Link{}, false
	}
	l := claimReadOnly.link(p.Object(), "Read-only file system", r.Task, f.Path, f.Claim)
	o := s.Get("Pod", p.Namespace, p.Name)
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
func identity(s *timeline.View, p *timeline.Pod) []Link {
	o := s.Get("Pod", p.Namespace, p.Name)
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
		return []Link{podSCC.link(p.Object(), evidence+", openshift.io/scc: "+scc, p.Object(), scc)}
	}
	return []Link{podGroups.link(p.Object(), evidence, p.Object())}
}

func numbers(list []int64) string {
	if len(list) == 0 {
		return "none"
	}
	sorted := slices.Sorted(slices.Values(list))
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(sorted), " ", ", "), "[]")
}
