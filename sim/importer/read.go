package importer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"

	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/wellknown"
)

// defaultPage is how many objects are asked for at once.
const defaultPage = 250

// ReadOptions are options of [Read].
type ReadOptions struct {
	// Namespace is that of the pipelines. It must be given.
	Namespace string
	// Page is how many objects a request asks for; default 250.
	Page int64
	// Progress, if not nil, is told each kind before it is read.
	Progress func(kind string)
}

// wanted is a kind to read.
type wanted struct {
	group, resource, kind string
	// where is "cluster", "namespace", or "tekton": the namespaces of Tekton's
	// installation.
	where string
	// names, if any, are got one by one; else all are listed.
	names []string
	// versions are tried before the one that the API server prefers.
	versions []string
	// optional kinds need not exist on a cluster.
	optional bool
}

var everything = []wanted{
	{resource: "nodes", kind: "Node", where: "cluster"},
	{resource: "pods", kind: "Pod", where: "cluster"},
	{group: "storage.k8s.io", resource: "storageclasses", kind: "StorageClass", where: "cluster"},
	{group: "storage.k8s.io", resource: "csidrivers", kind: "CSIDriver", where: "cluster"},
	{resource: "persistentvolumes", kind: "PersistentVolume", where: "cluster"},
	{resource: "namespaces", kind: "Namespace", where: "cluster", names: []string{""}},
	{group: sccGroup, resource: sccResources, kind: "SecurityContextConstraints", where: "cluster", optional: true},
	{group: "rbac.authorization.k8s.io", resource: "clusterroles", kind: "ClusterRole", where: "cluster"},
	{group: "rbac.authorization.k8s.io", resource: "clusterrolebindings", kind: "ClusterRoleBinding", where: "cluster"},
	{group: "operator.tekton.dev", resource: "tektonconfigs", kind: "TektonConfig", where: "cluster", names: []string{"config"}, optional: true},
	{resource: "configmaps", kind: "ConfigMap", where: "tekton", names: []string{wellknown.FeatureFlags, wellknown.ConfigDefaults, pipelinesInfo}},
	{group: "apps", resource: "deployments", kind: "Deployment", where: "tekton", names: []string{wellknown.TektonController}},
	{resource: "persistentvolumeclaims", kind: "PersistentVolumeClaim", where: "namespace"},
	{resource: "resourcequotas", kind: "ResourceQuota", where: "namespace"},
	{resource: "limitranges", kind: "LimitRange", where: "namespace"},
	{resource: "serviceaccounts", kind: "ServiceAccount", where: "namespace"},
	{resource: "configmaps", kind: "ConfigMap", where: "namespace"},
	{group: "rbac.authorization.k8s.io", resource: "roles", kind: "Role", where: "namespace"},
	{group: "rbac.authorization.k8s.io", resource: "rolebindings", kind: "RoleBinding", where: "namespace"},
	{group: "tekton.dev", resource: "clustertasks", kind: "ClusterTask", where: "cluster", optional: true},
	{group: "tekton.dev", resource: "stepactions", kind: "StepAction", where: "namespace", optional: true},
	{group: "tekton.dev", resource: "tasks", kind: "Task", where: "namespace", versions: []string{"v1"}},
	{group: "tekton.dev", resource: "pipelines", kind: "Pipeline", where: "namespace", versions: []string{"v1"}},
	{group: "tekton.dev", resource: "pipelineruns", kind: "PipelineRun", where: "namespace", versions: []string{"v1"}},
	{group: "tekton.dev", resource: "taskruns", kind: "TaskRun", where: "namespace", versions: []string{"v1"}},
}

// reader reads a cluster.
type reader struct {
	o       ReadOptions
	dynamic dynamic.Interface
	groups  map[string]map[string]map[string]bool // group, version, resource
	prefers map[string][]string                   // group, its versions in order
	failed  map[schema.GroupVersion]error
	d       *Dump
}

