package scenario

import (
	"encoding/json"
	"fmt"
	"math"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"simctl.dev/simctl/sim/verdict"
)

// outcomes returns the words of the outcomes that a scenario may expect.
func outcomes() []string {
	var out []string
	for _, o := range verdict.Outcomes() {
		out = append(out, string(o))
	}
	return out
}

// StockSCCs are the security context constraints that a cluster with OpenShift
// on has by itself (sim/openshift/manifests). Manifests can add others.
var StockSCCs = []string{
	"restricted-v2", "nonroot-v2", "anyuid", "privileged", "pipelines-scc",
	"restricted", "nonroot", "hostaccess", "hostmount-anyuid", "hostnetwork", "hostnetwork-v2",
}

// The names that fields with a fixed choice can have.
var (
	taintEffects   = []string{"NoSchedule", "PreferNoSchedule", "NoExecute"}
	operators      = []string{"Exists", "Equal"}
	bindingModes   = []string{"Immediate", "WaitForFirstConsumer"}
	fsGroupPolicy  = []string{"ReadWriteOnceWithFSType", "File", "None"}
	vias           = []string{"ConfigMap", "TektonConfig"}
	overlaps       = []string{OverlapSeed, OverlapFresh, OverlapStale}
	claims         = []string{"template", "existing"}
	nodeResources  = []string{"cpu", "memory", "pods", "ephemeral-storage"}
	podSecurity, _ = jsonFields(reflect.TypeFor[corev1.PodSecurityContext]())
)

// checker collects what is wrong with a scenario, by the path of the field.
type checker struct{ issues []issue }

func (c *checker) add(path, format string, args ...any) {
	c.issues = append(c.issues, issuef(path, format, args...))
}

func (c *checker) choice(path, what, value string, valid []string) {
	if value != "" && !slices.Contains(valid, value) {
		c.add(path, "unknown %s %q%s", what, value, Suggest(value, valid))
	}
}

func (c *checker) quantity(path string, q Quantity) {
	if _, err := q.Bytes(); err != nil {
		c.add(path, "%s: %v", path, err)
	}
}

func (c *checker) distribution(path string, d *Distribution) {
	if d == nil {
		return
	}
	if err := d.Validate(); err != nil {
		c.add(path, "%s: %v", path, err)
	}
}

func (c *checker) notNegative(path string, have int64) {
	if have < 0 {
		c.add(path, "%s is %d and must be at least 0", path, have)
	}
}

// head checks what no axis can vary.
func (c *checker) head(s *Scenario) {
	if s.APIVersion != APIVersion {
		c.add("apiVersion", "apiVersion is %q and must be %s", s.APIVersion, APIVersion)
	}
	if s.Kind != Kind {
		c.add("kind", "kind is %q and must be %s", s.Kind, Kind)
	}
	if s.Metadata.Name == "" {
		c.add("metadata.name", "metadata.name is missing; give the scenario a name")
	} else if len(validation.IsDNS1123Subdomain(s.Metadata.Name)) > 0 {
		c.add("metadata.name", "metadata.name %q must be of small letters, digits, - and .", s.Metadata.Name)
	}
	if s.Repeats < 0 {
		c.add("repeats", "repeats is %d and must be at least 1", s.Repeats)
	}
}

// spec checks what makes up a cell: cluster, Tekton, workload and interventions.
func (c *checker) spec(s *Scenario) {
	c.cluster(&s.Cluster)
	c.tekton(&s.Tekton)
	c.workload(&s.Workload)
	c.span("limits.virtualTime", s.Limits.VirtualTime)
	c.span("limits.realTime", s.Limits.RealTime)
	c.notNegative("limits.entries", int64(s.Limits.Entries))
	c.quantity("limits.bytes", s.Limits.Bytes)
	for i := range s.Interventions {
		c.intervention(fmt.Sprintf("interventions[%d]", i), &s.Interventions[i])
	}
}

