package verdict

// rules is the table of all rules, in the order of reasons.
//
//nolint:gochecknoglobals // a table that nothing changes after it is made
var rules table

// Configuration and manifests: what is refused before anything runs.
var (
	runNotWorkedOn = rules.add(Rule{ID: "run/not-worked-on", Kind: "PipelineRun",
		Sentence: "%s is not worked on",
		Meaning:  "A run that Tekton's controller never took up, since its configuration is refused."})
	configRefusedOnWrite = rules.add(Rule{ID: "config/refused-on-write", Kind: "ConfigMap",
		Sentence: "The configuration is refused when it is written",
		Meaning:  "The API server, or Tekton's webhook as its own code decides, does not take a ConfigMap of Tekton's configuration. The controller goes on with the one before.",
		Remedies: []Remedy{ChangeFlag, ChangeRelease}})
	configNotTaken = rules.add(Rule{ID: "config/not-taken", Kind: "Deployment",
		Sentence: "Tekton's controller does not take its configuration",
		Meaning:  "The controller read its configuration and refused it, in its log: it keeps the values of before (the store of knative.dev/pkg/configmap).",
		Remedies: []Remedy{ChangeFlag, ChangeRelease}})
	configStopsController = rules.add(Rule{ID: "config/stops-controller", Kind: "Deployment",
		Sentence: "Tekton's controller does not start: it does not take its configuration",
		Meaning:  "At its start the controller has no values of before to keep, and ends.",
		Remedies: []Remedy{ChangeFlag, ChangeRelease}})
	configFlags = rules.add(Rule{ID: "config/flags", Kind: "ConfigMap",
		Sentence: "The feature flags say so",
		Meaning:  "The values of the ConfigMap feature-flags that the links before rest on.",
		Remedies: []Remedy{ChangeFlag}})
	manifestRefused = rules.add(Rule{ID: "manifest/refused", Kind: "PipelineRun",
		Sentence: "%s is refused",
		Meaning:  "The API server did not take a PipelineRun, Pipeline, Task or StepAction of the workload.",
		Remedies: []Remedy{ChangeManifest, ChangeRelease}})
	manifestWasRefused = rules.add(Rule{ID: "manifest/was-refused", Kind: "any",
		Sentence: "%s was refused when it was to be made",
		Meaning:  "An object of the workload that something waits for does not exist because the API server refused it at the start.",
		Remedies: []Remedy{ChangeManifest}})
	objectDeleted = rules.add(Rule{ID: "object/deleted", Kind: "any",
		Sentence: "%s was deleted by %s and nobody makes it again",
		Meaning:  "A Secret or ConfigMap that a pod needs was there, and is not when its kubelet looks: it is read when the pod starts, not when the run does.",
		Remedies: []Remedy{ChangeManifest}})
	objectNeverMade = rules.add(Rule{ID: "object/never-made", Kind: "any",
		Sentence: "%s was never made",
		Meaning:  "A pod needs a Secret or ConfigMap that is no part of the workload and that nobody makes.",
		Remedies: []Remedy{ChangeManifest}})
	clusterTasksGone = rules.add(Rule{ID: "manifest/cluster-task", Kind: "PipelineRun",
		Sentence: "This Tekton takes no reference to a ClusterTask (%s): since 1.0 there are none, and a Task that the cluster resolver takes from its namespace is in their place",
		Meaning:  "Since 1.0 a taskRef of the kind ClusterTask is taken for a custom task's and refused for the apiVersion it lacks; upstream's words do not say so.",
		Remedies: []Remedy{ChangeManifest, ChangeRelease}})
)

// A run as a whole.
var (
	runUnfinished = rules.add(Rule{ID: "run/unfinished", Kind: "PipelineRun",
		Sentence: "%s did not finish",
		Meaning:  "The symptom of a run that has not ended."})
	runFailed = rules.add(Rule{ID: "run/failed", Kind: "PipelineRun",
		Sentence: "%s failed",
		Meaning:  "The symptom of a run that Tekton ended with a failure."})
	runDeleted = rules.add(Rule{ID: "run/deleted", Kind: "PipelineRun",
		Sentence: "%s was deleted in the middle, and its TaskRuns and pods with it",
		Meaning:  "Somebody deleted the run before it had ended."})
	runCancelled = rules.add(Rule{ID: "run/cancelled", Kind: "PipelineRun",
		Sentence: "%s was cancelled by %s",
		Meaning:  "Somebody wrote Cancelled, CancelledRunFinally or StoppedRunFinally into spec.status of the run."})
	runPending = rules.add(Rule{ID: "run/pending", Kind: "PipelineRun",
		Sentence: "%s is not to begin before somebody takes its spec.status away",
		Meaning:  "A run with spec.status PipelineRunPending waits for a hand.",
		Remedies: []Remedy{ChangeManifest}})
	runBusy = rules.add(Rule{ID: "run/busy-without-end", Kind: "PipelineRun",
		Sentence: "Tekton's controller takes it up again and again and changes nothing, not even after its time is up",
		Meaning:  "A reconciler follows its own writes.",
		Remedies: []Remedy{ChangeRelease}})
	runRefusedWrite = rules.add(Rule{ID: "run/refused-write", Kind: "any",
		Sentence: "%s is refused by the API server",
		Meaning:  "The API server refused what the run's own machinery makes: a claim, a StatefulSet, a TaskRun."})
	runNeverWritten = rules.add(Rule{ID: "run/never-written", Kind: "any",
		Sentence: "%s never ends: Tekton's controller tries again and again to write %s, and the API server refuses it each time",
		Meaning:  "Without this write the controller cannot go on, and it tries for ever.",
		Remedies: []Remedy{ChangeManifest, ChangeRelease}})
	runTooLarge = rules.add(Rule{ID: "run/too-large", Kind: "PipelineRun",
		Sentence: "Tekton copies the spec of a run into its status, and etcd takes 1.5 MiB for both",
		Meaning:  "status.pipelineSpec holds the resolved spec, so that an embedded pipeline counts twice.",
		Remedies: []Remedy{ChangeManifest}})
	runBound = rules.add(Rule{ID: "run/bound", Kind: "PipelineRun",
		Sentence: "%s had not ended when the cell met its bound of %s",
		Meaning:  "The cell was ended by one of its bounds while things went on."})
	runChanged = rules.add(Rule{ID: "run/changed-after-end", Kind: "PipelineRun",
		Sentence: "%s had ended (%s), and after its end %s made it %s",
		Meaning:  "The condition Succeeded of a PipelineRun, or of a TaskRun whose run is over, has another status or reason than at its end. Nothing of Tekton's should write to it any more.",
		Remedies: []Remedy{ChangeRelease}})
	releaseTakesUp = rules.add(Rule{ID: "release/takes-up-ended", Kind: "Deployment",
		Sentence: "Tekton %s was put in the place of %s after that end, and a controller that starts takes up every run that is there, those that have ended too",
		Meaning:  "An informer tells a controller that starts of all objects, and the reconciler of this release does to a run that has ended what it should do to one that runs.",
		Remedies: []Remedy{ChangeRelease}})
	controllerTakesUp = rules.add(Rule{ID: "controller/takes-up-ended", Kind: "Deployment",
		Sentence: "Tekton's controller was started anew after that end, and takes up every run that is there, those that have ended too",
		Meaning:  "An informer tells a controller that starts of all objects, and the reconciler of this release does to a run that has ended what it should do to one that runs. An upgrade, a drain of the controller's node or a crash is enough.",
		Remedies: []Remedy{ChangeRelease}})
	controllerStopped = rules.add(Rule{ID: "controller/stopped", Kind: "Deployment",
		Sentence: "Tekton's controller was stopped in the middle of the run and not started again",
		Meaning:  "An intervention stopped the controller for good."})
	controllerNotUp = rules.add(Rule{ID: "controller/not-up-again", Kind: "Deployment",
		Sentence: "Tekton's controller did not come up again in the middle of the run",
		Meaning:  "After a restart or a swap of releases the controller ended at its start.",
		Remedies: []Remedy{ChangeRelease, ChangeFlag}})
	controllerEnded = rules.add(Rule{ID: "controller/ended", Kind: "Deployment",
		Sentence: "Tekton's controller ended by itself with exit code %d",
		Meaning:  "Nobody was left to work on the run.",
		Remedies: []Remedy{ChangeRelease, ChangeFlag}})
	leaseHeld = rules.add(Rule{ID: "controller/lease", Kind: "Deployment",
		Sentence: "Tekton's controller was killed, and the next one could not act before the lease of that one had run out",
		Meaning:  "A controller that is killed does not give its leases back: the next one waits until it has seen them unchanged for their duration, 60 s by default."})
	logUnread = rules.add(Rule{ID: "controller/log-not-allowed", Kind: "TaskRun",
		Sentence: "Tekton's controller may not read the log of its results sidecar, where results-from: sidecar-logs has the results",
		Meaning:  "The ClusterRole that upstream ships apart (enable-log-access-to-controller) is not there.",
		Remedies: []Remedy{ChangeFlag}})
	logUnreadable = rules.add(Rule{ID: "controller/log-not-read", Kind: "TaskRun",
		Sentence: "Tekton's controller could not read the results of task %s from the log of its sidecar, and goes on without them",
		Meaning:  "From 1.9.0 to 1.14 the reader ends with an error at a line longer than its buffer, the event InternalError says it, and the task counts as succeeded without its results.",
		Remedies: []Remedy{ChangeRelease, ChangeFlag, ChangeManifest}})
)

