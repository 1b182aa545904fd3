package tekton

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"knative.dev/pkg/webhook/certificates/resources"

	"simctl.dev/simctl/sim/tekton/hook/wire"
	"simctl.dev/simctl/sim/wellknown"
)

// WebhookOptions for StartWebhook.
type WebhookOptions struct {
	// Kubeconfig is the file the webhook connects with.
	Kubeconfig string
	// Namespace is where its Service, its Secret and the ConfigMaps are.
	Namespace string
	// Log, unless nil, takes everything it prints. Only one goroutine writes.
	Log io.Writer
	// Dir is its working directory; the default is that for temporary files.
	Dir string
}

// Webhook is a running process of a release's admission and conversion webhook. It serves
// on loopback what the release's webhook Deployment serves on a cluster.
type Webhook struct {
	*process
	// Port is where it serves.
	Port int
}

// StartWebhook starts a release's webhook. It does not wait until it serves: the API
// server's answers tell when it does.
func StartWebhook(ctx context.Context, b *Build, o WebhookOptions) (*Webhook, error) {
	_, env, err := b.deployment(webhookManifest, "webhook")
	if err != nil {
		return nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, fmt.Errorf("choosing a port for the webhook of Tekton %s: %w", b.Version, err)
	}
	env = environment(env, o.Namespace)
	env["WEBHOOK_PORT"] = strconv.Itoa(port)
	p, err := startProcess(b, processOptions{
		// With leader election one process of several would write the configurations.
		Name: WebhookName, Noun: "webhook", Args: append([]string{"-kubeconfig", o.Kubeconfig, "-disable-ha"}, unlimited...), Env: env,
		Log: o.Log, Dir: o.Dir,
	})
	if err != nil {
		return nil, fmt.Errorf("starting the webhook of Tekton %s: %w", b.Version, err)
	}
	w := &Webhook{process: p, Port: port}
	// It begins with the first question.
	if _, err := w.ask(wire.Request{}); err != nil {
		return nil, fmt.Errorf("starting the webhook of Tekton %s: %w", b.Version, w.lost())
	}
	return w, nil
}

// Quiet says whether the webhook has nothing to do until somebody asks it or an object
// changes. The error is an [*ExitError] if the process has ended by itself.
func (w *Webhook) Quiet() (bool, error) {
	if err := w.ExitErr(); err != nil {
		return false, err
	}
	a, err := w.ask(wire.Request{})
	if err != nil {
		return false, w.lost()
	}
	return a.Idle, nil
}

// freePort returns a port that nobody has now. Upstream wants to be told a number.
func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", ":0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// Certificates are what a webhook proves who it is with, PEM.
type Certificates struct{ Key, Certificate, CA []byte }

// certificatesLast is longer than a control plane lives, and a day more than the webhook
// wants them to be valid.
const certificatesLast = 365 * 24 * time.Hour

// NewCertificates makes those of the webhook in a namespace, as the webhook itself does
// where it finds none. It finds these, so that a release can take another's place without
// everybody's having to learn of new ones.
func NewCertificates(ctx context.Context, namespace string) (Certificates, error) {
	key, cert, ca, err := resources.CreateCerts(ctx, wellknown.TektonWebhook, namespace, time.Now().Add(certificatesLast))
	if err != nil {
		return Certificates{}, fmt.Errorf("making the certificates of Tekton's webhook: %w", err)
	}
	return Certificates{Key: key, Certificate: cert, CA: ca}, nil
}

// Webhooks returns what the release's webhook is registered by, as the release's manifests
// have it: its Secret, its Service, which gets the fixed address clusterIP (one that is
// drawn would differ from run to run), and the configurations. The rules of these are
// for the webhook to write.
func (b *Build) Webhooks(namespace, clusterIP string, certs Certificates) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	err := b.each([]string{webhookManifest, "500-webhooks.yaml"}, "", func(u *unstructured.Unstructured) error {
		var err error
		switch u.GetKind() {
		case "Secret":
			u.SetNamespace(namespace)
			err = unstructured.SetNestedMap(u.Object, map[string]any{
				resources.ServerKey:  base64.StdEncoding.EncodeToString(certs.Key),
				resources.ServerCert: base64.StdEncoding.EncodeToString(certs.Certificate),
				resources.CACert:     base64.StdEncoding.EncodeToString(certs.CA),
			}, "data")
		case "Service":
			u.SetNamespace(namespace)
			err = unstructured.SetNestedField(u.Object, clusterIP, "spec", "clusterIP")
		case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
			err = eachClient(u, func(client map[string]any) error {
				client["caBundle"] = base64.StdEncoding.EncodeToString(certs.CA)
				return unstructured.SetNestedField(client, namespace, "service", "namespace")
			})
		default: // its Deployment
			return nil
		}
		out = append(out, u)
		return err
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("Tekton %s: no webhooks among its manifests", b.Version) //nolint:staticcheck // a name
	}
	return out, err
}

// eachClient calls f with the clientConfig of each webhook of a configuration.
func eachClient(u *unstructured.Unstructured, f func(client map[string]any) error) error {
	hooks, _, err := unstructured.NestedSlice(u.Object, "webhooks")
	if err != nil {
		return err
	}
	for _, h := range hooks {
		hook, _ := h.(map[string]any)
		client, ok := hook["clientConfig"].(map[string]any)
		if !ok {
			continue
		}
		if err := f(client); err != nil {
			return err
		}
	}
	return unstructured.SetNestedSlice(u.Object, hooks, "webhooks")
}

// Converted has the release's webhook in a namespace convert the objects of the types that
// are converted by it.
func Converted(crds []*apiextensionsv1.CustomResourceDefinition, namespace string, certs Certificates) {
	for _, crd := range crds {
		c := crd.Spec.Conversion
		if c == nil || c.Webhook == nil || c.Webhook.ClientConfig == nil || c.Webhook.ClientConfig.Service == nil {
			continue
		}
		c.Webhook.ClientConfig.Service.Namespace = namespace
		// The webhook would write both.
		c.Webhook.ClientConfig.Service.Path = ptr.To(conversionPath)
		c.Webhook.ClientConfig.CABundle = certs.CA
	}
}

// conversionPath is where upstream's cmd/webhook serves conversions.
const conversionPath = "/resource-conversion"

// OnlyStored has the API server serve Tasks, Pipelines and their runs in v1 alone
// where that is what it stores. It keeps a cache for each version that it serves,
// and would have every change of every object converted for one that nobody
// reads: Tekton's controllers read v1 from the release on that stores it, 0.50.
func OnlyStored(crds []*apiextensionsv1.CustomResourceDefinition) {
	for _, crd := range crds {
		storesV1 := slices.ContainsFunc(crd.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
			return v.Name == "v1" && v.Storage
		})
		if !storesV1 || crd.Spec.Group != pipeline.GroupName {
			continue
		}
		for i := range crd.Spec.Versions {
			v := &crd.Spec.Versions[i]
			v.Served = v.Storage
		}
	}
}
