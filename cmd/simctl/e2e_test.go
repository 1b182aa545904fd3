package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"simctl.dev/simctl/cmd/simctl/internal/cli"
	"simctl.dev/simctl/sim"
	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/importer"
	"simctl.dev/simctl/sim/openshift"
	"simctl.dev/simctl/sim/tekton"
)

func TestMain(m *testing.M) {
	sim.ChildMain()
	// Every run here holds its histories to the invariants.
	if err := os.Setenv("SIMCTL_CHECK_HISTORIES", "true"); err != nil {
		panic(err)
	}
	if os.Getenv(asProgram) != "" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

// asProgram has the test binary be simctl.
const asProgram = "SIMCTL_TEST_AS_PROGRAM"

// TestProgressUnread: whoever reads the progress goes away. The run ends, and nothing
// is left of its control planes, in this process or in those of workers.
func TestProgressUnread(t *testing.T) {
	for _, parallel := range []string{"1", "2"} {
		t.Run(parallel, func(t *testing.T) {
			tmp := t.TempDir()
			cmd := exec.Command(os.Args[0], "run", "--parallel", parallel, "--repeats", "20", "--out", filepath.Join(t.TempDir(), "out"),
				"../../sim/testdata/bench/five-tasks.yaml")
			cmd.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+tmp)
			progress, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewScanner(progress)
			for in.Scan() && !strings.Contains(in.Text(), "success") {
			}
			if err := progress.Close(); err != nil {
				t.Fatal(err)
			}
			err = cmd.Wait()
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != cli.StatusError {
				t.Errorf("simctl ended with %v, want exit status %d", err, cli.StatusError)
			}
			nothingLeft(t, tmp)
		})
	}
}

// simctl runs a command line as main does.
func simctl(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	app := &cli.App{Engine: engine{}, Versions: cli.Versions{Simctl: "test", Tekton: tekton.BuiltIn}, Stdout: &out, Stderr: &errs}
	status = app.Main(t.Context(), args)
	return status, out.String(), errs.String()
}

func want(t *testing.T, status int, args ...string) (stdout, stderr string) {
	t.Helper()
	got, stdout, stderr := simctl(t, args...)
	if got != status {
		t.Fatalf("simctl %s: exit status %d, want %d\n%s\n%s", strings.Join(args, " "), got, status, stdout, stderr)
	}
	return stdout, stderr
}

// TestInitRuns: what init writes is run as it expects.
func TestInitRuns(t *testing.T) {
	t.Chdir(t.TempDir())
	want(t, cli.StatusOK, "init")
	stdout, _ := want(t, cli.StatusOK, "run", "scenario.yaml", "--check-cells", "--repeats", "1", "--parallel", "1")
	if !strings.Contains(stdout, "2 cells: 2 as expected") {
		t.Errorf("not two cells as expected:\n%s", stdout)
	}
}

const (
	team = "team"
	page = "3"
	// accounts and secrets of the team: some pages of each.
	many = 10
)

