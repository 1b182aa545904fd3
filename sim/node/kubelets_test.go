package node

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/node/internal/entrypoint"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/storage"
	"simctl.dev/simctl/sim/wellknown"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// testCase is a file testdata/*.yaml: a cluster and what users and controllers
// do to it at given moments. The trace it leads to stands in the .txt beside it.
type testCase struct {
	Seed           int64
	Nodes          []scenario.NodePool
	StorageClasses []scenario.StorageClass
	Registry       scenario.Registry
	Kubelet        scenario.Kubelet
	Tasks          map[string]scenario.TaskModel
	Volumes        map[string]scenario.VolumeModel
	Do             []action
}

// action is one thing that happens at a moment.
type action struct {
	At     string
	Claim  *claimSpec
	Pod    *podSpec
	Secret string
	// ConfigMap is one to be made.
	ConfigMap string
	// Delete is a pod to be deleted, Cancel one whose cancel annotation is set,
	// StopSidecars one whose sidecars get the nop image.
	Delete, Cancel, StopSidecars string
	// Cordon and Uncordon are nodes, Back is one whose silence ends.
	Cordon, Uncordon, Back string
	// Shutdown is a node whose machine is shut down.
	Shutdown *struct{ Node, Notice string }
	// RuntimeFails are runtimes that do not do something until RuntimeBack.
	RuntimeFails *history.Runtime
	RuntimeBack  bool
	// Silent is a node of which nothing is heard, Outage images that do not come until
	// RegistryBack.
	Silent       *history.NodeSilent
	Outage       *history.Registry
	RegistryBack bool
}

type claimSpec struct {
	Name, Class, Mode, Size, SelectedNode string
}

type podSpec struct {
	Name, Node, Run, Task string
	// Steps are a TaskRun's; without them the pod is an affinity assistant.
	Steps           []stepSpec
	Sidecars        []string
	Claims          map[string]string
	SecurityContext *corev1.PodSecurityContext
	Secrets         []string
	// Env gives steps, by name, the config map that their environment comes from.
	Env      map[string]string
	Deadline *int64
	CPU      string
	// EmptyDirs are workspaces on the node's disk with their size limits, DiskLimit
	// each step's limit of ephemeral-storage.
	EmptyDirs map[string]string
	DiskLimit string
}

type stepSpec struct {
	Name string
	Args []string
}

func TestTraces(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var tc testCase
			if err := yaml.UnmarshalStrict(raw, &tc); err != nil {
				t.Fatal(err)
			}
			var got string
			synctest.Test(t, func(t *testing.T) { got = runCase(t, tc) })
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the trace differs from %s (rewrite it with -update):\n%s", golden, got)
			}
		})
	}
}

// cluster is a fake API server with stand-ins for the real controllers that
// the machines work with.
type cluster struct {
	kubelets *Kubelets
	// mend ends the outage of a registry.
	mend   func()
	t      *testing.T
	ctx    context.Context
	client *fake.Clientset
	clock  *clock.Clock
	out    bytes.Buffer
	csi    *storage.Driver
}

