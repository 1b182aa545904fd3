package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/work"
)

var everything = labels.Everything()

// attachment is a VolumeAttachment that the driver has seen.
type attachment struct {
	pv, node string
	// claim is empty for a volume without one.
	namespace, claim string
	stable           string
	class            *class
	// attach is what is asked of the driver until the volume is attached, begun that it is
	// at it.
	attach *call
	begun  bool

	attached  bool
	detaching bool
	// marked: it was given its finalizer here.
	marked bool
}

// finalizer is the external-attacher's for a driver.
func finalizer(driver string) string {
	return "external-attacher/" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, driver)
}

func without(list []string, item string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == item })
}

func finalizersPatch(resourceVersion string, finalizers []string) []byte {
	if finalizers == nil {
		finalizers = []string{}
	}
	meta := map[string]any{"finalizers": finalizers}
	if resourceVersion != "" {
		meta["resourceVersion"] = resourceVersion
	}
	return mustJSON(map[string]any{"metadata": meta})
}

func mustJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // Only maps of plain values are given.
	}
	return raw
}

func (d *Driver) attacherClass(va *storagev1.VolumeAttachment) *class {
	name, ok := strings.CutSuffix(va.Spec.Attacher, DriverSuffix)
	if !ok || va.Spec.Source.PersistentVolumeName == nil {
		return nil
	}
	return d.byName[name]
}

func (d *Driver) lookAtAttachment(obj any) {
	va, ok := obj.(*storagev1.VolumeAttachment)
	if !ok || d.attacherClass(va) == nil {
		return
	}
	d.mu.Lock()
	a := d.attaching[va.UID]
	// Our own writes come back as updates: only what asks for something new counts.
	news := a == nil || (va.DeletionTimestamp != nil && !a.detaching)
	d.mu.Unlock()
	if news {
		d.list.Add("attachment/" + va.Name)
	}
}

// syncAttachment begins to attach or detach (pkg/controller of
// kubernetes-csi/external-attacher).
func (d *Driver) syncAttachment(ctx context.Context, name string) {
	va, err := d.attachments.Get(name)
	if err != nil {
		return // Gone: the finalizer was ours, so this was seen before.
	}
	c := d.attacherClass(va)
	d.mu.Lock()
	a := d.attaching[va.UID]
	d.mu.Unlock()
	switch {
	case va.DeletionTimestamp != nil:
		if slices.Contains(va.Finalizers, finalizer(c.driver)) && (a == nil || !a.detaching) {
			d.detach(ctx, va, a)
		}
	case a == nil:
		d.attach(ctx, c, va)
	}
}

func (d *Driver) attach(ctx context.Context, c *class, va *storagev1.VolumeAttachment) {
	pvName := *va.Spec.Source.PersistentVolumeName
	pv, err := d.pvs.Get(pvName)
	if err != nil {
		d.o.Logger.Error(err, "Attaching: no such volume", "volumeAttachment", va.Name)
		return
	}
	a := &attachment{pv: pvName, node: va.Spec.NodeName, class: c, stable: d.volumeName(pv)}
	if ref := pv.Spec.ClaimRef; ref != nil {
		a.namespace, a.claim = ref.Namespace, ref.Name
	}
	d.mu.Lock()
	d.attaching[va.UID] = a
	d.mu.Unlock()
	d.markPV(ctx, c, pv, a)
	d.mark(ctx, c, va, a)
	key := "csi/attach/" + a.stable + "/" + a.node + "/" + a.pv
	a.attach = &call{
		key: key, timeout: AttacherTimeout, namespace: a.namespace, claim: a.claim,
		barred: func() *answer { return d.noAttach(pv, a) },
		took:   func() time.Duration { return d.sample(c.Attach, defaultAttach, "attach", c.Name, a.stable, a.node) },
		fault:  func() *fault { return d.faultAt(history.OperationAttach, c.Name, a.node) },
		begin: func() {
			a.begun = true
			d.setAttached(a, true)
		},
		done: func(took time.Duration) {
			work.Retry(ctx, d.o.Clock, d.o.Logger, key, func() error { return d.attachDone(ctx, va, a, took) })
		},
		failed: func(no answer) {
			d.attachFailed(ctx, va, a, no)
			if a.marked {
				// The external-attacher's own finalizer has it try once more at once, which
				// counts, but does not put off the try that is planned.
				a.marked = false
				a.attach.failures++
			}
		},
	}
	d.ask(a.attach)
}

// noAttach says why a driver does not attach a volume, nil if it does.
func (d *Driver) noAttach(pv *corev1.PersistentVolume, a *attachment) *answer {
	if no := d.faultAt(history.OperationAttach, a.class.Name, a.node).fails(a.node); no != nil {
		return no
	}
	// The real attach/detach controller does not ask for it, unless it forces a detach.
	if on := d.elsewhere(pv, a.node); on != "" {
		return &answer{code: "FailedPrecondition", desc: fmt.Sprintf("volume %s is attached to node %s", a.pv, on)}
	}
	if most := a.class.MaxVolumesPerNode; most > 0 && !a.begun {
		if n := d.volumesOn(a.class, a.node); n >= most {
			return &answer{code: "ResourceExhausted", desc: fmt.Sprintf("node %s has %d volumes attached, its limit is %d", a.node, n, most)}
		}
	}
	return nil
}

