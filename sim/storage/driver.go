package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/work"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// DriverSuffix ends the name of every simulated CSI driver; the StorageClass's
// name stands before it.
const DriverSuffix = ".csi.simctl.dev"

// Default durations of a StorageClass that gives none.
const (
	defaultProvision     = 3 * time.Second
	defaultAttach        = 10 * time.Second
	defaultDetach        = 6 * time.Second
	defaultMount         = time.Second
	defaultMountNoAttach = 500 * time.Millisecond
	defaultFilesPerSec   = 5000
)

// Options are what a Driver is made of.
type Options struct {
	Client kubernetes.Interface
	// Informers are shared with the rest of the process. New names the kinds it
	// needs; they must be running and synced when Start is called.
	Informers informers.SharedInformerFactory
	Clock     *clock.Clock
	Seed      int64
	Recorder  history.Recorder
	Classes   []scenario.StorageClass
	// Volumes are contents before the run, by the claim's name or
	// NAMESPACE/NAME.
	Volumes map[string]scenario.VolumeModel
	Logger  logr.Logger
}

// class is a StorageClass with its parsed settings.
type class struct {
	scenario.StorageClass
	driver  string
	binding storagev1.VolumeBindingMode
	policy  storagev1.FSGroupPolicy
	modes   []corev1.PersistentVolumeAccessMode
}

// Driver is the simulated CSI driver of every class of a scenario.
type Driver struct {
	o       Options
	classes []*class
	byName  map[string]*class

	claims      corelisters.PersistentVolumeClaimLister
	pvs         corelisters.PersistentVolumeLister
	nodes       corelisters.NodeLister
	attachments storagelisters.VolumeAttachmentLister

	list *work.List

	// mu guards what informer handlers look at: whose work is under way.
	mu           sync.Mutex
	provisioning map[types.UID]bool
	attaching    map[types.UID]*attachment
	deleting     map[types.UID]bool

	// The rest belongs to the goroutine that steps the clock.
	volumes map[string]*Volume
	// names are the volumes' names in draws, by PersistentVolume.
	names map[string]string
	// attached holds, by volume and node, the class of the volumes that are attached.
	attached map[string]map[string]*class
	// faults are those that hold now, calls what drivers are asked for, told which failures
	// the history has.
	faults []*fault
	calls  map[*call]bool
	told   map[string]history.VolumeFailed
	// draws counts the draws made under one name, so that the second attach of
	// a volume to a node is drawn anew.
	draws  map[string]int
	events *work.Events
}

// New checks the classes and makes a driver; it does nothing before Start.
func New(o Options) (*Driver, error) {
	d := &Driver{
		o:            o,
		byName:       map[string]*class{},
		provisioning: map[types.UID]bool{},
		attaching:    map[types.UID]*attachment{},
		deleting:     map[types.UID]bool{},
		volumes:      map[string]*Volume{},
		names:        map[string]string{},
		attached:     map[string]map[string]*class{},
		calls:        map[*call]bool{},
		told:         map[string]history.VolumeFailed{},
		draws:        map[string]int{},
		events:       work.NewEvents(o.Client, o.Clock, o.Logger),
	}
	for _, sc := range o.Classes {
		c, err := newClass(sc)
		if err != nil {
			return nil, fmt.Errorf("storage class %q: %w", sc.Name, err)
		}
		if d.byName[sc.Name] != nil {
			return nil, fmt.Errorf("storage class %q is there twice", sc.Name)
		}
		d.byName[sc.Name] = c
		d.classes = append(d.classes, c)
	}
	core, st := o.Informers.Core().V1(), o.Informers.Storage().V1()
	d.claims = core.PersistentVolumeClaims().Lister()
	d.pvs = core.PersistentVolumes().Lister()
	d.nodes = core.Nodes().Lister()
	d.attachments = st.VolumeAttachments().Lister()
	return d, nil
}