// A task.
var (
	taskUnfinished = rules.add(Rule{ID: "task/unfinished", Kind: "TaskRun",
		Sentence: "%s of task %s did not finish",
		Meaning:  "The symptom of a task that has not ended."})
	taskFailed = rules.add(Rule{ID: "task/failed", Kind: "TaskRun",
		Sentence: "%s of task %s failed",
		Meaning:  "The symptom of a task that Tekton ended with a failure."})
	taskRevived = rules.add(Rule{ID: "task/came-to-life-again", Kind: "TaskRun",
		Sentence: "%s of task %s came to life again after its end: Tekton's controller heard that the pod was gone before it heard of that end, which it had just written, made the pod anew and wrote over the end",
		Meaning:  "Tekton writes statuses without a precondition, so that a reconciler with old news overwrites newer ones.",
		Remedies: []Remedy{ChangeRelease}})
	taskPodRefused = rules.add(Rule{ID: "task/pod-refused", Kind: "TaskRun",
		Sentence: "The pod of task %s is refused by the API server",
		Meaning:  "Admission, or the object's own validation, does not take the pod."})
	taskPodRefusedFirst = rules.add(Rule{ID: "task/pod-refused-until-then", Kind: "TaskRun",
		Sentence: "The API server refused the pod of task %s until then: it was made at %.0f s and not at %.0f s",
		Meaning:  "Tekton tries again each minute while a quota has no room (isExceededResourceQuotaError), and the task loses that time.",
		Remedies: []Remedy{ChangeQuota, ChangeTimeout}})
	taskManyClaims = rules.add(Rule{ID: "task/several-claims", Kind: "TaskRun",
		Sentence: "Task %s has workspaces on several claims, and with an assistant for each workspace a task may have one",
		Meaning:  "ValidateOnlyOnePVCIsUsed (pkg/workspace) refuses a TaskRun with two claims while assistants are per workspace.",
		Remedies: []Remedy{ChangeScheduling, ChangeManifest}})
	flagsPerWorkspace = rules.add(Rule{ID: "config/assistant-per-workspace", Kind: "ConfigMap",
		Sentence: "The feature flags ask for an assistant for each workspace",
		Meaning:  "coschedule: workspaces, or disable-affinity-assistant: \"false\" of old.",
		Remedies: []Remedy{ChangeScheduling}})
	taskUnanswered = rules.add(Rule{ID: "task/unresolved", Kind: "ResolutionRequest",
		Sentence: "%s for resolver %s was never answered",
		Meaning:  "What a remote reference stands for did not come.",
		Remedies: []Remedy{ChangeManifest}})
	taskNothingFor = rules.add(Rule{ID: "task/resolver-has-nothing", Kind: "ResolutionRequest",
		Sentence: "The resolver has nothing for %s",
		Meaning:  "No file or object of the scenario matches what the resolver was asked for.",
		Remedies: []Remedy{ChangeManifest}})
	taskAnswerRefused = rules.add(Rule{ID: "task/answer-refused", Kind: "ResolutionRequest",
		Sentence: "The API server refused the resolver's answer",
		Meaning:  "The answer is there, and the API server does not take it.",
		Remedies: []Remedy{ChangeManifest}})
	customUntaken = rules.add(Rule{ID: "task/custom-untaken", Kind: "CustomRun",
		Sentence: "%s was never taken up: no controller of this custom task runs here",
		Meaning:  "Custom tasks need a controller of their own.",
		Remedies: []Remedy{ChangeManifest}})
)

