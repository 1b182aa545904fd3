package buildcache

import (
	"runtime"

	"simctl.dev/simctl/sim/internal/machine"
)

// oneBuild is what one more build side by side has to find: compilers gain
// little from more cores than that, and linking a controller takes up to two
// gigabytes.
var oneBuild = machine.Share{Cores: 4, Memory: 4 << 30}

// Lanes says how many builds run side by side on this machine, and how many
// compilers each of them starts: one build with all of them on a small machine.
func Lanes() (builds, compilers int) {
	builds = machine.Fit(oneBuild)
	return builds, max(runtime.GOMAXPROCS(0)/builds, 1)
}
