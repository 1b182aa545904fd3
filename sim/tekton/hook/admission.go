//go:build go1.21

package hook

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tektoncd/pipeline/pkg/apis/config"
	"github.com/tektoncd/pipeline/pkg/client/clientset/versioned/scheme"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/configmap"
	"knative.dev/pkg/logging"
	strict "knative.dev/pkg/webhook/json"
)

// The words with which the API server gives what Tekton's webhooks refuse: their
// names in the release's manifests, and those of knative's
// webhook/resourcesemantics/defaulting and .../validation.
const (
	notDefaulted = `admission webhook "webhook.pipeline.tekton.dev" denied the request: mutation failed: `
	notValid     = `admission webhook "validation.webhook.pipeline.tekton.dev" denied the request: validation failed: `
)

// watchConfig follows the release's configuration for admit, as upstream's
// cmd/webhook does for its admission controllers.
func (h *Hook) watchConfig(ctx context.Context, cmw configmap.Watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.config == nil {
		h.config = config.NewStore(logging.FromContext(ctx).Named("config-store"))
		h.config.WatchConfigs(cmw)
	}
}

// admit does with a new object what upstream's webhook does: it is read without
// passing over unknown fields, written again, given its defaults and validated, all
// by the release's own types. What it refuses it refuses in the API server's words;
// kinds that are not the release's are given back as they came.
func (h *Hook) admit(raw []byte) (admitted []byte, refused string) {
	var head metav1.TypeMeta
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, notDefaulted + err.Error()
	}
	o, err := scheme.Scheme.New(head.GroupVersionKind())
	if err != nil {
		return raw, ""
	}
	if err := strict.Decode(raw, o, true); err != nil {
		return nil, notDefaulted + fmt.Sprintf("cannot decode incoming new object: %v", err)
	}
	h.mu.Lock()
	store := h.config
	h.mu.Unlock()
	ctx := context.Background()
	if store != nil {
		ctx = store.ToContext(ctx)
	}
	ctx = apis.WithinCreate(ctx)
	if d, ok := o.(apis.Defaultable); ok {
		d.SetDefaults(ctx)
	}
	admitted, err = json.Marshal(o)
	if err != nil {
		return nil, notDefaulted + err.Error()
	}
	if m, ok := o.(metav1.Object); ok && m.GetName() == "" && m.GetGenerateName() != "" {
		m.SetName(generated(m.GetGenerateName()))
	}
	if v, ok := o.(apis.Validatable); ok {
		if invalid := v.Validate(ctx).Filter(apis.ErrorLevel); invalid != nil {
			return nil, notValid + invalid.Error()
		}
	}
	return admitted, ""
}

// generated is a name such as the API server makes up before it validates
// (SimpleNameGenerator in k8s.io/apiserver/pkg/storage/names); it is not the one that
// the object gets.
func generated(base string) string {
	const most, random = 63, "xxxxx"
	return base[:min(len(base), most-len(random))] + random
}
