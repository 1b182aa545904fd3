// Package host says how much of a kind the host takes side by side, and has it
// share the processors well.
package host

import (
	"bufio"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Share is what one of several equal things running side by side keeps busy.
type Share struct {
	Cores  float64
	Memory uint64 // bytes
}

// Fit says how many such things this host takes; at least 1.
func Fit(s Share) int {
	return fit(s, runtime.GOMAXPROCS(0), freeMemory())
}

// fit divides a host with so many cores and so many bytes free; 0 bytes means
// that it is not known.
func fit(s Share, cores int, free uint64) int {
	n := int(float64(cores) / s.Cores)
	if free > 0 {
		n = min(n, int(free/s.Memory))
	}
	return max(n, 1)
}

// freeMemory returns the bytes that the kernel could hand out, 0 if it does not
// say.
func freeMemory() uint64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	return available(f)
}

func available(meminfo io.Reader) uint64 {
	in := bufio.NewScanner(meminfo)
	for in.Scan() {
		if rest, ok := strings.CutPrefix(in.Text(), "MemAvailable:"); ok {
			kb, _ := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}
