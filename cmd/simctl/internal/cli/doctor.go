package cli

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/version"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/releases"
	"simctl.dev/simctl/sim/runstore"
)

// What simctl needs of a host.
const (
	// goVersion is the oldest Go that builds releases: that of go.mod.
	goVersion = "1.26"
	// buildSpace is what one build takes in the cache, with what it needs on the
	// way; runSpace what the files of a control plane and of a run take.
	buildSpace = 1 << 30
	runSpace   = 256 << 20
	// planeMemory is what a control plane with Tekton's controller keeps busy.
	planeMemory = 2 << 30
)

func (a *App) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [PATH...]",
		Short: "Check whether this host can run scenarios",
		Long: `Check what simctl needs of this host: Go, its cache and the space there,
loopback ports, memory and cores. For scenarios that are named, say as well which
releases of Tekton have to be built and roughly how long that takes.

Exit status: 0 all will work, 2 something will not; its line says what to do.`,
		RunE: a.doctor,
	}
	cacheFlag(cmd.Flags())
	expansionFlags(cmd)
	return cmd
}

// state is how a check came out.
type state string

const (
	fine    state = "ok"
	noted   state = "note"
	trouble state = "fail"
)

// findings are what the doctor says, a line each.
type findings []finding

type finding struct {
	state      state
	what, says string
}

func (f *findings) add(s state, what, format string, args ...any) {
	*f = append(*f, finding{s, what, fmt.Sprintf(format, args...)})
}

func (a *App) doctor(cmd *cobra.Command, args []string) error {
	c, err := newConfig(cmd)
	if err != nil {
		return err
	}
	var versions []string
	openShift := false
	if len(args) > 0 {
		o, err := c.expansion(runstore.Options{})
		if err != nil {
			return err
		}
		in, err := expand(args, o)
		if err != nil {
			return err
		}
		versions, openShift = needs(in.cells)
	}
	builds, err := a.Engine.Builds(cmd.Context(), c.string("cache-dir"), versions, openShift)
	if err != nil {
		return err
	}
	missing := 0
	for _, p := range builds.Parts {
		if !p.Ready {
			missing++
		}
	}

	var f findings
	f.goCommand(builds, missing > 0, len(args) > 0)
	f.cache(builds.Dir, missing)
	f.folder("run folder", ".", runSpace, "go to a folder of yours, or name one by simctl run --out")
	f.folder("temporary files", os.TempDir(), runSpace, "make room there, or set TMPDIR to a folder with more")
	f.ports()
	f.host()
	f.builds(builds, missing)

	bad := 0
	var rows [][]string
	for _, l := range f {
		if l.state == trouble {
			bad++
		}
		rows = append(rows, []string{string(l.state), l.what, l.says})
	}
	width, _ := a.Terminal(a.Stdout)
	fmt.Fprint(a.Stdout, reports.Columns(nil, rows, width))
	if bad > 0 {
		fmt.Fprintf(a.Stderr, "simctl: %d of %d checks failed\n", bad, len(f))
		return errReported
	}
	return nil
}

// distinct returns the releases among names, the oldest first. What is not the name
// of a release was refused before.
func distinct(names []string) []string {
	var all []*version.Version
	for _, n := range names {
		if name, err := releases.Parse(n); err == nil {
			all = append(all, version.MustParseGeneric(name))
		}
	}
	slices.SortFunc(all, func(a, b *version.Version) int {
		switch {
		case a.LessThan(b):
			return -1
		case b.LessThan(a):
			return 1
		}
		return 0
	})
	var out []string
	for _, v := range all {
		out = append(out, v.String())
	}
	return slices.Compact(out)
}

// goCommand checks the compiler, without which only what is built already runs.
func (f *findings) goCommand(b Builds, needed, named bool) {
	bad := noted
	why := "only the built-in release of Tekton, and what is built already, will run without it"
	switch {
	case needed:
		bad, why = trouble, "the scenarios need builds"
	case named:
		why = "these scenarios need no build"
	}
	v, unknown := version.ParseGeneric(b.GoVersion)
	switch {
	case b.GoErr != nil:
		f.add(bad, "Go", "%s %s or later (%s)", oneLine(b.GoErr.Error()), goVersion, why)
	case unknown == nil && v.LessThan(version.MustParseGeneric(goVersion)):
		f.add(bad, "Go", "%s is too old: install %s or later (%s)", b.GoVersion, goVersion, why)
	default:
		f.add(fine, "Go", "%s", b.GoVersion)
	}
}

