package kube

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/volume"
	"k8s.io/kubernetes/pkg/volume/csi"
	volumeutil "k8s.io/kubernetes/pkg/volume/util"

	"simctl.dev/simctl/sim/clock"
)

const (
	// attachLimit is upstream's csiTimeout: how long an attach or detach may take.
	attachLimit = 2 * time.Minute
	// firstLook is how long upstream waits before it looks at the VolumeAttachment for the
	// first time (initBackoff of waitForVolumeAttachDetachStatusWithLister).
	firstLook = 500 * time.Millisecond
)

// statusError is an error that a VolumeAttachment has of its external-attacher. It may be an
// old one: whoever tries again finds the same until the external-attacher has tried again too.
type statusError struct{ error }

// csiByEvent is upstream's CSI volume plugin, except that an attach or detach is
// over when its VolumeAttachment says so: upstream's attacher sleeps half a
// second and more between two looks. Upstream's own wait is left to find the
// same thing out later; nothing comes of it.
type csiByEvent struct {
	volume.AttachableVolumePlugin
	clock       *clock.Clock
	attachments storagelisters.VolumeAttachmentLister
	volumes     corelisters.PersistentVolumeLister
	// over is called with an operation's volume, node and error when it has
	// ended.
	over func(volume corev1.UniqueVolumeName, node types.NodeName, err error)
	// hope is called with a volume and a node where what failed before would not fail now.
	hope func(volume corev1.UniqueVolumeName, node types.NodeName)

	mu sync.Mutex
	// changed is closed and replaced whenever a VolumeAttachment changes.
	changed chan struct{}
}

// newCSI returns the plugin; attachments' changes have to be told to notify.
func newCSI(c *clock.Clock, attachments storagelisters.VolumeAttachmentLister, volumes corelisters.PersistentVolumeLister) (*csiByEvent, error) {
	for _, p := range csi.ProbeVolumePlugins() {
		if a, ok := p.(volume.AttachableVolumePlugin); ok {
			return &csiByEvent{AttachableVolumePlugin: a, clock: c, attachments: attachments, volumes: volumes, changed: make(chan struct{})}, nil
		}
	}
	return nil, errors.New("upstream has no attachable CSI plugin")
}

func (p *csiByEvent) notify() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.changed)
	p.changed = make(chan struct{})
}

// handler tells of every change of a VolumeAttachment.
func (p *csiByEvent) handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { p.notify() },
		UpdateFunc: func(before, now any) {
			p.notify()
			was, ok := before.(*storagev1.VolumeAttachment)
			is, too := now.(*storagev1.VolumeAttachment)
			if ok && too && is.Status.Attached && !was.Status.Attached {
				p.hoped(is)
			}
		},
		DeleteFunc: func(obj any) {
			p.notify()
			if va, ok := obj.(*storagev1.VolumeAttachment); ok {
				p.hoped(va)
			}
		},
	}
}

// hoped tells that the external-attacher has done what may have failed before.
func (p *csiByEvent) hoped(va *storagev1.VolumeAttachment) {
	if va.Spec.Source.PersistentVolumeName == nil {
		return
	}
	pv, err := p.volumes.Get(*va.Spec.Source.PersistentVolumeName)
	if err != nil || pv.Spec.CSI == nil {
		return
	}
	name, err := p.GetVolumeName(volume.NewSpecFromPersistentVolume(pv, false))
	if err != nil {
		return
	}
	p.hope(volumeutil.GetUniqueVolumeName(p.GetPluginName(), name), types.NodeName(va.Spec.NodeName))
}

// run starts upstream's operation and waits until it has ended or seen, asked
// after every change, says that its end can be seen.
func (p *csiByEvent) run(operation func() error, seen func() (bool, error), timeout error) error {
	upstream := make(chan error, 1)
	go func() { upstream <- operation() }()
	limit := p.clock.NewTimer(attachLimit)
	defer limit.Stop()
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		if over, err := seen(); over || err != nil {
			return err
		}
		select {
		case err := <-upstream:
			return err
		case <-changed:
		case <-limit.C():
			return timeout
		}
	}
}

