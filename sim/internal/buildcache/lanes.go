package buildcache

import (
	"runtime"

	"simctl.dev/simctl/sim/internal/host"
)

// oneBuild is what one more build side by side has to find: compilers gain
// little from more cores than that, and linking a controller takes up to two
// gigabytes.
var oneBuild = host.Share{Cores: 4, Memory: 4 << 30}

// Lanes says how many builds run side by side on this host, and how many
// compilers each of them starts: one build with all of them on a small host.
func Lanes() (builds, compilers int) {
	builds = host.Fit(oneBuild)
	return builds, max(runtime.GOMAXPROCS(0)/builds, 1)
}