func (c *checker) cluster(cl *Cluster) {
	pools := map[string]bool{}
	for i, p := range cl.NodePools {
		at := fmt.Sprintf("cluster.nodePools[%d]", i)
		switch {
		case p.Name == "":
			c.add(at+".name", "%s has no name", at)
		case pools[p.Name]:
			c.add(at+".name", "node pool %q is given twice; rename one", p.Name)
		case len(validation.IsDNS1123Label(p.Name)) > 0:
			c.add(at+".name", "node pool name %q must be of small letters, digits and -", p.Name)
		}
		pools[p.Name] = true
		c.notNegative(at+".count", int64(p.Count))
		for _, key := range sortedKeys(p.Labels) {
			if len(validation.IsQualifiedName(key)) > 0 || len(validation.IsValidLabelValue(p.Labels[key])) > 0 {
				c.add(at+".labels."+key, "%q: %q is no valid label", key, p.Labels[key])
			}
		}
		c.taints(at+".taints", p.Taints)
		for j, z := range p.Zones {
			if z == "" || len(validation.IsValidLabelValue(z)) > 0 {
				c.add(fmt.Sprintf("%s.zones[%d]", at, j), "%q is no valid zone name", z)
			}
		}
		c.quantity(at+".diskUsed", p.DiskUsed)
		for _, name := range sortedKeys(p.Capacity) {
			where := at + ".capacity." + name
			if !slices.Contains(nodeResources, name) && !strings.Contains(name, "/") && !strings.HasPrefix(name, "hugepages-") {
				c.add(where, "unknown resource %q%s", name, Suggest(name, nodeResources))
			}
			if q, err := resource.ParseQuantity(string(p.Capacity[name])); err != nil {
				c.add(where, "%s: %q is no quantity; write it as 16, 500m or 64Gi", where, string(p.Capacity[name]))
			} else if q.Sign() < 0 {
				c.add(where, "%s: %q is negative", where, string(p.Capacity[name]))
			}
		}
	}
	classes, fallback := map[string]bool{}, ""
	for i := range cl.StorageClasses {
		sc := &cl.StorageClasses[i]
		at := fmt.Sprintf("cluster.storageClasses[%d]", i)
		switch {
		case sc.Name == "":
			c.add(at+".name", "%s has no name", at)
		case classes[sc.Name]:
			c.add(at+".name", "storage class %q is given twice; rename one", sc.Name)
		case len(validation.IsDNS1123Subdomain(sc.Name)) > 0:
			c.add(at+".name", "storage class name %q must be of small letters, digits, - and .", sc.Name)
		}
		classes[sc.Name] = true
		if sc.Default && fallback != "" {
			c.add(at+".default", "storage classes %q and %q are both default; keep one", fallback, sc.Name)
		}
		if sc.Default {
			fallback = sc.Name
		}
		c.choice(at+".volumeBindingMode", "volumeBindingMode", sc.VolumeBindingMode, bindingModes)
		c.choice(at+".fsGroupPolicy", "fsGroupPolicy", sc.FSGroupPolicy, fsGroupPolicy)
		for j, mode := range sc.AccessModes {
			if _, err := NormalizeAccessMode(mode); err != nil {
				c.add(fmt.Sprintf("%s.accessModes[%d]", at, j), "%v", err)
			}
		}
		if sc.NoAttach {
			if sc.Zonal {
				c.add(at+".zonal", "storage class %q: a volume that needs no attach is not bound to a zone; remove noAttach or zonal", sc.Name)
			}
			if sc.MaxVolumesPerNode != 0 {
				c.add(at+".maxVolumesPerNode", "storage class %q: a volume that needs no attach counts for no node; remove noAttach or maxVolumesPerNode", sc.Name)
			}
			if sc.Attach != nil || sc.Detach != nil {
				c.add(at+".noAttach", "storage class %q: a volume that needs no attach takes no time to attach or detach; remove noAttach, or attach and detach", sc.Name)
			}
		}
		c.distribution(at+".provision", sc.Provision)
		c.distribution(at+".attach", sc.Attach)
		c.distribution(at+".detach", sc.Detach)
		c.distribution(at+".mount", sc.Mount)
		if sc.MaxVolumesPerNode < 0 || sc.MaxVolumesPerNode > math.MaxInt32 {
			c.add(at+".maxVolumesPerNode", "%s.maxVolumesPerNode is %d and must be from 1 to %d", at, sc.MaxVolumesPerNode, math.MaxInt32)
		}
		if sc.ReportsLimit != nil && sc.MaxVolumesPerNode == 0 {
			c.add(at+".reportsLimit", "storage class %q has no limit to report; give maxVolumesPerNode, or remove reportsLimit", sc.Name)
		}
		if sc.OwnershipFilesPerSecond < 0 {
			c.add(at+".ownershipFilesPerSecond", "%s.ownershipFilesPerSecond is %g and must be more than 0", at, sc.OwnershipFilesPerSecond)
		}
	}
	o := cl.OpenShift
	c.ids("cluster.openshift.uidRange", o.UIDRange)
	c.ids("cluster.openshift.supplementalGroups", o.SupplementalGroups)
	for i, g := range o.Grants {
		at := fmt.Sprintf("cluster.openshift.grants[%d]", i)
		if g.SCC == "" {
			c.add(at+".scc", "%s has no scc", at)
		}
		if g.ServiceAccount == "" {
			c.add(at+".serviceAccount", "%s has no serviceAccount", at)
		}
	}
	c.quantity("cluster.registry.bandwidth", cl.Registry.Bandwidth)
	if n, err := cl.Registry.Bandwidth.Bytes(); err == nil && cl.Registry.Bandwidth != "" && n == 0 {
		c.add("cluster.registry.bandwidth", "cluster.registry.bandwidth must be more than 0 bytes per second")
	}
	c.quantity("cluster.registry.imageSize", cl.Registry.ImageSize)
	for _, name := range sortedKeys(cl.Registry.Images) {
		c.quantity("cluster.registry.images."+name, cl.Registry.Images[name])
	}
	c.kubelet(&cl.Kubelet)
}

