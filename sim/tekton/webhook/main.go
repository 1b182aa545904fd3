// Package webhook is the main of Tekton's webhook that is compiled into simctl, for the
// release in go.mod. It mirrors cmd/webhook of github.com/tektoncd/pipeline, which the
// other releases' builds have as it is.
package webhook

import (
	"context"
	"flag"
	"os"
	"path/filepath"

	"github.com/tektoncd/pipeline/pkg/apis/config"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"github.com/tektoncd/pipeline/pkg/apis/resolution"
	resolutionv1alpha1 "github.com/tektoncd/pipeline/pkg/apis/resolution/v1alpha1"
	resolutionv1beta1 "github.com/tektoncd/pipeline/pkg/apis/resolution/v1beta1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"knative.dev/pkg/configmap"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/injection"
	"knative.dev/pkg/injection/sharedmain"
	"knative.dev/pkg/leaderelection"
	"knative.dev/pkg/logging"
	"knative.dev/pkg/signals"
	"knative.dev/pkg/system"
	"knative.dev/pkg/webhook"
	"knative.dev/pkg/webhook/certificates"
	"knative.dev/pkg/webhook/configmaps"
	"knative.dev/pkg/webhook/resourcesemantics"
	"knative.dev/pkg/webhook/resourcesemantics/conversion"
	"knative.dev/pkg/webhook/resourcesemantics/defaulting"
	"knative.dev/pkg/webhook/resourcesemantics/validation"

	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/tekton/hook"
)

// ChildMain runs the webhook if argv[0] asks for it, and then does not return; otherwise
// it does nothing. A main (and a TestMain of a package that starts webhooks) calls it
// first.
func ChildMain() {
	if filepath.Base(os.Args[0]) == tekton.WebhookName {
		Main()
		os.Exit(0)
	}
}

// types are what is given defaults and validated.
func types() map[schema.GroupVersionKind]resourcesemantics.GenericCRD {
	return map[schema.GroupVersionKind]resourcesemantics.GenericCRD{
		v1alpha1.SchemeGroupVersion.WithKind("VerificationPolicy"):          &v1alpha1.VerificationPolicy{},
		v1alpha1.SchemeGroupVersion.WithKind("StepAction"):                  &v1alpha1.StepAction{},
		v1beta1.SchemeGroupVersion.WithKind("Pipeline"):                     &v1beta1.Pipeline{},    //nolint:staticcheck // served
		v1beta1.SchemeGroupVersion.WithKind("Task"):                         &v1beta1.Task{},        //nolint:staticcheck // served
		v1beta1.SchemeGroupVersion.WithKind("TaskRun"):                      &v1beta1.TaskRun{},     //nolint:staticcheck // served
		v1beta1.SchemeGroupVersion.WithKind("PipelineRun"):                  &v1beta1.PipelineRun{}, //nolint:staticcheck // served
		v1beta1.SchemeGroupVersion.WithKind("CustomRun"):                    &v1beta1.CustomRun{},
		v1beta1.SchemeGroupVersion.WithKind("StepAction"):                   &v1beta1.StepAction{},
		v1.SchemeGroupVersion.WithKind("Task"):                              &v1.Task{},
		v1.SchemeGroupVersion.WithKind("Pipeline"):                          &v1.Pipeline{},
		v1.SchemeGroupVersion.WithKind("TaskRun"):                           &v1.TaskRun{},
		v1.SchemeGroupVersion.WithKind("PipelineRun"):                       &v1.PipelineRun{},
		resolutionv1alpha1.SchemeGroupVersion.WithKind("ResolutionRequest"): &resolutionv1alpha1.ResolutionRequest{},
		resolutionv1beta1.SchemeGroupVersion.WithKind("ResolutionRequest"):  &resolutionv1beta1.ResolutionRequest{},
	}
}

