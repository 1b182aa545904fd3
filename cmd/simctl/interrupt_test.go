package main

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"simctl.dev/simctl/cmd/simctl/internal/cli"
)

var (
	interrupts     = flag.Int("interrupts", 4, "how often TestInterrupt interrupts a run")
	interruptsSeed = flag.Uint64("interrupts-seed", 1, "draws the moments of TestInterrupt")
)

// program is simctl in a process group of its own, as a shell starts it; its
// temporary files are in tmp.
func program(tmp string, stderr *bytes.Buffer, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = stderr
	return cmd
}

// TestInterrupt presses Ctrl-C at random moments of a run, most of them while its
// control planes start, or sends the group another signal that ends a run: simctl ends with its status for that, leaves neither process
// nor file behind, and goes on from there with --resume.
func TestInterrupt(t *testing.T) {
	const first, last = 100 * time.Millisecond, 8 * time.Second
	for _, parallel := range []string{"1", "3"} {
		t.Run(parallel, func(t *testing.T) {
			draw := rand.New(rand.NewPCG(*interruptsSeed, 0))
			tmp := t.TempDir()
			var out string
			var args []string
			begin := func() {
				out = filepath.Join(t.TempDir(), "out")
				args = []string{"run", "--parallel", parallel, "--repeats", "9", "--out", out, "../../sim/testdata/bench/five-tasks.yaml"}
			}
			begin()
			for n := 0; n < *interrupts; n++ {
				after := first + time.Duration(draw.Int64N(int64(last-first)))
				var stderr bytes.Buffer
				cmd := program(tmp, &stderr, args...)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(after)
				sent := []syscall.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM}[n%3]
				if sent == syscall.SIGHUP && signal.Ignored(sent) {
					// By nohup, for the children too.
					sent = syscall.SIGINT
				}
				if err := syscall.Kill(-cmd.Process.Pid, sent); err != nil {
					t.Fatal(err)
				}
				err := cmd.Wait()
				nothingLeft(t, tmp)
				exit := (*exec.ExitError)(nil)
				switch {
				case err == nil && slices.Contains(args, "--resume"):
					// It had ended before; once more, with a run that has all before it.
					begin()
					n--
					continue
				case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() && stderr.Len() == 0:
					// On a loaded host, before its main began.
					t.Logf("after %s: %v", after, err)
				case !errors.As(err, &exit) || exit.ExitCode() != cli.StatusError:
					t.Errorf("%s after %s: simctl ended with %v, want exit status %d:\n%s", sent, after, err, cli.StatusError, stderr.String())
				default:
					t.Logf("%s after %s: %s", sent, after, lastLine(stderr.String()))
				}
				if t.Failed() {
					return
				}
				if _, err := os.Stat(filepath.Join(out, "run.json")); err == nil {
					args = []string{"run", "--parallel", parallel, "--resume", "--out", out}
				}
			}
			var stderr bytes.Buffer
			cmd := program(tmp, &stderr, args...)
			stdout, err := cmd.Output()
			if err != nil || !strings.Contains(string(stdout), "9 cells: 9 as expected") {
				t.Errorf("going on: %v\n%s\n%s", err, stdout, stderr.String())
			}
			nothingLeft(t, tmp)
		})
	}
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// nothingLeft finds files in the folder for temporary ones, and processes that were
// started with it.
func nothingLeft(t *testing.T, tmp string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(tmp, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range processes {
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err == nil && bytes.Contains(env, []byte("TMPDIR="+tmp)) {
			args, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
			t.Errorf("%s still runs: %q", dir, args)
		}
	}
}
