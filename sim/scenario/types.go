package scenario

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/verdict"
)

// APIVersion and Kind of a scenario file.
const (
	APIVersion = "simctl.dev/v1alpha1"
	Kind       = "Scenario"
)

// Scenario is one scenario file: a cluster, a Tekton release with its flags, a
// workload, and the axes along which they are varied. Every combination of the
// axes' values is a [Cell].
type Scenario struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	// Description says what the scenario shows, in a sentence or two.
	Description string   `json:"description,omitempty"`
	Cluster     Cluster  `json:"cluster,omitzero"`
	Tekton      Tekton   `json:"tekton,omitzero"`
	Workload    Workload `json:"workload"`
	// Interventions are done in the middle of the runs.
	Interventions []Intervention `json:"interventions,omitempty"`
	// Axes are varied in the order given, the last one fastest.
	Axes []Axis `json:"axes,omitempty"`
	// Include, if not empty, keeps only the cells that one of its selectors
	// matches; Exclude then drops cells.
	Include []Selector `json:"include,omitempty"`
	Exclude []Selector `json:"exclude,omitempty"`
	// Repeats runs every cell so many times with different draws; default 1.
	Repeats int `json:"repeats,omitempty"`
	// Seed is the source of every draw; default 1.
	Seed int64 `json:"seed,omitempty"`
	// Limits bound what a cell may take.
	Limits Limits `json:"limits,omitzero"`
	// Expect says what is expected of which cells; the last entry that matches
	// a cell wins. A cell that none matches is reported and not judged.
	Expect []Expectation `json:"expect,omitempty"`
}

// Limits bound what a cell may take, against what goes on for ever. Zero values stand
// for the defaults.
type Limits struct {
	// VirtualTime is how long the cell may take in virtual time, a Go duration;
	// default 2160h, which is 90 days.
	VirtualTime string `json:"virtualTime,omitempty"`
	// RealTime is how long simctl may take over it, a Go duration; default 1h. It says
	// nothing of the pipeline: the cell could not be run.
	RealTime string `json:"realTime,omitempty"`
	// Entries is how long the cell's history may be, default 200000, and Bytes what it
	// may take on the disk, default 512Mi.
	Entries int      `json:"entries,omitempty"`
	Bytes   Quantity `json:"bytes,omitempty"`
}

// Metadata names a scenario.
type Metadata struct {
	Name string `json:"name"`
}

// Cluster is the simulated cluster.
type Cluster struct {
	NodePools      []NodePool     `json:"nodePools,omitempty"`
	StorageClasses []StorageClass `json:"storageClasses,omitempty"`
	OpenShift      OpenShift      `json:"openshift,omitzero"`
	// Registry says how fast images come.
	Registry Registry `json:"registry,omitzero"`
	// Kubelet says how the kubelets of all nodes are set and how long they take.
	Kubelet Kubelet `json:"kubelet,omitzero"`
}

