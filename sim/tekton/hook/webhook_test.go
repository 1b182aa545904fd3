package hook

import (
	"context"
	"slices"
	"testing"

	"k8s.io/client-go/rest"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/pkg/injection"
	_ "knative.dev/pkg/injection/clients/namespacedkube/informers/core/v1/secret"
)

// TestPackageOf: functions are known by their packages, whatever kind of function.
func TestPackageOf(t *testing.T) {
	for function, want := range map[string]string{
		"knative.dev/pkg/client/injection/kube/client.withClientFromConfig":  "knative.dev/pkg/client/injection/kube/client",
		"knative.dev/pkg/client/injection/kube/informers/factory.init.0":     "knative.dev/pkg/client/injection/kube/informers/factory",
		"knative.dev/pkg/client/injection/kube/informers/factory/filtered.f": "knative.dev/pkg/client/injection/kube/informers/factory/filtered",
		"main.main": "main",
	} {
		if got := packageOf(function); got != want {
			t.Errorf("%s is of %q, want %q", function, got, want)
		}
	}
}

// TestRegister: each of the two programs starts what it needs and nothing of the other's.
func TestRegister(t *testing.T) {
	fresh := injection.Default
	t.Cleanup(func() { injection.Default = fresh })
	count := func() (clients, informers int) {
		return len(injection.Default.GetClients()), len(injection.Default.GetInformers())
	}
	clients, informers := count()
	if informers == 0 {
		t.Fatal("no informers are registered: this test proves nothing")
	}
	register(func(pkg string) bool { return !slices.Contains(webhookOnly, pkg) })
	gone := func() int { _, left := count(); return informers - left }()
	if gone == 0 {
		t.Error("the controller keeps the webhook's informers")
	}
	if left, _ := count(); left == 0 || left > clients {
		t.Errorf("of %d clients %d are left", clients, left)
	}
	register(func(pkg string) bool { return slices.Contains(both, pkg) })
	if clients := injection.Default.GetClients(); !slices.ContainsFunc(clients, func(c injection.ClientInjector) bool {
		return c(context.Background(), &rest.Config{}).Value(kubeclient.Key{}) != nil
	}) {
		t.Error("there is no client that both need")
	}
	if _, left := count(); left != 0 {
		t.Errorf("%d informers are of both", left)
	}
}
