package buildcache_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"simctl.dev/simctl/sim/internal/buildcache"
)

// TestBuildInterrupted: a go command that is killed cannot remove its temporary files.
func TestBuildInterrupted(t *testing.T) {
	tmp, dir := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", tmp)
	fake, begun := filepath.Join(dir, "go"), filepath.Join(dir, "begun")
	script := "#!/bin/sh\nmkdir \"${GOTMPDIR:-$TMPDIR}/go-build1\"\nmkfifo " + begun + ".not\necho > " + begun + "\nexec cat " + begun + ".not\n"
	if err := os.WriteFile(fake, []byte(script), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		g := &buildcache.Go{Command: fake}
		done <- g.Build(ctx, dir, filepath.Join(dir, "out"), ".")
	}()
	for {
		if _, err := os.Stat(begun); err == nil {
			break
		}
		select {
		case err := <-done:
			t.Fatalf("the build ended: %v", err)
		default:
		}
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("the build was not interrupted")
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
