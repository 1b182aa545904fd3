package storage

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/testr"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
)

// bench is a driver over a fake API server.
type bench struct {
	*testing.T
	ctx    context.Context
	client *fake.Clientset
	clock  *clock.Clock
	driver *Driver
	facts  []string
}

func (b *bench) Record(e history.Entry) {
	var v history.Volume
	if err := e.Decode(&v); err != nil {
		b.Fatal(err)
	}
	b.facts = append(b.facts, fmt.Sprintf("%g %s %s %s %s", b.clock.Elapsed(), e.Fact, e.Object.Name, v.Node, v.Zone))
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// run steps the clock until nothing is left to do; what is tried again and would fail is not.
func (b *bench) run() {
	for synctest.Wait(); len(b.clock.Pending(clock.Work)) > 0; synctest.Wait() {
		b.clock.Step()
	}
}

var classes = []scenario.StorageClass{
	{Name: "plain", Default: true},
	{Name: "late", VolumeBindingMode: "WaitForFirstConsumer", Zonal: true},
	{Name: "zoned", Zonal: true},
	{Name: "single", AccessModes: []string{"RWO"}},
	{Name: "nfs", NoAttach: true},
	{Name: "nfsfile", NoAttach: true, FSGroupPolicy: "File"},
	{Name: "none", FSGroupPolicy: "None"},
}

// with runs f over a driver with two nodes in two zones, in a bubble in which
// synctest.Wait says when informers have spoken.
func with(t *testing.T, f func(b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := &bench{T: t, ctx: ctx, client: fake.NewClientset(), clock: clock.New(clock.Epoch)}
		for name, zone := range map[string]string{"n1": "z1", "n2": "z2"} {
			_, err := b.client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelTopologyZone: zone}}}, metav1.CreateOptions{})
			b.must(err)
		}
		factory := informers.NewSharedInformerFactory(b.client, 0)
		d, err := New(Options{Client: b.client, Informers: factory, Clock: b.clock, Seed: 1, Recorder: b, Classes: classes, Logger: testr.New(t)})
		b.must(err)
		b.driver = d
		factory.Start(ctx.Done())
		synctest.Wait()
		b.must(d.Start(ctx))
		f(b)
		cancel()
		factory.Shutdown()
		synctest.Wait()
	})
}

func (b *bench) claim(name, class string, mode corev1.PersistentVolumeAccessMode) *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: name, UID: types.UID("uid-" + name), Annotations: map[string]string{annProvisioner: class + DriverSuffix},
	}}
	claim.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{mode}
	claim.Spec.StorageClassName = &class
	claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	claim, err := b.client.CoreV1().PersistentVolumeClaims("ns").Create(b.ctx, claim, metav1.CreateOptions{})
	b.must(err)
	return claim
}