// Kubelet is how the kubelets of all nodes are set, and how long they and the
// container runtime take over the stages of a pod's life. What a duration is not
// given for is what a kubelet of Kubernetes 1.37 took on a quiet host.
type Kubelet struct {
	// Sandbox is from the pod's volumes to its sandbox; default 500ms.
	Sandbox *Distribution `json:"sandbox,omitempty"`
	// ContainerStart is how long it takes to create and start one container; default
	// 300ms. They start one after another.
	ContainerStart *Distribution `json:"containerStart,omitempty"`
	// InitContainer is from the start of an init container until the kubelet has seen
	// its end and goes on; default 1s.
	InitContainer *Distribution `json:"initContainer,omitempty"`
	// DownwardAPI is how long it takes until a container sees an annotation that
	// has changed; default 1s. The first step of a task waits for one.
	DownwardAPI *Distribution `json:"downwardAPI,omitempty"`
	// PodEnd is from the end of a pod's last container to its phase Succeeded or
	// Failed; default 1500ms. Until then the pod counts on its node, in quotas and
	// for its volumes.
	PodEnd *Distribution `json:"podEnd,omitempty"`
	// Termination is how long a container takes to end once it has been sent SIGTERM,
	// unless its task's model says otherwise; default 1s.
	Termination *Distribution `json:"termination,omitempty"`
	// PodRemoval is from the final phase of a pod that was asked to go until it is
	// gone, if its volumes take no longer; default 600ms.
	PodRemoval *Distribution `json:"podRemoval,omitempty"`
	// NodeStatusUpdateFrequency is how often a kubelet reports its node's status, with
	// the volumes in use; default 10s.
	NodeStatusUpdateFrequency string `json:"nodeStatusUpdateFrequency,omitempty"`
	// ShutdownGracePeriod is for how long a kubelet delays the shutdown of its machine to
	// end its pods, ShutdownGracePeriodCriticalPods the part of it that is for critical
	// ones; 0 by default, as upstream: it hears of no shutdown.
	ShutdownGracePeriod             string `json:"shutdownGracePeriod,omitempty"`
	ShutdownGracePeriodCriticalPods string `json:"shutdownGracePeriodCriticalPods,omitempty"`
	// SerializeImagePulls has images come one at a time, as upstream by default;
	// MaxParallelImagePulls is how many come side by side otherwise, any number by default.
	SerializeImagePulls   *bool  `json:"serializeImagePulls,omitempty"`
	MaxParallelImagePulls *int64 `json:"maxParallelImagePulls,omitempty"`
	// RegistryPullQPS is for how many images a kubelet asks in a second, 0 for any number, and
	// RegistryBurst for how many at once; 5 and 10 by default, as upstream.
	RegistryPullQPS *int64 `json:"registryPullQPS,omitempty"`
	RegistryBurst   int    `json:"registryBurst,omitempty"`
	// SingleProcessOOMKill has the kernel kill the one process that asks for too much,
	// and not all of the container's, as on nodes with cgroup v1.
	SingleProcessOOMKill bool `json:"singleProcessOOMKill,omitempty"`
}

// NodePool is a number of equal nodes, named POOL-0, POOL-1 and so on. Node
// manifests of the workload add further nodes.
type NodePool struct {
	Name   string            `json:"name"`
	Count  int               `json:"count"`
	Labels map[string]string `json:"labels,omitempty"`
	Taints []Taint           `json:"taints,omitempty"`
	// Zones are given to the pool's nodes in turn
	// (label topology.kubernetes.io/zone).
	Zones []string `json:"zones,omitempty"`
	// Capacity is the nodes' capacity and allocatable; default 16 CPUs, 64Gi of
	// memory, 110 pods, 200Gi of ephemeral-storage.
	Capacity map[string]Quantity `json:"capacity,omitempty"`
	// DiskUsed is what stands on a node's own disk from the start; the disk's size is
	// the capacity's ephemeral-storage. Default 0.
	DiskUsed Quantity `json:"diskUsed,omitempty"`
	// Unschedulable cordons the nodes.
	Unschedulable bool `json:"unschedulable,omitempty"`
}

// Quantity is a Kubernetes quantity ("500Gi"); a plain number is taken as text.
type Quantity string

// Taint is a node's taint.
type Taint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
}

// Toleration is a pod's toleration.
type Toleration struct {
	Key      string `json:"key,omitempty"`
	Operator string `json:"operator,omitempty"`
	Value    string `json:"value,omitempty"`
	Effect   string `json:"effect,omitempty"`
	// TolerationSeconds is how long a pod stays on a node with a taint NoExecute;
	// without it, for ever.
	TolerationSeconds *int64 `json:"tolerationSeconds,omitempty"`
}

