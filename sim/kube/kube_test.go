package kube_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/kube"
)

func TestMain(m *testing.M) {
	controlplane.ChildMain()
	os.Exit(m.Run())
}

// cluster is a control plane with the controllers, and nothing else.
type cluster struct {
	cp      *controlplane.ControlPlane
	admin   kubernetes.Interface
	clock   *clock.Clock
	kube    *kube.Controllers
	context context.Context
}

// TestControllers runs its parts on one control plane, one after the other, as
// cells do.
func TestControllers(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cp, err := controlplane.Start(ctx, controlplane.Options{Logger: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{cp: cp, clock: clock.New(clock.Epoch), context: ctx}
	t.Cleanup(func() {
		cancel()
		if c.kube != nil {
			c.kube.Wait()
		}
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	c.admin = kubernetes.NewForConfigOrDie(cp.Admin("user"))
	began := time.Now()
	c.kube, err = kube.Start(ctx, kube.Options{
		ConfigFor: func(name string) *rest.Config {
			if name == kube.Manager {
				return cp.Admin(name)
			}
			return cp.ServiceAccount("kube-system", name)
		},
		Clock:  c.clock,
		Logger: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("in step after %v", time.Since(began))
	for _, part := range []struct {
		name string
		run  func(*testing.T, *cluster)
	}{
		{"ServiceAccount", testServiceAccount},
		{"StatefulSet", testStatefulSet},
		{"a StatefulSet that admission refuses", testRefusedStatefulSet},
		{"claim bound to its volume", testBinder},
		{"attach, multi-attach, detach", testAttachDetach},
		{"attach that fails or is slow", testAttachTrouble},
		{"garbage of kinds made later", testGarbage},
		{"namespace", testNamespace},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, c) })
	}
}

// settle waits until nothing goes on.
func (c *cluster) settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(c.context, time.Minute)
	defer cancel()
	if err := c.cp.Quiet(ctx, nil, controlplane.Check{Name: "kube", Idle: func() (bool, error) { return c.kube.Quiet(), nil }}); err != nil {
		t.Fatalf("not quiet: %v", err)
	}
}

func (c *cluster) newNamespace(t *testing.T, name string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := c.admin.CoreV1().Namespaces().Create(c.context, ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.settle(t)
}

// events returns the reasons and messages of an object's events.
func (c *cluster) events(t *testing.T, namespace, name, reason string) []string {
	t.Helper()
	list, err := c.admin.CoreV1().Events(namespace).List(c.context, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list.Items {
		if e.InvolvedObject.Name == name && e.Reason == reason {
			out = append(out, e.Message)
		}
	}
	return out
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func podSpec(claims ...string) corev1.PodSpec {
	s := corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "example.com/c"}}}
	for _, claim := range claims {
		s.Volumes = append(s.Volumes, corev1.Volume{Name: claim, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}})
	}
	return s
}

func statefulSet(namespace, name string) *appsv1.StatefulSet {
	l := map[string]string{"app": name}
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To[int32](1), Selector: &metav1.LabelSelector{MatchLabels: l}, ServiceName: name,
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: l}, Spec: podSpec()},
		},
	}
}

