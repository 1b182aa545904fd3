// Package conform plays cases on a real cluster, writes their recordings anew, and
// has simctl compared with them.
package conform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"simctl.dev/simctl/conformance/internal/cluster"
	"simctl.dev/simctl/conformance/internal/host"
	"simctl.dev/simctl/conformance/internal/program"
	"simctl.dev/simctl/conformance/internal/testcase"
	"simctl.dev/simctl/sim/recording"
)

// Options say what to play and where.
type Options struct {
	// Cases is the folder of the cases, Names those to play; none: all.
	Cases string
	Names []string
	// Out is the folder that the recordings go to, a folder a case.
	Out string
	// Builder builds the programs.
	Builder program.Builder
	// Host is this host.
	Host host.Host
	// Logs is a folder to which the logs of the cluster's programs are kept; "": they are not.
	Logs string
	// Simctl is the folder of simctl's module, whose test holds simctl against the
	// recordings in the folder of the cases; "": nothing is compared.
	Simctl string
	// Stdout is where the user reads.
	Stdout io.Writer
}

// Run plays the cases, one after another, and compares simctl with them. An error names the cases
// that could not be played, or is the comparison's.
func Run(ctx context.Context, o Options) error {
	if err := play(ctx, o); err != nil || o.Simctl == "" {
		return err
	}
	fmt.Fprintln(o.Stdout, "comparing simctl with the recordings")
	// -v says of which cases simctl plays none
	cmd := exec.CommandContext(ctx, "go", "test", "./sim", "-v", "-run", "^TestRecordings$", "-timeout", "40m", "-count", "1", "-recordings", strings.Join(o.Names, " "))
	cmd.Dir, cmd.Stdout, cmd.Stderr = o.Simctl, o.Stdout, o.Stdout
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("comparing: %w", err)
	}
	return nil
}

func play(ctx context.Context, o Options) (err error) {
	begin := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(o.Stdout, "%5.0f s  %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, args...))
	}
	cases, err := testcase.ReadAll(o.Cases, o.Names...)
	if err != nil {
		return err
	}
	say("building what is not built")
	if err := o.Builder.Build(ctx); err != nil {
		return err
	}
	tekton, err := o.Builder.TektonConfig(ctx)
	if err != nil {
		return err
	}
	removeForgotten(os.TempDir())
	state, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", statePrefix, os.Getpid()))
	if err != nil {
		return err
	}
	say("starting a cluster in %s", state)
	c, err := cluster.Start(ctx, cluster.Config{State: state, Bin: o.Builder.Bin, TektonConfig: tekton,
		CgroupV2: o.Host.CgroupV2(), CPUs: runtime.NumCPU(), Say: say})
	defer func() {
		say("ending the cluster")
		err = errors.Join(err, c.Close(), keepLogs(state, o.Logs), os.RemoveAll(state))
	}()
	if err != nil {
		return fmt.Errorf("starting the cluster: %w", err)
	}
	p := &player{Cluster: c, state: state, say: say, defaults: map[string]any{}}
	var failed []error
	for _, tc := range cases {
		say("%s: begins", tc.Name)
		r, err := p.play(ctx, tc)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			// The next case gets its chance.
			say("%s: %v", tc.Name, err)
			failed = append(failed, fmt.Errorf("%s: %w", tc.Name, err))
			continue
		}
		for _, e := range ends(r) {
			say("%s: %s", tc.Name, e)
		}
		dir := filepath.Join(o.Out, tc.Name)
		if err := write(dir, r); err != nil {
			return err
		}
		say("%s: recorded in %s, %d changes", tc.Name, dir, len(r.Timeline))
	}
	return errors.Join(failed...)
}

// statePrefix and the number of a process begin the name of its temporary folder.
const statePrefix = "simctl-conformance-"

// removeForgotten takes away the folders of those that were killed.
func removeForgotten(temp string) {
	dirs, err := filepath.Glob(filepath.Join(temp, statePrefix+"*-*"))
	if err != nil {
		return
	}
	for _, d := range dirs {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(d), statePrefix), "-")
		pid, err := strconv.Atoi(number)
		if err != nil || syscall.Kill(pid, 0) == nil {
			continue
		}
		// What cannot be taken away is no reason not to go on.
		_ = os.RemoveAll(d)
	}
}

// ends says how each run ended.
func ends(r *recording.Recording) []string {
	var l []string
	for _, f := range r.Final {
		if f.Object["kind"] != "PipelineRun" || f.GoneAt != nil {
			continue
		}
		m, _ := f.Object["metadata"].(map[string]any)
		s, _ := f.Object["status"].(map[string]any)
		cs, _ := s["conditions"].([]any)
		for _, e := range cs {
			if e, ok := e.(map[string]any); ok {
				l = append(l, fmt.Sprintf("run %s: %v, %v: %v", m["name"], e["status"], e["reason"], e["message"]))
			}
		}
	}
	return l
}

// write writes a recording as a folder, in the form that simctl's tests read.
func write(dir string, r *recording.Recording) error {
	files, err := r.Files()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func keepLogs(state, to string) error {
	if to == "" {
		return nil
	}
	return os.CopyFS(to, os.DirFS(filepath.Join(state, "log")))
}
