package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/flowcontrol"
	evictionapi "k8s.io/kubernetes/pkg/kubelet/eviction/api"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/work"
	"simctl.dev/simctl/sim/node/internal/entrypoint"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/storage"
)

// Options are what Kubelets are made of.
type Options struct {
	Client kubernetes.Interface
	// Dynamic, if not nil, is asked for the types of results that a task model
	// gives no value for; without it they are strings.
	Dynamic dynamic.Interface
	// Informers are shared with the rest of the process. New names the kinds it
	// needs; they must be running and synced when Start is called.
	Informers informers.SharedInformerFactory
	Clock     *clock.Clock
	Seed      int64
	Recorder  history.Recorder
	Storage   *storage.Driver
	// Workload gives the task models.
	Workload scenario.Workload
	Registry scenario.Registry
	Kubelet  scenario.Kubelet
	Logger   logr.Logger
}

// Kubelets are the kubelets of all nodes.
type Kubelets struct {
	o        Options
	registry *registry
	pulling  pulling
	// thresholds are those of the disks' room and of memory.
	thresholds []evictionapi.Threshold

	// statusEvery is how often a kubelet looks at its node's status.
	statusEvery time.Duration
	// shutdownAll is for how long a kubelet delays a shutdown of its machine,
	// shutdownCritical how much of that is for critical pods.
	shutdownAll, shutdownCritical time.Duration

	podLister    corelisters.PodLister
	nodeLister   corelisters.NodeLister
	claimLister  corelisters.PersistentVolumeClaimLister
	pvLister     corelisters.PersistentVolumeLister
	secretLister corelisters.SecretLister
	configLister corelisters.ConfigMapLister

	list *work.List

	// mu guards what informer handlers look at.
	mu sync.Mutex
	// seen holds what mattered about a pod or node when it was last looked at.
	seen map[types.UID]string
	// wanted are the claims, secrets and config maps that pods wait for, as
	// KIND/NAMESPACE/NAME, with the pods.
	wanted map[string]map[types.UID]bool
	// schedulable are the nodes that pods may come to as far as their kubelets have said.
	schedulable map[types.UID]bool
	// logs is what the results sidecars of pods have printed, by NAMESPACE/NAME.
	logs map[string]string

	// The rest belongs to the goroutine that steps the clock.
	pods map[types.UID]*pod
	// failing are the registries that do not give images, backOff is of pulls that failed.
	failing []*history.Registry
	// runtimes are the faults of container runtimes that last.
	runtimes []*runtimeFault
	backOff  *flowcontrol.Backoff
	machines map[string]*machine
	ids      identities
	events   *work.Events
}

// machine is what a kubelet knows of its node.
type machine struct {
	name string
	// images are the images on the node with the moment they came or will come.
	images map[string]time.Time
	puller *puller
	// volumes are those that pods on the node use, by PersistentVolume name; inUse is
	// the volumesInUse last reported.
	volumes map[string]*volumeUse
	inUse   []corev1.UniqueVolumeName
	// status is the next report of the volumes in use, if it will say something new,
	// generation counts them. statusPhase is when in its period the kubelet reports
	// its node's status.
	status      *clock.Event
	generation  int
	statusPhase time.Duration
	// podIPs counts the addresses given out, index is the node's.
	podIPs, index int
	disk          disk
	memory        memory
	// silent, if not nil, is why nothing is heard of the node; back is when that ended last.
	silent *silence
	// shutdown, if not nil, says that the machine goes off, or has done so.
	shutdown *shutdown
	back     time.Time
}