// TestImport fills an API server as a cluster has it, and imports it as an
// admin, and as somebody who may read little.
func TestImport(t *testing.T) {
	t.Chdir(t.TempDir())
	var log bytes.Buffer
	cp, err := controlplane.Start(t.Context(), controlplane.Options{Log: &log, Logger: logr.Discard()})
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	defer func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	}()
	fill(t, cp)

	// From here on nobody writes.
	writes := history.NewLog(func() float64 { return 0 }, nil)
	cp.Tap().SetRecorder(writes)
	defer func() {
		for _, e := range writes.Entries() {
			t.Errorf("import has written: %+v", e)
		}
	}()

	t.Run("requests", func(t *testing.T) { requests(t, cp) })

	t.Run("admin", func(t *testing.T) {
		p, err := cp.Proxy(team, "admin")
		if err != nil {
			t.Fatal(err)
		}
		defer p.Stop()
		_, stderr := want(t, cli.StatusOK, "import", "--kubeconfig", p.Kubeconfig, "-n", team, "--page-size", page, "--to", "all")
		if strings.Contains(stderr, "not read") {
			t.Errorf("an admin may read everything:\n%s", stderr)
		}
		scenario := contents(t, "all/scenario.yaml")
		for _, part := range []string{
			`- name: worker\n +count: 4`,
			`taints:\n +- \{key: nvidia.com/gpu, value: "true", effect: NoSchedule\}\n +zones: \[zone-a, zone-b\]`,
			`- name: block\n +default: true\n +volumeBindingMode: WaitForFirstConsumer`,
			`- name: shared\n +noAttach: true`,
			`enabled: true\n +grants:\n +- \{scc: anyuid, serviceAccount: builder-0, namespace: team\}`,
			`version: ` + regexp.QuoteMeta(tekton.BuiltIn) + `\n`,
			`coschedule: disabled\n +disable-affinity-assistant: absent`,
			`hello:\n +duration: \{constant: 1m30s\}`,
		} {
			if !regexp.MustCompile(part).MatchString(scenario) {
				t.Errorf("the scenario has no %s:\n%s", part, scenario)
			}
		}
		for file, what := range map[string]string{"secrets.yaml": "kind: Secret", "rights.yaml": "kind: ServiceAccount"} {
			if n := strings.Count(contents(t, "all/manifests/"+file), what); n < many {
				t.Errorf("%s has %d of %d: pages are missing", file, n, many)
			}
		}
		if load := contents(t, "all/manifests/load.yaml"); !regexp.MustCompile(`name: on-worker-0\n(.*\n)*.*cpu: "3"`).MatchString(load) {
			t.Errorf("what else runs is not there:\n%s", load)
		}
		for _, f := range []string{"all/scenario.yaml", "all/manifests/load.yaml", "all/manifests/secrets.yaml", "all/manifests/runs.yaml", "all/manifests/storage.yaml"} {
			for _, word := range []string{"hunter2", "aHVudGVyMg==", "uid:", "managedFields", "creationTimestamp"} {
				if strings.Contains(contents(t, f), word) {
					t.Errorf("%s has %s", f, word)
				}
			}
		}
		// What was imported runs.
		stdout, _ := want(t, cli.StatusOK, "run", "all/scenario.yaml", "--check-cells")
		if !regexp.MustCompile(`team\s+tekton[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*success`).MatchString(stdout) {
			t.Errorf("the imported run does not succeed:\n%s", stdout)
		}
	})

	t.Run("forbidden", func(t *testing.T) {
		p, err := cp.Proxy(team, "guest")
		if err != nil {
			t.Fatal(err)
		}
		defer p.Stop()
		_, stderr := want(t, cli.StatusOK, "import", "--kubeconfig", p.Kubeconfig, "-n", team, "--page-size", page, "--to", "some")
		scenario := contents(t, "some/scenario.yaml")
		for _, kind := range []string{"Nodes", "Pods", "Secrets", "PersistentVolumes", "StorageClasses (storage.k8s.io)", "Namespace team"} {
			line := "not read: " + kind + ": forbidden to this user"
			if !strings.Contains(stderr, "- "+line+"\n") {
				t.Errorf("it is not said that %s cannot be read:\n%s", kind, stderr)
			}
			if !strings.Contains(scenario, "# "+line+"\n") {
				t.Errorf("the scenario has no comment on %s:\n%s", kind, scenario)
			}
		}
		if strings.Contains(stderr, "not read: PipelineRuns") || !strings.Contains(contents(t, "some/manifests/runs.yaml"), "name: hello-1") {
			t.Errorf("what may be read is not there:\n%s", stderr)
		}
		want(t, cli.StatusOK, "validate", "some/scenario.yaml")
	})

	t.Run("no such namespace", func(t *testing.T) {
		p, err := cp.Proxy(team, "admin")
		if err != nil {
			t.Fatal(err)
		}
		defer p.Stop()
		if _, stderr := want(t, cli.StatusError, "import", "--kubeconfig", p.Kubeconfig, "-n", "nope"); !strings.Contains(stderr, "no namespace nope") {
			t.Error(stderr)
		}
		if _, stderr := want(t, cli.StatusError, "import", "--kubeconfig", p.Kubeconfig, "-n", team, "--context", "nope"); !strings.Contains(stderr, `no context "nope"; it has: simctl`) {
			t.Error(stderr)
		}
	})
}