// find returns the VolumeAttachment of a volume on a node; nil if there is none.
func (p *csiByEvent) find(driver, handle string, node types.NodeName) (*storagev1.VolumeAttachment, error) {
	va, err := p.attachments.Get(attachmentName(handle, driver, string(node)))
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return va, err
}

// attachmentName is the name upstream gives a VolumeAttachment.
func attachmentName(handle, driver, node string) string {
	return fmt.Sprintf("csi-%x", sha256.Sum256([]byte(handle+driver+node)))
}

// NewAttacher implements volume.AttachableVolumePlugin.
func (p *csiByEvent) NewAttacher() (volume.Attacher, error) {
	a, err := p.AttachableVolumePlugin.NewAttacher()
	if err != nil {
		return nil, err
	}
	return &attacherByEvent{Attacher: a, plugin: p}, nil
}

// NewDetacher implements volume.AttachableVolumePlugin.
func (p *csiByEvent) NewDetacher() (volume.Detacher, error) {
	d, err := p.AttachableVolumePlugin.NewDetacher()
	if err != nil {
		return nil, err
	}
	return &detacherByEvent{Detacher: d, plugin: p}, nil
}

type attacherByEvent struct {
	volume.Attacher
	plugin *csiByEvent
}

// Attach implements volume.Attacher. The path it returns is always empty for CSI.
func (a *attacherByEvent) Attach(spec *volume.Spec, node types.NodeName) (string, error) {
	if spec == nil || spec.PersistentVolume == nil || spec.PersistentVolume.Spec.CSI == nil {
		return a.Attacher.Attach(spec, node)
	}
	src := spec.PersistentVolume.Spec.CSI
	name, err := a.plugin.GetVolumeName(spec)
	if err != nil {
		return "", err
	}
	err = a.plugin.run(func() error {
		_, err := a.Attacher.Attach(spec, node)
		return err
	}, func() (bool, error) {
		va, err := a.plugin.find(src.Driver, src.VolumeHandle, node)
		if va == nil || err != nil {
			return false, err
		}
		switch {
		case va.DeletionTimestamp != nil:
			return false, errors.New("volume attachment is being deleted")
		case va.Status.Attached:
			return true, nil
		case va.Status.AttachError != nil:
			return false, statusError{errors.New(va.Status.AttachError.Message)}
		}
		return false, nil
	}, fmt.Errorf("timed out waiting for external-attacher of %v CSI driver to attach volume %v", src.Driver, src.VolumeHandle))
	a.plugin.over(volumeutil.GetUniqueVolumeName(a.plugin.GetPluginName(), name), node, err)
	return "", err
}

type detacherByEvent struct {
	volume.Detacher
	plugin *csiByEvent
}

// Detach implements volume.Detacher.
func (d *detacherByEvent) Detach(name string, node types.NodeName) error {
	// The plugin's names of volumes are DRIVER^HANDLE.
	driver, handle, ok := strings.Cut(name, "^")
	if !ok {
		return d.Detacher.Detach(name, node)
	}
	err := d.plugin.run(func() error { return d.Detacher.Detach(name, node) }, func() (bool, error) {
		va, err := d.plugin.find(driver, handle, node)
		if err != nil {
			return false, err
		}
		if va == nil {
			return true, nil
		}
		if va.Status.DetachError != nil && va.DeletionTimestamp != nil {
			return false, statusError{errors.New(va.Status.DetachError.Message)}
		}
		return false, nil
	}, fmt.Errorf("timed out waiting for external-attacher of unknown CSI driver to detach volume %v", handle))
	d.plugin.over(volumeutil.GetUniqueVolumeName(d.plugin.GetPluginName(), name), node, err)
	return err
}