// What took a task's pod away, or its step.
var (
	stepExit = rules.add(Rule{ID: "step/exit-code", Kind: "Pod",
		Sentence: "Step %s of %s ended with exit code %d",
		Meaning:  "A step's own failure. 255 is Tekton's entrypoint whose child died of a signal, 137 a kill.",
		Remedies: []Remedy{ChangeRetries}})
	containerOOM = rules.add(Rule{ID: "container/oom-killed", Kind: "Pod",
		Sentence: "Container %s was killed for want of memory: %s",
		Meaning:  "The kernel kills what goes beyond the limit of its cgroup; without a limit, what goes beyond its node's memory. Either Tekton's entrypoint goes with it (137) or its child alone (255): singleProcessOOMKill of the kubelet.",
		Remedies: []Remedy{ChangeManifest}})
	containerExit = rules.add(Rule{ID: "container/exit-code", Kind: "Pod",
		Sentence: "Container %s of %s ended with exit code %d",
		Meaning:  "No step failed, but a sidecar or an init container did.",
		Remedies: []Remedy{ChangeRetries}})
	taskRetriesUsed = rules.add(Rule{
		ID: "task/retries-used", Kind: "TaskRun",
		Sentence: "Task %s failed in each of %d attempts (retries: %d)",
		Meaning:  "Each failed attempt uses up a retry, whoever ended it: a pod that is evicted counts like a step that fails.",
		Remedies: []Remedy{ChangeRetries},
	})
	taskMadeAgain = rules.add(Rule{
		ID: "task/made-again", Kind: "TaskRun",
		Sentence: "Task %s ran again: %s was deleted by %s, and Tekton makes what its run has no TaskRun of",
		Meaning:  "A pruner, or a hand, deleted the TaskRun of a task that had ended while its run went on.",
		Remedies: []Remedy{ChangeManifest},
	})
	fileTakenAway = rules.add(Rule{
		ID: "file/taken-away", Kind: "PersistentVolumeClaim",
		Sentence: "Task %s had taken %s away",
		Meaning:  "The file was on the volume, and a task deleted it before it was read.",
		Remedies: []Remedy{ChangeManifest},
	})
	kubeletRefuses = rules.add(Rule{ID: "pod/kubelet-refuses", Kind: "Pod",
		Sentence: "The kubelet of node %s does not take %s",
		Meaning:  "The pod was bound, and the kubelet's own admission refused it.",
		Remedies: []Remedy{ChangeRetries}})
	podNodeGone = rules.add(Rule{ID: "pod/node-gone", Kind: "Pod",
		Sentence: "%s was on node %s, which is gone",
		Meaning:  "The pod's node was deleted, and the pod garbage collector failed it.",
		Remedies: []Remedy{ChangeRetries}})
	nodeRemovedRule = rules.add(Rule{ID: "node/taken-away", Kind: "Node",
		Sentence: "Node %s was taken away, and what ran on it with it",
		Meaning:  "A Node object was deleted undrained, as an autoscaler does.",
		Remedies: []Remedy{ChangeRetries, ChangeNodes}})
	nodeScaledDown = rules.add(Rule{ID: "node/scaled-down", Kind: "Node",
		Sentence: "The cluster autoscaler took node %s away, which nobody had needed for %s",
		Meaning:  "A node of which less than half is asked for is taken away when every pod of it may be evicted and has room elsewhere. An affinity assistant may be; a task's pod keeps its node.",
		Remedies: []Remedy{ChangeRetries, ChangeNodes}})
	nodeSilent = rules.add(Rule{ID: "fault/node-silent", Kind: "Node",
		Sentence: "Nothing is heard of node %s %s: %s",
		Meaning:  "The kubelet gives no sign of life, as it is dead, cut off or its machine is, and the Node object stays. The node lifecycle controller taints the node after a grace, and pods are evicted when their tolerationSeconds are over; but nobody confirms their end, so that they stay Terminating with their volumes and no StatefulSet makes another, until the kubelet speaks again or somebody puts the taint node.kubernetes.io/out-of-service there.",
		Remedies: []Remedy{ChangeRetries, ChangeNodes}})
	zoneSilentRule = rules.add(Rule{ID: "fault/zone-silent", Kind: "Zone",
		Sentence: "Nothing is heard of %s of %s, node %s among them, %s: %s",
		Meaning:  "The kubelets give no sign of life, and the Node objects stay. The node lifecycle controller taints the nodes of a zone one after the other, 0.1 a second; 0.01 a second where at least 55 % of a zone with more than 50 nodes are silent, none where the zone is smaller, but all of a zone that is silent as a whole; and none, with the taints that are there taken away, while the whole cluster is. Pods are evicted when their tolerationSeconds are over, and stay Terminating with their volumes until a kubelet speaks again.",
		Remedies: []Remedy{ChangeRetries, ChangeNodes}})
	nodeShutdown = rules.add(Rule{ID: "fault/node-shutdown", Kind: "Node",
		Sentence: "The machine of node %s is shut down %s, %s",
		Meaning:  "A kubelet that delays its machine's shutdown (shutdownGracePeriod, 0 by default) ends its pods first, others hear of nothing. What the machine then has not unmounted and reported stays attached: the attach/detach controller waits six minutes before it detaches by force, unless the Node is deleted or somebody puts the taint node.kubernetes.io/out-of-service there.",
		Remedies: []Remedy{ChangeRetries, ChangeNodes}})
	podShutdown = rules.add(Rule{ID: "pod/ended-for-shutdown", Kind: "Pod",
		Sentence: "%s was ended by the kubelet of node %s, whose machine was about to go off",
		Meaning:  "The kubelet delays the shutdown and gives its pods what is left of their grace period; each is Failed then, with the reason Terminated.",
		Remedies: []Remedy{ChangeRetries, ChangeNodes}})
	podSilent = rules.add(Rule{ID: "pod/on-silent-node", Kind: "Pod",
		Sentence: "%s is on node %s, and nobody says what becomes of it there",
		Meaning:  "What the API server has of a pod is what its kubelet has reported last. Tekton goes by that, and by its time-outs.",
		Remedies: []Remedy{ChangeRetries, ChangeNodes}})
	notMade = rules.add(Rule{ID: "pod/not-made", Kind: "Pod",
		Sentence: "The container runtime does not make the %s of %s",
		Meaning:  "The kubelet asks again at its next look at the pod, 10 to 15 s later. Of a container Tekton fails the TaskRun at once (CreateContainerError), unless default-create-container-error-timeout of config-defaults gives a runtime that does not answer time; of a sandbox nothing but a time-out does.",
		Remedies: []Remedy{ChangeRetries, ChangeTimeout}})
	runtimeFails = rules.add(Rule{ID: "fault/runtime", Kind: "Runtime",
		Sentence: "The container runtime of %s makes no %s, %s",
		Meaning:  "A runtime that hangs answers no request within two minutes (runtimeRequestTimeout of the kubelet); one without a network makes no sandbox.",
		Remedies: []Remedy{ChangeRetries, ChangeNodes}})
	imageUnpulled = rules.add(Rule{ID: "image/not-pulled", Kind: "Pod",
		Sentence: "Image %s of %s does not come",
		Meaning:  "The kubelet asks for it again and again, with a back-off of 10 s to 5 min (ErrImagePull, ImagePullBackOff). Tekton ends the TaskRun when it sees ImagePullBackOff, unless default-imagepullbackoff-timeout of config-defaults gives it patience.",
		Remedies: []Remedy{ChangeRetries, ChangeTimeout}})
	pullLimit = rules.add(Rule{ID: "fault/pull-qps", Kind: "Node",
		Sentence: "The kubelet of node %s asks for %d images a second at most, and for %d at once",
		Meaning:  "A kubelet does not ask for more (registryPullQPS and registryBurst, 5 and 10 by default) and says ErrImagePull: pull QPS exceeded. It meets kubelets that ask for images side by side (serializeImagePulls: false) when many pods begin on a node, and any where registries refuse at once.",
		Remedies: []Remedy{ChangeRetries, ChangeNodes}})
	registryFails = rules.add(Rule{ID: "fault/registry", Kind: "Registry",
		Sentence: "The registry of %s answers %s, %s",
		Meaning:  "It is away, does not have the image or has been asked too often. Images that are on a node are not asked for.",
		Remedies: []Remedy{ChangeRetries}})
	webhookUnasked = rules.add(Rule{ID: "webhook/not-asked", Kind: "TaskRun",
		Sentence: "What Tekton's controller wrote of %s was refused %d times, since its webhook could not be asked",
		Meaning:  "The API server asks Tekton's webhook about every write of a TaskRun or PipelineRun, of its status too, and refuses what it could not ask about. The controller tries again with a back-off that doubles from 5 ms to 1000 s.",
		Remedies: []Remedy{ChangeTimeout}})
	webhookFails = rules.add(Rule{ID: "fault/webhook", Kind: "Deployment",
		Sentence: "Tekton's webhook answered %s, %s",
		Meaning:  "It was away, or did not answer the API server in time.",
		Remedies: []Remedy{ChangeTimeout}})
	webhookRefusesOwn = rules.add(Rule{ID: "webhook/refuses-its-controller", Kind: "TaskRun",
		Sentence: "%s is done, and Tekton's webhook takes no change of the spec of what is done; its own controller writes Cancelled into spec.status of every TaskRun of a run that is to end, and comes no further",
		Meaning:  "Since 0.62.0 the webhook holds a TaskRun's spec fast when it has ended. The controller of 0.62.0 and 0.63.0 writes to TaskRuns that have ended all the same when it ends a run whose time is up, that of 0.62.0 also when a run is cancelled.",
		Remedies: []Remedy{ChangeRelease}})
	clockAheadRule = rules.add(Rule{ID: "fault/clock", Kind: "Deployment",
		Sentence: "The clock of Tekton's controller is %s ahead, %s",
		Meaning:  "The controller holds its own clock against the times in objects, so that a time-out comes early by as much as that is ahead.",
		Remedies: []Remedy{ChangeTimeout}})
	apiErrors = rules.add(Rule{ID: "fault/api-errors", Kind: "APIServer",
		Sentence: "The API server answered %s with %d %s",
		Meaning:  "It was away or overloaded, or etcd was. Tekton's reconcilers try again after most such answers; some they take for good, as when a Pipeline, Task or TaskRun cannot be read or an affinity assistant cannot be made: the run ends then although nothing is wrong with it. Where a Task is read they know of 504, newer releases of 429, and of \"etcdserver: leader changed\", and try again.",
		Remedies: []Remedy{ChangeRelease, ChangeRetries}})
	podOutOfService = rules.add(Rule{ID: "pod/out-of-service", Kind: "Pod",
		Sentence: "%s was taken away by force from node %s, which somebody has declared out of service",
		Meaning:  "The pod garbage collector sets pods that end on such a node to Failed and deletes them, and their volumes are detached at once.",
		Remedies: []Remedy{ChangeRetries}})
	podTaint = rules.add(Rule{ID: "pod/evicted-by-taint", Kind: "Pod",
		Sentence: "%s was evicted from node %s for a taint that it does not tolerate",
		Meaning:  "The taint-eviction controller deletes pods that do not tolerate a NoExecute taint; the kubelet gives the pod its final status first, which Tekton takes for the attempt's failure.",
		Remedies: []Remedy{ChangeRetries, ChangeNodes}})
	podEvicted = rules.add(Rule{ID: "pod/evicted", Kind: "Pod",
		Sentence: "%s was evicted from node %s through the eviction API",
		Meaning:  "kubectl drain and others evict; the kubelet gives the pod its final status first, which Tekton takes for the attempt's failure.",
		Remedies: []Remedy{ChangeRetries, ChangeNodes}})
	podDeleted = rules.add(Rule{ID: "pod/deleted", Kind: "Pod",
		Sentence: "%s was deleted by %s while it ran",
		Meaning:  "The kubelet ends the containers of a deleted pod and reports it as Failed, which Tekton takes for the attempt's failure.",
		Remedies: []Remedy{ChangeRetries}})
	nodeTainted = rules.add(Rule{ID: "node/tainted", Kind: "Node",
		Sentence: "%s put the taint %s on node %s",
		Meaning:  "Whoever put the taint there is behind every pod that it evicts.",
		Remedies: []Remedy{ChangeNodes}})
	podPreempted = rules.add(Rule{ID: "pod/preempted", Kind: "Pod",
		Sentence: "%s was preempted before that, by a pod of higher priority",
		Meaning:  "The scheduler deletes pods of lower priority to make room.",
		Remedies: []Remedy{ChangePriority}})
	podPriority = rules.add(Rule{ID: "pod/priority", Kind: "Pod",
		Sentence: "%s has priority %s, that of the run's pod is %s",
		Meaning:  "The two priorities that the scheduler compared.",
		Remedies: []Remedy{ChangePriority}})
	taskBegunAgain = rules.add(Rule{ID: "task/began-again", Kind: "Pod",
		Sentence: "The task began from its start %s: %s was deleted by %s while its steps ran",
		Meaning:  "What the pod had done is lost.",
		Remedies: []Remedy{ChangeRetries}})
	taskBegunAgainTaint = rules.add(Rule{ID: "task/began-again-by-taint", Kind: "Pod",
		Sentence: "The task began from its start %s: a taint of node %s evicts %s while its steps run",
		Meaning:  "What the pod had done is lost.",
		Remedies: []Remedy{ChangeRetries, ChangeNodes}})
)