// Record writes a fact as a line of the trace.
func (c *cluster) Record(e history.Entry) {
	fmt.Fprintf(&c.out, "%8.3f %s %s %s %s\n", c.clock.Elapsed(), e.Actor, e.Object.Name, e.Fact, e.Data)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func runCase(t *testing.T, tc testCase) string {
	ctx, cancel := context.WithCancel(t.Context())
	c := &cluster{t: t, ctx: ctx, client: fake.NewClientset(), clock: clock.New(clock.Epoch)}
	factory := informers.NewSharedInformerFactory(c.client, 0)
	log := testr.New(t)
	seed := max(tc.Seed, 1)
	csi, err := storage.New(storage.Options{
		Client: c.client, Informers: factory, Clock: c.clock, Seed: seed, Recorder: c,
		Classes: tc.StorageClasses, Volumes: tc.Volumes, Logger: log,
	})
	must(t, err)
	c.csi = csi
	kubelets, err := New(Options{
		Client: c.client, Informers: factory, Clock: c.clock, Seed: seed, Recorder: c, Storage: csi,
		Workload: scenario.Workload{Tasks: tc.Tasks}, Registry: tc.Registry, Kubelet: tc.Kubelet, Logger: log,
	})
	must(t, err)
	c.kubelets = kubelets
	nodes, err := Nodes(tc.Nodes)
	must(t, err)
	for _, n := range nodes {
		n.UID = types.UID(n.Name)
		_, err := c.client.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
		must(t, err)
	}
	c.client.PrependReactor("patch", "*", c.tracePatch)
	factory.Start(ctx.Done())
	synctest.Wait()
	must(t, csi.Start(ctx))
	must(t, kubelets.Start(ctx))
	for _, a := range tc.Do {
		d, err := time.ParseDuration(a.At)
		must(t, err)
		c.clock.Schedule(d, clock.Work, "test", func() { c.do(a) })
	}
	for range 10_000 {
		for synctest.Wait(); c.controllers(); synctest.Wait() {
		}
		if !c.clock.Step() {
			break
		}
	}
	c.summary()
	cancel()
	factory.Shutdown()
	synctest.Wait()
	return c.out.String()
}

// tracePatch notes the writes to statuses in the trace, in short.
func (c *cluster) tracePatch(a ktesting.Action) (bool, runtime.Object, error) {
	p := a.(ktesting.PatchAction)
	if a.GetResource().Resource == "nodes" {
		var body struct{ Status corev1.NodeStatus }
		must(c.t, json.Unmarshal(p.GetPatch(), &body))
		for _, cond := range body.Status.Conditions {
			fmt.Fprintf(&c.out, "%8.3f kubelet of %s reports %s %s: %s\n", c.clock.Elapsed(), p.GetName(), cond.Type, cond.Status, cond.Message)
		}
	}
	if a.GetResource().Resource != "pods" || a.GetSubresource() != "status" {
		return false, nil, nil
	}
	old, err := c.client.Tracker().Get(a.GetResource(), a.GetNamespace(), p.GetName())
	must(c.t, err)
	updated := validateStatus(c.t, old.(*corev1.Pod), p.GetPatch())
	fmt.Fprintf(&c.out, "%8.3f kubelet %s writes %s%s\n", c.clock.Elapsed(), p.GetName(), phaseLine(updated.Status),
		conditionsLine(old.(*corev1.Pod).Status.Conditions, updated.Status.Conditions))
	return false, nil, nil
}

// conditionsLine lists the conditions that have changed.
func conditionsLine(old, updated []corev1.PodCondition) string {
	var out []string
	for _, c := range updated {
		text := fmt.Sprintf("%s=%s", c.Type, c.Status)
		for _, more := range []string{c.Reason, c.Message} {
			if more != "" {
				text += " " + more
			}
		}
		same := func(o corev1.PodCondition) bool {
			return o.Type == c.Type && o.Status == c.Status && o.Reason == c.Reason && o.Message == c.Message
		}
		if !slices.ContainsFunc(old, same) {
			out = append(out, text)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return " [" + strings.Join(out, "; ") + "]"
}

func phaseLine(st corev1.PodStatus) string {
	var b strings.Builder
	b.WriteString(string(st.Phase))
	if st.Reason != "" {
		fmt.Fprintf(&b, " (%s: %s)", st.Reason, st.Message)
	}
	for _, s := range slices.Concat(st.InitContainerStatuses, st.ContainerStatuses) {
		switch {
		case s.State.Terminated != nil:
			x := s.State.Terminated
			fmt.Fprintf(&b, "; %s %s/%d", s.Name, x.Reason, x.ExitCode)
			if x.Message != "" {
				b.WriteString(" " + x.Message)
			}
		case s.State.Running != nil:
			fmt.Fprintf(&b, "; %s runs", s.Name)
		case s.State.Waiting != nil:
			fmt.Fprintf(&b, "; %s waits (%s%s)", s.Name, s.State.Waiting.Reason, s.State.Waiting.Message)
		}
	}
	return b.String()
}

func (c *cluster) do(a action) {
	core := c.client.CoreV1()
	switch {
	case a.Claim != nil:
		claim := &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "ns", Name: a.Claim.Name, UID: types.UID("uid-" + a.Claim.Name),
				Annotations: map[string]string{"volume.kubernetes.io/storage-provisioner": a.Claim.Class + storage.DriverSuffix},
			},
		}
		if a.Claim.SelectedNode != "" {
			claim.Annotations["volume.kubernetes.io/selected-node"] = a.Claim.SelectedNode
		}
		claim.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.PersistentVolumeAccessMode(a.Claim.Mode)}
		claim.Spec.StorageClassName = &a.Claim.Class
		claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(a.Claim.Size)}
		_, err := core.PersistentVolumeClaims("ns").Create(c.ctx, claim, metav1.CreateOptions{})
		must(c.t, err)
	case a.Secret != "":
		_, err := core.Secrets("ns").Create(c.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: a.Secret}}, metav1.CreateOptions{})
		must(c.t, err)
	case a.ConfigMap != "":
		_, err := core.ConfigMaps("ns").Create(c.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: a.ConfigMap}}, metav1.CreateOptions{})
		must(c.t, err)
	case a.Pod != nil:
		_, err := core.Pods("ns").Create(c.ctx, a.Pod.object(), metav1.CreateOptions{})
		must(c.t, err)
	case a.Cordon != "" || a.Uncordon != "":
		n, err := core.Nodes().Get(c.ctx, a.Cordon+a.Uncordon, metav1.GetOptions{})
		must(c.t, err)
		n.Spec.Unschedulable = a.Cordon != ""
		_, err = core.Nodes().Update(c.ctx, n, metav1.UpdateOptions{})
		must(c.t, err)
	case a.Shutdown != nil:
		notice, err := time.ParseDuration(a.Shutdown.Notice)
		must(c.t, err)
		_, err = c.kubelets.ShutDown(c.ctx, a.Shutdown.Node, notice, func() { c.kubelets.FallSilent(history.NodeSilent{Node: a.Shutdown.Node, What: history.SilentMachine}) })
		must(c.t, err)
	case a.RuntimeFails != nil:
		c.mend = c.kubelets.RuntimeFails(*a.RuntimeFails)
	case a.RuntimeBack:
		c.mend()
	case a.Silent != nil:
		c.kubelets.FallSilent(*a.Silent)
	case a.Back != "":
		c.kubelets.SpeakAgain(c.ctx, a.Back)
	case a.Outage != nil:
		c.mend = c.kubelets.RegistryFails(*a.Outage)
	case a.RegistryBack:
		c.mend()
	case a.Delete != "":
		c.changePod(a.Delete, func(p *corev1.Pod) {
			now := metav1.NewTime(c.clock.Now())
			p.DeletionTimestamp = &now
		})
	case a.Cancel != "":
		c.changePod(a.Cancel, func(p *corev1.Pod) { p.Annotations[entrypoint.CancelAnnotation] = entrypoint.CancelValue })
	case a.StopSidecars != "":
		c.changePod(a.StopSidecars, func(p *corev1.Pod) {
			for i := range p.Spec.Containers {
				if strings.HasPrefix(p.Spec.Containers[i].Name, "sidecar-") {
					p.Spec.Containers[i].Image = "nop"
				}
			}
		})
	}
}

