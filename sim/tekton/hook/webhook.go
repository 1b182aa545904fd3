//go:build go1.21

package hook

import (
	"log"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"knative.dev/pkg/injection"

	"simctl.dev/simctl/sim/tekton/hook/wire"
)

// IsWebhook says whether this process is to be the release's webhook.
func IsWebhook() bool { return filepath.Base(os.Args[0]) == wire.WebhookName }

// ConnectWebhook opens the channel as [Connect] does, in the process of the webhook.
func ConnectWebhook() {
	register(func(pkg string) bool { return slices.Contains(webhookOnly, pkg) || slices.Contains(both, pkg) })
	connect()
}

// Upstream's controller and its webhook are two programs. Here one executable is both, and
// what is linked registers its clients and informers with knative, whoever needs them. On a
// cluster neither may read all that the other one does.
var (
	// webhookOnly are the packages that only the webhook links.
	webhookOnly = []string{
		"knative.dev/pkg/client/injection/apiextensions/client",
		"knative.dev/pkg/client/injection/apiextensions/informers/apiextensions/v1/customresourcedefinition",
		"knative.dev/pkg/client/injection/apiextensions/informers/factory",
		"knative.dev/pkg/client/injection/kube/informers/admissionregistration/v1/mutatingwebhookconfiguration",
		"knative.dev/pkg/client/injection/kube/informers/admissionregistration/v1/validatingwebhookconfiguration",
		"knative.dev/pkg/injection/clients/namespacedkube/informers/core/v1/secret",
		"knative.dev/pkg/injection/clients/namespacedkube/informers/factory",
	}
	// both are those that both link; all others are the controller's.
	both = []string{
		"knative.dev/pkg/client/injection/kube/client",
		"knative.dev/pkg/client/injection/kube/informers/factory",
		"knative.dev/pkg/injection/clients/dynamicclient",
	}
)

// register has knative's registry keep what packages have registered that are wanted.
func register(wanted func(pkg string) bool) {
	for _, name := range []string{"clients", "factories", "informers", "filteredInformers", "ducks"} {
		registered := field(injection.Default, name)
		if !registered.IsValid() {
			log.Fatalf("%T has no %s: this release needs another hook", injection.Default, name)
		}
		kept := reflect.MakeSlice(registered.Type(), 0, registered.Len())
		for i := 0; i < registered.Len(); i++ {
			if f := registered.Index(i); wanted(packageOf(runtime.FuncForPC(f.Pointer()).Name())) {
				kept = reflect.Append(kept, f)
			}
		}
		registered.Set(kept)
	}
}

// packageOf returns the import path of a function's package.
func packageOf(function string) string {
	slash := strings.LastIndex(function, "/") + 1
	name, _, _ := strings.Cut(function[slash:], ".")
	return function[:slash] + name
}
