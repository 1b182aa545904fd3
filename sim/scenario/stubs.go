package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"

	"simctl.dev/simctl/sim/demand"
	"simctl.dev/simctl/sim/internal/tree"
	"simctl.dev/simctl/sim/stub"
)

// stubs adds what the runs need and the manifests do not have.
func (w *world) stubs(folder string) {
	for _, s := range stub.Of(w.demands(folder).References, w.hasPipelineAccount()) {
		w.objects = append(w.objects, &object{data: s.Object})
	}
}

// demands are what the objects, as they are now, ask of others. Files are named from the
// folder of the scenario.
func (w *world) demands(folder string) *demand.Demands {
	data, files := make([]map[string]any, len(w.objects)), make([]string, len(w.objects))
	for i, o := range w.objects {
		data[i], files[i] = o.data, o.fileFrom(folder)
	}
	return demand.OfFiles(data, files, DefaultNamespace)
}

// hasPipelineAccount says whether every namespace has a ServiceAccount `pipeline`.
func (w *world) hasPipelineAccount() bool {
	o := w.spec.Cluster.OpenShift
	return o.Enabled && (o.PipelinesSCC == nil || *o.PipelinesSCC)
}

// madeUp names the stubs among a cell's objects, whoever made them.
func madeUp(objects []json.RawMessage) []string {
	var out []string
	for _, raw := range objects {
		if !bytes.Contains(raw, []byte(stub.Annotation)) {
			continue
		}
		if o, err := decodeObject(raw); err == nil && stub.Made(o) {
			out = append(out, fmt.Sprintf("%s %s, %s", tree.Text(o, "kind"),
				tree.Name(o), tree.Text(o, "metadata", "annotations", stub.Annotation)))
		}
	}
	return out
}