// StorageClass is a class with the simulated CSI driver behind it.
type StorageClass struct {
	Name string `json:"name"`
	// Default makes it the class of claims that name none.
	Default bool `json:"default,omitempty"`
	// VolumeBindingMode is Immediate (default) or WaitForFirstConsumer.
	VolumeBindingMode string `json:"volumeBindingMode,omitempty"`
	// NoAttach is for drivers that need no attach (NFS-like): such a volume
	// can be on several nodes whatever its access mode.
	NoAttach bool `json:"noAttach,omitempty"`
	// Zonal volumes live in the zone they were made in.
	Zonal bool `json:"zonal,omitempty"`
	// Provision, Attach, Detach and Mount are how long the driver takes.
	// Defaults: 3s, 10s, 6s, 1s; NoAttach: mount 0.5s.
	Provision *Distribution `json:"provision,omitempty"`
	Attach    *Distribution `json:"attach,omitempty"`
	Detach    *Distribution `json:"detach,omitempty"`
	Mount     *Distribution `json:"mount,omitempty"`
	// OwnershipFilesPerSecond is the speed of the recursive ownership change
	// that fsGroup asks for; default 5000.
	OwnershipFilesPerSecond float64 `json:"ownershipFilesPerSecond,omitempty"`
	// FSGroupPolicy is the CSIDriver's: ReadWriteOnceWithFSType (default),
	// File or None.
	FSGroupPolicy string `json:"fsGroupPolicy,omitempty"`
	// AccessModes are the modes the driver can do (RWO, RWX, ROX, RWOP or the
	// long names); a claim with another one is refused. Default: all.
	AccessModes []string `json:"accessModes,omitempty"`
	// MaxVolumesPerNode is how many of its volumes the driver attaches to one node; it
	// refuses more. Default: no limit.
	MaxVolumesPerNode int `json:"maxVolumesPerNode,omitempty"`
	// ReportsLimit says whether the driver tells of that limit, so that CSINode has it as
	// allocatable and the scheduler keeps to it; default true.
	ReportsLimit *bool `json:"reportsLimit,omitempty"`
}

// OpenShift switches security context constraints on.
type OpenShift struct {
	// Enabled: pods pass SCC admission, and Tekton is the one of OpenShift Pipelines:
	// feature-flags and config-defaults are as its operator renders them, with
	// default-service-account pipeline; tekton.flags and tekton.defaults win.
	Enabled bool `json:"enabled,omitempty"`
	// UIDRange and SupplementalGroups are the namespaces' ranges in OpenShift's
	// form, "1000970000/10000", for namespaces whose manifest has no such
	// annotation. SupplementalGroups defaults to UIDRange.
	UIDRange           string `json:"uidRange,omitempty"`
	SupplementalGroups string `json:"supplementalGroups,omitempty"`
	// Grants let a ServiceAccount use an SCC, as
	// `oc adm policy add-scc-to-user SCC -z NAME -n NAMESPACE` does.
	// restricted-v2 is everybody's.
	Grants []SCCGrant `json:"grants,omitempty"`
	// PipelinesSCC makes the ServiceAccount `pipeline` in every namespace and lets it
	// use pipelines-scc, as the OpenShift Pipelines operator does; default true.
	PipelinesSCC *bool `json:"pipelinesSCC,omitempty"`
}

// SCCGrant lets a ServiceAccount use an SCC.
type SCCGrant struct {
	SCC            string `json:"scc"`
	ServiceAccount string `json:"serviceAccount"`
	// Namespace is the ServiceAccount's; if empty, the grant counts in every
	// namespace of the workload.
	Namespace string `json:"namespace,omitempty"`
}

// Registry is the source of images.
type Registry struct {
	// Bandwidth is bytes per second to one node; default 100Mi.
	Bandwidth Quantity `json:"bandwidth,omitempty"`
	// ImageSize is the size of images not listed; default 250Mi.
	ImageSize Quantity `json:"imageSize,omitempty"`
	// Images are sizes by image name, digests and tags left out or not.
	Images map[string]Quantity `json:"images,omitempty"`
	// Preloaded says that every node has all images from the start; what they take on
	// its disk is part of the pool's DiskUsed.
	Preloaded bool `json:"preloaded,omitempty"`
}

// Tekton is the release under test and its configuration.
type Tekton struct {
	// Version names a release ("1.3.1", "v0.68.1", "1.3", "osp-1.20"). It may be left out if
	// every value of an axis sets it.
	Version string `json:"version,omitempty"`
	// Flags are keys of the feature-flags ConfigMap; the value "absent" leaves
	// the key out. Keys not named keep the release's own default.
	Flags map[string]string `json:"flags,omitempty"`
	// Via is how the flags get there: ConfigMap (default) or TektonConfig.
	Via string `json:"via,omitempty"`
	// Defaults are keys of the config-defaults ConfigMap.
	Defaults map[string]string `json:"defaults,omitempty"`
	// Overlap is what Tekton's controller hears first when a pod goes while its
	// TaskRun's end is being written: seed (default: chance), fresh (the TaskRun's
	// end) or stale (the pod's, so that it works on a TaskRun that is out of date).
	Overlap string `json:"overlap,omitempty"`
}