func testServiceAccount(t *testing.T, c *cluster) {
	c.newNamespace(t, "sa")
	must(c.admin.CoreV1().ServiceAccounts("sa").Get(c.context, "default", metav1.GetOptions{}))(t)
	if err := c.admin.CoreV1().ServiceAccounts("sa").Delete(c.context, "default", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.settle(t)
	must(c.admin.CoreV1().ServiceAccounts("sa").Get(c.context, "default", metav1.GetOptions{}))(t)
}

func testStatefulSet(t *testing.T, c *cluster) {
	c.newNamespace(t, "sts")
	must(c.admin.AppsV1().StatefulSets("sts").Create(c.context, statefulSet("sts", "assistant"), metav1.CreateOptions{}))(t)
	c.settle(t)
	must(c.admin.CoreV1().Pods("sts").Get(c.context, "assistant-0", metav1.GetOptions{}))(t)
	// A pod that is lost comes back.
	if err := c.admin.CoreV1().Pods("sts").Delete(c.context, "assistant-0", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.settle(t)
	must(c.admin.CoreV1().Pods("sts").Get(c.context, "assistant-0", metav1.GetOptions{}))(t)
	// Deleting the set takes its pod and its revision along.
	if err := c.admin.AppsV1().StatefulSets("sts").Delete(c.context, "assistant", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.settle(t)
	if _, err := c.admin.CoreV1().Pods("sts").Get(c.context, "assistant-0", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the deleted set's pod: %v", err)
	}
	if l := must(c.admin.AppsV1().ControllerRevisions("sts").List(c.context, metav1.ListOptions{}))(t); len(l.Items) > 0 {
		t.Errorf("%d revisions are left", len(l.Items))
	}
}

func testRefusedStatefulSet(t *testing.T, c *cluster) {
	const ns = "quota"
	c.newNamespace(t, ns)
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "none"},
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}}}
	must(c.admin.CoreV1().ResourceQuotas(ns).Create(c.context, quota, metav1.CreateOptions{}))(t)
	c.settle(t)
	must(c.admin.AppsV1().StatefulSets(ns).Create(c.context, statefulSet(ns, "a"), metav1.CreateOptions{}))(t)
	c.settle(t)
	if n := c.kube.Pending(); n != 1 {
		t.Fatalf("%d keys back off, want the StatefulSet", n)
	}
	if e := c.events(t, ns, "a", "FailedCreate"); len(e) == 0 || !strings.Contains(e[0], "exceeded quota: none") {
		t.Errorf("events %q", e)
	}
	// Retries take virtual time, ever more of it, and change nothing.
	for range 5 {
		before := c.clock.Elapsed()
		if !c.clock.Step() || c.clock.Elapsed() == before {
			t.Fatal("no retry on the clock")
		}
		c.settle(t)
	}
	if n := c.kube.Nudge(); n != 1 {
		t.Errorf("nudged %d", n)
	}
	c.settle(t)
	if _, err := c.admin.CoreV1().Pods(ns).Get(c.context, "a-0", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Fatalf("a pod in spite of the quota: %v", err)
	}
	// With room the next retry makes the pod, and the quota counts it.
	patch := []byte(`{"spec":{"hard":{"pods":"1"}}}`)
	must(c.admin.CoreV1().ResourceQuotas(ns).Patch(c.context, "none", types.MergePatchType, patch, metav1.PatchOptions{}))(t)
	c.settle(t)
	if !c.clock.Step() {
		t.Fatal("no retry on the clock")
	}
	c.settle(t)
	must(c.admin.CoreV1().Pods(ns).Get(c.context, "a-0", metav1.GetOptions{}))(t)
	used := func() string {
		q := must(c.admin.CoreV1().ResourceQuotas(ns).Get(c.context, "none", metav1.GetOptions{}))(t)
		v := q.Status.Used[corev1.ResourcePods]
		return v.String()
	}
	if got := used(); got != "1" {
		t.Errorf("used %s", got)
	}
	if err := c.admin.AppsV1().StatefulSets(ns).Delete(c.context, "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.settle(t)
	if got := used(); got != "0" {
		t.Errorf("used %s after the set was deleted", got)
	}
	if n := c.kube.Pending(); n != 0 {
		t.Errorf("%d keys back off", n)
	}
}

const driver = "disk.csi.simctl.dev"

