package process

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asParent is set where this test program is one that starts others and is killed.
const asParent = "TEST_AS_PARENT"

func TestMain(m *testing.M) {
	if mark := os.Getenv(asParent); mark != "" {
		s, err := NewStarter()
		if err == nil {
			_, err = s.Start(family(mark))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("started")
		select {}
	}
	os.Exit(m.Run())
}

// family is a process with two children, one of which leaves the process group.
func family(mark string) Command {
	return Command{Path: "/bin/sh", Args: []string{"-c", "sleep " + mark + " & setsid sleep " + mark + " & wait"},
		Env: []string{"PATH=/usr/bin:/bin"}, Clone: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
}

// count says how many processes have been started with a mark.
func count(mark string) int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	n := 0
	for _, f := range files {
		b, _ := os.ReadFile(f) // it may have ended
		if bytes.Contains(b, []byte("sleep\x00"+mark)) {
			n++
		}
	}
	return n
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for a minute: %s", what)
		}
	}
}

func needRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("namespaces are made by root")
	}
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	if err := cmd.Run(); err != nil {
		t.Skip("namespaces cannot be made here:", err)
	}
}

func TestKillTakesAll(t *testing.T) {
	needRoot(t)
	s, err := NewStarter()
	if err != nil {
		t.Fatal(err)
	}
	mark := fmt.Sprintf("1000.1%d", os.Getpid())
	p, err := s.Start(family(mark))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "both children", func() bool { return count(mark) == 2 })
	p.Kill()
	await(t, "no child", func() bool { return count(mark) == 0 })
}

func TestNoneOutlivesTheProgram(t *testing.T) {
	needRoot(t)
	mark := fmt.Sprintf("1000.2%d", os.Getpid())
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), asParent+"="+mark)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "both children", func() bool { return count(mark) == 2 })
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // killed
	await(t, "no child", func() bool { return count(mark) == 0 })
}

func TestNet(t *testing.T) {
	needRoot(t)
	s, err := NewStarter()
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.NewNet()
	if err != nil {
		t.Fatal(err)
	}
	inode := func(n *Net) string {
		out, err := s.Run(context.Background(), Command{Path: "/bin/readlink", Args: []string{"/proc/self/ns/net"}, Net: n})
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if got := inode(n); got == own {
		t.Errorf("a process in the namespace is in %s, this program's own", got)
	}
	if got := inode(nil); got != own {
		t.Errorf("a process after it is in %s, want %s", got, own)
	}
	// In a new namespace there is no way to anywhere, not even to itself.
	if _, err := s.Dial(context.Background(), n, "tcp", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("connecting from the namespace: %v", err)
	}
	if _, err := s.Dial(context.Background(), nil, "tcp", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("connecting from without: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}
