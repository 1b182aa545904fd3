package history

import (
	"cmp"
	"strconv"
	"strings"
)

// Facts that simulated machines and components record, with the struct that
// Data holds for each. Durations are virtual seconds, sizes bytes.
const (
	// FactUnschedulable: the scheduler could not place a pod ([Unschedulable]).
	FactUnschedulable = "Unschedulable"

	// Storage. Object is the PersistentVolumeClaim or PersistentVolume.
	FactProvisioned = "Provisioned" // [Volume]: the driver made a volume
	FactAttached    = "Attached"    // [Volume]: attached to Node
	FactDetached    = "Detached"    // [Volume]: detached from Node
	FactNoSpace     = "NoSpace"     // [Space]: a write past the claim's size

	FactVolumeFailed = "VolumeFailed" // [VolumeFailed]: a driver does not do what is asked of it for a volume; told once of each answer
	FactStorageFails = "StorageFails" // [StorageFault]: drivers fail at an operation or are slow at it
	FactStorageBack  = "StorageBack"  // [StorageFault]: they do it again as before

	// Kubelet. Object is the Pod.
	FactPodAdmitted     = "PodAdmitted"     // [Volume] with Node only: the kubelet took the pod
	FactPullFailed      = "PullFailed"      // [PullFailed]: a container's image does not come, told once of a pod and image
	FactRegistryFails   = "RegistryFails"   // [Registry]: images do not come any more
	FactRegistryBack    = "RegistryBack"    // [Registry]: they do again
	FactRuntimeFails    = "RuntimeFails"    // [Runtime]: container runtimes do not do what they are asked for
	FactRuntimeBack     = "RuntimeBack"     // [Runtime]: they do again
	FactNotMade         = "NotMade"         // [NotMade]: the runtime does not make a pod's sandbox or container, told once of each
	FactWebhookFails    = "WebhookFails"    // [Webhook]: it is not to be asked any more
	FactWebhookBack     = "WebhookBack"     // [Webhook]: it is again
	FactClockShifted    = "ClockShifted"    // [ClockShift]: the clock of Tekton's controller is wrong
	FactClockRight      = "ClockRight"      // [ClockShift]: it is right again
	FactNodeSilent      = "NodeSilent"      // [NodeSilent]: nothing is heard of a node any more
	FactNodeShutdown    = "NodeShutdown"    // [NodeShutdown]: a machine is told to go off
	FactNodeBack        = "NodeBack"        // [NodeSilent]: its kubelet is there again
	FactAPIFails        = "APIFails"        // [APIFault]: the API server does not answer as it should
	FactAPIBack         = "APIBack"         // [APIFault]: it does again
	FactSchedulerAway   = "SchedulerAway"   // [SchedulerAway]: the scheduler does nothing any more
	FactSchedulerBack   = "SchedulerBack"   // [SchedulerAway]: it does again
	FactPodRefused      = "PodRefused"      // [Refusal]: the kubelet refused the pod
	FactVolumesAttached = "VolumesAttached" // [Volume] with Node and Seconds: every volume that has to be attached is
	FactVolumesReady    = "VolumesReady"    // [VolumesReady]: every volume attached and mounted
	FactOwnership       = "Ownership"       // [Ownership]: fsGroup ownership change of one volume
	FactImagePulled     = "ImagePulled"     // [ImagePull]
	FactContainer       = "Container"       // [Container]: a container ended
	FactFileWritten     = "FileWritten"     // [File]
	FactFileDeleted     = "FileDeleted"     // [File]: with Verb delete; what was there is gone
	FactFileDenied      = "FileDenied"      // [File]: permission denied; Verb read or write
	FactContainersBusy  = "ContainersBusy"  // [Volume] with Node only: all images are there, containers run
	FactDisk            = "Disk"            // [Disk]: the pod is evicted, or a step of it fails, for want of room on its node's disk
	FactMemory          = "Memory"          // [Memory]: the pod is evicted for want of memory on its node
	FactScaledDown      = "ScaledDown"      // [ScaledDown]: the cluster autoscaler begins to take a node away
	FactMemoryTaken     = "MemoryTaken"     // [MemoryTaken]: something outside of pods takes a node's memory
	FactMemoryBack      = "MemoryBack"      // [MemoryTaken]: it does no more
	FactResultMadeUp    = "ResultMadeUp"    // [MadeUp]: a step leaves a result whose value no model gives

	// Driver of virtual time. Object is the cell, of kind Cell.
	FactStalled  = "Stalled"  // [Stalled]: nothing but time-outs of the runs themselves can happen any more
	FactFinished = "Finished" // [Finished]: the cell has ended

	// What a scenario does in the middle of a run. Object is the cell, of kind Cell.
	FactIntervention = "Intervention" // [Intervention]
	FactFaultMet     = "FaultMet"     // [FaultMet]: whom a fault has met that is over

	FactInert = "Inert" // [Inert]: a manifest that has no effect here

	// Tekton. Object is the release's controller.
	FactTektonStarted = "TektonStarted" // [Tekton]
	FactTektonExited  = "TektonExited"  // [Tekton]: with the last words of its log in Message

	// Leader election. Object is the release's controller.
	FactLeaseHeld  = "LeaseHeld"  // [Lease]: a reconciler may not act yet, since the lease of a controller that was killed holds for Seconds from now on
	FactLeaseTaken = "LeaseTaken" // [Lease]: it has the lease, Seconds after it first looked

	// Object is the run that is reconciled.
	FactBusy    = "Busy"    // [Busy]: a reconciler goes on and on, following its own writes
	FactOverlap = "Overlap" // [Overlap]: its pod goes while its end is being written
)