func newClass(sc scenario.StorageClass) (*class, error) {
	c := &class{
		StorageClass: sc,
		driver:       sc.Name + DriverSuffix,
		binding:      storagev1.VolumeBindingMode(cmp.Or(sc.VolumeBindingMode, string(storagev1.VolumeBindingImmediate))),
		policy:       storagev1.FSGroupPolicy(cmp.Or(sc.FSGroupPolicy, string(storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy))),
	}
	if c.binding != storagev1.VolumeBindingImmediate && c.binding != storagev1.VolumeBindingWaitForFirstConsumer {
		return nil, fmt.Errorf("volumeBindingMode %q is neither Immediate nor WaitForFirstConsumer", sc.VolumeBindingMode)
	}
	switch c.policy {
	case storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy, storagev1.FileFSGroupPolicy, storagev1.NoneFSGroupPolicy:
	default:
		return nil, fmt.Errorf("fsGroupPolicy %q is none of ReadWriteOnceWithFSType, File and None", sc.FSGroupPolicy)
	}
	for _, m := range sc.AccessModes {
		long, ok := accessModes[m]
		if !ok {
			return nil, fmt.Errorf("accessModes: %q is no access mode", m)
		}
		c.modes = append(c.modes, long)
	}
	if sc.MaxVolumesPerNode < 0 || sc.MaxVolumesPerNode > math.MaxInt32 {
		return nil, fmt.Errorf("maxVolumesPerNode is %d", sc.MaxVolumesPerNode)
	}
	if sc.OwnershipFilesPerSecond < 0 {
		return nil, errors.New("ownershipFilesPerSecond is negative")
	}
	for what, dist := range map[string]*scenario.Distribution{"provision": sc.Provision, "attach": sc.Attach, "detach": sc.Detach, "mount": sc.Mount} {
		if _, err := dist.Sample(clock.Rand(0, "check"), 0); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	return c, nil
}

var accessModes = map[string]corev1.PersistentVolumeAccessMode{
	"RWO": corev1.ReadWriteOnce, "RWX": corev1.ReadWriteMany, "ROX": corev1.ReadOnlyMany, "RWOP": corev1.ReadWriteOncePod,
	string(corev1.ReadWriteOnce): corev1.ReadWriteOnce, string(corev1.ReadWriteMany): corev1.ReadWriteMany,
	string(corev1.ReadOnlyMany): corev1.ReadOnlyMany, string(corev1.ReadWriteOncePod): corev1.ReadWriteOncePod,
}

// Objects are the StorageClasses and the CSIDrivers behind them.
func (d *Driver) Objects() []runtime.Object {
	var out []runtime.Object
	for _, c := range d.classes {
		reclaim := corev1.PersistentVolumeReclaimDelete
		sc := &storagev1.StorageClass{
			TypeMeta:          metav1.TypeMeta{APIVersion: "storage.k8s.io/v1", Kind: "StorageClass"},
			ObjectMeta:        metav1.ObjectMeta{Name: c.Name},
			Provisioner:       c.driver,
			ReclaimPolicy:     &reclaim,
			VolumeBindingMode: &c.binding,
		}
		if c.Default {
			sc.Annotations = map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}
		}
		attach, no := !c.NoAttach, false
		out = append(out, sc, &storagev1.CSIDriver{
			TypeMeta:   metav1.TypeMeta{APIVersion: "storage.k8s.io/v1", Kind: "CSIDriver"},
			ObjectMeta: metav1.ObjectMeta{Name: c.driver},
			Spec: storagev1.CSIDriverSpec{
				AttachRequired:       &attach,
				PodInfoOnMount:       &no,
				StorageCapacity:      &no,
				FSGroupPolicy:        &c.policy,
				VolumeLifecycleModes: []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent},
			},
		})
	}
	return out
}