// volume makes a claim and its volume, as a provisioner does.
func (c *cluster) volume(t *testing.T, namespace, name string) {
	t.Helper()
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "disk"}, Provisioner: driver}
	if _, err := c.admin.StorageV1().StorageClasses().Create(c.context, class, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To("disk"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
	claim = must(c.admin.CoreV1().PersistentVolumeClaims(namespace).Create(c.context, claim, metav1.CreateOptions{}))(t)
	c.settle(t)
	now := must(c.admin.CoreV1().PersistentVolumeClaims(namespace).Get(c.context, name, metav1.GetOptions{}))(t)
	if got := now.Annotations["volume.kubernetes.io/storage-provisioner"]; got != driver {
		t.Fatalf("the claim asks for provisioner %q", got)
	}
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv-" + name},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName: "disk", AccessModes: claim.Spec.AccessModes, Capacity: claim.Spec.Resources.Requests,
			ClaimRef:                      &corev1.ObjectReference{Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: namespace, Name: name, UID: claim.UID},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: "handle-" + name}},
		},
	}
	must(c.admin.CoreV1().PersistentVolumes().Create(c.context, pv, metav1.CreateOptions{}))(t)
	c.settle(t)
}

func testBinder(t *testing.T, c *cluster) {
	c.newNamespace(t, "binder")
	c.volume(t, "binder", "data")
	claim := must(c.admin.CoreV1().PersistentVolumeClaims("binder").Get(c.context, "data", metav1.GetOptions{}))(t)
	if claim.Status.Phase != corev1.ClaimBound || claim.Spec.VolumeName != "pv-data" {
		t.Fatalf("claim %s, volume %q", claim.Status.Phase, claim.Spec.VolumeName)
	}
	// A claim in use is protected until its pod is gone.
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "binder", Name: "user"}, Spec: podSpec("data")}
	must(c.admin.CoreV1().Pods("binder").Create(c.context, pod, metav1.CreateOptions{}))(t)
	c.settle(t)
	// A pod without a node does not count; it has to be bound.
	bind := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: "binder", Name: "user"}, Target: corev1.ObjectReference{Kind: "Node", Name: "nowhere"}}
	if err := c.admin.CoreV1().Pods("binder").Bind(c.context, bind, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.settle(t)
	if err := c.admin.CoreV1().PersistentVolumeClaims("binder").Delete(c.context, "data", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.settle(t)
	must(c.admin.CoreV1().PersistentVolumeClaims("binder").Get(c.context, "data", metav1.GetOptions{}))(t)
	if err := c.admin.CoreV1().Pods("binder").Delete(c.context, "user", metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}); err != nil {
		t.Fatal(err)
	}
	c.settle(t)
	if _, err := c.admin.CoreV1().PersistentVolumeClaims("binder").Get(c.context, "data", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Fatalf("the claim after its pod's end: %v", err)
	}
	pv := must(c.admin.CoreV1().PersistentVolumes().Get(c.context, "pv-data", metav1.GetOptions{}))(t)
	if pv.Status.Phase != corev1.VolumeReleased {
		t.Errorf("volume %s", pv.Status.Phase)
	}
}

func (c *cluster) newNode(t *testing.T, name string) {
	t.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{
		"volumes.kubernetes.io/controller-managed-attach-detach": "true",
	}}}
	n = must(c.admin.CoreV1().Nodes().Create(c.context, n, metav1.CreateOptions{}))(t)
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	must(c.admin.CoreV1().Nodes().UpdateStatus(c.context, n, metav1.UpdateOptions{}))(t)
	csi := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: storagev1.CSINodeSpec{
		Drivers: []storagev1.CSINodeDriver{{Name: driver, NodeID: name}},
	}}
	must(c.admin.StorageV1().CSINodes().Create(c.context, csi, metav1.CreateOptions{}))(t)
}

// podOn makes a pod that is bound to a node.
func (c *cluster) podOn(t *testing.T, namespace, name, node string, claims ...string) {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: podSpec(claims...)}
	pod.Spec.NodeName = node
	must(c.admin.CoreV1().Pods(namespace).Create(c.context, pod, metav1.CreateOptions{}))(t)
	c.settle(t)
}