func (c *cluster) changePod(name string, f func(p *corev1.Pod)) {
	p, err := c.client.CoreV1().Pods("ns").Get(c.ctx, name, metav1.GetOptions{})
	must(c.t, err)
	if p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	f(p)
	_, err = c.client.CoreV1().Pods("ns").Update(c.ctx, p, metav1.UpdateOptions{})
	must(c.t, err)
}

func (s *podSpec) object() *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: s.Name, UID: types.UID("uid-" + s.Name),
		Labels: map[string]string{}, Annotations: map[string]string{},
	}}
	p.Spec.NodeName = s.Node
	p.Spec.SecurityContext = s.SecurityContext
	p.Spec.ActiveDeadlineSeconds = s.Deadline
	var mounts []corev1.VolumeMount
	for workspace, claim := range s.Claims {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "ws-" + workspace, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}})
		mounts = append(mounts, corev1.VolumeMount{Name: "ws-" + workspace, MountPath: "/workspace/" + workspace})
	}
	for workspace, limit := range s.EmptyDirs {
		dir := &corev1.EmptyDirVolumeSource{}
		if limit != "" {
			q := resource.MustParse(limit)
			dir.SizeLimit = &q
		}
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "ws-" + workspace, VolumeSource: corev1.VolumeSource{EmptyDir: dir}})
		mounts = append(mounts, corev1.VolumeMount{Name: "ws-" + workspace, MountPath: "/workspace/" + workspace})
	}
	for _, name := range s.Secrets {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}})
		mounts = append(mounts, corev1.VolumeMount{Name: name, MountPath: "/workspace/" + name})
	}
	if len(s.Steps) == 0 {
		// An assistant only names its claims.
		p.Spec.RestartPolicy = corev1.RestartPolicyAlways
		p.Spec.Containers = []corev1.Container{{Name: "affinity-assistant", Image: "nop-image"}}
		return p
	}
	p.Labels[wellknown.PipelineRunLabel], p.Labels[wellknown.PipelineTaskLabel] = s.Run, s.Task
	p.Labels[wellknown.TaskRunLabel] = s.Run + "-" + s.Task
	p.Spec.RestartPolicy = corev1.RestartPolicyNever
	p.Spec.InitContainers = []corev1.Container{{Name: "prepare", Image: "entrypoint-image"}}
	for i, st := range s.Steps {
		wait := []string{"-wait_file", "/tekton/downward/ready", "-wait_file_content"}
		if i > 0 {
			wait = []string{"-wait_file", fmt.Sprintf("/tekton/run/%d/out", i-1)}
		}
		container := corev1.Container{
			Name: "step-" + st.Name, Image: "example.com/" + st.Name + ":1", Command: []string{entrypoint.Binary}, VolumeMounts: mounts,
			Args: slices.Concat(wait, []string{"-post_file", fmt.Sprintf("/tekton/run/%d/out", i), "-termination_path", "/tekton/termination"}, st.Args, []string{"-entrypoint", "sh", "--", "-c", "true"}),
		}
		if name := s.Env[st.Name]; name != "" {
			container.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}}
		}
		if s.CPU != "" {
			container.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(s.CPU)}
		}
		if s.DiskLimit != "" {
			container.Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse(s.DiskLimit)}
		}
		p.Spec.Containers = append(p.Spec.Containers, container)
	}
	for _, name := range s.Sidecars {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "sidecar-" + name, Image: "example.com/" + name})
	}
	return p
}

