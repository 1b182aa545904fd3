package openshift

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/ptr"

	"simctl.dev/simctl/sim/scenario"
)

// The annotations of a namespace that say which ids its pods get.
const (
	UIDRangeAnnotation           = "openshift.io/sa.scc.uid-range"
	SupplementalGroupsAnnotation = "openshift.io/sa.scc.supplemental-groups"
	MCSAnnotation                = "openshift.io/sa.scc.mcs"
	// SCCAnnotation is the annotation of a pod that says which SCC admitted it.
	SCCAnnotation = "openshift.io/scc"
)

// What the OpenShift Pipelines operator makes in every namespace that is not a
// system's: a ServiceAccount, which may edit what is there and use pipelines-scc, or
// the SCC that the namespace's annotation names (pkg/reconciler/openshift/tektonconfig/rbac.go
// in tektoncd/operator).
const (
	pipelineAccount     = "pipeline"
	pipelineEditBinding = "openshift-pipelines-edit"
	pipelineSCCBinding  = "pipelines-scc-rolebinding"
	pipelineSCCRole     = "pipelines-scc-role"
	pipelineSCC         = "pipelines-scc"
	// pipelineSCCClusterRole lets its users use pipelines-scc.
	pipelineSCCClusterRole = "pipelines-scc-clusterrole"
	// NamespaceSCCAnnotation is the annotation of a namespace that names an SCC.
	NamespaceSCCAnnotation = "operator.tekton.dev/scc"
)

// systems are the namespaces that the operator leaves alone.
var systems = regexp.MustCompile(`^(openshift|kube)-|^open-cluster-management-agent-addon$|^open-cluster-management-agent$|^dedicated-admin$`)

//go:embed manifests/sccs.yaml
var stockSCCs []byte

// StockSCCs are the security context constraints of a new OpenShift cluster with
// OpenShift Pipelines.
func StockSCCs() ([]*unstructured.Unstructured, error) {
	var sccs []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(stockSCCs), 4096)
	for {
		scc := &unstructured.Unstructured{}
		if err := decoder.Decode(&scc.Object); errors.Is(err, io.EOF) {
			return sccs, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the stock SCCs: %w", err)
		}
		sccs = append(sccs, scc)
	}
}

// CRDs are the types that the objects of this package need; the API server must
// have established them before it can take the objects.
func CRDs() []*apiextensionsv1.CustomResourceDefinition {
	return []*apiextensionsv1.CustomResourceDefinition{
		crd("security.openshift.io", "v1", "SecurityContextConstraints", "securitycontextconstraints", "securitycontextconstraints", "scc"),
		TektonConfigCRD(),
	}
}

// crd defines a cluster-scoped type whose fields nobody checks.
func crd(group, version, kind, plural, singular string, short ...string) *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{
		TypeMeta:   metav1.TypeMeta{APIVersion: apiextensionsv1.SchemeGroupVersion.String(), Kind: "CustomResourceDefinition"},
		ObjectMeta: metav1.ObjectMeta{Name: plural + "." + group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: group,
			Scope: apiextensionsv1.ClusterScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{
				Kind: kind, ListKind: kind + "List", Plural: plural, Singular: singular, ShortNames: short,
			},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: version, Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: ptr.To(true),
				}},
			}},
		},
	}
}

// ClusterObjects are what an OpenShift cluster has from its installation on: the
// stock SCCs, a ClusterRole for the use of each, and the binding that lets
// everybody use restricted-v2. They are made once, after [CRDs].
func ClusterObjects() ([]*unstructured.Unstructured, error) {
	objects, err := StockSCCs()
	if err != nil {
		return nil, err
	}
	for _, scc := range slices.Clone(objects) {
		role, err := plain(roleOf(roleName(scc.GetName()), scc.GetName()))
		if err != nil {
			return nil, err
		}
		objects = append(objects, role)
	}
	everybody, err := plain(&rbacv1.ClusterRoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: roleName("restricted-v2")},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: roleName("restricted-v2")},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:authenticated"}},
	})
	if err != nil {
		return nil, err
	}
	return append(objects, everybody), nil
}