// Time-outs.
var (
	endUnwritten = rules.add(Rule{ID: "timeout/end-unwritten", Kind: "Pod",
		Sentence: "%s had ended, and Tekton's controller had not written that down",
		Meaning:  "A TaskRun goes by what its pod has come to only when the controller has seen that and could write it.",
		Remedies: []Remedy{ChangeTimeout}})
	stepsRunning = rules.add(Rule{ID: "timeout/steps-running", Kind: "Pod",
		Sentence: "The steps of %s were still running",
		Meaning:  "The time-out met a task that went on.",
		Remedies: []Remedy{ChangeTimeout}})
	stepWaits = rules.add(Rule{
		ID: "step/waits-for-word", Kind: "Pod",
		Sentence: "Steps of %s still wait for step %s, which was killed together with Tekton's entrypoint (exit code 137) and left no word: the file that they wait for never comes",
		Meaning:  "Each step waits for a file that the entrypoint of the one before writes when its child ends, also when it fails. A kill of the whole container (an OOM kill by group, the default of today's nodes) takes the entrypoint with it. Up to 0.62 Tekton waits for all steps; 0.63 ends the TaskRun.",
		Remedies: []Remedy{ChangeRelease, ChangeManifest},
	})
	timeCountsFinally = rules.add(Rule{
		ID: "timeout/tasks-count-finally", Kind: "PipelineRun",
		Sentence: "The tasks of %s took %s and all succeeded; timeouts.tasks (%s) went on counting while the finally tasks ran, as it does since Tekton 1.2.0",
		Meaning:  "Since 1.2.0 the time of the tasks is checked until the run is done. timeouts.tasks has to hold for the tasks and the finally tasks together, or be left out.",
		Remedies: []Remedy{ChangeTimeout, ChangeRelease},
	})
	timePart = rules.add(Rule{
		ID: "timeout/part", Kind: "PipelineRun",
		Sentence: "timeouts.%s of %s is up: %s",
		Meaning:  "The part of a run's time that its tasks, or its finally tasks, may take together.",
		Remedies: []Remedy{ChangeTimeout},
	})
	timePipeline = rules.add(Rule{
		ID: "timeout/pipeline", Kind: "PipelineRun",
		Sentence: "The time of %s as a whole is up: %s",
		Meaning:  "timeouts.pipeline, or default-timeout-minutes of config-defaults where the run says nothing.",
		Remedies: []Remedy{ChangeTimeout, ChangeFlag},
	})
	timeTask = rules.add(Rule{
		ID: "timeout/task", Kind: "TaskRun",
		Sentence: "The time of task %s is up: the pipeline gives it %s",
		Meaning:  "timeout of the task in the pipeline.",
		Remedies: []Remedy{ChangeTimeout},
	})
	timeTaskSpecs = rules.add(Rule{
		ID: "timeout/task-run-specs", Kind: "PipelineRun",
		Sentence: "spec.taskRunSpecs of %s gives task %s a time of %s, which is up",
		Meaning:  "timeout of the task in the run's taskRunSpecs.",
		Remedies: []Remedy{ChangeTimeout},
	})
	timeHandedDown = rules.add(Rule{
		ID: "timeout/handed-down", Kind: "PipelineRun",
		Sentence: "The time of task %s is up: %s, handed down from the timeouts of %s",
		Meaning:  "From 1.11 on a TaskRun that has no time of its own gets that of its run where it is longer than the default.",
		Remedies: []Remedy{ChangeTimeout},
	})
	timeDefault = rules.add(Rule{
		ID: "timeout/default", Kind: "TaskRun",
		Sentence: "The time of task %s is up: %s by Tekton's default, since neither the task nor the run hands one down",
		Meaning:  "default-timeout-minutes of config-defaults, 60 unless set, is the time of every TaskRun that has none. timeouts of a run is not handed down before 1.11, and timeouts.pipeline alone not after it.",
		Remedies: []Remedy{ChangeTimeout, ChangeFlag, ChangeRelease},
	})
	timeUp = rules.add(Rule{ID: "timeout/time-up", Kind: "TaskRun",
		Sentence: "Its time was up",
		Meaning:  "The field that bounds the time.",
		Remedies: []Remedy{ChangeTimeout}})
)