// controllers does, in one pass, what the real controllers would do now; it
// says whether it did anything.
func (c *cluster) controllers() bool {
	return c.bind() || c.attach() || c.tekton()
}

// bind stands for the PV controller.
func (c *cluster) bind() bool {
	core := c.client.CoreV1()
	pvs, err := core.PersistentVolumes().List(c.ctx, metav1.ListOptions{})
	must(c.t, err)
	for _, pv := range pvs.Items {
		claim, err := core.PersistentVolumeClaims("ns").Get(c.ctx, pv.Spec.ClaimRef.Name, metav1.GetOptions{})
		must(c.t, err)
		if claim.Spec.VolumeName == "" {
			claim.Spec.VolumeName = pv.Name
			claim.Status.Phase = corev1.ClaimBound
			_, err = core.PersistentVolumeClaims("ns").Update(c.ctx, claim, metav1.UpdateOptions{})
			must(c.t, err)
			return true
		}
	}
	return false
}

// attach stands for the attach/detach controller.
func (c *cluster) attach() bool {
	core, st := c.client.CoreV1(), c.client.StorageV1()
	pods, err := core.Pods("ns").List(c.ctx, metav1.ListOptions{})
	must(c.t, err)
	want := map[string]*storagev1.VolumeAttachment{}
	for _, p := range pods.Items {
		if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		for _, v := range p.Spec.Volumes {
			if v.PersistentVolumeClaim == nil {
				continue
			}
			claim, err := core.PersistentVolumeClaims("ns").Get(c.ctx, v.PersistentVolumeClaim.ClaimName, metav1.GetOptions{})
			if apierrors.IsNotFound(err) || claim.Spec.VolumeName == "" {
				continue
			}
			pv, err := core.PersistentVolumes().Get(c.ctx, claim.Spec.VolumeName, metav1.GetOptions{})
			must(c.t, err)
			if !c.csi.Attachable(pv) {
				continue
			}
			name := pv.Name + "-on-" + p.Spec.NodeName
			want[name] = &storagev1.VolumeAttachment{
				ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(fmt.Sprintf("%s-%v", name, c.clock.Elapsed()))},
				Spec:       storagev1.VolumeAttachmentSpec{Attacher: pv.Spec.CSI.Driver, NodeName: p.Spec.NodeName, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &pv.Name}},
			}
		}
	}
	vas, err := st.VolumeAttachments().List(c.ctx, metav1.ListOptions{})
	must(c.t, err)
	have := map[string]bool{}
	onNode := map[string]string{}
	for _, va := range vas.Items {
		have[va.Name] = true
		onNode[*va.Spec.Source.PersistentVolumeName] = va.Spec.NodeName
		pv, err := core.PersistentVolumes().Get(c.ctx, *va.Spec.Source.PersistentVolumeName, metav1.GetOptions{})
		must(c.t, err)
		node, err := core.Nodes().Get(c.ctx, va.Spec.NodeName, metav1.GetOptions{})
		must(c.t, err)
		unique := storage.UniqueName(pv)
		reported := slices.ContainsFunc(node.Status.VolumesAttached, func(a corev1.AttachedVolume) bool { return a.Name == unique })
		switch {
		case va.DeletionTimestamp != nil && len(va.Finalizers) == 0:
			must(c.t, st.VolumeAttachments().Delete(c.ctx, va.Name, metav1.DeleteOptions{}))
			return true
		case va.DeletionTimestamp != nil:
		case want[va.Name] != nil && va.Status.Attached && !reported:
			node.Status.VolumesAttached = append(node.Status.VolumesAttached, corev1.AttachedVolume{Name: unique})
			_, err := core.Nodes().UpdateStatus(c.ctx, node, metav1.UpdateOptions{})
			must(c.t, err)
			return true
		case want[va.Name] == nil && !slices.Contains(node.Status.VolumesInUse, unique):
			node.Status.VolumesAttached = slices.DeleteFunc(node.Status.VolumesAttached, func(a corev1.AttachedVolume) bool { return a.Name == unique })
			_, err := core.Nodes().UpdateStatus(c.ctx, node, metav1.UpdateOptions{})
			must(c.t, err)
			now := metav1.NewTime(c.clock.Now())
			va.DeletionTimestamp = &now
			_, err = st.VolumeAttachments().Update(c.ctx, &va, metav1.UpdateOptions{})
			must(c.t, err)
			return true
		}
	}
	for name, va := range want {
		on := onNode[*va.Spec.Source.PersistentVolumeName]
		if !have[name] && (on == "" || on == va.Spec.NodeName) {
			_, err := st.VolumeAttachments().Create(c.ctx, va, metav1.CreateOptions{})
			must(c.t, err)
			return true
		}
	}
	return false
}