// What tekton.overlap can be.
const (
	OverlapSeed  = "seed"
	OverlapFresh = "fresh"
	OverlapStale = "stale"
)

// Workload is what runs: manifests as users have them, and models of what the
// tasks do that no manifest says.
type Workload struct {
	// Manifests are YAML files, folders, or kustomizations, relative to the
	// scenario file.
	Manifests []string `json:"manifests"`
	// Namespace is where objects without one go; default "default".
	Namespace string `json:"namespace,omitempty"`
	// Tasks are models by pipeline task name or Task name; "*" is the default
	// of all tasks.
	Tasks map[string]TaskModel `json:"tasks,omitempty"`
	// Overrides change the manifests; they are what the axes' shorthands set.
	Overrides Overrides `json:"overrides,omitzero"`
	// StubMissing makes up the Tasks, StepActions, Pipelines, ServiceAccounts, Secrets,
	// ConfigMaps and claims that the runs need and the manifests do not have.
	StubMissing bool `json:"stubMissing,omitempty"`
	// Linger is for how long, in virtual time, the cell goes on after its runs have ended
	// and after what interventions do then, a Go duration. What was finished is kept, and
	// watched. Default 0, or 10m if an intervention waits for the end of a run.
	Linger string `json:"linger,omitempty"`
	// Volumes are the contents of claims before the run, by the claim's name or
	// NAMESPACE/NAME.
	Volumes map[string]VolumeModel `json:"volumes,omitempty"`
}

// VolumeModel is what stands on a claim before the run.
type VolumeModel struct {
	Files int64    `json:"files,omitempty"`
	Used  Quantity `json:"used,omitempty"`
}

// TaskModel is what a task's pod does.
type TaskModel struct {
	// Duration is how long the steps take together; default 10s. Steps gives
	// it step by step instead; steps it does not name take no time.
	Duration *Distribution            `json:"duration,omitempty"`
	Steps    map[string]*Distribution `json:"steps,omitempty"`
	// Writes and Reads are done in this order: all reads at the start of the
	// first step, all writes at the end of the last.
	Writes []Write `json:"writes,omitempty"`
	Reads  []Read  `json:"reads,omitempty"`
	// Deletes are paths freed after the writes.
	Deletes []Read `json:"deletes,omitempty"`
	// EphemeralStorage is what the steps write to their node's own disk, outside of
	// workspaces: evenly while they run. It goes with the pod. Default 0.
	EphemeralStorage Quantity `json:"ephemeralStorage,omitempty"`
	// Memory is what each step takes of its node's memory while it runs. What it has for a
	// limit is not looked at, failures say which step is killed for that. Default 0.
	Memory Quantity `json:"memory,omitempty"`
	// UID is the uid of the image's USER when nothing else sets one; default 0.
	UID *int64 `json:"uid,omitempty"`
	// Results are values of declared results; others get a made-up value that
	// has the declared type.
	Results map[string]json.RawMessage `json:"results,omitempty"`
	// Failures make attempts fail.
	Failures []Failure `json:"failures,omitempty"`
	// Termination is how long a step that runs takes to end once it has been sent
	// SIGTERM; past the pod's grace period it is killed. Default: the kubelet's.
	Termination *Distribution `json:"termination,omitempty"`
}

// Write is a path a task writes to a workspace.
type Write struct {
	Workspace string   `json:"workspace"`
	Path      string   `json:"path"`
	Bytes     Quantity `json:"bytes,omitempty"`
	// Files is how many files stand under the path; default 1.
	Files int64 `json:"files,omitempty"`
	// Mode is octal; default "0644", folders "0755". Group bits decide whether
	// another uid in the same group may read or write.
	Mode string `json:"mode,omitempty"`
}

// Read is a path a task needs from a workspace.
type Read struct {
	Workspace string `json:"workspace"`
	Path      string `json:"path"`
}

