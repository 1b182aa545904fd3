package buildcache

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// What one more build side by side has to find: compilers gain little from more
// cores than that, and linking a controller takes up to two gigabytes.
const (
	coresPerBuild  = 4
	memoryPerBuild = 4 << 30
)

// Lanes says how many builds run side by side on this machine, and how many
// compilers each of them starts: one build with all of them on a small machine.
func Lanes() (builds, compilers int) {
	return lanes(runtime.GOMAXPROCS(0), freeMemory())
}

// lanes divides a machine with so many cores and so many bytes free; 0 bytes
// means that it is not known.
func lanes(cores int, free uint64) (builds, compilers int) {
	builds = max(cores/coresPerBuild, 1)
	if free > 0 {
		builds = max(min(builds, int(free/memoryPerBuild)), 1)
	}
	return builds, max(cores/builds, 1)
}

// freeMemory gives the bytes that the kernel could hand out, 0 if it does not
// say.
func freeMemory() uint64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	in := bufio.NewScanner(f)
	for in.Scan() {
		if rest, ok := strings.CutPrefix(in.Text(), "MemAvailable:"); ok {
			kb, _ := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}