func (c *checker) kubelet(k *Kubelet) {
	const at = "cluster.kubelet"
	c.distribution(at+".sandbox", k.Sandbox)
	c.distribution(at+".containerStart", k.ContainerStart)
	c.distribution(at+".initContainer", k.InitContainer)
	c.distribution(at+".downwardAPI", k.DownwardAPI)
	c.distribution(at+".podEnd", k.PodEnd)
	c.distribution(at+".podRemoval", k.PodRemoval)
	c.distribution(at+".termination", k.Termination)
	if text := k.NodeStatusUpdateFrequency; text != "" {
		if d, err := time.ParseDuration(text); err != nil || d <= 0 {
			c.add(at+".nodeStatusUpdateFrequency", "%s.nodeStatusUpdateFrequency: %q is no duration above 0; write it as 10s", at, text)
		}
	}
	c.shutdownPeriods(at, k)
	c.pulls(at, k)
}

// pulls checks how kubelets ask for images, as upstream does.
func (c *checker) pulls(at string, k *Kubelet) {
	if n := k.RegistryPullQPS; n != nil && *n < 0 {
		c.add(at+".registryPullQPS", "%s.registryPullQPS is %d; it cannot be negative", at, *n)
	}
	if k.RegistryBurst < 0 {
		c.add(at+".registryBurst", "%s.registryBurst is %d; it cannot be negative", at, k.RegistryBurst)
	}
	if n := k.MaxParallelImagePulls; n != nil {
		switch {
		case *n < 1:
			c.add(at+".maxParallelImagePulls", "%s.maxParallelImagePulls is %d; it is at least 1", at, *n)
		case *n > 1 && k.SerializeImagePulls != nil && *k.SerializeImagePulls:
			c.add(at+".maxParallelImagePulls", "%s.maxParallelImagePulls is %d, and with serializeImagePulls it can only be 1; remove one", at, *n)
		}
	}
}

// shutdownPeriods checks for how long kubelets delay a shutdown, as upstream does
// (ValidateKubeletConfiguration in pkg/kubelet/apis/config/validation).
func (c *checker) shutdownPeriods(at string, k *Kubelet) {
	all, critical := at+".shutdownGracePeriod", at+".shutdownGracePeriodCriticalPods"
	periods := map[string]time.Duration{}
	for where, text := range map[string]string{all: k.ShutdownGracePeriod, critical: k.ShutdownGracePeriodCriticalPods} {
		if text == "" {
			continue
		}
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > 0 && d < time.Second {
			c.add(where, "%s: %q is no duration of 0 or of a second or more; write it as 30s", where, text)
			return
		}
		periods[where] = d
	}
	if periods[critical] > periods[all] {
		c.add(critical, "%s: it is part of shutdownGracePeriod, and so not longer than that", critical)
	}
}

