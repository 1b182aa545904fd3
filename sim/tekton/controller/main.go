// Package controller is the main of the Tekton controller that is compiled into
// simctl, for the release in go.mod. It mirrors cmd/controller of
// github.com/tektoncd/pipeline, flags and all, with the changes that
// sim/tekton makes to the other releases when it builds them.
package controller

import (
	"flag"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/reconciler/pipelinerun"
	"github.com/tektoncd/pipeline/pkg/reconciler/resolutionrequest"
	"github.com/tektoncd/pipeline/pkg/reconciler/taskrun"
	filteredinformerfactory "knative.dev/pkg/client/injection/kube/informers/factory/filtered"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/injection"
	"knative.dev/pkg/injection/sharedmain"
	"knative.dev/pkg/signals"

	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/tekton/hook"
)

// ChildMain runs the controller if argv[0] asks for it, and then does not
// return; otherwise it does nothing. A main (and a TestMain of a package that
// starts controllers) calls it first.
func ChildMain() {
	if filepath.Base(os.Args[0]) == tekton.BuiltInName {
		Main()
		os.Exit(0)
	}
}

// Main is the controller's main: it takes upstream's flags from os.Args and
// returns when the process is told to end.
func Main() {
	// Packages that simctl links register flags of the same names.
	flag.CommandLine = flag.NewFlagSet(os.Args[0], flag.ExitOnError)

	var (
		opts   pipeline.Options
		scope  string
		noHA   bool
		images = map[string]*string{
			"entrypoint":        &opts.Images.EntrypointImage,
			"nop":               &opts.Images.NopImage,
			"shell":             &opts.Images.ShellImage,
			"sidecarlogresults": &opts.Images.SidecarLogResultsImage,
			"workingdirinit":    &opts.Images.WorkingDirInitImage,
		}
	)
	for name, value := range images {
		flag.StringVar(value, name+"-image", "", "image of "+name)
	}
	flag.StringVar(&opts.Images.ShellImageWin, "shell-image-win", "", "image of shell on Windows")
	flag.DurationVar(&opts.ResyncPeriod, "resync-period", controller.DefaultResyncPeriod, "time between two looks at every object")
	flag.IntVar(&controller.DefaultThreadsPerController, "threads-per-controller", controller.DefaultThreadsPerController, "workers of each controller")
	flag.StringVar(&scope, "namespace", "", "the one namespace to watch; all of them if empty")
	flag.BoolVar(&noHA, "disable-ha", false, "run without leader election")
	cfg := injection.ParseAndGetRESTConfigOrDie()
	if err := opts.Images.Validate(); err != nil {
		log.Fatal(err)
	}
	// Two controllers share the client.
	cfg.QPS, cfg.Burst = 2*cfg.QPS, 2*cfg.Burst

	h := hook.Connect()
	ctx := injection.WithNamespaceScope(signals.NewContext(), scope)
	if noHA {
		ctx = sharedmain.WithHADisabled(ctx)
	}
	ctx = filteredinformerfactory.WithSelectors(ctx, v1.ManagedByLabelKey)
	ctx = controller.WithResyncPeriod(ctx, opts.ResyncPeriod)
	if h.Attached() {
		// It would listen on a fixed port.
		ctx = sharedmain.WithHealthProbesDisabled(ctx)
	} else {
		go serveProbes()
	}
	sharedmain.MainWithConfig(ctx, "tekton-pipelines-controller", h.Config(cfg),
		h.Wrap(taskrun.NewController(&opts, h.Clock())),
		h.Wrap(pipelinerun.NewController(&opts, h.Clock())),
		h.Wrap(resolutionrequest.NewController(h.Clock())),
	)
}

// serveProbes answers liveness and readiness probes.
func serveProbes() {
	port := os.Getenv("PROBES_PORT")
	if port == "" {
		port = "8080"
	}
	server := http.Server{
		Addr:              ":" + port,
		ReadHeaderTimeout: time.Minute,
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }),
	}
	log.Fatal(server.ListenAndServe())
}