// requests checks what is asked of the API server: nothing but gets, in pages,
// and no Secret in whole.
func requests(t *testing.T, cp *controlplane.ControlPlane) {
	cfg := cp.Admin("import")
	var mu sync.Mutex
	var seen []*http.Request
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			seen = append(seen, r)
			mu.Unlock()
			return next.RoundTrip(r)
		})
	})
	if _, err := importer.Read(t.Context(), cfg, importer.ReadOptions{Namespace: team, Page: 3}); err != nil {
		t.Fatal(err)
	}
	further := map[string]int{}
	for _, r := range seen {
		q := r.URL.Query()
		if r.Method != http.MethodGet || q.Has("watch") {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if strings.HasSuffix(r.URL.Path, "/secrets") && (!strings.Contains(r.Header.Get("Accept"), "as=Table") || q.Get("includeObject") != "Metadata") {
			t.Errorf("Secrets are asked for with their values: %s, %s", r.URL, r.Header.Get("Accept"))
		}
		if q.Get("continue") != "" {
			further[filepath.Base(r.URL.Path)]++
		}
		if q.Has("limit") && q.Get("limit") != "3" {
			t.Errorf("a page of %s: %s", q.Get("limit"), r.URL)
		}
	}
	for _, kind := range []string{"nodes", "secrets", "serviceaccounts"} {
		if further[kind] == 0 {
			t.Errorf("%s were read in one page; %v", kind, further)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func contents(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// fill makes the cluster: nodes of two kinds, storage, SCCs, Tekton's
// installation, and a team with a run.
func fill(t *testing.T, cp *controlplane.ControlPlane) {
	t.Helper()
	ctx := t.Context()
	crds := openshift.CRDs()
	for _, kind := range []string{"Task", "Pipeline", "PipelineRun", "TaskRun"} {
		crds = append(crds, tektonType(kind))
	}
	if err := cp.InstallCRDs(t.Context(), crds); err != nil {
		t.Fatal(err)
	}
	s := runtime.NewScheme()
	if err := scheme.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(cp.Admin("installer"), client.Options{Scheme: s})
	if err != nil {
		t.Fatal(err)
	}
	create := func(objects ...client.Object) {
		t.Helper()
		for _, o := range objects {
			if err := admin.Create(ctx, o); err != nil {
				t.Fatalf("creating %T %s: %v", o, o.GetName(), err)
			}
		}
	}
	for i := range 7 {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("machine-%d.example.com", i), Labels: map[string]string{
			corev1.LabelHostname: fmt.Sprintf("machine-%d.example.com", i), corev1.LabelTopologyZone: []string{"zone-a", "zone-b"}[i%2]}}}
		memory := int64(64<<30) + int64(i)<<12
		if i >= 4 {
			n.Spec.Taints = []corev1.Taint{{Key: "nvidia.com/gpu", Value: "true", Effect: corev1.TaintEffectNoSchedule}}
			memory *= 4
		}
		create(n)
		n.Status.Capacity = corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("16"), corev1.ResourcePods: resource.MustParse("110"),
			corev1.ResourceMemory: *resource.NewQuantity(memory, resource.BinarySI),
		}
		n.Status.Allocatable = n.Status.Capacity
		if err := admin.Status().Update(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	create(
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "block", Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
			Provisioner: "disks.example.com", VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)},
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "shared"}, Provisioner: "files.example.com"},
		&storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "disks.example.com"}},
		&storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "files.example.com"}, Spec: storagev1.CSIDriverSpec{AttachRequired: ptr.To(false)}},
	)
	for _, ns := range []string{team, "tekton-pipelines"} {
		create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Annotations: map[string]string{openshift.UIDRangeAnnotation: "1000970000/10000"}}})
	}
	labels := map[string]string{"app": "tekton"}
	create(
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "feature-flags", Namespace: "tekton-pipelines"}, Data: map[string]string{"coschedule": "disabled"}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "config-defaults", Namespace: "tekton-pipelines"}, Data: map[string]string{"default-timeout-minutes": "90"}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "pipelines-info", Namespace: "tekton-pipelines"}, Data: map[string]string{"version": "v" + tekton.BuiltIn}},
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "tekton-pipelines-controller", Namespace: "tekton-pipelines", Labels: map[string]string{"pipeline.tekton.dev/release": "v" + tekton.BuiltIn}},
			Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "controller"}}}}}},
		&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "pods", Namespace: team}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("20")}}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "team-admin"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: team, Name: "admin"}}},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "guest", Namespace: team}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"tekton.dev"}, Resources: []string{"*"}, Verbs: []string{"get", "list"}},
			{APIGroups: []string{""}, Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"get", "list"}}}},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "guest", Namespace: team}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "guest"},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: team, Name: "guest"}}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "uses-anyuid"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"security.openshift.io"}, Resources: []string{"securitycontextconstraints"}, ResourceNames: []string{"anyuid"}, Verbs: []string{"use"}}}},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "builders", Namespace: team}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "uses-anyuid"},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: team, Name: "builder-0"}}},
	)
	for i := range many {
		create(
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("secret-%d", i), Namespace: team, Annotations: map[string]string{"tekton.dev/git-0": "https://git.example.com"}},
				Type: corev1.SecretTypeBasicAuth, StringData: map[string]string{"username": "me", "password": "hunter2"}},
			&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("builder-%d", i), Namespace: team}, Secrets: []corev1.ObjectReference{{Name: fmt.Sprintf("secret-%d", i)}}},
		)
	}
	create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "service", Namespace: team}, Spec: corev1.PodSpec{
		NodeName: "machine-0.example.com", ServiceAccountName: "builder-0",
		Containers: []corev1.Container{{Name: "c", Image: "service", Env: []corev1.EnvVar{{Name: "PASSWORD", Value: "hunter2"}},
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("3")}}}},
	}})
	sccs, err := openshift.StockSCCs()
	if err != nil {
		t.Fatal(err)
	}
	for _, scc := range sccs {
		create(scc)
	}
	for _, doc := range strings.Split(workload, "---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatal(err)
		}
		create(u)
	}
}

