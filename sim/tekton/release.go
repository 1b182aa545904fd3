package tekton

import (
	"errors"

	"simctl.dev/simctl/sim/internal/buildcache"
	"simctl.dev/simctl/sim/releases"
	"simctl.dev/simctl/sim/tekton/hook/wire"
	"simctl.dev/simctl/sim/wellknown"
)

// BuiltIn is the version that is compiled into simctl; it is the one in go.mod.
const BuiltIn = releases.BuiltIn

// BuiltInName is the argv[0] under which simctl is the built-in controller.
const BuiltInName = wellknown.TektonController

// WebhookName is the argv[0] under which simctl, or a release's build, is the release's
// webhook.
const WebhookName = wire.WebhookName

// Module is the Go module that releases are built from.
const Module = "github.com/tektoncd/pipeline"

// Errors that callers tell apart; what wraps them says what to do.
var (
	// ErrVersion: not the name of a release.
	ErrVersion = releases.ErrVersion
	// ErrNoSuchRelease: there is no release of that version.
	ErrNoSuchRelease = errors.New("no such Tekton release")
	// ErrDownload: the module could not be downloaded.
	ErrDownload = errors.New("downloading failed")
	// ErrBuild: the controller could not be built.
	ErrBuild = errors.New("building failed")
	// ErrNoSpace: the disk with the cache is full.
	ErrNoSpace = buildcache.ErrNoSpace
	// ErrExited: the controller's process has ended.
	ErrExited = errors.New("the controller has exited")
)

// Release names an upstream release.
type Release = releases.Release

// Releases lists the known releases, oldest first.
func Releases() []Release { return releases.Known() }

// ParseVersion returns the exact version that s names; see [releases.Parse]. The
// error wraps [ErrVersion].
func ParseVersion(s string) (string, error) { return releases.Parse(s) }