// Read reads a cluster with get and list alone. What is refused or missing is a
// gap; the error is that the API server cannot be reached, or ctx's.
func Read(ctx context.Context, cfg *rest.Config, o ReadOptions) (*Dump, error) {
	if o.Page <= 0 {
		o.Page = defaultPage
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	cfg = rest.CopyConfig(cfg)
	if cfg.QPS == 0 {
		cfg.QPS, cfg.Burst = 20, 40
	}
	r := &reader{o: o, d: &Dump{}}
	if err := r.discover(cfg); err != nil {
		return nil, err
	}
	var err error
	if r.dynamic, err = dynamic.NewForConfig(cfg); err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	for _, w := range everything {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := r.read(ctx, w); err != nil {
			return nil, err
		}
	}
	o.Progress("Secret")
	if err := r.secrets(ctx, cfg); err != nil {
		return nil, err
	}
	return r.d, nil
}

// discover asks which kinds the API server has.
func (r *reader) discover(cfg *rest.Config) error {
	client, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	groups, lists, err := client.ServerGroupsAndResources()
	if err != nil {
		var partial *discovery.ErrGroupDiscoveryFailed
		if !errors.As(err, &partial) {
			return fmt.Errorf("asking the API server for its kinds: %w", err)
		}
		r.failed = partial.Groups
	}
	r.groups, r.prefers = map[string]map[string]map[string]bool{}, map[string][]string{}
	for _, g := range groups {
		r.prefers[g.Name] = append(r.prefers[g.Name], g.PreferredVersion.Version)
		for _, v := range g.Versions {
			r.prefers[g.Name] = append(r.prefers[g.Name], v.Version)
		}
	}
	for _, l := range lists {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			continue
		}
		if r.groups[gv.Group] == nil {
			r.groups[gv.Group] = map[string]map[string]bool{}
		}
		served := map[string]bool{}
		for _, res := range l.APIResources {
			served[res.Name] = true
		}
		r.groups[gv.Group][gv.Version] = served
	}
	return nil
}

// resource finds the version in which a kind is served.
func (r *reader) resource(w wanted) (schema.GroupVersionResource, bool) {
	for _, v := range slices.Concat(w.versions, r.prefers[w.group]) {
		if r.groups[w.group][v][w.resource] {
			return schema.GroupVersionResource{Group: w.group, Version: v, Resource: w.resource}, true
		}
	}
	return schema.GroupVersionResource{}, false
}

func (r *reader) read(ctx context.Context, w wanted) error {
	what := several(w.kind)
	if w.group != "" {
		what += " (" + w.group + ")"
	}
	gvr, ok := r.resource(w)
	if !ok {
		for gv, err := range r.failed {
			if gv.Group == w.group {
				r.d.gap(what, err)
				return nil
			}
		}
		if !w.optional {
			r.d.gap(what, errors.New("the cluster has no such kind"))
		}
		return nil
	}
	r.o.Progress(w.kind)
	switch w.where {
	case "cluster":
		return r.from(ctx, w, what, "", gvr)
	case "namespace":
		return r.from(ctx, w, what, r.o.Namespace, gvr)
	}
	// Whether Tekton is in a namespace can be told by what is there.
	namespaces := slices.Clone(tektonNamespaces)
	for _, u := range r.d.Objects {
		if u.GetKind() == "TektonConfig" {
			if ns := tree.Text(u.Object, "spec", "targetNamespace"); ns != "" && !slices.Contains(namespaces, ns) {
				namespaces = append([]string{ns}, namespaces...)
			}
		}
	}
	before, gaps := len(r.d.Objects), len(r.d.Gaps)
	for _, ns := range namespaces {
		if err := r.from(ctx, w, what+" of "+ns, ns, gvr); err != nil {
			return err
		}
	}
	if len(r.d.Objects) > before {
		// That another namespace is closed does not matter then.
		r.d.Gaps = r.d.Gaps[:gaps]
	} else if len(r.d.Gaps) == gaps {
		r.d.gap(fmt.Sprintf("%s %s", w.kind, strings.Join(w.names, ", ")), fmt.Errorf("not in %s", strings.Join(namespaces, ", ")))
	}
	return nil
}

// several is a kind's plural in words.
func several(kind string) string {
	switch {
	case strings.HasSuffix(kind, "Constraints"):
		return kind
	case strings.HasSuffix(kind, "s"):
		return kind + "es"
	}
	return kind + "s"
}