const workload = `apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: work, namespace: team}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, storageClassName: block}
---
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: hello, namespace: team}
spec:
  workspaces: [{name: source}]
  steps: [{name: say, image: busybox, command: ["true"]}]
---
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: hello, namespace: team}
spec:
  workspaces: [{name: source}]
  tasks: [{name: hello, taskRef: {name: hello}, workspaces: [{name: source, workspace: source}]}]
---
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {name: hello-1, namespace: team, labels: {tekton.dev/pipeline: hello}}
spec:
  pipelineRef: {name: hello}
  taskRunTemplate: {serviceAccountName: builder-0}
  workspaces: [{name: source, persistentVolumeClaim: {claimName: work}}]
---
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: hello-1-hello, namespace: team, labels: {tekton.dev/pipeline: hello, tekton.dev/pipelineRun: hello-1, tekton.dev/pipelineTask: hello}}
spec: {taskRef: {name: hello}}
status:
  conditions: [{type: Succeeded, status: "True"}]
  startTime: "2026-03-01T10:00:00Z"
  completionTime: "2026-03-01T10:01:30Z"
`

// tektonType defines one of Tekton's types, whose fields nobody checks.
func tektonType(kind string) *apiextensionsv1.CustomResourceDefinition {
	plural := strings.ToLower(kind) + "s"
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + ".tekton.dev"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "tekton.dev", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: kind, ListKind: kind + "List", Plural: plural, Singular: strings.ToLower(kind)},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: ptr.To(true)}}}},
		},
	}
}
