// Package tekton builds and runs upstream Tekton controllers.
//
// A release is named by its version ([ParseVersion], [Releases]). The one in
// simctl's go.mod is compiled in (package controller); every other one is built
// once, from its Go module with upstream's own go.mod and go.sum, and kept in a
// cache ([Builder.Build]). What is added to it is package hook, which puts the
// process on virtual time.
//
// A [Build] also knows the release's manifests: its CRDs, ConfigMaps and RBAC.
// [Start] runs its controller as a child process on a [clock.Clock]: the delays
// that reconcilers ask for become events of the clock, and [Controller.Quiet]
// says when the controller has nothing to do.
package tekton