func (b *bench) pv(claim string) *corev1.PersistentVolume {
	pv, err := b.client.CoreV1().PersistentVolumes().Get(b.ctx, "pvc-uid-"+claim, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	b.must(err)
	return pv
}

func (b *bench) eventMessages() string {
	list, err := b.client.CoreV1().Events("ns").List(b.ctx, metav1.ListOptions{})
	b.must(err)
	slices.SortFunc(list.Items, func(a, b corev1.Event) int { return strings.Compare(a.Name, b.Name) })
	var out []string
	for _, e := range list.Items {
		if !regexp.MustCompile(`^[a-z]+\.csi\.simctl\.dev_csi-controller-0_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(e.Source.Component) {
			b.Errorf("the event %s is of %q", e.Reason, e.Source.Component)
		}
		out = append(out, fmt.Sprintf("%s %s x%d: %s", e.Type, e.Reason, e.Count, e.Message))
	}
	return strings.Join(out, "\n")
}

func TestProvision(t *testing.T) {
	with(t, func(b *bench) {
		b.claim("a", "plain", corev1.ReadWriteOnce)
		b.run()
		pv := b.pv("a")
		if pv == nil {
			t.Fatal("no volume was made")
		}
		if pv.Spec.CSI.Driver != "plain.csi.simctl.dev" || pv.Spec.CSI.FSType != "ext4" || pv.Spec.ClaimRef.UID != "uid-a" ||
			pv.Spec.StorageClassName != "plain" || pv.Annotations[annProvisionedBy] != "plain.csi.simctl.dev" || pv.Spec.NodeAffinity != nil ||
			pv.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete || pv.Spec.Capacity.Storage().String() != "1Gi" {
			t.Errorf("made %+v", pv.Spec)
		}
		if want := []string{"3 Provisioned a  "}; !slices.Equal(b.facts, want) {
			t.Errorf("facts %q, want %q", b.facts, want)
		}
		want := `Normal Provisioning x1: External provisioner is provisioning volume for claim "ns/a"
Normal ProvisioningSucceeded x1: Successfully provisioned volume pvc-uid-a`
		if got := b.eventMessages(); got != want {
			t.Errorf("events: %s", got)
		}
	})
}

func TestProvisionWaitsForFirstConsumer(t *testing.T) {
	with(t, func(b *bench) {
		claim := b.claim("a", "late", corev1.ReadWriteOnce)
		b.run()
		if b.pv("a") != nil {
			t.Fatal("a volume was made before a node was selected")
		}
		claim.Annotations[annSelectedNode] = "n2"
		_, err := b.client.CoreV1().PersistentVolumeClaims("ns").Update(b.ctx, claim, metav1.UpdateOptions{})
		b.must(err)
		b.run()
		if want := []string{"3 Provisioned a  z2"}; !slices.Equal(b.facts, want) {
			t.Errorf("facts %q, want %q", b.facts, want)
		}
		term := b.pv("a").Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0]
		if term.Key != corev1.LabelTopologyZone || !slices.Equal(term.Values, []string{"z2"}) {
			t.Errorf("node affinity %+v", term)
		}
	})
}

// TestImmediateZone: the zone is drawn from the claim's name, and both zones come up.
func TestImmediateZone(t *testing.T) {
	zones := map[string]bool{}
	with(t, func(b *bench) {
		for i := range 12 {
			b.claim(fmt.Sprintf("c%d", i), "zoned", corev1.ReadWriteOnce)
		}
		b.run()
		for i := range 12 {
			zones[b.pv(fmt.Sprintf("c%d", i)).Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values[0]] = true
		}
	})
	if len(zones) != 2 {
		t.Errorf("zones %v, want both", zones)
	}
}

func TestProvisionRefusesAccessMode(t *testing.T) {
	with(t, func(b *bench) {
		b.claim("a", "single", corev1.ReadWriteMany)
		b.run()
		if b.pv("a") != nil || !slices.Equal(b.facts, []string{"0 VolumeFailed a  "}) {
			t.Errorf("a volume was made, or nothing said of it: %q", b.facts)
		}
		// The provisioner tries again after 1, 2, 4 and 8 s, which keeps no time going.
		if at := b.clock.Elapsed(); at != 0 {
			t.Errorf("the tries took %g s", at)
		}
		b.clock.Schedule(20*time.Second, clock.Work, "test", func() {})
		b.run()
		want := `Normal Provisioning x5: External provisioner is provisioning volume for claim "ns/a"
Warning ProvisioningFailed x5: failed to provision volume with StorageClass "single": rpc error: code = InvalidArgument desc = access mode ReadWriteMany is not supported by single.csi.simctl.dev`
		if got := b.eventMessages(); got != want {
			t.Errorf("events: %s", got)
		}
	})
}

func (b *bench) attachTo(claim, node string) string {
	pv := b.pv(claim)
	name := claim + "-" + node
	_, err := b.client.StorageV1().VolumeAttachments().Create(b.ctx, &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)},
		Spec:       storagev1.VolumeAttachmentSpec{Attacher: pv.Spec.CSI.Driver, NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &pv.Name}},
	}, metav1.CreateOptions{})
	b.must(err)
	return name
}

func (b *bench) attachment(name string) *storagev1.VolumeAttachment {
	va, err := b.client.StorageV1().VolumeAttachments().Get(b.ctx, name, metav1.GetOptions{})
	b.must(err)
	return va
}

func (b *bench) detach(name string) {
	va := b.attachment(name)
	now := metav1.NewTime(b.clock.Now())
	va.DeletionTimestamp = &now
	_, err := b.client.StorageV1().VolumeAttachments().Update(b.ctx, va, metav1.UpdateOptions{})
	b.must(err)
}

func TestAttachDetach(t *testing.T) {
	with(t, func(b *bench) {
		b.claim("a", "plain", corev1.ReadWriteOnce)
		b.run()
		name := b.attachTo("a", "n1")
		b.run()
		va := b.attachment(name)
		if !va.Status.Attached || !slices.Contains(va.Finalizers, "external-attacher/plain-csi-simctl-dev") {
			t.Errorf("attached %v, finalizers %v", va.Status.Attached, va.Finalizers)
		}
		if fin := b.pv("a").Finalizers; !slices.Contains(fin, "external-attacher/plain-csi-simctl-dev") {
			t.Errorf("the volume's finalizers are %v", fin)
		}
		// A second node has to wait until the disk is free.
		other := b.attachTo("a", "n2")
		b.run()
		if va := b.attachment(other); va.Status.Attached || va.Status.AttachError == nil {
			t.Errorf("second node: %+v, want an attach error", va.Status)
		}
		b.detach(name)
		b.run()
		if fin := b.attachment(name).Finalizers; len(fin) > 0 {
			t.Errorf("finalizers %v are left after the detach", fin)
		}
		if va := b.attachment(other); !va.Status.Attached || va.Status.AttachError != nil {
			t.Errorf("second node after the detach: %+v", va.Status)
		}
		want := []string{"3 Provisioned a  ", "13 Attached a n1 ", "13 VolumeFailed a n2 ", "19 Detached a n1 ", "36 Attached a n2 "}
		if !slices.Equal(b.facts, want) {
			t.Errorf("facts %q, want %q", b.facts, want)
		}
	})
}

func TestDetachBeforeAttached(t *testing.T) {
	with(t, func(b *bench) {
		b.claim("a", "plain", corev1.ReadWriteMany)
		b.run()
		first, second := b.attachTo("a", "n1"), b.attachTo("a", "n2")
		synctest.Wait()
		b.clock.Step() // The driver begins.
		synctest.Wait()
		b.detach(first)
		b.run()
		if fin := b.attachment(first).Finalizers; len(fin) > 0 {
			t.Errorf("finalizers %v are left", fin)
		}
		if !b.attachment(second).Status.Attached {
			t.Error("a volume that may be on several nodes was not attached to the second")
		}
		if want := []string{"3 Provisioned a  ", "13 Attached a n2 "}; !slices.Equal(b.facts, want) {
			t.Errorf("facts %q, want %q", b.facts, want)
		}
	})
}

func TestReleasedVolumeIsDeleted(t *testing.T) {
	with(t, func(b *bench) {
		b.claim("a", "plain", corev1.ReadWriteOnce)
		b.run()
		name := b.attachTo("a", "n1")
		b.run()
		pv := b.pv("a")
		pv.Status.Phase = corev1.VolumeReleased
		_, err := b.client.CoreV1().PersistentVolumes().UpdateStatus(b.ctx, pv, metav1.UpdateOptions{})
		b.must(err)
		b.run()
		if b.pv("a") == nil {
			t.Fatal("the volume was deleted while it was attached")
		}
		b.detach(name)
		b.run()
		if b.pv("a") != nil {
			t.Error("the released volume is still there")
		}
	})
}

// TestDeletedVolumeWaitsForDetach: a volume that somebody deletes keeps the attacher's
// finalizer as long as it is attached.
func TestDeletedVolumeWaitsForDetach(t *testing.T) {
	with(t, func(b *bench) {
		b.claim("a", "plain", corev1.ReadWriteOnce)
		b.run()
		name := b.attachTo("a", "n1")
		b.run()
		pv := b.pv("a")
		now := metav1.NewTime(b.clock.Now())
		pv.DeletionTimestamp = &now
		_, err := b.client.CoreV1().PersistentVolumes().Update(b.ctx, pv, metav1.UpdateOptions{})
		b.must(err)
		b.run()
		fin := "external-attacher/plain-csi-simctl-dev"
		if !slices.Contains(b.pv("a").Finalizers, fin) {
			t.Error("the volume was let go while it was attached")
		}
		b.detach(name)
		synctest.Wait()
		b.clock.Step() // The driver begins.
		synctest.Wait()
		b.clock.Step() // The volume is detached.
		b.must(b.client.StorageV1().VolumeAttachments().Delete(b.ctx, name, metav1.DeleteOptions{}))
		b.run()
		if got := b.pv("a").Finalizers; slices.Contains(got, fin) {
			t.Errorf("finalizers %v are left after the detach", got)
		}
	})
}

func TestSupportsFSGroup(t *testing.T) {
	for _, tc := range []struct {
		class    string
		modes    []corev1.PersistentVolumeAccessMode
		readOnly bool
		want     bool
	}{
		{"plain", []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, false, true},
		{"plain", []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}, false, true},
		{"plain", []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, false, false},
		{"plain", []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, true, false},
		{"nfs", []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, false, false},
		{"nfsfile", []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, false, true},
		{"none", []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, false, false},
	} {
		with(t, func(b *bench) {
			b.claim("a", tc.class, tc.modes[0])
			b.run()
			if got := b.driver.SupportsFSGroup(b.pv("a"), tc.readOnly); got != tc.want {
				t.Errorf("%s %v readOnly=%v: %v, want %v", tc.class, tc.modes, tc.readOnly, got, tc.want)
			}
		})
	}
}

func TestObjects(t *testing.T) {
	with(t, func(b *bench) {
		kinds := map[string]int{}
		for _, o := range b.driver.Objects() {
			kinds[o.GetObjectKind().GroupVersionKind().Kind]++
			switch o := o.(type) {
			case *storagev1.StorageClass:
				isDefault := o.Annotations["storageclass.kubernetes.io/is-default-class"] == "true"
				if isDefault != (o.Name == "plain") {
					t.Errorf("class %s: default %v", o.Name, isDefault)
				}
			case *storagev1.CSIDriver:
				if noAttach := strings.HasPrefix(o.Name, "nfs"); *o.Spec.AttachRequired == noAttach {
					t.Errorf("driver %s: attachRequired %v", o.Name, *o.Spec.AttachRequired)
				}
			}
		}
		if kinds["StorageClass"] != len(classes) || kinds["CSIDriver"] != len(classes) {
			t.Errorf("objects %v", kinds)
		}
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
		for _, d := range b.driver.CSINode(node).Spec.Drivers {
			if d.NodeID != "n1" {
				t.Errorf("driver %s has node ID %q", d.Name, d.NodeID)
			}
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for want, class := range map[string]scenario.StorageClass{
		"volumeBindingMode": {Name: "a", VolumeBindingMode: "Later"},
		"fsGroupPolicy":     {Name: "a", FSGroupPolicy: "Some"},
		"accessModes":       {Name: "a", AccessModes: []string{"RWW"}},
		"attach":            {Name: "a", Attach: &scenario.Distribution{Constant: "soon"}},
	} {
		_, err := New(Options{Informers: informers.NewSharedInformerFactory(fake.NewClientset(), 0), Classes: []scenario.StorageClass{class}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", want, err)
		}
	}
}
