package sim

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/resolver"
)

// resolveTime is how long a resolver takes for an answer.
const resolveTime = time.Second

// resolutions stand in for Tekton's resolvers, which are a Deployment of their own
// and for the most part fetch from the network. Requests, and what the controller
// makes of the answers, are real.
type resolutions struct {
	// taken are the requests that are being answered or were, by name and the
	// moment of their making.
	taken  map[string]bool
	failed error
}

// resolve takes up the requests that came. The cell's history is folded.
func (c *play) resolve() error {
	for _, o := range c.state.List("ResolutionRequest") {
		key := fmt.Sprintf("%s/%s/%v", o.Ref.Namespace, o.Ref.Name, o.Created)
		// A resolver that does not come with Tekton answers nobody here.
		if c.resolutions.taken[key] || !resolver.Known(o.Text("metadata", "labels", resolver.Label)) {
			continue
		}
		c.resolutions.taken[key] = true
		ref := o.Ref
		c.after(resolveTime, "resolution/"+ref.Namespace+"/"+ref.Name, func() {
			if err := c.answer(ref); err != nil {
				c.resolutions.failed = errors.Join(c.resolutions.failed, err)
			}
		})
	}
	return c.resolutions.failed
}

// errNotGiven: what a resolver would fetch is not among the manifests.
var errNotGiven = errors.New("add it to workload.manifests: manifests stand for what resolvers fetch")

// answer writes into a request what its resolver found, or why it found nothing.
func (c *play) answer(ref history.Ref) error {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return fmt.Errorf("reading the version of ResolutionRequest %s: %w", ref.Name, err)
	}
	client := c.plane.Resolvers.Dynamic.Resource(gv.WithResource("resolutionrequests")).Namespace(ref.Namespace)
	request, err := client.Get(c.ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil // nobody waits any more
	}
	if err != nil {
		return fmt.Errorf("reading ResolutionRequest %s: %w", ref.Name, err)
	}
	name := request.GetLabels()[resolver.Label]
	// Some releases demand every one of these, whatever came of the request.
	status := map[string]any{"data": "", "refSource": nil, "source": nil}
	target, err := resolver.Of(name, paramsOf(request))
	var data []byte
	if err == nil {
		data, err = c.fetch(name, target)
	}
	var answer apierrors.APIStatus
	switch {
	case err == nil:
		status["data"] = base64.StdEncoding.EncodeToString(data)
		status["annotations"] = map[string]any{"resolution.tekton.dev/content-type": "application/x-yaml"}
		source := map[string]any{"uri": name + ":" + target.Name}
		status["refSource"], status["source"] = source, source
	case errors.Is(err, errNotGiven):
		return fmt.Errorf("resolver %s is asked for %s: %w", name, target, err)
	case name == resolver.Cluster || errors.As(err, &answer):
		// The words are those of upstream's framework, which logs them too.
		message := fmt.Sprintf("error getting %q %q: %v", name, ref.Namespace+"/"+ref.Name, err)
		status["conditions"] = []any{map[string]any{
			"type": "Succeeded", "status": "False", "reason": "ResolutionFailed",
			"lastTransitionTime": c.plane.Clock.Now().UTC().Format(time.RFC3339), "message": message,
		}}
		c.log.Record(history.Entry{Kind: history.KindLog, Actor: resolver.Actor, Object: ref, Reason: "error", Message: message})
	default:
		return fmt.Errorf("ResolutionRequest %s: %w", ref.Name, err)
	}
	if had, ok := request.Object["status"].(map[string]any); ok {
		maps.Copy(had, status)
		status = had
	}
	request.Object["status"] = status
	_, err = client.UpdateStatus(c.ctx, request, metav1.UpdateOptions{})
	// From 0.70 on the definition of ResolutionRequests demands a source even of one
	// that failed, which upstream's resolvers do not give either: they log the
	// refusal and let it be.
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsInvalid(err) {
		return fmt.Errorf("answering ResolutionRequest %s: %w", ref.Name, err)
	}
	return nil
}

// paramsOf gives the text parameters of a request.
func paramsOf(request *unstructured.Unstructured) map[string]string {
	out := map[string]string{}
	params, _, _ := unstructured.NestedSlice(request.Object, "spec", "params")
	for _, p := range params {
		m, _ := p.(map[string]any)
		name, _ := m["name"].(string)
		out[name], _ = m["value"].(string)
	}
	return out
}

// fetch gives an object as YAML: from the cluster, or from the manifests that
// stand for another place.
func (c *play) fetch(name string, t resolver.Target) ([]byte, error) {
	if name == resolver.Cluster {
		mapping, err := c.plane.Mapper().RESTMapping(schema.GroupKind{Group: "tekton.dev", Kind: t.Kind})
		if err != nil {
			return nil, noKind(err)
		}
		u, err := c.plane.Resolvers.Dynamic.Resource(mapping.Resource).Namespace(t.Namespace).Get(c.ctx, t.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		u.SetManagedFields(nil)
		return yaml.Marshal(u.Object)
	}
	for _, raw := range c.cell.Objects {
		u := &unstructured.Unstructured{}
		if err := json.Unmarshal(raw, u); err != nil {
			return nil, fmt.Errorf("reading a manifest: %w", err)
		}
		if u.GroupVersionKind().Group == "tekton.dev" && t.Matches(u.GetKind(), u.GetNamespace(), u.GetName()) {
			return yaml.JSONToYAML(raw)
		}
	}
	return nil, errNotGiven
}