// Failure makes an attempt of a task fail.
type Failure struct {
	// Attempt counts from 1; 0 is every attempt.
	Attempt int `json:"attempt,omitempty"`
	// Probability is the chance that it happens; default 1.
	Probability *float64 `json:"probability,omitempty"`
	// Step is the step that fails; default the last.
	Step string `json:"step,omitempty"`
	// ExitCode defaults to 1. OOMKilled sets reason and code: 137, and the steps after
	// it are left waiting, since their predecessor's entrypoint is killed as well; with
	// the kubelet's singleProcessOOMKill 255, and they are skipped.
	ExitCode  int    `json:"exitCode,omitempty"`
	OOMKilled bool   `json:"oomKilled,omitempty"`
	Message   string `json:"message,omitempty"`
}

// Distribution is a duration: exactly one form is set. Durations are Go
// durations ("12m", "1h30m"). In a file a plain string is Constant.
type Distribution struct {
	Constant   string      `json:"constant,omitempty"`
	Uniform    *Uniform    `json:"uniform,omitempty"`
	Triangular *Triangular `json:"triangular,omitempty"`
	Lognormal  *Lognormal  `json:"lognormal,omitempty"`
}

// Uniform is between Min and Max.
type Uniform struct {
	Min string `json:"min"`
	Max string `json:"max"`
}

// Triangular is between Min and Max with its peak at Mode.
type Triangular struct {
	Min  string `json:"min"`
	Mode string `json:"mode"`
	Max  string `json:"max"`
}

// Lognormal is given by its median and its 95th percentile.
type Lognormal struct {
	Median string `json:"median"`
	P95    string `json:"p95"`
}

// Overrides change the workload's manifests without editing them.
type Overrides struct {
	// AccessMode is put into every PersistentVolumeClaim and
	// volumeClaimTemplate: RWO, RWX, ROX or RWOP, or the long names.
	AccessMode string `json:"accessMode,omitempty"`
	// StorageClass likewise.
	StorageClass string `json:"storageClass,omitempty"`
	// Claim turns PVC workspaces of the PipelineRuns into "template" (a
	// volumeClaimTemplate made from the claim) or "existing" (a claim made from
	// the template).
	Claim string `json:"claim,omitempty"`
	// Tolerations and SecurityContext go to the PipelineRuns' podTemplate
	// (taskRunTemplate.podTemplate). Tolerations replace the ones there, an empty
	// list takes them away. SecurityContext is merged; null removes a key.
	Tolerations     []Toleration               `json:"tolerations,omitzero"`
	SecurityContext map[string]json.RawMessage `json:"securityContext,omitzero"`
	// NodeSelector goes to the PipelineRuns' podTemplate.
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// ServiceAccountName is the PipelineRuns' ServiceAccount.
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
	// Retries, if set, is how often each task of the Pipelines, of pipelineSpecs and
	// TaskRuns of their own are tried again.
	Retries *int `json:"retries,omitempty"`
	// Patches are merge patches on manifests by kind and name.
	Patches []ManifestPatch `json:"patches,omitempty"`
}

// ManifestPatch is a merge patch (RFC 7386) on the manifests it names.
type ManifestPatch struct {
	Kind  string          `json:"kind"`
	Name  string          `json:"name,omitempty"`
	Patch json.RawMessage `json:"patch"`
}

// Moment is when a task, or a run, first reaches a phase.
type Moment struct {
	// Task is the pipeline task's name.
	Task string `json:"task,omitempty"`
	// Run is, instead, the name or generateName of a PipelineRun, or "*" for all runs that
	// there are. Its phase is done: it has ended.
	Run string `json:"run,omitempty"`
	// Phase is queued (its TaskRun is made), scheduled (its pod has a node),
	// attached, mounted (volumes and their ownership), pulled (images), running
	// (its containers run) or done (its TaskRun has ended).
	Phase string `json:"phase"`
}

// Apply names what is applied.
type Apply struct {
	// Manifests are written here, Files and folders are relative to the scenario
	// file. A cell has all of them in Manifests.
	Manifests []json.RawMessage `json:"manifests,omitempty"`
	Files     []string          `json:"files,omitempty"`
}