// volumesOn counts the volumes of a class that are attached to a node.
func (d *Driver) volumesOn(c *class, node string) int {
	n := 0
	for _, nodes := range d.attached {
		if nodes[node] == c {
			n++
		}
	}
	return n
}

// markPV puts the finalizer on a volume, so that it is not gone before it is detached.
// It stays there until the volume is deleted.
func (d *Driver) markPV(ctx context.Context, c *class, pv *corev1.PersistentVolume, a *attachment) {
	fin := finalizer(c.driver)
	if slices.Contains(pv.Finalizers, fin) {
		return
	}
	work.Retry(ctx, d.o.Clock, d.o.Logger, "csi/mark-volume/"+a.stable+"/"+a.pv, func() error {
		return d.changeFinalizers(ctx, pv.Name, func(now []string) []string { return append(without(now, fin), fin) })
	})
}

// changeFinalizers changes the finalizers of a volume as it is now.
func (d *Driver) changeFinalizers(ctx context.Context, pv string, change func(now []string) []string) error {
	api := d.o.Client.CoreV1().PersistentVolumes()
	now, err := api.Get(ctx, pv, metav1.GetOptions{})
	if err == nil {
		_, err = api.Patch(ctx, pv, types.MergePatchType, finalizersPatch(now.ResourceVersion, change(now.Finalizers)), metav1.PatchOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("changing the finalizers of PersistentVolume %s: %w", pv, err)
	}
	return nil
}

// letGo takes the finalizer off a volume that is being deleted and attached nowhere.
func (d *Driver) letGo(ctx context.Context, pv *corev1.PersistentVolume) {
	all, err := d.attachments.List(everything)
	if err != nil || slices.ContainsFunc(all, func(va *storagev1.VolumeAttachment) bool {
		name := va.Spec.Source.PersistentVolumeName
		return name != nil && *name == pv.Name
	}) {
		return // A detach looks at the volume again.
	}
	work.Retry(ctx, d.o.Clock, d.o.Logger, "csi/let-go/"+d.volumeName(pv)+"/"+pv.Name, func() error {
		return d.changeFinalizers(ctx, pv.Name, func(now []string) []string { return without(now, finalizer(pv.Spec.CSI.Driver)) })
	})
}

// mark puts the finalizer on an attachment, so that it stays until the volume
// is detached.
func (d *Driver) mark(ctx context.Context, c *class, va *storagev1.VolumeAttachment, a *attachment) {
	fin := finalizer(c.driver)
	if slices.Contains(va.Finalizers, fin) {
		return
	}
	patch := mustJSON(map[string]any{"metadata": map[string]any{
		"finalizers":  append(slices.Clone(va.Finalizers), fin),
		"annotations": map[string]string{"csi.alpha.kubernetes.io/node-id": a.node},
	}})
	key := "csi/mark/" + a.stable + "/" + a.node + "/" + a.pv
	work.Retry(ctx, d.o.Clock, d.o.Logger, key, func() error {
		_, err := d.o.Client.StorageV1().VolumeAttachments().Patch(ctx, va.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		if err != nil {
			return fmt.Errorf("putting the finalizer on VolumeAttachment %s: %w", va.Name, err)
		}
		a.marked = true
		return nil
	})
}

// elsewhere returns another node that a volume which can be on one node only is
// attached to.
func (d *Driver) elsewhere(pv *corev1.PersistentVolume, node string) string {
	for _, m := range pv.Spec.AccessModes {
		if m == corev1.ReadWriteMany || m == corev1.ReadOnlyMany {
			return ""
		}
	}
	for _, on := range slices.Sorted(maps.Keys(d.attached[pv.Name])) {
		if on != node {
			return on
		}
	}
	return ""
}

func (d *Driver) setAttached(a *attachment, attached bool) {
	if attached {
		if d.attached[a.pv] == nil {
			d.attached[a.pv] = map[string]*class{}
		}
		d.attached[a.pv][a.node] = a.class
		return
	}
	delete(d.attached[a.pv], a.node)
}

// attachFailed reports what the driver says of an attach that it does not do.
func (d *Driver) attachFailed(ctx context.Context, va *storagev1.VolumeAttachment, a *attachment, no answer) {
	d.failure(history.OperationAttach, a, no)
	d.reportError(ctx, va, a, "attach", map[string]any{"attached": false, "attachError": volumeError(d.o.Clock.Now(), no)})
}

// volumeError is what the external-attacher writes of an answer that says no.
func volumeError(now time.Time, no answer) map[string]any {
	return map[string]any{"time": metav1.NewTime(now), "message": no.String()}
}

func (d *Driver) reportError(ctx context.Context, va *storagev1.VolumeAttachment, a *attachment, operation string, status map[string]any) {
	patch := mustJSON(map[string]any{"status": status})
	key := "csi/" + operation + "-error/" + a.stable + "/" + a.node + "/" + a.pv
	work.Retry(ctx, d.o.Clock, d.o.Logger, key, func() error {
		_, err := d.o.Client.StorageV1().VolumeAttachments().Patch(ctx, va.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		if err != nil {
			return fmt.Errorf("reporting the %s error of VolumeAttachment %s: %w", operation, va.Name, err)
		}
		return nil
	})
}

// failure records that an operation on a volume has failed, once for each answer.
func (d *Driver) failure(operation string, a *attachment, no answer) {
	d.recordFailure(a.ref(), history.VolumeFailed{Operation: operation, Class: a.class.Name, Namespace: a.namespace, Claim: a.claim, PV: a.pv, Node: a.node, Message: no.String()})
}

// settled says that an operation has been done: if it fails again, that is told again.
func (d *Driver) settled(operation string, a *attachment) {
	delete(d.told, toldKey(operation, a.ref(), a.node))
}

func toldKey(operation string, ref history.Ref, node string) string {
	return operation + "/" + ref.Namespace + "/" + ref.Name + "/" + node
}

func (d *Driver) recordFailure(ref history.Ref, f history.VolumeFailed) {
	key := toldKey(f.Operation, ref, f.Node)
	if d.told[key] == f {
		return
	}
	d.told[key] = f
	d.o.Recorder.Record(history.NewFact(actor, ref, history.FactVolumeFailed, f))
}

func (d *Driver) attachDone(ctx context.Context, va *storagev1.VolumeAttachment, a *attachment, took time.Duration) error {
	if a.detaching {
		return nil
	}
	patch := mustJSON(map[string]any{"status": map[string]any{"attached": true, "attachError": nil}})
	if _, err := d.o.Client.StorageV1().VolumeAttachments().Patch(ctx, va.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("reporting VolumeAttachment %s as attached: %w", va.Name, err)
	}
	a.attached = true
	d.settled(history.OperationAttach, a)
	d.record(history.FactAttached, a, took)
	return nil
}

// record writes a fact about the claim of the volume, or the volume where it
// has none.
func (d *Driver) record(fact string, a *attachment, took time.Duration) {
	d.o.Recorder.Record(history.NewFact(actor, a.ref(), fact, history.Volume{Claim: a.claim, PV: a.pv, Node: a.node, Seconds: took.Seconds()}))
}

// ref is the claim of the volume, or the volume where it has none.
func (a *attachment) ref() history.Ref {
	if a.claim == "" {
		return history.Ref{APIVersion: "v1", Kind: "PersistentVolume", Name: a.pv}
	}
	return claimRef(a.namespace, a.claim)
}

func (d *Driver) detach(ctx context.Context, va *storagev1.VolumeAttachment, a *attachment) {
	c := d.attacherClass(va)
	if a == nil {
		a = &attachment{pv: *va.Spec.Source.PersistentVolumeName, node: va.Spec.NodeName, class: c, stable: *va.Spec.Source.PersistentVolumeName}
	}
	d.mu.Lock()
	a.detaching = true
	d.attaching[va.UID] = a
	d.mu.Unlock()
	if a.attach != nil {
		d.drop(a.attach)
		a.attach = nil
	} else {
		a.begun = true // of a cell before
	}
	key := "csi/detach/" + a.stable + "/" + a.node + "/" + a.pv
	detaching := func() *fault {
		if !a.begun {
			return nil // there is nothing to do for the driver
		}
		return d.faultAt(history.OperationDetach, c.Name, a.node)
	}
	d.ask(&call{
		key: key, timeout: AttacherTimeout, namespace: a.namespace, claim: a.claim,
		barred: func() *answer {
			return detaching().fails(a.node)
		},
		took: func() time.Duration {
			if !a.begun {
				return 0
			}
			return d.sample(c.Detach, defaultDetach, "detach", c.Name, a.stable, a.node)
		},
		fault: detaching,
		begin: func() {},
		done: func(took time.Duration) {
			work.Retry(ctx, d.o.Clock, d.o.Logger, key, func() error { return d.detachDone(ctx, c, va, a, took) })
		},
		failed: func(no answer) {
			d.failure(history.OperationDetach, a, no)
			d.reportError(ctx, va, a, "detach", map[string]any{"detachError": volumeError(d.o.Clock.Now(), no)})
		},
	})
}

func (d *Driver) detachDone(ctx context.Context, c *class, va *storagev1.VolumeAttachment, a *attachment, took time.Duration) error {
	api := d.o.Client.StorageV1().VolumeAttachments()
	patch := finalizersPatch("", without(va.Finalizers, finalizer(c.driver)))
	if _, err := api.Patch(ctx, va.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("taking the finalizer off VolumeAttachment %s: %w", va.Name, err)
	}
	if a.begun {
		d.setAttached(a, false)
	}
	if a.attached {
		d.record(history.FactDetached, a, took)
	}
	d.settled(history.OperationDetach, a)
	// Whoever the volume was refused to may have it now, and a released volume
	// may be deleted.
	d.reconsider()
	d.list.Add("pv/" + a.pv)
	return nil
}