// New checks the models and makes the kubelets; nothing happens before Start.
func New(o Options) (*Kubelets, error) {
	reg, err := newRegistry(o.Registry)
	if err != nil {
		return nil, err
	}
	pulling, err := newPulling(o.Kubelet)
	if err != nil {
		return nil, err
	}
	if err := checkModels(o.Workload.Tasks); err != nil {
		return nil, err
	}
	if err := checkKubelet(o.Kubelet); err != nil {
		return nil, err
	}
	thresholds, err := evictionThresholds()
	if err != nil {
		return nil, err
	}
	core := o.Informers.Core().V1()
	statusEvery := nodeStatusUpdateFrequency
	if text := o.Kubelet.NodeStatusUpdateFrequency; text != "" {
		if statusEvery, err = time.ParseDuration(text); err != nil || statusEvery < time.Millisecond {
			return nil, fmt.Errorf("kubelet: nodeStatusUpdateFrequency %q is no duration of a millisecond or more", text)
		}
	}
	shutdownAll, shutdownCritical, err := shutdownPeriods(o.Kubelet)
	if err != nil {
		return nil, err
	}
	return &Kubelets{
		o: o, registry: reg, pulling: pulling, thresholds: thresholds, statusEvery: statusEvery, shutdownAll: shutdownAll, shutdownCritical: shutdownCritical,
		podLister: core.Pods().Lister(), nodeLister: core.Nodes().Lister(),
		claimLister: core.PersistentVolumeClaims().Lister(), pvLister: core.PersistentVolumes().Lister(),
		secretLister: core.Secrets().Lister(), configLister: core.ConfigMaps().Lister(),
		seen: map[types.UID]string{}, wanted: map[string]map[types.UID]bool{},
		schedulable: map[types.UID]bool{}, logs: map[string]string{}, pods: map[types.UID]*pod{}, machines: map[string]*machine{}, ids: identities{},
		backOff: newPullBackOff(o.Clock), events: work.NewEvents(o.Client, o.Clock, o.Logger),
	}, nil
}

// Start begins to run pods and returns; it stops when ctx ends. The informers
// must be running and synced.
func (k *Kubelets) Start(ctx context.Context) error {
	k.list = work.NewList(k.o.Clock, "kubelet", func(keys []string) { k.sync(ctx, keys) })
	context.AfterFunc(ctx, k.list.Close)
	core := k.o.Informers.Core().V1()
	add := func(what string, inf cache.SharedIndexInformer, h cache.ResourceEventHandlerFuncs) error {
		if !inf.HasSynced() {
			return fmt.Errorf("starting the kubelets: the informer of %s is not synced", what)
		}
		reg, err := inf.AddEventHandler(h)
		if err != nil {
			return fmt.Errorf("starting the kubelets: %w", err)
		}
		context.AfterFunc(ctx, func() { _ = inf.RemoveEventHandler(reg) })
		return nil
	}
	each := func(look func(obj any)) cache.ResourceEventHandlerFuncs {
		return cache.ResourceEventHandlerFuncs{AddFunc: look, UpdateFunc: func(_, obj any) { look(obj) }}
	}
	pods := each(k.lookAtPod)
	pods.DeleteFunc = k.podGone
	nodes := each(k.lookAtNode)
	nodes.DeleteFunc = k.nodeGone
	return errors.Join(
		add("pods", core.Pods().Informer(), pods),
		add("nodes", core.Nodes().Informer(), nodes),
		add("claims", core.PersistentVolumeClaims().Informer(), each(k.lookAtWanted)),
		add("volumes", core.PersistentVolumes().Informer(), each(k.lookAtWanted)),
		add("secrets", core.Secrets().Informer(), each(k.lookAtWanted)),
		add("config maps", core.ConfigMaps().Informer(), each(k.lookAtWanted)),
	)
}

// news says whether what matters about an object differs from the last look.
func (k *Kubelets) news(uid types.UID, matters string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if old, ok := k.seen[uid]; ok && old == matters {
		return false
	}
	k.seen[uid] = matters
	return true
}

