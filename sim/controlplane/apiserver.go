package controlplane

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	apiextensionsapiserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/generic"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	basecompatibility "k8s.io/component-base/compatibility"
	logsapi "k8s.io/component-base/logs/api/v1"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	upstream "k8s.io/kubernetes/pkg/controlplane"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
	openapi "k8s.io/kubernetes/pkg/generated/openapi"
	"k8s.io/kubernetes/pkg/registry/core/persistentvolume"
)

// apiServerCommand is upstream's [apiserver.NewAPIServerCommand] with two admission
// plugins more, and with the virtual time where upstream lets itself be told the time:
// its own gives no way to its options.
func apiServerCommand() *cobra.Command {
	s := options.NewServerRunOptions()
	registry := s.GenericServerRunOptions.ComponentGlobalsRegistry
	plugins := s.Admission.GenericAdmission
	plugins.Plugins.Register(noFieldManagersName, func(io.Reader) (admission.Interface, error) { return noFieldManagers{}, nil })
	policies := &policiesInForce{}
	plugins.Plugins.Register(policiesInForceName, func(io.Reader) (admission.Interface, error) { return policies, nil })
	plugins.RecommendedPluginOrder = slices.Concat([]string{policiesInForceName}, plugins.RecommendedPluginOrder, []string{noFieldManagersName})
	plugins.Decorators = append(admission.Decorators{policies}, plugins.Decorators...)
	// Its name notwithstanding: there is no other way.
	generic.SetPolicyRefreshIntervalForTests(policyRefresh)

	cmd := &cobra.Command{
		Use:          apiServerName,
		SilenceUsage: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			rest.SetDefaultWarningHandler(rest.NoWarnings{})
			return registry.Set()
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := logsapi.ValidateAndApply(s.Logs, registry.FeatureGateFor(basecompatibility.DefaultKubeComponent)); err != nil {
				return err
			}
			completed, err := s.Complete(cmd.Context())
			if err != nil {
				return err
			}
			if errs := completed.Validate(); len(errs) != 0 {
				return utilerrors.NewAggregate(errs)
			}
			return runAPIServer(cmd.Context(), completed)
		},
	}
	cmd.SetContext(genericapiserver.SetupSignalContext())
	for _, fs := range s.Flags().FlagSets {
		cmd.Flags().AddFlagSet(fs)
	}
	return cmd
}

// runAPIServer is upstream's [apiserver.Run] with [withVirtualTime] around all else.
func runAPIServer(ctx context.Context, o options.CompletedOptions) error {
	name, err := cache.NewInformerName(apiServerName)
	if err != nil {
		return err
	}
	o.InformerName = name
	config, err := newConfig(o)
	if err != nil {
		return err
	}
	generic := &config.Aggregator.GenericConfig.Config
	build := generic.BuildHandlerChainFunc
	generic.BuildHandlerChainFunc = func(handler http.Handler, c *genericapiserver.Config) http.Handler {
		return withVirtualTime(build(handler, c))
	}
	completed, err := config.Complete()
	if err != nil {
		return err
	}
	server, err := apiserver.CreateServerChain(completed)
	if err != nil {
		return err
	}
	prepared, err := server.PrepareRun()
	if err != nil {
		return err
	}
	return prepared.Run(ctx)
}

// newConfig is upstream's [apiserver.NewConfig] with a network in which failures are told
// as on a cluster.
func newConfig(o options.CompletedOptions) (*apiserver.Config, error) {
	generic, informers, storage, err := controlplaneapiserver.BuildGenericConfig(o.CompletedOptions,
		[]*runtime.Scheme{legacyscheme.Scheme, apiextensionsapiserver.Scheme, aggregatorscheme.Scheme},
		upstream.DefaultAPIResourceConfigSource(), openapi.GetOpenAPIDefinitions, o.InformerName)
	if err != nil {
		return nil, err
	}
	if generic.EgressSelector, err = inItsWords(generic.EgressSelector); err != nil {
		return nil, err
	}
	kube, resolver, initializers, err := apiserver.CreateKubeAPIServerConfig(o, generic, informers, storage)
	if err != nil {
		return nil, err
	}
	config := &apiserver.Config{Options: o, KubeAPIs: kube}
	c := &kube.ControlPlane
	if config.ApiExtensions, err = controlplaneapiserver.CreateAPIExtensionsConfig(*c.Generic, c.VersionedInformers, initializers, o.CompletedOptions, o.MasterCount, resolver,
		webhook.NewDefaultAuthenticationInfoResolverWrapper(c.ProxyTransport, c.Generic.EgressSelector, c.Generic.LoopbackClientConfig, c.Generic.TracerProvider)); err != nil {
		return nil, err
	}
	if config.Aggregator, err = controlplaneapiserver.CreateAggregatorConfig(*c.Generic, o.CompletedOptions, c.VersionedInformers, resolver, c.ProxyTransport, c.Extra.PeerProxy, initializers); err != nil {
		return nil, err
	}
	return config, nil
}

// timeHeader is the header of a request in which the tap says the virtual time.
const timeHeader = "Simctl-Time"

// withVirtualTime has the API server note in virtual time when a PersistentVolume came
// to its phase. It goes by what the last request has said: time does not move while a
// request is on its way.
func withVirtualTime(next http.Handler) http.Handler {
	var virtual atomic.Pointer[metav1.Time]
	persistentvolume.NowFunc = func() metav1.Time {
		if at := virtual.Load(); at != nil {
			return *at
		}
		return metav1.Now()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if said := r.Header.Get(timeHeader); said != "" {
			if at, err := time.Parse(time.RFC3339Nano, said); err == nil {
				virtual.Store(&metav1.Time{Time: at})
			}
		}
		next.ServeHTTP(w, r)
	})
}

// noFieldManagers has the API server keep no account of who set which field of an
// object: nothing that simctl runs reads it, and to keep it takes a sixth of the
// API server's time. An object that is made without any is not tracked until
// somebody applies to it on the server's side, which works as ever; see
// skipNonAppliedManager in k8s.io/apimachinery/pkg/util/managedfields/internal.
type noFieldManagers struct{}

const noFieldManagersName = "SimctlNoFieldManagers"

// Handles implements admission.Interface.
func (noFieldManagers) Handles(op admission.Operation) bool { return op == admission.Create }

// Admit implements admission.MutationInterface.
func (noFieldManagers) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	o, ok := a.GetObject().(metav1.Object)
	if !ok || a.GetSubresource() != "" {
		return nil
	}
	for _, m := range o.GetManagedFields() {
		if m.Operation == metav1.ManagedFieldsOperationApply {
			return nil
		}
	}
	o.SetManagedFields(nil)
	return nil
}
