// Package node is the first process of a node: in namespaces of its own it sets up
// the node's folders and runs containerd, the CSI driver and the kubelet.
package node

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Config is what a node is.
type Config struct {
	Name string
	// Dir is the folder of the node, Log of its programs' logs.
	Dir, Log string
	// CNI is the folder of the node's network configuration.
	CNI string
	// Sysctls are settings that the kubelet wants for the whole host, by their
	// path below /proc/sys. It finds them set, and the host stays as it is.
	Sysctls map[string]string
	// Images are archives, Containerd its configuration.
	Images     []string
	Containerd string
	// Driver and Kubelet are commands.
	Driver, Kubelet []string
}

// Write writes the configuration for Main.
func (c Config) Write(file string) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o600)
}

// What can be told to a node, in lines on its standard input; when there is no more
// to come it ends, and everything on it.
const (
	KillKubelet  = "kill kubelet"
	StartKubelet = "start kubelet"
)

// Main runs the node that a file of Config says.
func Main(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var c Config
	if err := json.Unmarshal(b, &c); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := c.mount(); err != nil {
		return fmt.Errorf("node %s: %w", c.Name, err)
	}
	n := &node{Config: c, running: map[int]chan struct{}{}}
	n.reap()
	go func() {
		if err := n.start(); err != nil {
			fmt.Fprintf(os.Stderr, "node %s: %v\n", c.Name, err)
			os.Exit(1)
		}
	}()
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if err := n.told(in.Text()); err != nil {
			fmt.Fprintf(os.Stderr, "node %s: %s: %v\n", c.Name, in.Text(), err)
		}
	}
	return in.Err()
}

// mount gives the node its own folders where programs expect them.
func (c Config) mount() error {
	if err := unix.Sethostname([]byte(c.Name)); err != nil {
		return err
	}
	// First away from the host's mounts, then shared with the node's containers.
	for _, f := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} {
		if err := unix.Mount("", "/", "", unix.MS_REC|f, ""); err != nil {
			return fmt.Errorf("mounts of its own: %w", err)
		}
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	for _, d := range []string{"varlib/kubelet", "varlib/containerd", "varlib/cni", "run", "varlog/pods"} {
		if err := os.MkdirAll(filepath.Join(c.Dir, d), 0o755); err != nil {
			return err
		}
	}
	for f, v := range c.Sysctls {
		own := filepath.Join(c.Dir, "sysctl-"+strings.ReplaceAll(f, "/", "-"))
		if err := os.WriteFile(own, []byte(v+"\n"), 0o644); err != nil {
			return err
		}
		if err := bind(own, "/proc/sys/"+f); err != nil {
			return err
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return err
	}
	for _, m := range []struct{ from, to string }{{"varlib", "/var/lib"}, {"varlog", "/var/log"}, {"run", "/run"}} {
		if err := bind(filepath.Join(c.Dir, m.from), m.to); err != nil {
			return err
		}
	}
	return nil
}

func bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting %s over %s: %w", from, to, err)
	}
	return nil
}

type node struct {
	Config
	mu sync.Mutex
	// running are the processes that were started here, by number.
	running map[int]chan struct{}
	kubelet *os.Process
}

// reap waits for processes, as the first process of a PID namespace must for all
// whose parents have ended. So os/exec's own waiting is of no use here.
func (n *node) reap() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGCHLD)
	go func() {
		for range c {
			for {
				n.mu.Lock()
				pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
				done := n.running[pid]
				delete(n.running, pid)
				n.mu.Unlock()
				if done != nil {
					close(done)
				}
				if pid <= 0 || err != nil && !errors.Is(err, unix.EINTR) {
					break
				}
			}
		}
	}()
}

// run starts a program; done is closed when it has ended.
func (n *node) run(log string, command ...string) (p *os.Process, done <-chan struct{}, err error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(filepath.Join(n.Log, log+"-"+n.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, nil, err
	}
	defer null.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	p, err = os.StartProcess(path, command, &os.ProcAttr{Env: os.Environ(), Files: []*os.File{null, f, f}})
	if err != nil {
		return nil, nil, fmt.Errorf("starting %s: %w", command[0], err)
	}
	c := make(chan struct{})
	n.running[p.Pid] = c
	return p, c, nil
}

// start starts the node's programs in their order.
func (n *node) start() error {
	if _, _, err := n.run("containerd", "containerd", "-c", n.Containerd); err != nil {
		return err
	}
	// It is there when its socket is.
	for {
		if _, err := os.Stat("/run/containerd/containerd.sock"); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, i := range n.Images {
		_, done, err := n.run("images", "ctr", "-n", "k8s.io", "images", "import", i)
		if err != nil {
			return err
		}
		<-done
	}
	if _, _, err := n.run("disk-csi", n.Driver...); err != nil {
		return err
	}
	return n.told(StartKubelet)
}

func (n *node) told(line string) error {
	switch line {
	case StartKubelet:
		p, _, err := n.run("kubelet", n.Kubelet...)
		n.kubelet = p
		return err
	case KillKubelet:
		if n.kubelet == nil {
			return errors.New("there is none")
		}
		return unix.Kill(n.kubelet.Pid, unix.SIGKILL)
	}
	return errors.New("that is no order")
}