// conversions are what is converted, by the kind. The hub is what converts to and from the
// others.
func conversions() map[schema.GroupKind]conversion.GroupKindConversion {
	of := func(resource schema.GroupResource, hub string, versions map[string]conversion.ConvertibleObject) conversion.GroupKindConversion {
		return conversion.GroupKindConversion{DefinitionName: resource.String(), HubVersion: hub, Zygotes: versions}
	}
	return map[schema.GroupKind]conversion.GroupKindConversion{
		v1beta1.Kind("StepAction"): of(pipeline.StepActionResource, "v1alpha1", map[string]conversion.ConvertibleObject{
			"v1alpha1": &v1alpha1.StepAction{}, "v1beta1": &v1beta1.StepAction{}}),
		v1.Kind("Task"): of(pipeline.TaskResource, "v1beta1", map[string]conversion.ConvertibleObject{
			"v1beta1": &v1beta1.Task{}, "v1": &v1.Task{}}), //nolint:staticcheck // served
		v1.Kind("Pipeline"): of(pipeline.PipelineResource, "v1beta1", map[string]conversion.ConvertibleObject{
			"v1beta1": &v1beta1.Pipeline{}, "v1": &v1.Pipeline{}}), //nolint:staticcheck // served
		v1.Kind("TaskRun"): of(pipeline.TaskRunResource, "v1beta1", map[string]conversion.ConvertibleObject{
			"v1beta1": &v1beta1.TaskRun{}, "v1": &v1.TaskRun{}}), //nolint:staticcheck // served
		v1.Kind("PipelineRun"): of(pipeline.PipelineRunResource, "v1beta1", map[string]conversion.ConvertibleObject{
			"v1beta1": &v1beta1.PipelineRun{}, "v1": &v1.PipelineRun{}}), //nolint:staticcheck // served
		resolutionv1beta1.Kind("ResolutionRequest"): of(resolution.ResolutionRequestResource, "v1alpha1", map[string]conversion.ConvertibleObject{
			"v1alpha1": &resolutionv1alpha1.ResolutionRequest{}, "v1beta1": &resolutionv1beta1.ResolutionRequest{}}),
	}
}

// Main is the webhook's main: it takes upstream's flags from os.Args and upstream's
// variables from the environment, and returns when the process is told to end.
func Main() {
	// Packages that simctl links register flags of the same names.
	flag.CommandLine = flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	hook.ConnectWebhook()
	name := os.Getenv("WEBHOOK_ADMISSION_CONTROLLER_NAME")
	service := os.Getenv("WEBHOOK_SERVICE_NAME")
	ctx := injection.WithNamespaceScope(signals.NewContext(), system.Namespace())
	ctx = webhook.WithOptions(ctx, webhook.Options{ServiceName: service, Port: webhook.PortFromEnv(8443), SecretName: os.Getenv("WEBHOOK_SECRET_NAME")})
	// configured returns what puts Tekton's configuration into a context.
	configured := func(ctx context.Context, cmw configmap.Watcher) func(context.Context) context.Context {
		store := config.NewStore(logging.FromContext(ctx).Named("config-store"))
		store.WatchConfigs(cmw)
		return store.ToContext
	}
	// It would listen on a fixed port.
	sharedmain.MainWithContext(sharedmain.WithHealthProbesDisabled(ctx), service,
		certificates.NewController,
		func(ctx context.Context, cmw configmap.Watcher) *controller.Impl {
			return defaulting.NewAdmissionController(ctx, name, "/defaulting", types(), configured(ctx, cmw), true)
		},
		func(ctx context.Context, cmw configmap.Watcher) *controller.Impl {
			return validation.NewAdmissionController(ctx, "validation."+name, "/resource-validation", types(), configured(ctx, cmw), true)
		},
		func(ctx context.Context, _ configmap.Watcher) *controller.Impl {
			return configmaps.NewAdmissionController(ctx, "config."+name, "/config-validation", configmap.Constructors{
				logging.ConfigMapName():            logging.NewConfigFromConfigMap,
				config.GetDefaultsConfigName():     config.NewDefaultsFromConfigMap,
				leaderelection.ConfigMapName():     leaderelection.NewConfigFromConfigMap,
				config.GetFeatureFlagsConfigName(): config.NewFeatureFlagsFromConfigMap,
			})
		},
		func(ctx context.Context, cmw configmap.Watcher) *controller.Impl {
			return conversion.NewConversionController(ctx, "/resource-conversion", conversions(), configured(ctx, cmw))
		},
	)
}
