package install

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/controlplane"
	"simctl.dev/simctl/sim/plane"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/wellknown"
)

// webhook is a release's webhook as it runs on the plane: its process, which the API
// server reaches through the cluster's network at its Service's address.
type webhook struct {
	process *tekton.Webhook
	proxy   *controlplane.Proxy
	end     func() // has the address lead nowhere
	leave   func() // has the process no longer belong to the plane
}

// webhookIP is the address of the webhook's Service, one of those that the API server does
// not give of its own accord; webhookPort the port at which it is called.
const (
	webhookIP   = "10.0.0.9"
	webhookPort = "443"
)

// certificates returns those of the webhook in a namespace, which stay as long as the
// plane.
func (in *Install) certificates(ctx context.Context, namespace string) (tekton.Certificates, error) {
	if c, ok := in.certs[namespace]; ok {
		return c, nil
	}
	c, err := tekton.NewCertificates(ctx, namespace)
	if err == nil {
		in.certs[namespace] = c
	}
	return c, err
}

// startWebhook starts the installed release's webhook, and leads the API server to it.
func (in *Install) startWebhook(ctx context.Context) (*webhook, error) {
	build, namespace := in.release.build, in.release.namespace
	out, err := in.LogFile("tekton-webhook-" + build.Version)
	if err != nil {
		return nil, err
	}
	w := &webhook{}
	if w.proxy, err = in.Plane.Servers.Proxy(namespace, tekton.WebhookServiceAccount); err != nil {
		return nil, err
	}
	w.process, err = tekton.StartWebhook(ctx, build, tekton.WebhookOptions{Kubeconfig: w.proxy.Kubeconfig, Namespace: namespace, Log: out})
	if err != nil {
		w.proxy.Stop()
		return nil, err
	}
	context.AfterFunc(in.Plane.Context(), w.process.HangUp)
	w.end = in.Plane.Servers.Network().Route(net.JoinHostPort(webhookIP, webhookPort), net.JoinHostPort("127.0.0.1", strconv.Itoa(w.process.Port)))
	w.leave = in.Plane.Join(plane.Member{Name: "tekton-webhook", PID: w.process.PID(), Idle: w.process.Quiet})
	return w, nil
}

// stop ends the webhook; the API server finds nobody where it was.
func (w *webhook) stop(ctx context.Context) error {
	w.end()
	w.leave()
	err := w.process.Stop(ctx)
	w.proxy.Stop()
	return err
}

// StartWebhook starts the installed release's webhook, ends the one that runs, and waits until
// the API server asks it about all that it is to be asked about.
func (in *Install) StartWebhook(ctx context.Context) error {
	old := in.release.webhook
	w, err := in.startWebhook(ctx)
	if err != nil {
		return err
	}
	in.release.webhook = w
	if old != nil {
		if err := old.stop(ctx); err != nil {
			return err
		}
	}
	if err := in.awaitWebhooks(ctx, true); err != nil || old == nil {
		return err
	}
	// They may have been asked by what the old one had registered.
	if err := in.Plane.Quiet(ctx); err != nil {
		return err
	}
	return in.awaitWebhooks(ctx, true)
}

// StopWebhook ends the installed release's webhook. What it is registered by stays.
func (in *Install) StopWebhook(ctx context.Context) error {
	w := in.release.webhook
	if w == nil {
		return nil
	}
	in.release.webhook = nil
	return w.stop(ctx)
}

// WebhookRuns says whether the installed release's webhook runs.
func (in *Install) WebhookRuns() bool { return in.release.webhook != nil }

// question is a write that a webhook refuses, sent on trial.
type question struct {
	webhook string
	object  map[string]any
}

