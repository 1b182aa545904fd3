package resolvers

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/resolver"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/scenario"
)

// resolveTime is how long a resolver takes for an answer.
const resolveTime = time.Second

// Resolvers answer the requests of one cell.
type Resolvers struct {
	Options
	// taken are the requests that are being answered or were, by name and the
	// moment of their making.
	taken  map[string]bool
	failed error
}

// Options are what Resolvers are made of.
type Options struct {
	Plane *plane.Plane
	// Remotes are the manifests that stand for elsewhere.
	Remotes []scenario.Remote
	// Log takes what the resolvers log.
	Log history.Recorder
	// After has something done after a time, unless the cell has ended by then.
	After func(d time.Duration, key string, run func())
}

// New returns resolvers that have not been asked anything.
func New(o Options) *Resolvers { return &Resolvers{Options: o, taken: map[string]bool{}} }

// Take takes up the requests in a state that are new; they are answered after a second
// of virtual time. The error is that of an earlier answer: something that is wanted is not
// among the manifests, or the API server did not do what it was asked.
func (r *Resolvers) Take(ctx context.Context, s *history.State) error {
	for _, o := range s.List("ResolutionRequest") {
		key := fmt.Sprintf("%s/%s/%v", o.Ref.Namespace, o.Ref.Name, o.Created)
		// A resolver that does not come with Tekton answers nobody here.
		if r.taken[key] || !resolver.Known(o.Text("metadata", "labels", resolver.Label)) {
			continue
		}
		r.taken[key] = true
		ref := o.Ref
		r.After(resolveTime, "resolution/"+ref.Namespace+"/"+ref.Name, func() {
			if err := r.answer(ctx, ref); err != nil {
				r.failed = errors.Join(r.failed, err)
			}
		})
	}
	return r.failed
}

// errNotGiven: what a resolver would fetch is not among the manifests.
var errNotGiven = errors.New("add it to workload.manifests: manifests stand for what resolvers fetch")

// answer writes into a request what its resolver found, or why it found nothing.
func (r *Resolvers) answer(ctx context.Context, ref history.Ref) error {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return fmt.Errorf("reading the version of ResolutionRequest %s: %w", ref.Name, err)
	}
	client := r.Plane.Resolvers.Dynamic.Resource(gv.WithResource("resolutionrequests")).Namespace(ref.Namespace)
	request, err := client.Get(ctx, ref.Name, metav1.GetOptions{})
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
		data, err = r.fetch(ctx, name, target)
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
			"lastTransitionTime": r.Plane.Clock.Now().UTC().Format(time.RFC3339), "message": message,
		}}
		r.Log.Record(history.Entry{Kind: history.KindLog, Actor: resolver.Actor, Object: ref, Reason: "error", Message: message})
	default:
		return fmt.Errorf("ResolutionRequest %s: %w", ref.Name, err)
	}
	if had, ok := request.Object["status"].(map[string]any); ok {
		maps.Copy(had, status)
		status = had
	}
	request.Object["status"] = status
	_, err = client.UpdateStatus(ctx, request, metav1.UpdateOptions{})
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
func (r *Resolvers) fetch(ctx context.Context, name string, t resolver.Target) ([]byte, error) {
	if name == resolver.Cluster {
		mapping, err := r.Plane.Mapper().RESTMapping(schema.GroupKind{Group: "tekton.dev", Kind: t.Kind})
		if err != nil {
			return nil, err
		}
		u, err := r.Plane.Resolvers.Dynamic.Resource(mapping.Resource).Namespace(t.Namespace).Get(ctx, t.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		u.SetManagedFields(nil)
		return yaml.Marshal(u.Object)
	}
	candidates := make([]resolver.Candidate, 0, len(r.Remotes))
	for _, remote := range r.Remotes {
		var o map[string]any
		if err := json.Unmarshal(remote.Object, &o); err != nil {
			return nil, fmt.Errorf("reading a manifest: %w", err)
		}
		candidates = append(candidates, resolver.CandidateOf(remote.File, o))
	}
	i, err := t.Choose(candidates)
	if err != nil {
		return nil, err
	}
	if i < 0 {
		return nil, errNotGiven
	}
	return yaml.JSONToYAML(r.Remotes[i].Object)
}