// tekton stands for Tekton's controller: it lets the first step start.
func (c *cluster) tekton() bool {
	pods, err := c.client.CoreV1().Pods("ns").List(c.ctx, metav1.ListOptions{})
	must(c.t, err)
	for _, p := range pods.Items {
		if p.Status.Phase == corev1.PodRunning && p.Labels[wellknown.TaskRunLabel] != "" && p.Annotations[entrypoint.ReadyAnnotation] == "" {
			c.changePod(p.Name, func(p *corev1.Pod) { p.Annotations[entrypoint.ReadyAnnotation] = entrypoint.ReadyValue })
			return true
		}
	}
	return false
}

// summary ends the trace with what is left.
func (c *cluster) summary() {
	fmt.Fprintf(&c.out, "at the end, %.3f:\n", c.clock.Elapsed())
	core := c.client.CoreV1()
	pods, err := core.Pods("ns").List(c.ctx, metav1.ListOptions{})
	must(c.t, err)
	for _, p := range pods.Items {
		fmt.Fprintf(&c.out, "  pod %s %s\n", p.Name, p.Status.Phase)
	}
	nodes, err := core.Nodes().List(c.ctx, metav1.ListOptions{})
	must(c.t, err)
	for _, n := range nodes.Items {
		fmt.Fprintf(&c.out, "  node %s in use %v, attached %v\n", n.Name, n.Status.VolumesInUse, n.Status.VolumesAttached)
	}
	pvs, err := core.PersistentVolumes().List(c.ctx, metav1.ListOptions{})
	must(c.t, err)
	for _, pv := range pvs.Items {
		v := c.csi.Volume(&pv)
		fmt.Fprintf(&c.out, "  volume of %s: %d bytes\n", v.Claim, v.Used())
		for _, e := range v.Entries() {
			fmt.Fprintf(&c.out, "    %s /%s %d:%d %d bytes %d files\n", storage.ModeString(e.Mode), e.Path, e.UID, e.GID, e.Bytes, e.Files)
		}
	}
	events, err := core.Events("").List(c.ctx, metav1.ListOptions{})
	must(c.t, err)
	slices.SortFunc(events.Items, func(a, b corev1.Event) int {
		return cmp.Or(a.FirstTimestamp.Compare(b.FirstTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	for _, e := range events.Items {
		times := fmt.Sprintf("%.3f", c.clock.Seconds(e.FirstTimestamp.Time))
		if e.Count > 1 {
			times += fmt.Sprintf(" to %.3f, %d times", c.clock.Seconds(e.LastTimestamp.Time), e.Count)
		}
		about := strings.TrimSpace(e.InvolvedObject.Name + " " + e.InvolvedObject.FieldPath)
		fmt.Fprintf(&c.out, "  event %s %s %s (%s %s, %s): %s\n", about, e.Type, e.Reason, e.Source.Component, e.Source.Host, times, e.Message)
	}
}
