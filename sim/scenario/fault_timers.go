package scenario

// What several faults go by.
const (
	retriesRemedy      = "`retries` of the pipeline task: Tekton makes another attempt"
	tolerationRemedy   = "`tolerationSeconds` of the pods' tolerations of `node.kubernetes.io/unreachable` and `not-ready`, less or more than 300"
	outOfServiceRemedy = "the taint `node.kubernetes.io/out-of-service` on a node that is known to be dead: its pods and attachments are taken away at once"
)

// Upstream's modules, as timers name them.
const (
	kubeController = "k8s.io/kubernetes/pkg/controller/"
	kubelet        = "k8s.io/kubernetes/pkg/kubelet"
	tektonConfig   = "github.com/tektoncd/pipeline/pkg/apis/config"
	knative        = "knative.dev/pkg/"
)

// silentTimers are those of nodes of which nothing is heard.
func silentTimers() []Timer {
	return []Timer{
		{Is: "a kubelet renews its lease every quarter of (seconds)", Value: "40", Package: kubelet + "/apis/config/v1beta1", Symbol: "NodeLeaseDurationSeconds"},
		{Is: "the node lifecycle controller looks every", Value: "5s", Package: kubeController + "nodelifecycle/config/v1alpha1", Symbol: "NodeMonitorPeriod"},
		{Is: "and finds a node NotReady after", Value: "50s", Package: kubeController + "nodelifecycle/config/v1alpha1", Symbol: "NodeMonitorGracePeriod"},
		{Is: "nodes of a zone that are tainted a second", Value: "0.1", Package: "k8s.io/kubernetes/cmd/kube-controller-manager/app/options", Symbol: "node-eviction-rate"},
		{Is: "where most of a large zone is away", Value: "0.01", Package: "k8s.io/kubernetes/cmd/kube-controller-manager/app/options", Symbol: "secondary-node-eviction-rate"},
		{Is: "most is a share of", Value: "0.55", Package: "k8s.io/kubernetes/cmd/kube-controller-manager/app/options", Symbol: "unhealthy-zone-threshold"},
		{Is: "large is more nodes than", Value: "50", Package: "k8s.io/kubernetes/cmd/kube-controller-manager/app/options", Symbol: "large-cluster-size-threshold"},
		{Is: "pods tolerate the taint for (seconds)", Value: "300", Package: "k8s.io/kubernetes/plugin/pkg/admission/defaulttolerationseconds", Symbol: "defaultUnreachableTolerationSeconds"},
		{Is: "volumes are detached by force after", Value: "6m", Package: kubeController + "volume/attachdetach", Symbol: "ReconcilerMaxWaitForUnmountDuration"},
	}
}

// pullTimers are those of images that do not come.
func pullTimers() []Timer {
	return []Timer{
		{Is: "the kubelet asks again after, doubled each time", Value: "10s", Package: kubelet, Symbol: "imageBackOffPeriod"},
		{Is: "at most", Value: "5m", Package: kubelet, Symbol: "MaxImageBackOff"},
		{Is: "a kubelet asks for so many images a second (`registryPullQPS`)", Value: "5", Package: kubelet + "/apis/config/v1beta1", Symbol: "RegistryPullQPS"},
		{Is: "and for so many at once (`registryBurst`)", Value: "10", Package: kubelet + "/apis/config/v1beta1", Symbol: "RegistryBurst"},
		{Is: "Tekton's patience with ImagePullBackOff (`default-imagepullbackoff-timeout`)", Value: "0s", Package: tektonConfig, Symbol: "DefaultImagePullBackOffTimeout"},
	}
}

// storageTimers are those of volumes.
func storageTimers() []Timer {
	const (
		attacher    = "external-attacher's flags (kubernetes-csi/external-attacher)"
		provisioner = "external-provisioner's flags (kubernetes-csi/external-provisioner)"
	)
	return []Timer{
		{Is: "external-attacher waits for an answer for (`--timeout`)", Value: "15s", Package: attacher},
		{Is: "and asks again after, doubled each time (`--retry-interval-start`)", Value: "1s", Package: attacher},
		{Is: "at most (`--retry-interval-max`)", Value: "5m", Package: attacher},
		{Is: "external-provisioner waits for an answer for (`--timeout`), and asks again as external-attacher does", Value: "10s", Package: provisioner},
		{Is: "the attach/detach controller and the kubelet try again after, doubled each time", Value: "500ms", Package: "k8s.io/kubernetes/pkg/util/goroutinemap/exponentialbackoff", Symbol: "initialDurationBeforeRetry"},
		{Is: "at most", Value: "2m2s", Package: "k8s.io/kubernetes/pkg/util/goroutinemap/exponentialbackoff", Symbol: "maxDurationBeforeRetry"},
		{Is: "the attach/detach controller waits for external-attacher for", Value: "2m", Package: "k8s.io/kubernetes/pkg/volume/csi", Symbol: "csiTimeout"},
	}
}

// leaseTimers are those of the leases of Tekton's controller.
func leaseTimers() []Timer {
	return []Timer{
		{Is: "a lease of Tekton's controller lasts", Value: "60s", Package: knative + "leaderelection", Symbol: "LeaseDuration"},
		{Is: "and is renewed within", Value: "40s", Package: knative + "leaderelection", Symbol: "RenewDeadline"},
		{Is: "it is looked at every", Value: "10s", Package: knative + "leaderelection", Symbol: "RetryPeriod"},
	}
}

// goneTimers are those of pods whose Node is gone.
func goneTimers() []Timer {
	return []Timer{
		{Is: "the pod garbage collector looks every", Value: "20s", Package: kubeController + "podgc", Symbol: "gcCheckPeriod"},
		{Is: "and takes pods away whose Node is gone for", Value: "40s", Package: kubeController + "podgc", Symbol: "quarantineTime"},
	}
}