func (k *Kubelets) lookAtPod(obj any) {
	p, ok := obj.(*corev1.Pod)
	if !ok || p.Spec.NodeName == "" {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%v %s %s", p.DeletionTimestamp != nil, p.Annotations[entrypoint.ReadyAnnotation], p.Annotations[entrypoint.CancelAnnotation])
	for _, c := range p.Spec.Containers {
		b.WriteString(" " + c.Image)
	}
	if k.news(p.UID, b.String()) {
		k.list.Add("pod/" + string(p.UID) + "/" + p.Namespace + "/" + p.Name)
	}
}

func (k *Kubelets) podGone(obj any) {
	if t, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = t.Obj
	}
	if p, ok := obj.(*corev1.Pod); ok && p.Spec.NodeName != "" && k.news(p.UID, "gone") {
		k.list.Add("pod/" + string(p.UID) + "/" + p.Namespace + "/" + p.Name)
	}
}

func (k *Kubelets) lookAtNode(obj any) {
	n, ok := obj.(*corev1.Node)
	if !ok {
		return
	}
	names := make([]string, 0, len(n.Status.VolumesAttached))
	for _, v := range n.Status.VolumesAttached {
		names = append(names, string(v.Name))
	}
	slices.Sort(names)
	if k.cordoned(n) {
		k.list.Add("cordon/" + n.Name)
	}
	matters := strings.Join(names, " ")
	if used := n.Annotations[DiskUsed]; used != "" && k.news(n.UID+"/disk", used+n.Status.Capacity.StorageEphemeral().String()) {
		k.list.Add("disk/" + n.Name)
	}
	if !k.news(n.UID+"/"+types.UID(n.Name), matters) || matters == "" {
		return
	}
	k.list.Add("node/" + n.Name)
}

func (k *Kubelets) nodeGone(obj any) {
	if t, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = t.Obj
	}
	if n, ok := obj.(*corev1.Node); ok {
		k.list.Add("lost/" + n.Name)
	}
}

// lookAtWanted wakes the pods that wait for a claim, its volume, a secret or a
// config map.
func (k *Kubelets) lookAtWanted(obj any) {
	var key string
	switch o := obj.(type) {
	case *corev1.PersistentVolumeClaim:
		key = wantedKey("claim", o.Namespace, o.Name)
	case *corev1.PersistentVolume:
		if o.Spec.ClaimRef == nil {
			return
		}
		key = wantedKey("claim", o.Spec.ClaimRef.Namespace, o.Spec.ClaimRef.Name)
	case *corev1.Secret:
		key = wantedKey("secret", o.Namespace, o.Name)
	case *corev1.ConfigMap:
		key = wantedKey("configmap", o.Namespace, o.Name)
	default:
		return
	}
	k.mu.Lock()
	waiting := len(k.wanted[key]) > 0
	k.mu.Unlock()
	if waiting {
		k.list.Add("wanted/" + key)
	}
}

func wantedKey(kind, namespace, name string) string { return kind + "/" + namespace + "/" + name }

// want notes that a pod waits for an object.
func (k *Kubelets) want(key string, uid types.UID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.wanted[key] == nil {
		k.wanted[key] = map[types.UID]bool{}
	}
	k.wanted[key][uid] = true
}

func (k *Kubelets) machine(name string) *machine {
	m := k.machines[name]
	if m == nil {
		m = &machine{
			name: name, images: map[string]time.Time{}, volumes: map[string]*volumeUse{}, index: k.podNetwork(name),
			statusPhase: k.statusPhase(name), puller: newPuller(k.pulling),
		}
		k.machines[name] = m
	}
	return m
}

// podNetworks is how many networks of pods there are, 10.128.0.0 to 10.255.249.0.
const podNetworks = 128 * 250

// podNetwork is the number of a node's network. It goes by the node's name and not by
// which kubelet is heard of first; only where two names meet in one number does the later
// one take the next.
func (k *Kubelets) podNetwork(name string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	n := int(h.Sum32() % podNetworks)
	for range podNetworks {
		if !k.hasNetwork(n) {
			break
		}
		n = (n + 1) % podNetworks
	}
	return n
}