// Unschedulable is the scheduler's answer for one pod.
type Unschedulable struct {
	// Message is the scheduler's own words, as in the pod's condition.
	Message string `json:"message"`
	// PerTaint is the message in the wording that names every taint (the
	// wording of Kubernetes up to 1.33).
	PerTaint string `json:"perTaint"`
	// Nodes holds the refusal of each node, sorted by name.
	Nodes []NodeRefusal `json:"nodes"`
}

// NodeRefusal says which scheduler plugin refused a node and why.
type NodeRefusal struct {
	Node    string   `json:"node"`
	Plugin  string   `json:"plugin"`
	Reasons []string `json:"reasons"`
	// Taints are the node's taints the pod does not tolerate, as
	// "key: value", filled when the plugin is TaintToleration.
	Taints []string `json:"taints,omitempty"`
	// Unresolvable says that evicting pods could not help.
	Unresolvable bool `json:"unresolvable,omitempty"`
}

// Volume is a volume's life on a node.
type Volume struct {
	Claim   string  `json:"claim,omitempty"`
	PV      string  `json:"pv,omitempty"`
	Node    string  `json:"node,omitempty"`
	Zone    string  `json:"zone,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
}

// VolumesReady says how long a pod waited for its volumes once it was on its node.
type VolumesReady struct {
	Node             string  `json:"node"`
	AttachSeconds    float64 `json:"attachSeconds"`
	MountSeconds     float64 `json:"mountSeconds"`
	OwnershipSeconds float64 `json:"ownershipSeconds"`
}

// Ownership is one recursive ownership change that fsGroup asked for, or that
// fsGroupChangePolicy left out.
type Ownership struct {
	Claim   string  `json:"claim"`
	FSGroup int64   `json:"fsGroup"`
	Policy  string  `json:"policy"`
	Files   int64   `json:"files"`
	Skipped bool    `json:"skipped"`
	Seconds float64 `json:"seconds"`
}

// ImagePull is the pull of one image; Cached when the node already had it.
type ImagePull struct {
	Image   string  `json:"image"`
	Node    string  `json:"node"`
	Bytes   int64   `json:"bytes"`
	Cached  bool    `json:"cached"`
	Seconds float64 `json:"seconds"`
}

// ContainerUnknown is the reason that a container runtime gives of a container that ended
// while nobody looked, as with its machine.
const ContainerUnknown = "Unknown"

// Container is the end of one container.
type Container struct {
	Name     string  `json:"name"`
	Step     string  `json:"step,omitempty"`
	Task     string  `json:"task,omitempty"`
	ExitCode int     `json:"exitCode"`
	Reason   string  `json:"reason"`
	Message  string  `json:"message,omitempty"`
	Seconds  float64 `json:"seconds"`
}

// File is an access of a task to a path on a volume.
type File struct {
	Claim string `json:"claim"`
	Path  string `json:"path"`
	// Verb is "read", "write" or "delete".
	Verb string `json:"verb"`
	// UID and Groups are the process's, Owner, Group and Mode the file's (or,
	// for a refused creation, the folder's).
	UID    int64   `json:"uid"`
	Groups []int64 `json:"groups"`
	Owner  int64   `json:"owner"`
	Group  int64   `json:"group"`
	Mode   string  `json:"mode"`
	// ReadOnly says that a write was refused because nothing can be written there,
	// whoever writes.
	ReadOnly bool   `json:"readOnly,omitempty"`
	Bytes    int64  `json:"bytes,omitempty"`
	Task     string `json:"task,omitempty"`
}

// MadeUp is the value of a result that no task model gives.
type MadeUp struct {
	Result string `json:"result"`
	// Step is the step whose own result it is; empty for one of the task.
	Step  string `json:"step,omitempty"`
	Value string `json:"value"`
}

// Space is a write that did not fit.
type Space struct {
	Claim string `json:"claim"`
	Task  string `json:"task,omitempty"`
	Used  int64  `json:"used"`
	Wants int64  `json:"wants"`
	Size  int64  `json:"size"`
}

// Disk is what a node's own disk holds.
type Disk struct {
	Node string `json:"node"`
	Task string `json:"task,omitempty"`
	// Full says that there is no room at all, where the pod is not evicted.
	Full bool `json:"full,omitempty"`
	// Size is the disk's, Reserve what the kubelet wants to be free of it.
	Size    int64 `json:"size"`
	Reserve int64 `json:"reserve"`
	// Before is what stood there from the start, Images and Pods what came since,
	// the largest first.
	Before int64     `json:"before"`
	Images int64     `json:"images"`
	Pods   []DiskUse `json:"pods,omitempty"`
	// Wants is what the pod was to write in all.
	Wants int64 `json:"wants"`
}

// DiskUse is what a pod has on its node's disk, or in its memory.
type DiskUse struct {
	Pod   string `json:"pod"`
	Bytes int64  `json:"bytes"`
}

// Memory is what a node's memory is taken by.
type Memory struct {
	Node string `json:"node"`
	Task string `json:"task,omitempty"`
	// Size is the memory's, Reserve what the kubelet wants to be free of it.
	Size    int64 `json:"size"`
	Reserve int64 `json:"reserve"`
	// Others is what is taken outside of pods; Pods have the most first.
	Others int64     `json:"others"`
	Pods   []DiskUse `json:"pods,omitempty"`
}

// ScaledDown is a node that the cluster autoscaler takes away.
type ScaledDown struct {
	Node string `json:"node"`
	// UnneededSeconds is for how long nobody had needed it.
	UnneededSeconds float64 `json:"unneededSeconds"`
}

// MemoryTaken is a node whose memory is taken outside of pods, or is no more.
type MemoryTaken struct {
	Node string `json:"node"`
	// Left is what was left of it beside its pods.
	Left int64 `json:"left"`
}

// Refusal is a kubelet's refusal of a pod.
type Refusal struct {
	Node    string `json:"node"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// What a registry answers that does not give an image.
const (
	// RegistryRefuses: nobody listens, the connection is refused.
	RegistryRefuses = "connection-refused"
	// RegistryHasNot: it has no such image, 404.
	RegistryHasNot = "not-found"
	// RegistryLimits: it has been asked too often, 429.
	RegistryLimits = "too-many-requests"
	// RegistryDown: it is there and cannot, 503.
	RegistryDown = "unavailable"
)

// What the API server meets that asks a webhook in vain.
const (
	WebhookRefuses = "connection-refused"
	WebhookSilent  = "timeout"
)

// WebhookFailed is how the API server begins to say that it could not ask a webhook, and
// refuses what was written for that (k8s.io/apiserver/pkg/admission/plugin/webhook).
const WebhookFailed = "failed calling webhook"

// Webhook is a webhook that cannot be asked, or can again.
type Webhook struct {
	Name string `json:"name"`
	// Answer is WebhookRefuses or WebhookSilent.
	Answer string `json:"answer"`
}

// Registry is a registry that does not give images, or does again.
type Registry struct {
	// Images are those that it is about: a name, or its beginning and "*".
	Images string `json:"images"`
	// Answer is RegistryRefuses, RegistryHasNot, RegistryLimits or RegistryDown.
	Answer string `json:"answer"`
}

// Has says whether it is about an image.
func (r Registry) Has(image string) bool {
	begin, open := strings.CutSuffix(r.Images, "*")
	return r.Images == image || open && strings.HasPrefix(image, begin)
}

// What a container runtime does not do.
const (
	// RuntimeSandbox: it sets up no sandbox, for want of a network.
	RuntimeSandbox = "sandbox"
	// RuntimeContainer: it does not answer when a container is to be made.
	RuntimeContainer = "container"
)

// Runtime is a container runtime that does not do what it is asked for, or does again.
type Runtime struct {
	// Node is empty if it is that of every node.
	Node string `json:"node,omitempty"`
	// Fails is RuntimeSandbox or RuntimeContainer.
	Fails string `json:"fails"`
}

// Name names what fails in facts.
func (r Runtime) Name() string { return cmp.Or(r.Node, "*") + "/" + r.Fails }

// NotMade is a sandbox or a container that the runtime does not make.
type NotMade struct {
	Node string `json:"node"`
	// What is RuntimeSandbox or RuntimeContainer.
	What      string `json:"what"`
	Container string `json:"container,omitempty"`
	Message   string `json:"message"`
}

// SchedulerAway is a scheduler that does nothing, or does again.
type SchedulerAway struct {
	// Intervention is the place in the scenario's list of what began it, from 0.
	Intervention int `json:"intervention"`
}

// Key tells absences apart that last at one time; histories have it as the object's name.
func (s SchedulerAway) Key() string { return strconv.Itoa(s.Intervention) }

// APIFault is an API server that does not answer clients as it should, or does again.
type APIFault struct {
	// Intervention is the place in the scenario's list of what began it, from 0.
	Intervention int `json:"intervention"`
	// Client is who meets it, as histories name it; empty: all controllers and the
	// scheduler.
	Client string `json:"client,omitempty"`
	// Resources and Verbs are what of its requests meets it, in the words of RBAC rules;
	// none: all.
	Resources []string `json:"resources,omitempty"`
	Verbs     []string `json:"verbs,omitempty"`
	// Code and Message are the answer.
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Key tells faults apart that last at one time; histories have it as the object's name.
func (f APIFault) Key() string { return strconv.Itoa(f.Intervention) }

// PullFailed is an image that does not come.
type PullFailed struct {
	Image string `json:"image"`
	Node  string `json:"node"`
	// Message is what the container runtime says, or the kubelet that does not ask it.
	Message string `json:"message"`
	// Limit is for how many images the kubelet asks; nil if it did ask.
	Limit *PullLimit `json:"limit,omitempty"`
}

// PullLimit is for how many images a kubelet asks at most.
type PullLimit struct {
	// QPS is how many in a second, Burst how many at once.
	QPS   int `json:"qps"`
	Burst int `json:"burst"`
}

// The operations of CSI drivers.
const (
	OperationProvision = "provision" // CreateVolume
	OperationAttach    = "attach"    // ControllerPublishVolume
	OperationDetach    = "detach"    // ControllerUnpublishVolume
	OperationMount     = "mount"     // NodeStageVolume, or NodePublishVolume of a driver that has no stage
)

// StorageFault is an operation at which drivers fail, or are slow.
type StorageFault struct {
	Operation string `json:"operation"`
	// Class is the StorageClass and Node the node that it is about; empty: all.
	Class string `json:"class,omitempty"`
	Node  string `json:"node,omitempty"`
	// Code is the answer's gRPC code, Message what the driver says with it. Empty if it is
	// only slow.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// Slow is by how many seconds the operation takes longer.
	Slow float64 `json:"slow,omitempty"`
}

// Key names it among others.
func (f StorageFault) Key() string {
	return strings.TrimRight(strings.Join([]string{f.Operation, f.Class, f.Node}, "/"), "/")
}

// VolumeFailed is an operation that failed.
type VolumeFailed struct {
	Operation string `json:"operation"`
	Class     string `json:"class,omitempty"`
	// Namespace is the claim's.
	Namespace string `json:"namespace,omitempty"`
	Claim     string `json:"claim,omitempty"`
	PV        string `json:"pv,omitempty"`
	Node      string `json:"node,omitempty"`
	// Message is what whoever asked for it says.
	Message string `json:"message"`
}

// What can fail so that nothing is heard of a node.
const (
	// SilentMachine: the machine is dead, and its containers with it. When it comes back it
	// has been booted.
	SilentMachine = "machine"
	// SilentKubelet: the kubelet is dead. Containers go on, no others are started.
	SilentKubelet = "kubelet"
	// SilentNetwork: the node is cut off from the API server. Kubelet and containers go on.
	SilentNetwork = "network"
)

// ClockShift is the clock of Tekton's controller that is wrong, or right again.
type ClockShift struct {
	// Seconds is by how many it is ahead.
	Seconds float64 `json:"seconds"`
}

// NodeSilent is a node of which nothing is heard, or is again.
type NodeSilent struct {
	Node string `json:"node"`
	// What has failed: SilentMachine, SilentKubelet or SilentNetwork.
	What string `json:"what"`
	// Zone is the zone that fell silent with it, or AllZones; empty if the node did alone.
	Zone string `json:"zone,omitempty"`
}

// AllZones is the Zone of a [NodeSilent] where the whole cluster fell silent.
const AllZones = "*"

// NodeShutdown is a machine that is told to go off.
type NodeShutdown struct {
	Node string `json:"node"`
	// NoticeSeconds is when it is off at the latest, 0 if nobody says.
	NoticeSeconds float64 `json:"noticeSeconds,omitempty"`
	// GraceSeconds is for how long its kubelet delays that (shutdownGracePeriod); one that
	// does not hears of nothing.
	GraceSeconds float64 `json:"graceSeconds,omitempty"`
}

// Stalled says that nothing but the runs' own time-outs can happen any more.
type Stalled struct {
	// Waiting names the time-outs that are left, with their virtual seconds.
	Waiting []Deadline `json:"waiting"`
}

// Deadline is a time-out that a controller asked for.
type Deadline struct {
	Who string  `json:"who"`
	T   float64 `json:"t"`
}

// Intervention is something that the scenario did in the middle of a run, or,
// if Missed, what it did not come to.
type Intervention struct {
	// Index is its place in the scenario's list, from 0.
	Index int    `json:"index"`
	Name  string `json:"name"`
	// Trigger says when it was to be done, Action which kind it is (the
	// scenario's field), What what it did, in words.
	Trigger string `json:"trigger"`
	Action  string `json:"action"`
	What    string `json:"what"`
	// Node is the node of a cordon, drain, taint or removal; Release and FormerRelease are the
	// versions of a swap; Controller is stop, start, kill or restart.
	Node          string `json:"node,omitempty"`
	Release       string `json:"release,omitempty"`
	FormerRelease string `json:"formerRelease,omitempty"`
	Controller    string `json:"controller,omitempty"`
	// Zone is the zone whose nodes it is about, or AllZones.
	Zone string `json:"zone,omitempty"`
	// Object is what was patched or deleted, NAMESPACE/NAME, where the scenario says whose
	// it is and not its name.
	Object string `json:"object,omitempty"`
	// Failure is why it had no effect, in the words of the API server or of the
	// controller that did not start.
	Failure string `json:"failure,omitempty"`
	// Missed says that the cell ended before its trigger came.
	Missed bool `json:"missed,omitempty"`
	// Probability is that with which it was to be done, Draw what was drawn, from 0 to 1;
	// nil where it was to be done in any case. Spared says that it was not done, since the
	// draw was not below the probability.
	Probability *float64 `json:"probability,omitempty"`
	Draw        *float64 `json:"draw,omitempty"`
	Spared      bool     `json:"spared,omitempty"`
}

// FaultMet is whom a fault that lasted has met, told when it is over or the cell is.
type FaultMet struct {
	// Index, Name, Action and What are those of its intervention.
	Index  int    `json:"index"`
	Name   string `json:"name"`
	Action string `json:"action"`
	What   string `json:"what"`
	// Over says that the fault has ended; else the cell has, under it.
	Over bool `json:"over,omitempty"`
	// Count is how many pods, requests or whatever else it can be about it has met, each
	// counted once, and Whom the first of them by name.
	Count int      `json:"count"`
	Whom  []string `json:"whom,omitempty"`
}

// Lease is a reconciler's wait for its lease.
type Lease struct {
	// Controller is its short name, e.g. "taskrun".
	Controller string  `json:"controller"`
	Seconds    float64 `json:"seconds"`
}

// Busy is a reconciler that sets itself off again and again and was kept from it.
type Busy struct {
	// Controller is its short name, e.g. "taskrun".
	Controller string `json:"controller"`
}

// Overlap is the order of two pieces of news that reach a controller at nearly the
// same time: that a TaskRun's pod is gone, and that the TaskRun has ended, which the
// controller has just written itself.
type Overlap struct {
	Pod string `json:"pod"`
	// Stale says that the controller hears of the pod first: it works on the TaskRun
	// as it was before its end.
	Stale bool `json:"stale"`
}

// Inert says why a manifest has no effect here.
type Inert struct {
	Reason string `json:"reason"`
}

// Finished says how a cell ended.
type Finished struct {
	// Done: every PipelineRun reached a final condition.
	Done bool `json:"done"`
	// Reason is a word for logs: "done", "nothing left", "busy", "limit".
	Reason string `json:"reason"`
	// Busy is the work queue's key that is taken up again and again, to no effect.
	Busy string `json:"busy,omitempty"`
	// Bound is the bound of the cell that was met, in words, if the reason is "limit":
	// things went on.
	Bound string `json:"bound,omitempty"`
}

// Tekton is a controller's start or end.
type Tekton struct {
	Version  string `json:"version"`
	ExitCode int    `json:"exitCode,omitempty"`
	Message  string `json:"message,omitempty"`
}
