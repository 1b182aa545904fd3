package importer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/scenario"
)

// ErrNamespace is returned by [Convert] if it cannot tell which namespace is
// meant.
var ErrNamespace = errors.New("which namespace?")

// Options for [Convert].
type Options struct {
	// Namespace is that of the pipelines. If it is empty, the only one that has
	// PipelineRuns is taken.
	Namespace string
	// Runs are the names of the PipelineRuns to replay. If it is empty, the latest
	// run of every Pipeline is.
	Runs []string
	// Source says in the scenario where it comes from: "the context admin@lab".
	Source string
	// StockSCCs are those that the simulated OpenShift has by itself; others of
	// the same name are compared with them.
	StockSCCs []*unstructured.Unstructured
}

// Result is what [Convert] makes.
type Result struct {
	Namespace string
	Scenario  scenario.Scenario
	// Files are the contents of the files to write, by path: scenario.yaml and
	// what stands under manifests/.
	Files map[string][]byte
	// Notes are what a reader of the scenario must know, a line each: what could
	// not be read, and what differs from the cluster. They stand as comments in
	// scenario.yaml as well.
	Notes []string
}

// converter makes a scenario of a dump.
type converter struct {
	ix   index
	o    Options
	s    scenario.Scenario
	runs []*unstructured.Unstructured
	// kept are the manifests by file name.
	kept map[string][]map[string]any
	// notes by section of the scenario: "", "cluster", "tekton", "workload".
	notes map[string][]string
	// pinned are the node names that objects refer to.
	pinned map[string]bool
	// selected are the node labels that objects select by.
	selected map[string]bool
}

// Convert makes the files of a scenario that stands for the cluster a dump was
// read from. The error is [ErrNamespace], or says which of Options.Runs is
// missing.
func Convert(d *Dump, o Options) (*Result, error) {
	c := &converter{ix: newIndex(d), o: o, kept: map[string][]map[string]any{}, notes: map[string][]string{},
		pinned: map[string]bool{}, selected: map[string]bool{}}
	if err := c.namespace(); err != nil {
		return nil, err
	}
	for _, g := range d.Gaps {
		c.note("", "not read: %s", g)
	}
	c.s.APIVersion, c.s.Kind = scenario.APIVersion, scenario.Kind
	c.s.Metadata.Name = c.o.Namespace
	c.s.Description = fmt.Sprintf("Namespace %s as it was imported", c.o.Namespace)
	if o.Source != "" {
		c.s.Description += " from " + o.Source
	}
	c.s.Description += "."
	c.s.Workload.Namespace = c.o.Namespace
	c.s.Workload.Manifests = []string{"manifests"}

	if err := c.workload(); err != nil {
		return nil, err
	}
	c.tekton()
	c.openshift()
	c.storage()
	c.nodes()
	return c.result()
}

// namespace finds the namespace, if it was not named.
func (c *converter) namespace() error {
	var with []string
	for _, u := range c.ix["PipelineRun.tekton.dev"] {
		with = append(with, u.GetNamespace())
	}
	slices.Sort(with)
	with = slices.Compact(with)
	switch {
	case c.o.Namespace != "":
		return nil
	case len(with) == 1:
		c.o.Namespace = with[0]
		return nil
	case len(with) == 0:
		return fmt.Errorf("%w No PipelineRun was read: name the namespace by -n", ErrNamespace)
	}
	return fmt.Errorf("%w There are PipelineRuns in %s: name one by -n", ErrNamespace, strings.Join(with, ", "))
}

func (c *converter) note(section, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if !slices.Contains(c.notes[section], line) {
		c.notes[section] = append(c.notes[section], line)
	}
}

// keep puts an object, cleaned, into a file of the manifests.
func (c *converter) keep(file string, u *unstructured.Unstructured) map[string]any {
	o := clean(u)
	c.kept[file] = append(c.kept[file], o)
	return o
}

// droppedAnnotations say what the cluster did with an object; they begin so.
var droppedAnnotations = []string{
	"kubectl.kubernetes.io/", "pv.kubernetes.io/", "volume.kubernetes.io/", "volume.beta.kubernetes.io/",
	"deployment.kubernetes.io/", "openshift.io/internal-registry", "kubernetes.io/created-by", "chains.tekton.dev/",
	"results.tekton.dev/", "pipeline.tekton.dev/release", "argocd.argoproj.io/", "meta.helm.sh/", "operator.tekton.dev/",
}

// clean returns a copy of an object without what the API server and controllers
// wrote: status, uid, times, owners, finalizers.
func clean(u *unstructured.Unstructured) map[string]any {
	o := u.DeepCopy().Object
	delete(o, "status")
	meta := map[string]any{}
	for _, k := range []string{"name", "namespace", "labels", "annotations"} {
		if v := tree.Get(o, "metadata", k); v != nil {
			meta[k] = v
		}
	}
	if a := tree.Map(meta, "annotations"); a != nil {
		for k := range a {
			if slices.ContainsFunc(droppedAnnotations, func(p string) bool { return strings.HasPrefix(k, p) }) {
				delete(a, k)
			}
		}
	}
	for _, k := range []string{"labels", "annotations"} {
		if m, ok := meta[k].(map[string]any); ok && len(m) == 0 {
			delete(meta, k)
		}
	}
	o["metadata"] = meta
	walk(o, func(m map[string]any) {
		// An object within another, such as a volumeClaimTemplate, has these too.
		if v, ok := m["creationTimestamp"]; ok && v == nil {
			delete(m, "creationTimestamp")
		}
		if v, ok := m["metadata"].(map[string]any); ok && len(v) == 0 {
			delete(m, "metadata")
		}
		if v, ok := m["status"].(map[string]any); ok && len(v) == 0 {
			delete(m, "status")
		}
	})
	return o
}