func (k *Kubelets) hasNetwork(n int) bool {
	for _, m := range k.machines {
		if m.index == n {
			return true
		}
	}
	return false
}

// lose has a node's machine go with the Node, as when a cloud takes it away: its
// pods stop where they are, and nobody reports it.
func (k *Kubelets) lose(name string) {
	m := k.machines[name]
	if m == nil {
		return
	}
	for uid, p := range k.pods {
		if p.m == m {
			p.cancelAll()
			delete(k.pods, uid)
		}
	}
	// A machine that comes under this name is another one.
	for _, e := range []*clock.Event{m.disk.check, m.disk.report, m.memory.report, m.status} {
		if e != nil {
			e.Cancel()
		}
	}
	if m.shutdown != nil {
		m.shutdown.cancel()
	}
	m.silent, m.shutdown, m.back = nil, nil, time.Time{}
	m.images, m.puller, m.volumes, m.inUse, m.disk, m.memory = map[string]time.Time{}, newPuller(k.pulling), map[string]*volumeUse{}, nil, disk{}, memory{}
	m.status = nil
	m.generation++
}

// sync works through what changed, pod by pod in the order of their identities.
func (k *Kubelets) sync(ctx context.Context, keys []string) {
	if ctx.Err() != nil {
		return
	}
	for _, key := range keys {
		if name, lost := strings.CutPrefix(key, "lost/"); lost {
			k.lose(name)
		}
	}
	touched := map[types.UID]*pod{}
	var fresh []*corev1.Pod
	for _, key := range keys {
		kind, rest, _ := strings.Cut(key, "/")
		switch kind {
		case "pod":
			parts := strings.SplitN(rest, "/", 3)
			uid := types.UID(parts[0])
			obj, err := k.podLister.Pods(parts[1]).Get(parts[2])
			if err != nil || obj.UID != uid {
				obj = nil
			}
			switch p := k.pods[uid]; {
			case p != nil && p.m.isSilent(), p == nil && obj != nil && k.Silent(obj.Spec.NodeName):
				// The kubelet looks at it when it can.
			case p != nil:
				p.obj = obj
				touched[uid] = p
			case obj != nil && obj.Status.Phase != corev1.PodSucceeded && obj.Status.Phase != corev1.PodFailed:
				fresh = append(fresh, obj)
			}
		case "node":
			for uid, p := range k.pods {
				if p.m.name == rest && p.stage == waitingForVolumes {
					touched[uid] = p
				}
			}
		case "wanted":
			k.mu.Lock()
			waiting := k.wanted[rest]
			delete(k.wanted, rest)
			k.mu.Unlock()
			for uid := range waiting {
				if p := k.pods[uid]; p != nil {
					touched[uid] = p
				}
			}
		case "cordon":
			k.planSchedulable(ctx, rest)
		case "disk":
			if m := k.machine(rest); !m.isSilent() {
				k.lookAtDisk(ctx, m)
			}
		case "rwop":
			for uid, p := range k.pods {
				if p.m.name == rest && p.stage == waitingForVolumes {
					touched[uid] = p
				}
			}
		}
	}
	// Which of two runs with the same stable name comes first is decided by the
	// pods' names, so that it does not depend on when informers spoke.
	slices.SortFunc(fresh, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, obj := range fresh {
		p := k.newPod(obj)
		k.pods[obj.UID] = p
		touched[obj.UID] = p
	}
	for _, p := range slices.SortedFunc(maps.Values(touched), byIdentity) {
		if !p.m.isSilent() {
			k.syncPod(ctx, p)
		}
	}
}

// byIdentity orders pods by what does not change from run to run.
func byIdentity(a, b *pod) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.name, b.name)) }

func (k *Kubelets) fact(p *pod, fact string, data any) {
	k.o.Recorder.Record(history.NewFact("kubelet/"+p.m.name,
		history.Ref{APIVersion: "v1", Kind: "Pod", Namespace: p.namespace, Name: p.name}, fact, data))
}
