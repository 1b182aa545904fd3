package buildcache

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrNoGo says that there is no go command.
var ErrNoGo = errors.New("the go command was not found in PATH: install Go")

// Go runs the go command.
type Go struct {
	// Command is its name or path; the default is "go".
	Command string
	// Compilers is how many run side by side; 0 is one for each CPU.
	Compilers int
	// Progress is told how far a build is, every few seconds.
	Progress func(line string)
}

const progressEvery = 5 * time.Second

// Output returns what a call of the go command in the folder dir prints, whether
// or not it fails. The error wraps [ErrNoGo] if there is no go command, and ends
// with what was said on standard error.
func (g *Go) Output(ctx context.Context, dir string, args ...string) (string, error) {
	cmd, done, err := g.command(ctx, dir, args...)
	if err != nil {
		return "", err
	}
	defer done()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	return string(out), failure(err, stderr.String())
}

// Flags are those of every build. Nobody debugs what is built; to leave out what a
// debugger needs as early as the compiler saves some percent of its time. The
// standard library is compiled as it was for simctl, and so not again; hence no
// -trimpath either.
func Flags() []string {
	return []string{"-mod=readonly", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-gcflags=std=", "-ldflags=-s -w"}
}

// Build compiles a package of the module in dir into the executable out, with
// [Flags]. The error is as [Go.Output] has it, with the compiler's words in one
// line.
func (g *Go) Build(ctx context.Context, dir, out, pkg string) error {
	args := append([]string{"build", "-v"}, Flags()...)
	if g.Compilers > 0 {
		args = append(args, "-p", strconv.Itoa(g.Compilers))
	}
	cmd, done, err := g.command(ctx, dir, append(args, "-o", out, pkg)...)
	if err != nil {
		return err
	}
	defer done()
	total := g.toCompile(ctx, dir, pkg)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	// A parent's death is told to a child when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		return failure(err, "")
	}
	// Cells of other releases run at the same time.
	_ = syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, 10)
	words := g.follow(stderr, total)
	err = cmd.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return failure(err, words)
}

// toCompile says how many packages a build will compile: those that the go command's own
// cache does not have. It is 0 if that cannot be found out, which the build may explain.
func (g *Go) toCompile(ctx context.Context, dir, pkg string) int {
	args := append([]string{"list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"}, Flags()...)
	out, err := g.Output(ctx, dir, append(args, pkg)...)
	if err != nil {
		return 0
	}
	return len(strings.Fields(out))
}

// howFar says in words how far a build is that has taken some time.
func howFar(downloaded, compiled, total int, took time.Duration) string {
	switch {
	case compiled == 0 && downloaded > 0:
		return fmt.Sprintf("downloaded %d modules", downloaded)
	case compiled == 0:
		return "looking for what is compiled already"
	case total == 0:
		return fmt.Sprintf("compiled %d packages", compiled)
	case compiled >= total:
		return fmt.Sprintf("compiled all of %d packages, linking", total)
	}
	line := fmt.Sprintf("compiled %d of %d packages", compiled, total)
	// The first few, which nothing else waits for, say little of the rest.
	if compiled*20 >= total {
		left := took * time.Duration(total-compiled) / time.Duration(compiled)
		line += fmt.Sprintf(", about %s left", left.Round(time.Second))
	}
	return line
}

// command returns a run of the go command that ends with ctx. When it is over, done
// removes what a go command that was killed leaves in its folder for temporary files.
func (g *Go) command(ctx context.Context, dir string, args ...string) (cmd *exec.Cmd, done func(), err error) {
	name := g.Command
	if name == "" {
		name = "go"
	}
	tmp, err := os.MkdirTemp("", "simctl-go-")
	if err != nil {
		return nil, nil, fmt.Errorf("making a folder for the go command: %w", err)
	}
	cmd = exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	// Settings of the user's own modules must not reach those built here.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0", "PWD="+dir, "GOTMPDIR="+tmp)
	// The compilers it starts are ended with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd, func() {
		// A compiler that has been killed may not be gone yet.
		for try := 0; os.RemoveAll(tmp) != nil && try < 100; try++ {
			time.Sleep(10 * time.Millisecond)
		}
	}, nil
}

func failure(err error, words string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound):
		return ErrNoGo
	case Full(words) || Full(err.Error()):
		return syscall.ENOSPC
	}
	if s := Summary(words); s != "" {
		return fmt.Errorf("%w: %s", err, s)
	}
	return err
}

// follow reports how far a build of total packages is, and returns what it said apart
// from that.
func (g *Go) follow(stderr io.Reader, total int) string {
	began := time.Now()
	var (
		mu                   sync.Mutex
		downloaded, compiled int
		words                []string
		done                 = make(chan struct{})
		reported             sync.WaitGroup
	)
	reported.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			mu.Lock()
			line := howFar(downloaded, compiled, total, time.Since(began))
			mu.Unlock()
			g.progress(line)
		}
	})
	in := bufio.NewScanner(stderr)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		line := in.Text()
		mu.Lock()
		switch {
		case strings.HasPrefix(line, "go: downloading "):
			downloaded++
		case !strings.ContainsAny(line, " \t:#"): // a package's path
			compiled++
		default:
			words = append(words, line)
		}
		mu.Unlock()
	}
	close(done)
	reported.Wait()
	return strings.Join(words, "\n")
}

func (g *Go) progress(line string) {
	if g.Progress != nil {
		g.Progress(line)
	}
}

// Summary makes one line of a compiler's words.
func Summary(words string) string {
	var kept []string
	for line := range strings.Lines(words) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			kept = append(kept, line)
		}
	}
	if len(kept) > 3 {
		kept = append(kept[:3], "...")
	}
	return strings.Join(kept, "; ")
}

// CheckSpace returns an error that is [syscall.ENOSPC] if the disk with the folder
// has less than that many bytes free.
func CheckSpace(dir string, bytes uint64) error {
	var fsys syscall.Statfs_t
	if err := syscall.Statfs(dir, &fsys); err == nil && fsys.Bavail*uint64(fsys.Bsize) < bytes {
		return fmt.Errorf("building it needs %d MB: %w", bytes>>20, syscall.ENOSPC)
	}
	return nil
}
