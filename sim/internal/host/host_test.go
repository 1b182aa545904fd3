package host

import (
	"strings"
	"testing"
)

func TestFit(t *testing.T) {
	const gib = 1 << 30
	for _, tt := range []struct {
		name  string
		share Share
		cores int
		free  uint64
		want  int
	}{
		{"cores decide", Share{Cores: 4, Memory: 4 * gib}, 16, 64 * gib, 4},
		{"memory decides", Share{Cores: 1, Memory: 2 * gib}, 16, 7 * gib, 3},
		{"a small host takes one", Share{Cores: 4, Memory: 4 * gib}, 2, gib, 1},
		{"three on two cores", Share{Cores: 2.0 / 3, Memory: gib}, 2, 64 * gib, 3},
		{"six on four cores", Share{Cores: 2.0 / 3, Memory: gib}, 4, 64 * gib, 6},
		{"one on one core", Share{Cores: 2.0 / 3, Memory: gib}, 1, 64 * gib, 1},
		{"memory not known", Share{Cores: 2, Memory: gib}, 8, 0, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fit(tt.share, tt.cores, tt.free); got != tt.want {
				t.Errorf("fit is %d, want %d", got, tt.want)
			}
		})
	}
}

func TestAvailable(t *testing.T) {
	const meminfo = "MemTotal:       24683520 kB\nMemFree:        17185536 kB\nMemAvailable:   24115456 kB\n"
	if got := available(strings.NewReader(meminfo)); got != 24115456<<10 {
		t.Errorf("available is %d", got)
	}
	if got := available(strings.NewReader("nothing\n")); got != 0 {
		t.Errorf("available is %d without the line", got)
	}
}