// CSINode is what the drivers' node plug-ins would register on the node.
func (d *Driver) CSINode(node *corev1.Node) *storagev1.CSINode {
	out := &storagev1.CSINode{
		TypeMeta:   metav1.TypeMeta{APIVersion: "storage.k8s.io/v1", Kind: "CSINode"},
		ObjectMeta: metav1.ObjectMeta{Name: node.Name},
	}
	if node.UID != "" {
		out.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}}
	}
	for _, c := range d.classes {
		n := storagev1.CSINodeDriver{Name: c.driver, NodeID: node.Name}
		if c.Zonal {
			n.TopologyKeys = []string{corev1.LabelTopologyZone}
		}
		if c.MaxVolumesPerNode > 0 && (c.ReportsLimit == nil || *c.ReportsLimit) {
			most := int32(c.MaxVolumesPerNode) //nolint:gosec // the scenario's check has an upper bound
			n.Allocatable = &storagev1.VolumeNodeResources{Count: &most}
		}
		out.Spec.Drivers = append(out.Spec.Drivers, n)
	}
	return out
}

// Start begins to react to claims and attachments and returns; it stops when
// ctx ends. The informers must be running and synced.
func (d *Driver) Start(ctx context.Context) error {
	d.list = work.NewList(d.o.Clock, "csi", func(keys []string) { d.sync(ctx, keys) })
	core, st := d.o.Informers.Core().V1(), d.o.Informers.Storage().V1()
	add := func(inf cache.SharedIndexInformer, look func(obj any)) error {
		if !inf.HasSynced() {
			return errors.New("starting the CSI driver: an informer is not synced")
		}
		reg, err := inf.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    look,
			UpdateFunc: func(_, obj any) { look(obj) },
			DeleteFunc: func(obj any) {
				if t, ok := obj.(cache.DeletedFinalStateUnknown); ok {
					obj = t.Obj
				}
				look(obj)
			},
		})
		if err != nil {
			return fmt.Errorf("starting the CSI driver: %w", err)
		}
		context.AfterFunc(ctx, func() { _ = inf.RemoveEventHandler(reg) })
		return nil
	}
	context.AfterFunc(ctx, d.list.Close)
	return errors.Join(
		add(core.PersistentVolumeClaims().Informer(), d.lookAtClaim),
		add(core.PersistentVolumes().Informer(), d.lookAtPV),
		add(st.VolumeAttachments().Informer(), d.lookAtAttachment),
	)
}

// sync works through keys KIND/NAME.
func (d *Driver) sync(ctx context.Context, keys []string) {
	if ctx.Err() != nil {
		return
	}
	for _, key := range keys {
		kind, name, _ := strings.Cut(key, "/")
		switch kind {
		case "claim":
			d.syncClaim(ctx, name)
		case "pv":
			d.syncPV(ctx, name)
		case "attachment":
			d.syncAttachment(ctx, name)
		}
	}
}

// sample draws one of a class's durations. The names say what for; the same
// names drawn again give the next draw.
func (d *Driver) sample(dist *scenario.Distribution, fallback time.Duration, names ...string) time.Duration {
	key := strings.Join(names, "/")
	n := d.draws[key]
	d.draws[key]++
	v, err := dist.Sample(clock.Rand(d.o.Seed, append(names, fmt.Sprint(n))...), fallback)
	if err != nil {
		// New has checked every distribution.
		d.o.Logger.Error(err, "Drawing a duration", "what", key)
		return fallback
	}
	return v
}

// classOf returns the class behind a volume, nil if it is none of ours.
func (d *Driver) classOf(pv *corev1.PersistentVolume) *class {
	if pv.Spec.CSI == nil {
		return nil
	}
	name, ok := strings.CutSuffix(pv.Spec.CSI.Driver, DriverSuffix)
	if !ok {
		return nil
	}
	return d.byName[name]
}

// Attachable says whether a volume has to be attached before it is mounted.
func (d *Driver) Attachable(pv *corev1.PersistentVolume) bool {
	c := d.classOf(pv)
	return c != nil && !c.NoAttach
}

// UniqueName is the volume's name in a node's volumesInUse and volumesAttached
// (GetUniqueVolumeName in pkg/volume/util of Kubernetes).
func UniqueName(pv *corev1.PersistentVolume) corev1.UniqueVolumeName {
	return corev1.UniqueVolumeName("kubernetes.io/csi/" + pv.Spec.CSI.Driver + "^" + pv.Spec.CSI.VolumeHandle)
}