// Room on volumes and disks, and rights to files.
var (
	claimFull = rules.add(Rule{ID: "claim/full", Kind: "PersistentVolumeClaim",
		Sentence: "Task %s writes %d bytes more than claim %s has room for",
		Meaning:  "A write met the end of the volume.",
		Remedies: []Remedy{ChangeClaim, ChangeManifest}})
	claimSize = rules.add(Rule{ID: "claim/size", Kind: "PersistentVolumeClaim",
		Sentence: "Claim %s asks for that size",
		Meaning:  "spec.resources of the claim.",
		Remedies: []Remedy{ChangeClaim}})
	fileDenied = rules.add(Rule{ID: "file/denied", Kind: "Pod",
		Sentence: "Task %s runs as uid %d and groups %s and may not %s %s",
		Meaning:  "The kernel's rule: owner, group, others, in this order.",
		Remedies: []Remedy{ChangeSecurity}})
	fileWritten = rules.add(Rule{ID: "file/written", Kind: "PersistentVolumeClaim",
		Sentence: "%s was written as uid %d with mode %s",
		Meaning:  "Who left the file as it is.",
		Remedies: []Remedy{ChangeSecurity}})
	fileWrittenBy = rules.add(Rule{ID: "file/written-by", Kind: "PersistentVolumeClaim",
		Sentence: "Task %s wrote %s as uid %d with mode %s",
		Meaning:  "Which task left the file as it is.",
		Remedies: []Remedy{ChangeSecurity}})
	claimReadOnlyMany = rules.add(Rule{ID: "claim/read-only-many", Kind: "PersistentVolumeClaim",
		Sentence: "Task %s writes %s, and claim %s is ReadOnlyMany",
		Meaning:  "Nothing can be written to a volume that every node has read-only.",
		Remedies: []Remedy{ChangeClaim}})
	claimReadOnly = rules.add(Rule{ID: "claim/read-only", Kind: "Pod",
		Sentence: "Task %s writes %s, and its pod has claim %s read-only",
		Meaning:  "The pod's volume or mount is read-only.",
		Remedies: []Remedy{ChangeManifest}})
	podGroups = rules.add(Rule{ID: "pod/groups", Kind: "Pod",
		Sentence: "%s gets no group that the file is open to",
		Meaning:  "Where the pod's uid and groups come from.",
		Remedies: []Remedy{ChangeSecurity, ChangePodTemplate}})
	podSCC = rules.add(Rule{ID: "pod/scc-groups", Kind: "Pod",
		Sentence: "%s runs under SCC %s and gets no group that the file is open to",
		Meaning:  "The SCC that admitted the pod decided its uid and groups.",
		Remedies: []Remedy{ChangeSecurity, ChangePodTemplate}})
	memoryEvicted = rules.add(Rule{ID: "memory/evicted", Kind: "Pod",
		Sentence: "%s was evicted by the kubelet of node %s, which was short of memory",
		Meaning:  "With less than memory.available (100Mi) left a kubelet evicts a pod every ten seconds: those that take more than they ask for first, then those of lower priority, then those that take more. Tekton takes it for the attempt's failure.",
		Remedies: []Remedy{ChangeRetries, ChangeNodes}})
	memoryRequest = rules.add(Rule{ID: "memory/request", Kind: "Pod",
		Sentence: "%s takes %s of memory and asks for less: it is among the first to be evicted",
		Meaning:  "The scheduler counts requests and nothing else, and the kubelet spares pods that keep to theirs.",
		Remedies: []Remedy{ChangeManifest, ChangePodTemplate}})
	memoryFilled = rules.add(Rule{ID: "memory/filled", Kind: "Node",
		Sentence: "The pods on node %s take %s of its memory of %s",
		Meaning:  "What pods take is not what they ask for.",
		Remedies: []Remedy{ChangeNodes, ChangeManifest}})
	memoryTakenRule = rules.add(Rule{ID: "fault/memory", Kind: "Node",
		Sentence: "Something outside of pods takes the memory of node %s, %s: %s are left",
		Meaning:  "What is left for pods is not what the node offers.",
		Remedies: []Remedy{ChangeRetries, ChangeNodes}})
	diskEvicted = rules.add(Rule{ID: "disk/evicted", Kind: "Pod",
		Sentence: "%s was evicted by the kubelet of node %s",
		Meaning:  "The kubelet evicts pods when its node's disk runs short, or a pod's own limit is met.",
		Remedies: []Remedy{ChangeNodes, ChangePodTemplate}})
	diskOwnLimit = rules.add(Rule{ID: "disk/own-limit", Kind: "Pod",
		Sentence: "Task %s was to write %s to its node's own disk, and a limit of its own is smaller",
		Meaning:  "The pod's own limit of ephemeral-storage or of an emptyDir.",
		Remedies: []Remedy{ChangeManifest}})
	diskPressure = rules.add(Rule{ID: "disk/pressure", Kind: "Node",
		Sentence: "Node %s was short of room on its disk; a kubelet goes on saying so for five minutes after it has room again",
		Meaning:  "eviction-pressure-transition-period, five minutes by default.",
		Remedies: []Remedy{ChangeNodes, ChangeRetries}})
	diskFilled = rules.add(Rule{ID: "disk/filled-by", Kind: "Node",
		Sentence: "Task %s writes %s to the own disk of node %s, which has %s of %s left; the kubelet evicts pods below %s",
		Meaning:  "What the node's disk holds, and what was to be added.",
		Remedies: []Remedy{ChangeNodes, ChangePodTemplate}})
	diskFull = rules.add(Rule{ID: "disk/full", Kind: "Node",
		Sentence: "The own disk of node %s has %s of %s left; the kubelet evicts pods below %s",
		Meaning:  "Others filled the node's disk.",
		Remedies: []Remedy{ChangeNodes, ChangePodTemplate}})
	diskNoRequest = rules.add(Rule{ID: "disk/no-request", Kind: "Pod",
		Sentence: "%s asks for no ephemeral-storage: the scheduler does not know what it needs",
		Meaning:  "The scheduler counts requests and nothing else.",
		Remedies: []Remedy{ChangeManifest, ChangePodTemplate}})
	diskSmallRequest = rules.add(Rule{ID: "disk/small-request", Kind: "Pod",
		Sentence: "%s asks for less of the node's disk than it writes",
		Meaning:  "The scheduler counts requests and nothing else.",
		Remedies: []Remedy{ChangeManifest}})
)

// Admission: what refuses an object, and by what.
var (
	accountMissing = rules.add(Rule{ID: "admission/account-missing", Kind: "ServiceAccount",
		Sentence: "ServiceAccount %s does not exist in namespace %s",
		Meaning:  "The ServiceAccount admission takes no pod whose account is not there.",
		Remedies: []Remedy{ChangeManifest, ChangeFlag}})
	quotaIncomplete = rules.add(Rule{ID: "admission/quota-needs-requests", Kind: "ResourceQuota",
		Sentence: "ResourceQuota %s takes only pods all of whose containers say what they need",
		Meaning:  "A quota of a resource makes every container name it.",
		Remedies: []Remedy{ChangeQuota, ChangeManifest}})
	policyDenies = rules.add(Rule{ID: "admission/policy", Kind: "ValidatingAdmissionPolicy",
		Sentence: "ValidatingAdmissionPolicy %s does not let it in",
		Meaning:  "A ValidatingAdmissionPolicy refused the object.",
		Remedies: []Remedy{ChangeManifest}})
	policyBound = rules.add(Rule{ID: "admission/policy-bound", Kind: "ValidatingAdmissionPolicy",
		Sentence: "ValidatingAdmissionPolicy %s, which ValidatingAdmissionPolicyBinding %s puts in force, does not let it in",
		Meaning:  "A ValidatingAdmissionPolicy refused the object by a binding.",
		Remedies: []Remedy{ChangeManifest}})
	foreignWebhookAway = rules.add(Rule{ID: "fault/foreign-webhook", Kind: "ValidatingWebhookConfiguration",
		Sentence: "Webhook %s could not be asked, and what it would be asked about is refused then",
		Meaning:  "Somebody else's webhook, such as a policy engine's, is registered for it with failurePolicy Fail (the default), and nobody answers at its address. Tekton takes a pod that is refused so for one that is wrong, and fails the TaskRun at once.",
		Remedies: []Remedy{ChangeRetries}})
	foreignWebhookDenies = rules.add(Rule{ID: "admission/foreign-webhook", Kind: "ValidatingWebhookConfiguration",
		Sentence: "Webhook %s does not let it in",
		Meaning:  "Somebody else's webhook, such as a policy engine's, refused the object.",
		Remedies: []Remedy{ChangeManifest}})
	sccNone = rules.add(Rule{ID: "admission/scc", Kind: "ServiceAccount",
		Sentence: "%s",
		Meaning:  "No SCC that the account may use takes the pod: the fields that each provider refused, by the ranges of the namespace.",
		Remedies: []Remedy{ChangeSecurity, ChangePodTemplate}})
	podSecurity = rules.add(Rule{ID: "admission/pod-security", Kind: "Namespace",
		Sentence: "Namespace %s takes only pods that meet the Pod Security Standard %s",
		Meaning:  "The label pod-security.kubernetes.io/enforce of the namespace.",
		Remedies: []Remedy{ChangeSecurity, ChangeFlag}})
	quotaFullUnknown = rules.add(Rule{ID: "admission/quota-used-up", Kind: "Namespace",
		Sentence: "The namespace's ResourceQuota is used up",
		Meaning:  "A quota refused the object in words that name no numbers.",
		Remedies: []Remedy{ChangeQuota}})
	quotaFull = rules.add(Rule{ID: "admission/quota", Kind: "ResourceQuota",
		Sentence: "ResourceQuota %s leaves no room for %s: %s of %s are used",
		Meaning:  "The quota's numbers, and who uses them. A pod counts until its phase is terminal, which comes seconds after its last container's end.",
		Remedies: []Remedy{ChangeQuota}})
	claimLeft = rules.add(Rule{ID: "admission/claim-left", Kind: "PersistentVolumeClaim",
		Sentence: "PipelineRun %s was deleted and left %s, which nobody owns",
		Meaning:  "With coschedule: pipelineruns the claim of a workspace's template is made for the StatefulSet and has no owner.",
		Remedies: []Remedy{ChangeQuota, ChangeScheduling}})
	limitRangeNamed = rules.add(Rule{ID: "admission/limit-range", Kind: "LimitRange",
		Sentence: "LimitRange %s does not allow what the pod asks for",
		Meaning:  "LimitRanger's minimum, maximum or ratio.",
		Remedies: []Remedy{ChangeQuota, ChangeManifest}})
	limitRange = rules.add(Rule{ID: "admission/limit-range-unnamed", Kind: "Namespace",
		Sentence: "A LimitRange of the namespace does not allow what the pod asks for",
		Meaning:  "LimitRanger's minimum, maximum or ratio.",
		Remedies: []Remedy{ChangeQuota, ChangeManifest}})
	limitRangeDefault = rules.add(Rule{ID: "admission/limit-range-default", Kind: "LimitRange",
		Sentence: "LimitRange %s gives containers that name no limit one below what they request",
		Meaning:  "The default limit of a LimitRange is put in, and is less than the request.",
		Remedies: []Remedy{ChangeQuota, ChangeManifest}})
)