// ObjectRef names the objects of a kind, by name, by labels or by whose they are.
type ObjectRef struct {
	// APIVersion may be left out where the kind alone says it.
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind"`
	// Namespace is that of the workload if it is left out; with ClaimOf and PodOf that of
	// the run.
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	// Labels are those that the objects have: for names that Tekton makes up.
	Labels map[string]string `json:"labels,omitempty"`
	// ClaimOf and PodOf name a PersistentVolumeClaim and a Pod by whose they are.
	ClaimOf *ClaimOf `json:"claimOf,omitempty"`
	PodOf   *PodOf   `json:"podOf,omitempty"`
}

// ClaimOf is the PersistentVolumeClaim that Tekton, or the affinity assistant, makes of a
// run's volumeClaimTemplate. In a file a plain string is Workspace.
type ClaimOf struct {
	// Run is the name or generateName of a PipelineRun, of several with it the one that was
	// made last; default the last run with such a workspace.
	Run string `json:"run,omitempty"`
	// Workspace is the run's.
	Workspace string `json:"workspace"`
}

// PodOf is the pod of a pipeline task that was made last. In a file a plain string is Task.
type PodOf struct {
	// Run is the name or generateName of a PipelineRun; default all.
	Run  string `json:"run,omitempty"`
	Task string `json:"task"`
	// Attempt is the task's try, from 1; default the last.
	Attempt int `json:"attempt,omitempty"`
}

// ObjectDeletion is the deletion of the objects that it names.
type ObjectDeletion struct {
	APIVersion string            `json:"apiVersion,omitempty"`
	Kind       string            `json:"kind,omitempty"`
	Namespace  string            `json:"namespace,omitempty"`
	Name       string            `json:"name,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	// ClaimOf and PodOf take the place of kind and name.
	ClaimOf *ClaimOf `json:"claimOf,omitempty"`
	PodOf   *PodOf   `json:"podOf,omitempty"`
	// GracePeriodSeconds is how long a pod may take to end; the default is the
	// pod's own terminationGracePeriodSeconds. 0 takes the object away at once
	// and asks nobody, as `kubectl delete --grace-period=0 --force` does.
	GracePeriodSeconds *int64 `json:"gracePeriodSeconds,omitempty"`
}

// ObjectPatch is a change of the objects that it names.
type ObjectPatch struct {
	APIVersion string            `json:"apiVersion,omitempty"`
	Kind       string            `json:"kind,omitempty"`
	Namespace  string            `json:"namespace,omitempty"`
	Name       string            `json:"name,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	// ClaimOf and PodOf take the place of kind and name.
	ClaimOf *ClaimOf `json:"claimOf,omitempty"`
	PodOf   *PodOf   `json:"podOf,omitempty"`
	// Patch is a merge patch (RFC 7386) if it is a mapping, a JSON patch
	// (RFC 6902) if it is a list.
	Patch json.RawMessage `json:"patch"`
}

// NodeRef names a node. In a file a plain string is Name.
type NodeRef struct {
	Name string `json:"name,omitempty"`
	// NodeOf is a pipeline task: the node of its latest pod is meant.
	NodeOf string `json:"nodeOf,omitempty"`
}

// NodeDrain is a node that is to be emptied. In a file a plain string is Name.
type NodeDrain struct {
	Name string `json:"name,omitempty"`
	// NodeOf is a pipeline task: the node of its latest pod is meant.
	NodeOf string `json:"nodeOf,omitempty"`
	// Force evicts pods that have no controller too. Without it one of them is
	// enough and no pod is evicted.
	Force bool `json:"force,omitempty"`
}

// NodeTaint is a taint of a node.
type NodeTaint struct {
	Node NodeRef `json:"node"`
	Key  string  `json:"key"`
	// Value and Effect are not needed to take a taint away.
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect,omitempty"`
}

// Axis is one thing that is varied.
type Axis struct {
	Name   string  `json:"name"`
	Values []Value `json:"values"`
}