// MountTime draws how long a mount of the volume on the node takes.
func (d *Driver) MountTime(pv *corev1.PersistentVolume, node string, names ...string) time.Duration {
	c := d.classOf(pv)
	if c == nil {
		return 0
	}
	fallback := defaultMount
	if c.NoAttach {
		fallback = defaultMountNoAttach
	}
	return d.mountDelay(c, node) + d.sample(c.Mount, fallback, append([]string{"mount", c.Name, d.volumeName(pv), node}, names...)...)
}

// SupportsFSGroup says whether the kubelet changes the ownership of the volume
// for fsGroup: the rule of supportsFSGroup in pkg/volume/csi/csi_mounter.go.
func (d *Driver) SupportsFSGroup(pv *corev1.PersistentVolume, readOnly bool) bool {
	c := d.classOf(pv)
	switch {
	case c == nil, readOnly, c.policy == storagev1.NoneFSGroupPolicy:
		return false
	case c.policy == storagev1.FileFSGroupPolicy:
		return true
	}
	return pv.Spec.CSI.FSType != "" &&
		(slices.Contains(pv.Spec.AccessModes, corev1.ReadWriteOnce) || slices.Contains(pv.Spec.AccessModes, corev1.ReadWriteOncePod))
}

// OwnershipTime is how long an ownership change of that many files takes.
func (d *Driver) OwnershipTime(pv *corev1.PersistentVolume, files int64) time.Duration {
	c := d.classOf(pv)
	if c == nil {
		return 0
	}
	speed := c.OwnershipFilesPerSecond
	if speed == 0 {
		speed = defaultFilesPerSec
	}
	return time.Duration(float64(files) / speed * float64(time.Second)).Round(time.Millisecond)
}

// Volume is the contents of a volume; a volume that the user's manifests made
// gets its contents on first use.
func (d *Driver) Volume(pv *corev1.PersistentVolume) *Volume {
	if v := d.volumes[pv.Name]; v != nil {
		return v
	}
	var namespace, claim string
	if ref := pv.Spec.ClaimRef; ref != nil {
		namespace, claim = ref.Namespace, ref.Name
	}
	capacity := pv.Spec.Capacity[corev1.ResourceStorage]
	rootMode := uint32(0o755)
	if c := d.classOf(pv); c == nil || c.NoAttach {
		rootMode = 0o777
	}
	v := NewVolume(namespace, claim, capacity.Value(), rootMode)
	model, ok := d.o.Volumes[namespace+"/"+claim]
	if !ok {
		model = d.o.Volumes[claim]
	}
	var used int64
	if model.Used != "" {
		if q, err := resource.ParseQuantity(string(model.Used)); err == nil {
			used = q.Value()
		} else {
			d.o.Logger.Error(err, "Contents of a volume: used is no quantity", "claim", claim)
		}
	}
	v.Fill(model.Files, used)
	d.volumes[pv.Name] = v
	return v
}

// claimName names a claim for draws and event keys, without what is random in
// its name and with the run it was made for.
func claimName(claim *corev1.PersistentVolumeClaim) string {
	name := claim.Namespace + "/"
	// A StatefulSet gives its claims the labels it selects by; those of an
	// affinity assistant name the run.
	if run := claim.Labels[wellknown.PipelineRunLabel]; run != "" {
		name += work.StableName(run) + "/"
	}
	for _, o := range claim.OwnerReferences {
		name += work.StableName(o.Name) + "/"
	}
	return name + work.StableName(claim.Name)
}

// volumeName names a volume likewise, after the claim it was made for.
func (d *Driver) volumeName(pv *corev1.PersistentVolume) string {
	if name, ok := d.names[pv.Name]; ok {
		return name
	}
	name := pv.Name
	if ref := pv.Spec.ClaimRef; ref != nil {
		name = ref.Namespace + "/" + work.StableName(ref.Name)
	}
	d.names[pv.Name] = name
	return name
}