// A pod that waits: the reasons of one that no node takes, in the order in which they are looked for.
var (
	podPending = rules.add(Rule{ID: "pod/pending", Kind: "Pod",
		Sentence: "%s is Pending: no node takes it",
		Meaning:  "The symptom of a pod without a node."})
	podOnNode = rules.add(Rule{ID: "pod/not-started", Kind: "Pod",
		Sentence: "%s is on node %s and its containers do not start",
		Meaning:  "The symptom of a pod that has a node and whose containers never started."})
	podNotYet = rules.add(Rule{ID: "pod/not-started-yet", Kind: "Pod",
		Sentence: "%s is on node %s and its containers have not started yet",
		Meaning:  "The same of one that started later on."})
	otherScheduler = rules.add(Rule{ID: "pod/other-scheduler", Kind: "Pod",
		Sentence: "%s asks for scheduler %s, which does not run here",
		Meaning:  "spec.schedulerName is another one's.",
		Remedies: []Remedy{ChangeManifest}})
	schedulerIsAway = rules.add(Rule{ID: "fault/scheduler-away", Kind: "Scheduler",
		Sentence: "The scheduler gives no pod a node %s",
		Meaning:  "It was away, or waited for its lease. Tekton waits for the pod, and its time-outs run on.",
		Remedies: []Remedy{ChangeTimeout}})
	podClaimMissing = rules.add(Rule{ID: "pod/claim-missing", Kind: "Pod",
		Sentence: "%s mounts claim %s, which does not exist",
		Meaning:  "The scheduler takes no pod whose claim is not there.",
		Remedies: []Remedy{ChangeClaim}})
	podClaimDoomed = rules.add(Rule{ID: "pod/claim-being-deleted", Kind: "Pod",
		Sentence: "%s mounts claim %s, which is being deleted",
		Meaning:  "The scheduler takes no further pod of a claim that has a deletionTimestamp.",
		Remedies: []Remedy{ChangeClaim, ChangeFinalizer}})
	podClaimUnbound = rules.add(Rule{ID: "pod/claim-unbound", Kind: "Pod",
		Sentence: "%s mounts claim %s, which has no volume",
		Meaning:  "A claim of a class that binds at once is still without a volume.",
		Remedies: []Remedy{ChangeClaim}})
	claimDeleted = rules.add(Rule{ID: "claim/deleted", Kind: "PersistentVolumeClaim",
		Sentence: "Claim %s was deleted by %s and nobody makes it again",
		Meaning:  "Tekton makes the claims of a run's templates once, and never those of others.",
		Remedies: []Remedy{ChangeClaim}})
	claimRefused = rules.add(Rule{ID: "claim/refused", Kind: "PersistentVolumeClaim",
		Sentence: "Claim %s is refused by the API server",
		Meaning:  "The claim that the pod waits for was refused.",
		Remedies: []Remedy{ChangeQuota, ChangeClaim}})
	claimNeverMade = rules.add(Rule{ID: "claim/never-made", Kind: "PersistentVolumeClaim",
		Sentence: "Claim %s was never made",
		Meaning:  "Nobody made the claim that the pod mounts.",
		Remedies: []Remedy{ChangeClaim}})
	claimDoomedBy = rules.add(Rule{ID: "claim/being-deleted-by", Kind: "PersistentVolumeClaim",
		Sentence: "Claim %s was deleted by %s: no further pod may use it, and nobody makes it again",
		Meaning:  "kubernetes.io/pvc-protection keeps the object until no pod uses it.",
		Remedies: []Remedy{ChangeClaim, ChangeFinalizer}})
	claimKept = rules.add(Rule{ID: "claim/kept-by", Kind: "PersistentVolumeClaim",
		Sentence: "Claim %s stays until %s is deleted, which uses it",
		Meaning:  "pvc-protection takes a pod that has a node for a user of its claims until the pod is deleted, also one that has ended.",
		Remedies: []Remedy{ChangeClaim, ChangeFinalizer}})
	claimNoVolume = rules.add(Rule{ID: "claim/no-volume", Kind: "PersistentVolumeClaim",
		Sentence: "The cluster gives claim %s no volume",
		Meaning:  "Neither the binder nor a provisioner has a volume for the claim.",
		Remedies: []Remedy{ChangeClaim, ChangeNodes}})
	volumeOperation = rules.add(Rule{ID: "volume/operation-failed", Kind: "PersistentVolumeClaim",
		Sentence: "The CSI driver does not %s the volume of claim %s%s",
		Meaning:  "The driver's answer to external-provisioner (ProvisioningFailed), external-attacher (attachError or detachError of the VolumeAttachment, which the attach/detach controller tells the pod as FailedAttachVolume) or kubelet (FailedMount). Each tries again with a back-off of its own, and the attach/detach controller's, 0.5 s to 2 min 2 s, comes on top of external-attacher's, 1 s to 5 min: an attach that has been done may be noticed minutes later.",
		Remedies: []Remedy{ChangeTimeout, ChangeClaim}})
	storageFails = rules.add(Rule{ID: "fault/storage", Kind: "StorageClass",
		Sentence: "CSI drivers fail at %s of %s, %s",
		Meaning:  "An operation that a driver does not do for a while or for good, or for which it takes longer. Sidecars and kubelets try again by themselves; Tekton does not hear of it, so that a TaskRun waits until its time is up.",
		Remedies: []Remedy{ChangeTimeout, ChangeClaim}})
	noNode = rules.add(Rule{ID: "cluster/no-node", Kind: "Pod",
		Sentence: "The cluster has no node",
		Meaning:  "The scheduler found no node at all.",
		Remedies: []Remedy{ChangeNodes}})
	noPlace = rules.add(Rule{ID: "node/no-place", Kind: "Node",
		Sentence: "No place on %s: %s",
		Meaning:  "The reasons of the scheduler's plugins, as each of the nodes gave them.",
		Remedies: []Remedy{ChangeNodes, ChangePodTemplate}})
	nodeTaints = rules.add(Rule{ID: "node/taint", Kind: "Node",
		Sentence: "No place on %s: %s",
		Meaning:  "The nodes have taints that the pod does not tolerate (plugin TaintToleration).",
		Remedies: []Remedy{ChangeNodes, ChangePodTemplate}})
	nodeSelector = rules.add(Rule{ID: "node/selector", Kind: "Node",
		Sentence: "No place on %s: %s",
		Meaning:  "The nodes do not have what the pod's nodeSelector or node affinity asks for (plugin NodeAffinity).",
		Remedies: []Remedy{ChangeNodes, ChangePodTemplate}})
	nodeFull = rules.add(Rule{ID: "node/insufficient", Kind: "Node",
		Sentence: "No place on %s: %s",
		Meaning:  "The nodes have less left than the pod asks for (plugin NodeResourcesFit).",
		Remedies: []Remedy{ChangeNodes, ChangePodTemplate, ChangePriority}})
	nodeVolume = rules.add(Rule{ID: "node/volume-elsewhere", Kind: "Node",
		Sentence: "No place on %s: %s",
		Meaning:  "A volume of the pod may be used on other nodes only (plugin VolumeBinding).",
		Remedies: []Remedy{ChangeClaim, ChangeNodes}})
	besideAssistant = rules.add(Rule{ID: "pod/beside-assistant", Kind: "Pod",
		Sentence: "%s has to run beside affinity assistant %s (required podAffinity)",
		Meaning:  "Tekton puts this podAffinity into every pod of a run with an assistant (pkg/internal/affinityassistant).",
		Remedies: []Remedy{ChangeScheduling}})
	assistantHolds = rules.add(Rule{ID: "assistant/holds-node", Kind: "Node",
		Sentence: "The assistant holds the run on Node %s, which does not take the pod",
		Meaning:  "The assistant was placed before the pod, by the volume alone, and does not move.",
		Remedies: []Remedy{ChangeScheduling, ChangePodTemplate, ChangeNodes}})
	besideNowhere = rules.add(Rule{ID: "pod/beside-nowhere", Kind: "Pod",
		Sentence: "%s has to run beside pods that are nowhere",
		Meaning:  "The pod's own author wrote an affinity to pods that are not there.",
		Remedies: []Remedy{ChangeManifest}})
	assistantPodMissing = rules.add(Rule{ID: "assistant/pod-missing", Kind: "Pod",
		Sentence: "There is no %s: no pod has the assistant's labels",
		Meaning:  "The pod has to run beside an assistant that is not there.",
		Remedies: []Remedy{ChangeScheduling}})
	assistantNoPod = rules.add(Rule{ID: "assistant/makes-no-pod", Kind: "StatefulSet",
		Sentence: "%s makes no pod",
		Meaning:  "The StatefulSet is there, and its pod was never tried.",
		Remedies: []Remedy{ChangeScheduling}})
	assistantPodDeleted = rules.add(Rule{ID: "assistant/pod-deleted", Kind: "Pod",
		Sentence: "%s was deleted and %s makes no other",
		Meaning:  "The assistant's pod was deleted and not made again.",
		Remedies: []Remedy{ChangeScheduling}})
	assistantRefused = rules.add(Rule{ID: "assistant/refused", Kind: "StatefulSet",
		Sentence: "%s has FailedCreate: the API server refuses the assistant's pod",
		Meaning:  "The StatefulSet controller tries again for ever; Tekton does not look at it.",
		Remedies: []Remedy{ChangeSecurity, ChangeScheduling, ChangeQuota}})
	assistantDeleted = rules.add(Rule{ID: "assistant/deleted", Kind: "StatefulSet",
		Sentence: "%s was deleted, and Tekton makes assistants only before a run's first TaskRun",
		Meaning:  "createOrUpdateAffinityAssistants is called once, in the reconcile that begins the run.",
		Remedies: []Remedy{ChangeScheduling}})
	assistantSetRefused = rules.add(Rule{ID: "assistant/set-refused", Kind: "StatefulSet",
		Sentence: "%s is refused by the API server",
		Meaning:  "Tekton could not make the assistant's StatefulSet.",
		Remedies: []Remedy{ChangeQuota, ChangeScheduling}})
	assistantNeverMade = rules.add(Rule{ID: "assistant/never-made", Kind: "StatefulSet",
		Sentence: "%s was never made",
		Meaning:  "The pod demands an assistant that Tekton did not make.",
		Remedies: []Remedy{ChangeScheduling}})
	assistantOneForTwo = rules.add(Rule{ID: "assistant/one-for-two-workspaces", Kind: "PipelineRun",
		Sentence: "Workspaces %s are bound to the one claim %s: Tekton makes an assistant for the last of them only and demands one for each",
		Meaning:  "Assistants are kept by claim when they are made, and named by workspace when they are demanded.",
		Remedies: []Remedy{ChangeScheduling, ChangeManifest}})
	flagsChangedRule = rules.add(Rule{ID: "config/flags-changed", Kind: "ConfigMap",
		Sentence: "The feature flags changed in the middle of the run: assistants are made before the first TaskRun only, their affinity is demanded of every later one",
		Meaning:  "The flags are read anew in each reconcile.",
		Remedies: []Remedy{ChangeScheduling, ChangeFlag}})
	releaseChanged = rules.add(Rule{ID: "release/changed", Kind: "PipelineRun",
		Sentence: "Tekton was replaced in the middle of the run: assistants are made before the first TaskRun only, their affinity is demanded of every later one",
		Meaning:  "The two releases read the flags differently.",
		Remedies: []Remedy{ChangeRelease, ChangeScheduling}})
	needsExclusive = rules.add(Rule{ID: "pod/claim-exclusive", Kind: "Pod",
		Sentence: "%s needs claim %s, which is ReadWriteOncePod: one pod at a time",
		Meaning:  "The plugin VolumeRestrictions takes one pod for such a claim.",
		Remedies: []Remedy{ChangeClaim, ChangeScheduling}})
	claimInUse = rules.add(Rule{ID: "claim/in-use", Kind: "PersistentVolumeClaim",
		Sentence: "Claim %s is in use by %s",
		Meaning:  "The pod that has the claim."})
	podKeepsVolume = rules.add(Rule{ID: "pod/keeps-volume", Kind: "Pod",
		Sentence: "%s belongs to no run and keeps the volume as long as it stays",
		Meaning:  "Nothing of the run will end this pod."})
	assistantStaysRule = rules.add(Rule{ID: "assistant/stays", Kind: "Pod",
		Sentence: "%s stays as long as its StatefulSet",
		Meaning:  "The StatefulSet controller makes the pod again."})
	assistantUntilDone = rules.add(Rule{ID: "assistant/until-run-done", Kind: "StatefulSet",
		Sentence: "StatefulSet %s/%s is deleted only when %s is done",
		Meaning:  "cleanupAffinityAssistantsAndPVCs (pkg/reconciler/pipelinerun) runs at a run's end."})
	runWaits = rules.add(Rule{ID: "run/waits", Kind: "PipelineRun",
		Sentence: "%s waits for %s",
		Meaning:  "A run is done when its tasks are."})
	assistantLeft = rules.add(Rule{ID: "assistant/left-behind", Kind: "StatefulSet",
		Sentence: "%s was left behind when %s ended, and nobody deletes it",
		Meaning:  "At a run's end Tekton clears away by the flags of that moment.",
		Remedies: []Remedy{ChangeScheduling, ChangeFlag}})
	assistantLeftFlags = rules.add(Rule{ID: "assistant/left-by-flags", Kind: "ConfigMap",
		Sentence: "The feature flags changed in the middle of that run: Tekton clears away by those that hold at a run's end",
		Meaning:  "The clean-up returns early where the flags of now ask for no assistant.",
		Remedies: []Remedy{ChangeScheduling, ChangeFlag}})
	awayFromAssistant = rules.add(Rule{ID: "pod/away-from-assistant", Kind: "Pod",
		Sentence: "%s must not run beside %s",
		Meaning:  "A required podAntiAffinity selects the assistant's labels.",
		Remedies: []Remedy{ChangeScheduling, ChangePodTemplate}})
)