// Value is one value of an axis: a merge patch on the scenario, or shorthands
// for the common ones. In a file a plain string is a Value with that name and
// the shorthand that the axis is named for (an axis `version`, `coschedule`,
// `accessMode`, `claim`, ...: see docs/scenario.md).
type Value struct {
	Name string `json:"name"`
	// Version is Tekton's.
	Version string `json:"version,omitempty"`
	// Flags are merged into tekton.flags.
	Flags map[string]string `json:"flags,omitempty"`
	// Taints replaces the taints of node pools, by pool name.
	Taints map[string][]Taint `json:"taints,omitempty"`
	// Overrides are merged into workload.overrides.
	AccessMode      string                     `json:"accessMode,omitempty"`
	StorageClass    string                     `json:"storageClass,omitempty"`
	Claim           string                     `json:"claim,omitempty"`
	Tolerations     []Toleration               `json:"tolerations,omitzero"`
	SecurityContext map[string]json.RawMessage `json:"securityContext,omitzero"`
	ServiceAccount  string                     `json:"serviceAccount,omitempty"`
	// Patch is a merge patch (RFC 7386) on the scenario, applied last.
	Patch json.RawMessage `json:"patch,omitempty"`
}

// Selector matches cells: every axis it names must have one of the values it
// names. In a file a value may be a string or a list of strings; "tekton" is
// the version even where it is no axis.
type Selector map[string]StringList

// StringList is a list of strings; in a file a single string is a list of one.
type StringList []string

// Expectation is what is expected of the cells it matches.
type Expectation struct {
	// When selects cells; empty is all.
	When Selector `json:"when,omitempty"`
	// Outcome is the outcome expected; several are alternatives.
	Outcome StringList `json:"outcome"`
	// Recovered, if set, must be equal too.
	Recovered *bool `json:"recovered,omitempty"`
	// Busy, if set, says whether Tekton's controller follows its own writes to one of
	// the runs without end.
	Busy *bool `json:"busy,omitempty"`
	// NeverEnd, if set, says whether one of the runs never ends, not even by a time-out.
	NeverEnd *bool `json:"neverEnd,omitempty"`
}

// Judge judges the cell by what is expected of it: nothing if e is nil.
func (e *Expectation) Judge(c *verdict.Cell) {
	if e == nil {
		c.ExpectNothing()
		return
	}
	c.Expect(e.met(&c.Finding))
}

// met returns what is expected: the outcomes, with "|" between them, and beside the right
// outcome what else is not as it should be; and whether it came out so.
func (e *Expectation) met(f *verdict.Finding) (expected string, met bool) {
	expected = strings.Join(e.Outcome, "|")
	if !slices.Contains(e.Outcome, string(f.Outcome)) {
		return expected, false
	}
	met = true
	for _, c := range []struct {
		name string
		want *bool
		got  bool
	}{{"recovered", e.Recovered, f.Recovered}, {"busy", e.Busy, len(f.Busy) > 0}, {"neverEnd", e.NeverEnd, len(f.NeverEnd) > 0}} {
		if c.want != nil && *c.want != c.got {
			met = false
			expected += fmt.Sprintf(" with %s: %t", c.name, *c.want)
		}
	}
	return expected, met
}

// Cell is one combination of the axes' values and one repeat, ready to run.
type Cell struct {
	// Scenario is the scenario's name, File the file it came from.
	Scenario string `json:"scenario"`
	File     string `json:"file"`
	// Values are axis name -> value name, always including "tekton".
	Values map[string]string `json:"values"`
	// Axes are the axis names in order.
	Axes []string `json:"axes"`
	// Repeat counts from 0.
	Repeat int `json:"repeat"`
	// Spec is the scenario with the values' patches applied and the axes,
	// selectors and expectations taken out.
	Spec Scenario `json:"spec"`
	// Expected is what the scenario expects; nil if nothing.
	Expected *Expectation `json:"expected,omitempty"`
	// Objects are the workload's manifests with the overrides applied, in the
	// order in which they are to be created.
	Objects []json.RawMessage `json:"objects"`
	// MadeUp are the objects among them that stand for missing ones, each with who
	// refers to it: "Task scan, for task scan of Pipeline ci".
	MadeUp []string `json:"madeUp,omitempty"`
	// Remotes are what resolvers fetch from elsewhere; none if none is asked.
	Remotes []Remote `json:"remotes,omitempty"`
	// from is where what it has stands in files; nil for a cell that was read from its
	// JSON.
	from *origins
}

// Remote is an object that stands for one elsewhere.
type Remote struct {
	// File is the one in which it stands, with slashes, from the scenario's folder.
	File   string          `json:"file"`
	Object json.RawMessage `json:"object"`
}