// questions are what the release's three webhooks refuse. version is one in which the API
// server has Tasks.
func questions(namespace, version string) []question {
	task := func(spec any) map[string]any {
		return map[string]any{"apiVersion": "tekton.dev/" + version, "kind": "Task", "metadata": map[string]any{"name": "simctl-asks", "namespace": namespace}, "spec": spec}
	}
	return []question{
		{"config.webhook.pipeline.tekton.dev", map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{
			"name": wellknown.ConfigDefaults, "namespace": namespace, "labels": map[string]any{"app.kubernetes.io/part-of": wellknown.TektonNamespace},
		}, "data": map[string]any{"default-timeout-minutes": "none"}}},
		{"webhook.pipeline.tekton.dev", task(map[string]any{"steps": "none"})},
		{"validation.webhook.pipeline.tekton.dev", task(map[string]any{"steps": []any{}})},
	}
}

// awaitWebhooks waits until the API server asks the release's webhooks and they answer, or,
// with asked false, until it asks none of them: it learns of configurations a moment after
// they were written.
func (in *Install) awaitWebhooks(ctx context.Context, asked bool) error {
	questions := questions(in.release.namespace, in.release.version)
	if !asked {
		questions = questions[:1] // of the others' kinds nobody writes anything meanwhile
	}
	for _, q := range questions {
		u := &unstructured.Unstructured{Object: q.object}
		for {
			answers, err := in.ask(ctx, u, q.webhook)
			if err == nil && answers == asked {
				break
			}
			var gone error
			if w := in.release.webhook; w != nil {
				gone = w.process.ExitErr()
			}
			if gone = cmp.Or(gone, context.Cause(ctx)); gone != nil {
				return fmt.Errorf("waiting for webhook %s: %w", q.webhook, errors.Join(gone, err))
			}
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	return nil
}

// ask sends a write on trial, and says whether a webhook has refused it, or was to be asked
// and could not be.
func (in *Install) ask(ctx context.Context, u *unstructured.Unstructured, webhook string) (answers bool, err error) {
	client, err := in.Plane.Resource(in.Plane.Simctl, u)
	if err != nil {
		return false, err
	}
	_, err = client.Create(ctx, u, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	switch {
	case err == nil, apierrors.IsAlreadyExists(err):
		return false, nil
	case strings.Contains(err.Error(), fmt.Sprintf("admission webhook %q denied the request", webhook)):
		return true, nil
	case strings.Contains(err.Error(), fmt.Sprintf("failed calling webhook %q", webhook)) && in.release.webhook == nil:
		return true, nil
	}
	return false, err
}

// withdrawWebhooks removes what the webhooks of a release that is about to go are
// registered by, and waits until the API server asks them no more.
func (in *Install) withdrawWebhooks(ctx context.Context) error {
	for _, ref := range in.release.refs {
		if ref.Kind == "MutatingWebhookConfiguration" || ref.Kind == "ValidatingWebhookConfiguration" {
			if err := in.Plane.Delete(ctx, ref); err != nil {
				return err
			}
		}
	}
	return in.awaitWebhooks(ctx, false)
}

// versionOf returns the version in which a release stores Tasks.
func versionOf(crds []*apiextensionsv1.CustomResourceDefinition) string {
	for _, crd := range crds {
		for _, v := range crd.Spec.Versions {
			if crd.Spec.Names.Kind == "Task" && v.Storage {
				return v.Name
			}
		}
	}
	return ""
}

// SilenceWebhook has the API server wait for the webhook's answers in vain, until
// [Install.MendWebhook]. The time that it would wait is over at once.
func (in *Install) SilenceWebhook() {
	in.release.speak = in.Plane.Servers.Network().Silence(net.JoinHostPort(webhookIP, webhookPort))
}

// MendWebhook has the webhook be there and answer, whatever was done to it: without it
// nothing of Tekton's can be cleared away.
func (in *Install) MendWebhook(ctx context.Context) error {
	if in.release.speak != nil {
		in.release.speak()
		in.release.speak = nil
	}
	if in.WebhookRuns() {
		return nil
	}
	return in.StartWebhook(ctx)
}