// A pod that waits for a volume which another node has.
var (
	multiAttachError = rules.add(Rule{ID: "pod/multi-attach", Kind: "Pod",
		Sentence: "%s needs volume %s on node %s: Multi-Attach error",
		Meaning:  "The attach/detach controller does not attach a volume of one node to a second one.",
		Remedies: []Remedy{ChangeScheduling, ChangeClaim}})
	multiAttachOver = rules.add(Rule{ID: "pod/was-held", Kind: "Pod",
		Sentence: "%s was held by a Multi-Attach error until volume %s came to node %s",
		Meaning:  "The same of a pod that got over it: time was lost.",
		Remedies: []Remedy{ChangeScheduling, ChangeClaim}})
	podWarning = rules.add(Rule{ID: "pod/warning", Kind: "Pod",
		Sentence: "%s: %s",
		Meaning:  "A warning Event of the pod, in the words of whoever recorded it."})
	volumeNodeGone = rules.add(Rule{ID: "volume/node-gone", Kind: "PersistentVolume",
		Sentence: "Volume %s is still on node %s, which is gone: nobody says that it is unmounted, and six minutes after its last pod it is detached by force",
		Meaning:  "maxWaitForUnmountDuration of the attach/detach controller.",
		Remedies: []Remedy{ChangeNodes, ChangeClaim}})
	volumeNotReleased = rules.add(Rule{ID: "volume/not-released", Kind: "PersistentVolume",
		Sentence: "Volume %s is still on node %s, and its kubelet has not said that it is unmounted",
		Meaning:  "The attach/detach controller waits for that. Of a node that is not ready it detaches a volume by force six minutes after the last pod with it has ended (maxWaitForUnmountDuration), and at once if the node is declared out of service; a pod that stays Terminating has not ended.",
		Remedies: []Remedy{ChangeNodes, ChangeClaim}})
	volumeUsed = rules.add(Rule{ID: "volume/used-elsewhere", Kind: "PersistentVolume",
		Sentence: "Volume %s is on node %s, where %s uses it",
		Meaning:  "The pod for whose sake the volume stays where it is.",
		Remedies: []Remedy{ChangeScheduling}})
	volumeNotUsed = rules.add(Rule{ID: "volume/not-detached-yet", Kind: "PersistentVolume",
		Sentence: "Volume %s is still on node %s, where no pod uses it any more",
		Meaning:  "A detach begins when the kubelet no longer reports the volume in use, which it does with the node status, every 10 s.",
		Remedies: []Remedy{ChangeScheduling}})
	volumeElsewhere = rules.add(Rule{ID: "volume/elsewhere", Kind: "PersistentVolume",
		Sentence: "Volume %s is on another node",
		Meaning:  "The history does not show which.",
		Remedies: []Remedy{ChangeScheduling}})
	attemptKeeps = rules.add(Rule{ID: "pod/attempt-goes-on", Kind: "Pod",
		Sentence: "%s is an earlier attempt of the same task, and its sidecar %s still runs: Tekton stops sidecars when a TaskRun is done, and one that is retried is not",
		Meaning:  "The attempt's pod keeps the volume on its node, and the retry waits for it.",
		Remedies: []Remedy{ChangeRetries, ChangeManifest, ChangeScheduling}})
	runsShareClaim = rules.add(Rule{ID: "claim/shared-by-runs", Kind: "PersistentVolumeClaim",
		Sentence: "PipelineRuns %s and %s use one claim at the same time, and nothing keeps the pods of different runs on one node",
		Meaning:  "Assistants keep the pods of one run together, never those of two.",
		Remedies: []Remedy{ChangeClaim}})
	noAssistantDemanded = rules.add(Rule{ID: "config/no-assistant", Kind: "ConfigMap",
		Sentence: "Nothing keeps the run's pods on one node: this one demands no affinity assistant",
		Meaning:  "The flags ask for no co-scheduling.",
		Remedies: []Remedy{ChangeScheduling}})
)

