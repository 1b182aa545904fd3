package wellknown

// The labels with which Tekton ties objects to runs (pkg/apis/pipeline of Tekton).
const (
	PipelineRunLabel  = "tekton.dev/pipelineRun"
	PipelineTaskLabel = "tekton.dev/pipelineTask"
	PipelineLabel     = "tekton.dev/pipeline"
	TaskRunLabel      = "tekton.dev/taskRun"
	TaskLabel         = "tekton.dev/task"
	ClusterTaskLabel  = "tekton.dev/clusterTask"
)

// What makes an affinity assistant known (pkg/reconciler/pipelinerun/affinity_assistant.go
// of Tekton).
const (
	ComponentLabel = "app.kubernetes.io/component"
	InstanceLabel  = "app.kubernetes.io/instance"
	// AffinityAssistant is the value of ComponentLabel, and begins the names of
	// assistants' StatefulSets.
	AffinityAssistant = "affinity-assistant"
	// AssistantAnnotation names the assistant beside which a TaskRun's pod has to run.
	AssistantAnnotation = "pipeline.tekton.dev/affinity-assistant"
)

// Tekton's ConfigMaps, and the namespaces in which they are.
const (
	FeatureFlags   = "feature-flags"
	ConfigDefaults = "config-defaults"

	TektonNamespace             = "tekton-pipelines"
	OpenShiftPipelinesNamespace = "openshift-pipelines"
)

// The clients that more than one package speaks of.
const (
	TektonController = "tekton-pipelines-controller"
	TektonWebhook    = "tekton-pipelines-webhook"
	KubeScheduler    = "kube-scheduler"
	StatefulSets     = "statefulset-controller"
	VolumeBinder     = "persistent-volume-binder"
	AttachDetach     = "attachdetach-controller"
	PodGC            = "pod-garbage-collector"
	NodeController   = "node-controller"
	Deployments      = "deployment-controller"
	ReplicaSets      = "replicaset-controller"
	DaemonSets       = "daemon-set-controller"
	EphemeralVolumes = "ephemeral-volume-controller"
	PVCProtection    = "pvc-protection-controller"
	PVProtection     = "pv-protection-controller"
	GarbageCollector = "generic-garbage-collector"
	ResourceQuotas   = "resourcequota-controller"
	Namespaces       = "namespace-controller"
	ServiceAccounts  = "service-account-controller"
	Disruption       = "disruption-controller"
)

// OOMKilled is the word of container runtimes for a container that was killed for want of
// memory.
const OOMKilled = "OOMKilled"