// attachments returns the VolumeAttachments as "PV@NODE", with "!" if attached
// and "-" if being deleted.
func (c *cluster) attachments(t *testing.T) string {
	t.Helper()
	var out []string
	for _, va := range must(c.admin.StorageV1().VolumeAttachments().List(c.context, metav1.ListOptions{}))(t).Items {
		s := *va.Spec.Source.PersistentVolumeName + "@" + va.Spec.NodeName
		if va.Status.Attached {
			s += "!"
		}
		if va.DeletionTimestamp != nil {
			s += "-"
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// attach does the external-attacher's part: a finalizer and the status.
func (c *cluster) attach(t *testing.T, pv, node, status string) {
	t.Helper()
	for _, va := range must(c.admin.StorageV1().VolumeAttachments().List(c.context, metav1.ListOptions{}))(t).Items {
		if *va.Spec.Source.PersistentVolumeName != pv || va.Spec.NodeName != node {
			continue
		}
		must(c.admin.StorageV1().VolumeAttachments().Patch(c.context, va.Name, types.MergePatchType,
			[]byte(`{"metadata":{"finalizers":["external-attacher/`+driver+`"]}}`), metav1.PatchOptions{}))(t)
		must(c.admin.StorageV1().VolumeAttachments().Patch(c.context, va.Name, types.MergePatchType,
			[]byte(`{"status":`+status+`}`), metav1.PatchOptions{}, "status"))(t)
		c.settle(t)
		return
	}
	t.Fatalf("no attachment of %s to %s", pv, node)
}

// detached does the external-attacher's part when a volume is off its node.
func (c *cluster) detached(t *testing.T, pv, node string) {
	t.Helper()
	for _, va := range must(c.admin.StorageV1().VolumeAttachments().List(c.context, metav1.ListOptions{}))(t).Items {
		if *va.Spec.Source.PersistentVolumeName == pv && va.Spec.NodeName == node {
			must(c.admin.StorageV1().VolumeAttachments().Patch(c.context, va.Name, types.MergePatchType,
				[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}))(t)
		}
	}
	c.settle(t)
}

// inUse does the kubelet's part.
func (c *cluster) inUse(t *testing.T, node string, pvs ...string) {
	t.Helper()
	names := []string{}
	for _, pv := range pvs {
		names = append(names, fmt.Sprintf(`"kubernetes.io/csi/%s^handle-%s"`, driver, strings.TrimPrefix(pv, "pv-")))
	}
	must(c.admin.CoreV1().Nodes().Patch(c.context, node, types.MergePatchType,
		[]byte(`{"status":{"volumesInUse":[`+strings.Join(names, ",")+`]}}`), metav1.PatchOptions{}, "status"))(t)
	c.settle(t)
}

func (c *cluster) attachedTo(t *testing.T, node string) int {
	t.Helper()
	return len(must(c.admin.CoreV1().Nodes().Get(c.context, node, metav1.GetOptions{}))(t).Status.VolumesAttached)
}

func testAttachDetach(t *testing.T, c *cluster) {
	const ns = "attach"
	c.newNamespace(t, ns)
	c.newNode(t, "n0")
	c.newNode(t, "n1")
	c.volume(t, ns, "disk")
	step := func(what, want string) {
		t.Helper()
		if got := c.attachments(t); got != want {
			t.Fatalf("%s: attachments %q, want %q", what, got, want)
		}
	}
	c.podOn(t, ns, "first", "n0", "disk")
	step("a pod on n0", "pv-disk@n0")
	if n := c.attachedTo(t, "n0"); n != 0 {
		t.Fatalf("the node reports %d volumes before the driver did", n)
	}
	c.attach(t, "pv-disk", "n0", `{"attached":true}`)
	if n := c.attachedTo(t, "n0"); n != 1 {
		t.Fatalf("the node reports %d volumes", n)
	}
	c.inUse(t, "n0", "pv-disk")

	c.podOn(t, ns, "second", "n1", "disk")
	step("a second pod on n1", "pv-disk@n0!")
	if e := c.events(t, ns, "second", "FailedAttachVolume"); !slices.Equal(e, []string{`Waiting for detach for volume "pv-disk" Volume is already used by pod(s) first`}) {
		t.Errorf("events %q", e)
	}

	must(c.admin.CoreV1().Pods(ns).Patch(c.context, "first", types.MergePatchType, []byte(`{"status":{"phase":"Succeeded"}}`), metav1.PatchOptions{}, "status"))(t)
	c.settle(t)
	step("the first pod is done, its volume still mounted", "pv-disk@n0!")
	c.inUse(t, "n0")
	step("unmounted", "pv-disk@n0!-")
	if n := c.attachedTo(t, "n0"); n != 0 {
		t.Errorf("the node reports %d volumes", n)
	}
	c.detached(t, "pv-disk", "n0")
	step("off n0", "pv-disk@n1")
	c.attach(t, "pv-disk", "n1", `{"attached":true}`)
	step("on n1", "pv-disk@n1!")
	if n := c.attachedTo(t, "n1"); n != 1 {
		t.Errorf("the node reports %d volumes", n)
	}

	if err := c.admin.CoreV1().Pods(ns).Delete(c.context, "second", metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}); err != nil {
		t.Fatal(err)
	}
	c.settle(t)
	step("the second pod is deleted", "pv-disk@n1!-")
	c.detached(t, "pv-disk", "n1")
	step("off n1", "")
}

func testAttachTrouble(t *testing.T, c *cluster) {
	const ns = "trouble"
	c.newNamespace(t, ns)
	c.volume(t, ns, "slow")
	c.podOn(t, ns, "p", "n0", "slow")
	// Two virtual minutes without the driver's answer.
	c.clock.Schedule(2*time.Minute, clock.Work, "later", func() {})
	for len(c.clock.Pending(clock.Work)) > 0 {
		c.clock.Step()
	}
	c.settle(t)
	e := c.events(t, ns, "p", "FailedAttachVolume")
	if len(e) != 1 || !strings.Contains(e[0], "timed out waiting for external-attacher of "+driver+" CSI driver to attach volume handle-slow") {
		t.Fatalf("events %q", e)
	}
	// The controller tries again in half a second, and then once in a second.
	if n := c.kube.Pending(); n != 1 {
		t.Fatalf("%d operations back off", n)
	}
	c.attach(t, "pv-slow", "n0", `{"attached":true}`)
	if n := c.attachedTo(t, "n0"); n != 0 {
		t.Fatal("attached during the back-off")
	}
	before := c.clock.Elapsed()
	c.clock.Step()
	c.settle(t)
	if d := c.clock.Elapsed() - before; d < 0.49 || d > 0.51 || c.attachedTo(t, "n0") != 1 {
		t.Fatalf("%d volumes attached %v s after the failure", c.attachedTo(t, "n0"), d)
	}

	// The driver's own error is the event's, at once.
	c.volume(t, ns, "broken")
	c.podOn(t, ns, "q", "n1", "broken")
	c.attach(t, "pv-broken", "n1", `{"attachError":{"message":"no such disk"}}`)
	if e := c.events(t, ns, "q", "FailedAttachVolume"); len(e) != 1 || !strings.Contains(e[0], "no such disk") {
		t.Fatalf("events %q", e)
	}
	c.clock.Step()
	c.settle(t)
	before = c.clock.Elapsed()
	c.clock.Step()
	c.settle(t)
	// A try whose VolumeAttachment still has an error fails with the first look at it, half a
	// second in.
	if d := c.clock.Elapsed() - before; d < 1.49 || d > 1.51 {
		t.Errorf("the second back-off and the look after it are %v s", d)
	}
	c.attach(t, "pv-broken", "n1", `{"attached":true,"attachError":null}`)
	if n := c.kube.Nudge(); n != 1 {
		t.Errorf("nudged %d", n)
	}
	c.settle(t)
	if n := c.attachedTo(t, "n1"); n != 1 {
		t.Errorf("%d volumes attached after the last look", n)
	}
	if n := c.kube.Pending(); n != 0 {
		t.Errorf("%d operations back off", n)
	}
	c.kube.Reset()
}

func testGarbage(t *testing.T, c *cluster) {
	const ns = "garbage"
	c.newNamespace(t, ns)
	crds := apiextensions.NewForConfigOrDie(c.cp.Admin("user")).ApiextensionsV1().CustomResourceDefinitions()
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "runs.simctl.dev"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "simctl.dev", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "runs", Singular: "run", Kind: "Run", ListKind: "RunList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"}}}},
		},
	}
	// The second time the type was away in between, longer than it takes to be noticed.
	for _, name := range []string{"owned", "owned-by-the-next"} {
		must(crds.Create(c.context, crd.DeepCopy(), metav1.CreateOptions{}))(t)
		for {
			now := must(crds.Get(c.context, crd.Name, metav1.GetOptions{}))(t)
			if slices.ContainsFunc(now.Status.Conditions, func(x apiextensionsv1.CustomResourceDefinitionCondition) bool {
				return x.Type == apiextensionsv1.Established && x.Status == apiextensionsv1.ConditionTrue
			}) {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		runs := dynamic.NewForConfigOrDie(c.cp.Admin("user")).Resource(schema.GroupVersionResource{Group: "simctl.dev", Version: "v1", Resource: "runs"}).Namespace(ns)
		run := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "simctl.dev/v1", "kind": "Run", "metadata": map[string]any{"name": "r"}}}
		for { // Established does not yet mean served.
			made, err := runs.Create(c.context, run, metav1.CreateOptions{})
			if err == nil {
				run = made
				break
			}
			if !apierrors.IsNotFound(err) {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
		if err := c.kube.Rediscover(c.context); err != nil {
			t.Fatal(err)
		}
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "simctl.dev/v1", Kind: "Run", Name: "r", UID: run.GetUID()},
		}}}
		must(c.admin.CoreV1().ConfigMaps(ns).Create(c.context, cm, metav1.CreateOptions{}))(t)
		c.settle(t)
		must(c.admin.CoreV1().ConfigMaps(ns).Get(c.context, name, metav1.GetOptions{}))(t)
		if err := runs.Delete(c.context, "r", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		c.settle(t)
		if _, err := c.admin.CoreV1().ConfigMaps(ns).Get(c.context, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("%s: the deleted run's ConfigMap: %v", name, err)
		}
		if err := crds.Delete(c.context, crd.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		for {
			_, err := runs.List(c.context, metav1.ListOptions{})
			if apierrors.IsNotFound(err) {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if err := c.kube.Rediscover(c.context); err != nil {
			t.Fatal(err)
		}
	}
}

func testNamespace(t *testing.T, c *cluster) {
	const ns = "gone"
	c.newNamespace(t, ns)
	must(c.admin.AppsV1().StatefulSets(ns).Create(c.context, statefulSet(ns, "a"), metav1.CreateOptions{}))(t)
	c.settle(t)
	before := c.clock.Elapsed()
	if err := c.admin.CoreV1().Namespaces().Delete(c.context, ns, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.settle(t)
	must(c.admin.CoreV1().Namespaces().Get(c.context, ns, metav1.GetOptions{}))(t)
	for i := 0; ; i++ {
		_, err := c.admin.CoreV1().Namespaces().Get(c.context, ns, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			break
		}
		if i > 20 || !c.clock.Step() {
			t.Fatalf("the namespace is still there after %v s: %v", c.clock.Elapsed()-before, err)
		}
		c.settle(t)
	}
	if d := c.clock.Elapsed() - before; d < 5 {
		t.Errorf("gone after %v s, upstream waits 5", d)
	}
}

func TestOptions(t *testing.T) {
	if _, err := kube.Start(t.Context(), kube.Options{Logger: klog.Background()}); err == nil {
		t.Error("controllers without configurations")
	}
}