func (c *checker) taints(at string, taints []Taint) {
	seen := map[string]bool{}
	for i, t := range taints {
		where := fmt.Sprintf("%s[%d]", at, i)
		if len(validation.IsQualifiedName(t.Key)) > 0 {
			c.add(where+".key", "%q is no taint key", t.Key)
		}
		if t.Effect == "" {
			c.add(where+".effect", "taint %q has no effect; valid: %s", t.Key, strings.Join(taintEffects, ", "))
		}
		c.choice(where+".effect", "taint effect", t.Effect, taintEffects)
		if id := t.Key + ":" + t.Effect; seen[id] {
			c.add(where, "taint %s is given twice; a node can have it once", id)
		} else {
			seen[id] = true
		}
	}
}

var idRange = regexp.MustCompile(`^(\d+)([/-])(\d+)$`)

func (c *checker) ids(at, text string) {
	if text == "" {
		return
	}
	for block := range strings.SplitSeq(text, ",") {
		m := idRange.FindStringSubmatch(block)
		if m == nil {
			c.add(at, "%s: %q is no range; write it as 1000970000/10000", at, block)
			continue
		}
		from, err1 := strconv.ParseUint(m[1], 10, 32)
		n, err2 := strconv.ParseUint(m[3], 10, 32)
		if err1 != nil || err2 != nil || (m[2] == "/" && n == 0) || (m[2] == "-" && n < from) {
			c.add(at, "%s: %q is an empty range or beyond 32 bits", at, block)
		}
	}
}

func (c *checker) tekton(t *Tekton) {
	if err := checkVersion(t.Version); err != nil {
		c.add("tekton.version", "%v", err)
	}
	c.choice("tekton.via", "tekton.via", t.Via, vias)
	c.choice("tekton.overlap", "tekton.overlap", t.Overlap, overlaps)
	c.keys("tekton.flags", t.Flags, FeatureFlags)
	c.keys("tekton.defaults", t.Defaults, configDefaults)
}

// keys refuses keys that look like a slip for a known one: Tekton ignores a key
// that it does not know, so nothing else would tell. Keys unlike any known one
// may be those of a newer release.
func (c *checker) keys(at string, m map[string]string, known []string) {
	for _, key := range sortedKeys(m) {
		if slices.Contains(known, key) {
			continue
		}
		if near := nearest(key, known); near != "" {
			c.add(at+"."+key, "unknown key %q in %s; did you mean %q?", key, at, near)
		}
	}
}

func (c *checker) workload(w *Workload) {
	if len(w.Manifests) == 0 {
		c.add("workload.manifests", "workload.manifests is missing; list the YAML files or folders of the pipeline, its tasks and its run")
	}
	for i, m := range w.Manifests {
		if m == "" {
			c.add(fmt.Sprintf("workload.manifests[%d]", i), "workload.manifests[%d] is empty", i)
		}
	}
	if w.Namespace != "" && len(validation.IsDNS1123Label(w.Namespace)) > 0 {
		c.add("workload.namespace", "%q is no namespace name", w.Namespace)
	}
	for _, name := range sortedKeys(w.Tasks) {
		t := w.Tasks[name]
		c.task("workload.tasks."+name, &t)
	}
	for _, name := range sortedKeys(w.Volumes) {
		at := "workload.volumes." + name
		c.notNegative(at+".files", w.Volumes[name].Files)
		c.quantity(at+".used", w.Volumes[name].Used)
	}
	c.span("workload.linger", w.Linger)
	c.overrides(&w.Overrides)
}