// Grants are what lets ServiceAccounts of the namespaces use SCCs: the RoleBindings
// that `oc adm policy add-scc-to-user` makes for the scenario's grants (one without
// a namespace counts for all of them), and the ServiceAccount pipeline with its
// rights, as the OpenShift Pipelines operator makes them. An SCC of the user's own
// gets its ClusterRole here.
func Grants(o scenario.OpenShift, namespaces []*corev1.Namespace) ([]*unstructured.Unstructured, error) {
	stock, err := StockSCCs()
	if err != nil {
		return nil, err
	}
	var (
		typed []runtime.Object
		roles = map[string]bool{}
	)
	for _, scc := range stock {
		roles[scc.GetName()] = true
	}
	for _, g := range o.Grants {
		if !roles[g.SCC] {
			roles[g.SCC] = true
			typed = append(typed, roleOf(roleName(g.SCC), g.SCC))
		}
	}
	operated := o.PipelinesSCC == nil || *o.PipelinesSCC
	if operated {
		typed = append(typed, roleOf(pipelineSCCClusterRole, pipelineSCC))
	}
	for _, n := range namespaces {
		ns := n.Name
		if operated && !systems.MatchString(ns) {
			typed = append(typed, pipelineRights(n)...)
		}
		// oc keeps one binding for an SCC and adds subjects to it.
		var order []string
		accounts := map[string][]string{}
		for _, g := range o.Grants {
			if g.Namespace != "" && g.Namespace != ns || slices.Contains(accounts[g.SCC], g.ServiceAccount) {
				continue
			}
			if accounts[g.SCC] == nil {
				order = append(order, g.SCC)
			}
			accounts[g.SCC] = append(accounts[g.SCC], g.ServiceAccount)
		}
		for _, scc := range order {
			typed = append(typed, bindingOf(ns, roleName(scc), "ClusterRole", roleName(scc), accounts[scc]))
		}
	}
	objects := make([]*unstructured.Unstructured, 0, len(typed))
	for _, o := range typed {
		u, err := plain(o)
		if err != nil {
			return nil, err
		}
		objects = append(objects, u)
	}
	return objects, nil
}

func roleName(scc string) string { return "system:openshift:scc:" + scc }

// pipelineRights are the operator's ServiceAccount in a namespace, with its rights.
func pipelineRights(n *corev1.Namespace) []runtime.Object {
	objects := []runtime.Object{&corev1.ServiceAccount{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta: metav1.ObjectMeta{Namespace: n.Name, Name: pipelineAccount},
	}}
	kind, role := "ClusterRole", pipelineSCCClusterRole
	if scc := n.Annotations[NamespaceSCCAnnotation]; scc != "" {
		kind, role = "Role", pipelineSCCRole
		objects = append(objects, &rbacv1.Role{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind},
			ObjectMeta: metav1.ObjectMeta{Namespace: n.Name, Name: role},
			Rules:      mayUse(scc),
		})
	}
	return append(objects,
		bindingOf(n.Name, pipelineSCCBinding, kind, role, []string{pipelineAccount}),
		bindingOf(n.Name, pipelineEditBinding, "ClusterRole", "edit", []string{pipelineAccount}))
}

// roleOf returns the ClusterRole of a name that lets its users use an SCC.
func roleOf(name, scc string) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      mayUse(scc),
	}
}

func mayUse(scc string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{
		APIGroups: []string{sccResource.Group}, Resources: []string{sccResource.Resource}, ResourceNames: []string{scc}, Verbs: []string{"use"},
	}}
}

func bindingOf(namespace, name, kind, role string, accounts []string) *rbacv1.RoleBinding {
	b := &rbacv1.RoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role},
	}
	for _, account := range accounts {
		b.Subjects = append(b.Subjects, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account})
	}
	return b
}

func plain(o runtime.Object) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("writing an object: %w", err)
	}
	return &unstructured.Unstructured{Object: fields}, nil
}

// firstRange is where the ranges of namespaces begin for which the scenario names
// none; every namespace has rangeSize ids.
const (
	firstRange = 1000680000
	rangeSize  = 10000
)

// Annotate gives a namespace the ranges that OpenShift's controller allocates,
// where it has none: those of the scenario, else the index-th block of the
// default range. The index counts the cluster's namespaces in a fixed order.
func Annotate(ns *corev1.Namespace, o scenario.OpenShift, index int) {
	set := func(key, value string) {
		if ns.Annotations == nil {
			ns.Annotations = map[string]string{}
		}
		if ns.Annotations[key] == "" {
			ns.Annotations[key] = value
		}
	}
	uids := o.UIDRange
	if uids == "" {
		uids = fmt.Sprintf("%d/%d", firstRange+index*rangeSize, rangeSize)
	}
	groups := o.SupplementalGroups
	if groups == "" {
		groups = uids
		if own := ns.Annotations[UIDRangeAnnotation]; own != "" {
			groups = own
		}
	}
	set(UIDRangeAnnotation, uids)
	set(SupplementalGroupsAnnotation, groups)
	set(MCSAnnotation, mcs(index))
}

// mcs returns the index-th SELinux label: two of 1024 categories, the larger first
// and both different, as OpenShift writes them.
func mcs(index int) string {
	const first = 26
	larger, smaller := first, index
	for smaller >= larger {
		smaller -= larger
		larger = larger%1023 + 1
	}
	return strings.Join([]string{fmt.Sprintf("s0:c%d", larger), fmt.Sprintf("c%d", smaller)}, ",")
}