// Where a value comes from: who wrote the field that the links before rest on.
var (
	fromTaskRunSpecs = rules.add(Rule{
		ID: "origin/task-run-specs", Kind: "PipelineRun",
		Sentence: "spec.taskRunSpecs of %s gives task %s its %s",
		Meaning:  "The run's author gives one task a pod template of its own.",
		Remedies: []Remedy{ChangePodTemplate, ChangeManifest},
	})
	fromPodTemplate = rules.add(Rule{
		ID: "origin/pod-template", Kind: "PipelineRun",
		Sentence: "The pod template of %s gives its pods their %s",
		Meaning:  "The run's author wrote it into spec.taskRunTemplate.podTemplate (v1beta1: spec.podTemplate), which every TaskRun gets.",
		Remedies: []Remedy{ChangePodTemplate, ChangeManifest},
	})
	fromDefaultTemplate = rules.add(Rule{
		ID: "origin/default-pod-template", Kind: "ConfigMap",
		Sentence: "default-pod-template of Tekton's configuration gives every pod its %s",
		Meaning:  "config-defaults has a pod template for all runs.",
		Remedies: []Remedy{ChangeFlag, ChangePodTemplate},
	})
	fromIsolation = rules.add(Rule{
		ID: "origin/isolate-pipelinerun", Kind: "PipelineRun",
		Sentence: "Tekton wrote its assistants' own podAntiAffinity into the pod template of %s, which has an affinity: with coschedule isolate-pipelinerun the first TaskRuns get it, and cannot be beside the assistant they have to be beside",
		Meaning:  "getAssistantAffinityMergedWithPodTemplateAffinity (pkg/reconciler/pipelinerun/affinity_assistant.go) adds the assistant's anti-affinity to the affinity of the run's own pod template, by reference; the TaskRuns made in the same reconcile are made from it.",
		Remedies: []Remedy{ChangePodTemplate, ChangeScheduling},
	})
	fromAnnotation = rules.add(Rule{
		ID: "origin/assistant-annotation", Kind: "PipelineRun",
		Sentence: "%s has the annotation pipeline.tekton.dev/affinity-assistant itself, which Tekton hands down to its TaskRuns and takes for its own: nobody makes the assistant that it names",
		Meaning:  "A TaskRun's pod has to run beside whatever assistant this annotation names (pkg/reconciler/taskrun), whoever wrote it; a run's annotations are copied to its TaskRuns.",
		Remedies: []Remedy{ChangeManifest},
	})
	fromTemplateVolumes = rules.add(Rule{
		ID: "origin/template-volume", Kind: "PipelineRun",
		Sentence: "Claim %s comes from the volumes of a pod template of %s and is no workspace, so that affinity assistants do not know it",
		Meaning:  "Assistants mount the claims of workspaces; what podTemplate.volumes brings meets the pods alone.",
		Remedies: []Remedy{ChangePodTemplate, ChangeClaim, ChangeScheduling},
	})
	volumesApart = rules.add(Rule{
		ID: "volume/apart", Kind: "Pod",
		Sentence: "No node may use all volumes of %s: %s",
		Meaning:  "spec.nodeAffinity of the PersistentVolumes, as a rule their zones, have no node in common that takes the pod.",
		Remedies: []Remedy{ChangeClaim, ChangeNodes},
	})
	volumePlace = rules.add(Rule{
		ID: "volume/place", Kind: "PersistentVolume",
		Sentence: "The volume of claim %s is for nodes with %s",
		Meaning:  "spec.nodeAffinity of the PersistentVolume, as a rule its zone.",
		Remedies: []Remedy{ChangeClaim, ChangeNodes},
	})
	volumeElsewhereThan = rules.add(Rule{
		ID: "volume/place-of-node", Kind: "PersistentVolume",
		Sentence: "The volume of claim %s is for nodes with %s, and Node %s has %s",
		Meaning:  "spec.nodeAffinity of the PersistentVolume, as a rule its zone, against the node's labels.",
		Remedies: []Remedy{ChangeClaim, ChangeNodes},
	})
	nodeCordoned = rules.add(Rule{
		ID: "node/cordoned", Kind: "Node",
		Sentence: "Node %s was cordoned by %s",
		Meaning:  "spec.unschedulable: the node takes no further pods.",
		Remedies: []Remedy{ChangeNodes},
	})
)

// Circles: each of several waits for the next, and the last for the first. A circle is
// named by the rule of the edge that closes it.
var (
	circleExclusive = rules.add(Rule{
		ID: "circle/readwriteoncepod", Kind: "Pod",
		Sentence: "%s waits for claim %s, which is ReadWriteOncePod and which %s has until the run is done, and the run waits for %s",
		Meaning:  "An affinity assistant mounts the claim itself, so that with ReadWriteOncePod it is the one pod that may.",
		Remedies: []Remedy{ChangeClaim, ChangeScheduling},
	})
	circleAssistantNode = rules.add(Rule{
		ID: "circle/assistant-node", Kind: "Pod",
		Sentence: "%s may run on Node %s only, beside its affinity assistant, and that node does not take it (%s); the assistant stays there until the run is done",
		Meaning:  "The assistant was placed before the pod and without regard to it, and is not moved.",
		Remedies: []Remedy{ChangeScheduling, ChangePodTemplate, ChangeNodes},
	})
	circleAssistantApart = rules.add(Rule{
		ID: "circle/assistant-apart", Kind: "Pod",
		Sentence: "%s has to run beside its affinity assistant (podAffinity) and must not run beside any (podAntiAffinity), and the assistant stays until the run is done",
		Meaning:  "Two demands of one pod that no node meets.",
		Remedies: []Remedy{ChangePodTemplate, ChangeScheduling},
	})
	circleApart = rules.add(Rule{
		ID: "circle/apart", Kind: "Pod",
		Sentence: "%s must not run beside %s, which stays until its run is done, and that run waits for it",
		Meaning:  "An assistant that keeps others away has the only node that would take the pod.",
		Remedies: []Remedy{ChangeScheduling, ChangeNodes},
	})
	circleVolumes = rules.add(Rule{
		ID: "circle/volumes", Kind: "PersistentVolume",
		Sentence: "Volume %s is on node %s, and %s, which has it there, waits itself, for what %s on node %s has or waits for: each keeps what the next one needs",
		Meaning:  "Pods of runs that nothing keeps on one node have a volume each and need that of the other.",
		Remedies: []Remedy{ChangeScheduling, ChangeClaim},
	})
	circleVolume = rules.add(Rule{
		ID: "circle/volume", Kind: "PersistentVolume",
		Sentence: "Volume %s stays on node %s as long as %s does, which is until the run is done, and the run waits for %s on node %s",
		Meaning:  "The holder of the volume goes only when the run does.",
		Remedies: []Remedy{ChangeScheduling, ChangeClaim},
	})
)