func (c *checker) task(at string, t *TaskModel) {
	if t.Duration != nil && len(t.Steps) > 0 {
		c.add(at+".steps", "%s has duration and steps; duration is all steps together, steps gives each: remove one", at)
	}
	c.distribution(at+".duration", t.Duration)
	c.distribution(at+".termination", t.Termination)
	for _, step := range sortedKeys(t.Steps) {
		if t.Steps[step] == nil {
			c.add(at+".steps."+step, "%s.steps.%s has no duration", at, step)
		}
		c.distribution(at+".steps."+step, t.Steps[step])
	}
	for i, w := range t.Writes {
		where := fmt.Sprintf("%s.writes[%d]", at, i)
		c.file(where, w.Workspace, w.Path)
		c.quantity(where+".bytes", w.Bytes)
		c.notNegative(where+".files", w.Files)
		if w.Mode != "" {
			if m, err := strconv.ParseUint(w.Mode, 8, 32); err != nil || m > 0o7777 {
				c.add(where+".mode", "%s.mode: %q is no octal file mode; write it as \"0644\"", where, w.Mode)
			}
		}
	}
	for i, r := range t.Reads {
		c.file(fmt.Sprintf("%s.reads[%d]", at, i), r.Workspace, r.Path)
	}
	for i, r := range t.Deletes {
		c.file(fmt.Sprintf("%s.deletes[%d]", at, i), r.Workspace, r.Path)
	}
	c.quantity(at+".ephemeralStorage", t.EphemeralStorage)
	c.quantity(at+".memory", t.Memory)
	if t.UID != nil {
		c.notNegative(at+".uid", *t.UID)
	}
	for i, f := range t.Failures {
		where := fmt.Sprintf("%s.failures[%d]", at, i)
		c.notNegative(where+".attempt", int64(f.Attempt))
		if p := f.Probability; p != nil && (*p < 0 || *p > 1) {
			c.add(where+".probability", "%s.probability is %g and must be between 0 and 1", where, *p)
		}
		if f.ExitCode < 0 || f.ExitCode > 255 {
			c.add(where+".exitCode", "%s.exitCode is %d and must be between 1 and 255", where, f.ExitCode)
		}
		if f.OOMKilled && f.ExitCode != 0 && f.ExitCode != 137 {
			c.add(where+".exitCode", "%s: oomKilled ends with exit code 137, not %d; remove one", where, f.ExitCode)
		}
	}
}

func (c *checker) file(at, workspace, file string) {
	if workspace == "" {
		c.add(at+".workspace", "%s has no workspace; name one that the Task declares", at)
	}
	switch clean := path.Clean(file); {
	case file == "":
		c.add(at+".path", "%s has no path", at)
	case path.IsAbs(file), clean == "..", strings.HasPrefix(clean, "../"):
		c.add(at+".path", "%s.path: %q must be relative to the workspace and stay in it", at, file)
	}
}

func (c *checker) overrides(o *Overrides) {
	const at = "workload.overrides"
	if o.AccessMode != "" {
		if _, err := NormalizeAccessMode(o.AccessMode); err != nil {
			c.add(at+".accessMode", "%v", err)
		}
	}
	c.choice(at+".claim", "claim", o.Claim, claims)
	if o.Retries != nil && *o.Retries < 0 {
		c.add(at+".retries", "retries is %d and must be at least 0", *o.Retries)
	}
	for i, t := range o.Tolerations {
		where := fmt.Sprintf("%s.tolerations[%d]", at, i)
		c.choice(where+".operator", "toleration operator", t.Operator, operators)
		c.choice(where+".effect", "taint effect", t.Effect, taintEffects)
		if t.Operator == "Exists" && t.Value != "" {
			c.add(where+".value", "a toleration with operator Exists takes no value; remove value %q or the operator", t.Value)
		}
		if t.Key == "" && t.Operator != "Exists" {
			c.add(where, "a toleration without key tolerates everything and needs operator: Exists")
		}
		if t.TolerationSeconds != nil && t.Effect != string(corev1.TaintEffectNoExecute) {
			c.add(where+".tolerationSeconds", "tolerationSeconds is for effect NoExecute; set it, or remove tolerationSeconds")
		}
	}
	for _, key := range sortedKeys(o.SecurityContext) {
		where := at + ".securityContext." + key
		if _, ok := podSecurity[key]; !ok {
			c.add(where, "unknown pod securityContext field %q%s", key, Suggest(key, sortedKeys(podSecurity)))
			continue
		}
		one, err := json.Marshal(map[string]json.RawMessage{key: o.SecurityContext[key]})
		if err == nil {
			err = json.Unmarshal(one, &corev1.PodSecurityContext{})
		}
		if err != nil {
			c.add(where, "securityContext.%s: %s has the wrong type", key, o.SecurityContext[key])
		}
	}
	for i, p := range o.Patches {
		where := fmt.Sprintf("%s.patches[%d]", at, i)
		if p.Kind == "" {
			c.add(where+".kind", "%s has no kind; name the kind of the manifests it changes", where)
		}
		if !isObject(p.Patch) {
			c.add(where+".patch", "%s.patch must be a mapping: a merge patch on the manifest", where)
		}
	}
}

func isObject(raw json.RawMessage) bool {
	return strings.HasPrefix(strings.TrimSpace(string(raw)), "{")
}