// cache checks the folder of the builds.
func (f *findings) cache(dir string, missing int) {
	need := uint64(missing) * buildSpace
	f.folder("cache", dir, need, "name another one by --cache-dir, in SIMCTL_CACHE_DIR, or make room by simctl tekton prune")
}

// folder checks that a folder can be written and has room.
func (f *findings) folder(what, dir string, need uint64, advice string) {
	// The folder itself may have to be made.
	at := dir
	for {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(at) == at {
			break
		}
		at = filepath.Dir(at)
	}
	probe, err := os.CreateTemp(at, ".simctl-doctor-")
	if err != nil {
		f.add(trouble, what, "%s cannot be written (%s): %s", dir, cause(err), advice)
		return
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil {
		f.add(noted, what, "%s can be written; its free space is not known (%v)", dir, err)
		return
	}
	free := st.Bavail * uint64(st.Bsize) //nolint:gosec // a block's size is positive
	if free < need {
		f.add(trouble, what, "%s has %s free and %s are needed: %s", dir, bytesOf(free), bytesOf(need), advice)
		return
	}
	f.add(fine, what, "%s can be written, %s free", dir, bytesOf(free))
}

// cause takes the operation and path off a file error.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// ports checks that servers can listen on loopback, and be reached there.
func (f *findings) ports() {
	const advice = "allow connections to 127.0.0.1 (a sandbox or firewall may forbid them)"
	var open []net.Listener
	defer func() {
		for _, l := range open {
			_ = l.Close()
		}
	}()
	// etcd has two, the API server one, Tekton's controller one through a proxy,
	// OpenShift's admission one.
	for range 5 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			f.add(trouble, "loopback ports", "cannot be opened (%v): %s", err, advice)
			return
		}
		open = append(open, l)
	}
	c, err := net.DialTimeout("tcp", open[0].Addr().String(), 5*time.Second)
	if err != nil {
		f.add(trouble, "loopback ports", "cannot be reached (%v): %s", err, advice)
		return
	}
	_ = c.Close()
	f.add(fine, "loopback ports", "can be opened and reached")
}

// host checks cores and memory.
func (f *findings) host() {
	cores := runtime.GOMAXPROCS(0)
	s, hint := fine, ""
	if cores < 2 {
		s, hint = noted, ": it works, slowly"
	}
	f.add(s, "cores", "%d%s", cores, hint)
	available, ok := memory("/proc/meminfo")
	switch {
	case !ok:
		f.add(noted, "memory", "not known; a control plane takes %s", bytesOf(planeMemory))
	case available < planeMemory/2:
		f.add(trouble, "memory", "%s available, and a control plane takes up to %s: end other programs", bytesOf(available), bytesOf(planeMemory))
	case available < planeMemory:
		f.add(noted, "memory", "%s available, and a control plane takes up to %s: end other programs, or run with --parallel 1", bytesOf(available), bytesOf(planeMemory))
	default:
		f.add(fine, "memory", "%s available", bytesOf(available))
	}
}

// memory reads what the kernel could hand out.
func memory(meminfo string) (uint64, bool) {
	in, err := os.Open(meminfo)
	if err != nil {
		return 0, false
	}
	defer func() { _ = in.Close() }()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			kb, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			return kb << 10, err == nil
		}
	}
	return 0, false
}

// builds says what is there and what would be built.
func (f *findings) builds(b Builds, missing int) {
	for _, p := range b.Parts {
		how := noted
		if p.BuiltIn || p.Ready {
			how = fine
		}
		f.add(how, p.Name, "%s", p.words())
	}
	if missing > 0 {
		f.add(noted, "builds", "%d to make; make them beforehand by simctl tekton build", missing)
	}
}

func bytesOf(n uint64) string {
	const unit = 1 << 10
	v, suffix := float64(n), "B"
	for _, s := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v < unit {
			break
		}
		v, suffix = v/unit, s
	}
	return cmp.Or(strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0"), "0") + " " + suffix
}
