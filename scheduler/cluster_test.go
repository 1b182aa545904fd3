package scheduler_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"simctl.dev/simctl/scheduler"
	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/kube"
)

func TestMain(m *testing.M) {
	controlplane.ChildMain()
	os.Exit(m.Run())
}

// TestOnControlPlane has the scheduler and the volume binder of upstream work
// together on a real API server.
func TestOnControlPlane(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cp, err := controlplane.Start(ctx, controlplane.Options{Logger: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	admin := kubernetes.NewForConfigOrDie(cp.Admin("user"))
	clk := clock.New(clock.Epoch)
	log := history.NewLog(clk.Elapsed, nil)
	controllers, err := kube.Start(ctx, kube.Options{Clock: clk, Logger: logr.Discard(), ConfigFor: func(name string) *rest.Config {
		if name == kube.Manager {
			return cp.Admin(name)
		}
		return cp.ServiceAccount("kube-system", name)
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := scheduler.New(ctx, scheduler.Options{
		Client: kubernetes.NewForConfigOrDie(cp.Admin("kube-scheduler")), Clock: clk, Hold: true,
		Recorder: func() history.Recorder { return log }, Logger: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		controllers.Wait()
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	<-s.Synced()
	settle := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		for {
			err := cp.Quiet(ctx, nil, controlplane.Check{Name: "all", Idle: func() (bool, error) { return controllers.Quiet() && s.Idle(), nil }})
			if err != nil {
				t.Fatal(err)
			}
			if s.TryNext() == 0 {
				return
			}
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	const driver = "disk.csi.simctl.dev"
	_, err = admin.StorageV1().StorageClasses().Create(ctx, &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "disk"},
		Provisioner: driver, VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)}, metav1.CreateOptions{})
	must(err)
	for _, name := range []string{"n0", "n1"} {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}}}
		if name == "n0" {
			n.Spec.Taints = []corev1.Taint{{Key: "nvidia.com/gpu", Value: "true", Effect: corev1.TaintEffectNoSchedule}}
		}
		n, err = admin.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
		must(err)
		n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("110")}
		n.Status.Capacity = n.Status.Allocatable
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		_, err = admin.CoreV1().Nodes().UpdateStatus(ctx, n, metav1.UpdateOptions{})
		must(err)
		_, err = admin.StorageV1().CSINodes().Create(ctx, &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: driver, NodeID: name}}}}, metav1.CreateOptions{})
		must(err)
	}
	settle()
	// The lifecycle controller, which does not run here, would have done so.
	nodes, err := admin.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	must(err)
	for _, n := range nodes.Items {
		n.Spec.Taints = slices.DeleteFunc(n.Spec.Taints, func(x corev1.Taint) bool { return x.Key == corev1.TaintNodeNotReady })
		_, err = admin.CoreV1().Nodes().Update(ctx, &n, metav1.UpdateOptions{})
		must(err)
	}
	settle()

	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	_, err = admin.CoreV1().PersistentVolumeClaims("default").Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data"},
		Spec:       corev1.PersistentVolumeClaimSpec{StorageClassName: ptr.To("disk"), AccessModes: modes, Resources: corev1.VolumeResourceRequirements{Requests: size}},
	}, metav1.CreateOptions{})
	must(err)
	pod := func(name string) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "c", Image: "example.com/c"}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}},
		}}
		_, err := admin.CoreV1().Pods("default").Create(ctx, p, metav1.CreateOptions{})
		must(err)
		settle()
		p, err = admin.CoreV1().Pods("default").Get(ctx, name, metav1.GetOptions{})
		must(err)
		return p
	}
	if p := pod("first"); p.Spec.NodeName != "" || s.Waiting() != 1 {
		t.Fatalf("before its volume is there: node %q, %d wait", p.Spec.NodeName, s.Waiting())
	}
	claim, err := admin.CoreV1().PersistentVolumeClaims("default").Get(ctx, "data", metav1.GetOptions{})
	must(err)
	if got := claim.Annotations["volume.kubernetes.io/selected-node"]; got != "n1" {
		t.Fatalf("selected node %q", got)
	}
	_, err = admin.CoreV1().PersistentVolumes().Create(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv-data"},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName: "disk", AccessModes: modes, Capacity: size, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			ClaimRef:               &corev1.ObjectReference{Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: "default", Name: "data", UID: claim.UID},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: "handle"}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{"n1"}}}}}}},
		},
	}, metav1.CreateOptions{})
	must(err)
	settle()
	p, err := admin.CoreV1().Pods("default").Get(ctx, "first", metav1.GetOptions{})
	must(err)
	if p.Spec.NodeName != "n1" || s.Waiting() != 0 {
		t.Fatalf("with its volume: node %q, %d wait", p.Spec.NodeName, s.Waiting())
	}

	// Cordoned, the volume's node takes nobody, and the other has its taint.
	n1, err := admin.CoreV1().Nodes().Get(ctx, "n1", metav1.GetOptions{})
	must(err)
	n1.Spec.Unschedulable = true
	_, err = admin.CoreV1().Nodes().Update(ctx, n1, metav1.UpdateOptions{})
	must(err)
	settle()
	p = pod("second")
	var got []history.Unschedulable
	for _, e := range log.Entries() {
		if e.Fact == history.FactUnschedulable && e.Object.Name == "second" {
			var u history.Unschedulable
			must(e.Decode(&u))
			got = append(got, u)
		}
	}
	if len(got) != 1 {
		t.Fatalf("%d records", len(got))
	}
	const want = "0/2 nodes are available: 1 node(s) had untolerated taint {nvidia.com/gpu: true}, 1 node(s) were unschedulable."
	if got[0].PerTaint != want {
		t.Errorf("per taint:\n got %s\nwant %s", got[0].PerTaint, want)
	}
	condition := p.Status.Conditions[slices.IndexFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodScheduled })]
	if condition.Reason != corev1.PodReasonUnschedulable || condition.Message != got[0].Message {
		t.Errorf("condition %s %q, recorded %q", condition.Reason, condition.Message, got[0].Message)
	}
	list, err := admin.EventsV1().Events("default").List(ctx, metav1.ListOptions{})
	must(err)
	if !slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool {
		return e.Reason == "FailedScheduling" && e.Regarding.Name == "second" && strings.HasPrefix(e.Note, "0/2 nodes are available")
	}) {
		t.Error("no FailedScheduling event")
	}
}