// from gets or lists a kind's objects. What is refused is a gap.
func (r *reader) from(ctx context.Context, w wanted, what, namespace string, gvr schema.GroupVersionResource) error {
	var client dynamic.ResourceInterface = r.dynamic.Resource(gvr)
	if namespace != "" {
		client = r.dynamic.Resource(gvr).Namespace(namespace)
	}
	for _, name := range w.names {
		if name == "" {
			name = r.o.Namespace
		}
		u, err := client.Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			if w.kind == "Namespace" {
				return fmt.Errorf("the cluster has no namespace %s", name)
			}
		case err != nil:
			if err := ctx.Err(); err != nil {
				return err
			}
			if reachable(err) {
				r.d.gap(strings.Replace(what, several(w.kind), w.kind+" "+name, 1), reason(err))
				continue
			}
			return fmt.Errorf("reading %s %s: %w", w.kind, name, err)
		default:
			r.d.add(u.Object)
		}
	}
	if w.names != nil {
		return nil
	}
	p := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) })
	p.PageSize = r.o.Page
	err := p.EachListItem(ctx, metav1.ListOptions{}, func(o runtime.Object) error {
		u, ok := o.(*unstructured.Unstructured)
		switch {
		case !ok || !r.needed(u):
		case w.kind == "Pod":
			r.d.add(roomOf(u))
		default:
			r.d.add(u.Object)
		}
		return nil
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case reachable(err):
		r.d.gap(what, reason(err))
		return nil
	}
	return fmt.Errorf("reading %s: %w", what, err)
}

// needed passes over the volumes of other namespaces.
func (r *reader) needed(u *unstructured.Unstructured) bool {
	if u.GetKind() != "PersistentVolume" {
		return true
	}
	ns := tree.Text(u.Object, "spec", "claimRef", "namespace")
	return ns == "" || ns == r.o.Namespace
}

// reachable says whether an error is an answer of the API server.
func reachable(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}

// reason says in a few words why the API server did not answer.
func reason(err error) error {
	switch {
	case apierrors.IsForbidden(err):
		return errors.New("forbidden to this user")
	case apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
		return errors.New("the cluster has no such kind")
	}
	return err
}

// asTable asks for a table, whose rows have the metadata alone.
const asTable = "application/json;as=Table;v=v1;g=meta.k8s.io"

// secrets reads the names and types of Secrets. They are asked for as the table
// that kubectl prints, so that the values never leave the cluster.
func (r *reader) secrets(ctx context.Context, cfg *rest.Config) error {
	cfg = rest.CopyConfig(cfg)
	cfg.APIPath, cfg.GroupVersion = "/api", &schema.GroupVersion{Version: "v1"}
	cfg.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(cfg)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	for token := ""; ; {
		raw, err := client.Get().Namespace(r.o.Namespace).Resource("secrets").SetHeader("Accept", asTable).
			Param("includeObject", "Metadata").Param("limit", fmt.Sprint(r.o.Page)).Param("continue", token).DoRaw(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !reachable(err) {
				return fmt.Errorf("reading Secrets: %w", err)
			}
			r.d.gap("Secrets", reason(err))
			return nil
		}
		var table metav1.Table
		if err := json.Unmarshal(raw, &table); err != nil {
			return fmt.Errorf("reading Secrets: %w", err)
		}
		if table.Kind != "Table" {
			// The server would send the values: better without.
			r.d.gap("Secrets", errors.New("the API server does not print them as a table"))
			return nil
		}
		column := slices.IndexFunc(table.ColumnDefinitions, func(c metav1.TableColumnDefinition) bool { return c.Name == "Type" })
		for _, row := range table.Rows {
			var partial metav1.PartialObjectMetadata
			if err := json.Unmarshal(row.Object.Raw, &partial); err != nil {
				return fmt.Errorf("reading Secrets: %w", err)
			}
			o := map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": partial.Name, "namespace": partial.Namespace}}
			if column >= 0 && column < len(row.Cells) {
				o["type"] = row.Cells[column]
			}
			u := unstructured.Unstructured{Object: o}
			kept := map[string]string{}
			for k, v := range partial.Annotations {
				if strings.HasPrefix(k, "tekton.dev/") {
					kept[k] = v
				}
			}
			if len(kept) > 0 {
				u.SetAnnotations(kept)
			}
			r.d.add(u.Object)
		}
		if token = table.Continue; token == "" {
			return nil
		}
	}
}
