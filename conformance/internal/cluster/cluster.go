package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"simctl.dev/simctl/conformance/internal/kubeapi"
	"simctl.dev/simctl/conformance/internal/process"
)

const (
	tektonNamespace = "tekton-pipelines"
	adminUser       = "admin"
	driverName      = "disk.csi.realcluster.test"
	registry        = "local.test/"
	nodeCPUs        = 2
)

// The numbers of the nodes: those that stay, and those that cases lose, which have
// the label and the taint pool=loss.
const (
	workNodes = 3
	lossNodes = 3
)

// Config says what a cluster is made of and where.
type Config struct {
	// State is the folder for everything that it writes.
	State string
	// Bin is the folder of the programs.
	Bin string
	// TektonConfig is the folder of Tekton's manifests.
	TektonConfig string
	// CgroupV2 says which cgroups the host has.
	CgroupV2 bool
	// CPUs is how many the host has.
	CPUs int
	// Say tells the user how far it is.
	Say func(format string, args ...any)
}

// Cluster is a cluster.
type Cluster struct {
	Config
	// API is a client that may do everything.
	API *kubeapi.Client

	starter *process.Starter
	nets    []*process.Net
	net     *process.Net // the control plane's
	webhook *process.Net
	cgroups *cgroups
	images  []string

	// mu guards what orders change.
	mu     sync.Mutex
	nodes  map[string]*node
	parts  map[string]*process.Process
	paused bool
}

// The names of the parts that are processes on their own.
const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	kubeScheduler     = "kube-scheduler"
	tektonController  = "controller"
	tektonWebhook     = "webhook"
	csiController     = "disk-csi"
	csiAttacher       = "csi-attacher"
)

// Start starts a cluster. Close must be called after an error too.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	c := &Cluster{Config: cfg, nodes: map[string]*node{}, parts: map[string]*process.Process{}}
	return c, c.start(ctx)
}

func (c *Cluster) start(ctx context.Context) (err error) {
	for _, d := range []string{"etc", "log", "nodes", "disks", "images", "csi"} {
		if err := os.MkdirAll(filepath.Join(c.State, d), 0o755); err != nil {
			return err
		}
	}
	if c.starter, err = process.NewStarter(); err != nil {
		return err
	}
	if c.cgroups, err = newCgroups(c.CgroupV2); err != nil {
		return err
	}
	if err := c.newBridge(ctx); err != nil {
		return err
	}
	if c.webhook, err = c.plug(ctx, "webhook", webhookAddress); err != nil {
		return err
	}
	if c.images, err = c.makeImages(ctx); err != nil {
		return err
	}
	var names []string
	for i := range workNodes + lossNodes {
		names = append(names, nodeName(i))
	}
	tokens, pool, err := writeIdentities(c.etc(""), identities(names))
	if err != nil {
		return err
	}
	c.API = kubeapi.New(apiURL, tokens[adminUser], pool, func(ctx context.Context, network, address string) (net.Conn, error) {
		return c.starter.Dial(ctx, c.net, network, address)
	})
	if err := c.startControlPlane(ctx); err != nil {
		return err
	}
	for i := range workNodes {
		if err := c.startNode(ctx, i); err != nil {
			return err
		}
	}
	if err := c.createManifests(ctx); err != nil {
		return err
	}
	for _, p := range []string{csiController, csiAttacher, tektonController, tektonWebhook} {
		if err := c.startPart(p); err != nil {
			return err
		}
	}
	return c.Ready(ctx)
}

// Ready waits until the nodes and Tekton's webhook are.
func (c *Cluster) Ready(ctx context.Context) error {
	for _, w := range []struct {
		what string
		is   func(context.Context) error
	}{
		{"nodes ready", c.nodesReady},
		{"CSI driver on all nodes", c.driversReady},
		{"Tekton's webhook answers", c.webhookReady},
	} {
		if err := c.wait(ctx, w.what, 10*time.Minute, w.is); err != nil {
			return err
		}
	}
	return nil
}

// wait asks until there is no error, or a part has ended that should not have.
func (c *Cluster) wait(ctx context.Context, what string, patience time.Duration, is func(context.Context) error) error {
	start := time.Now()
	for {
		err := is(ctx)
		if err == nil {
			if d := time.Since(start); d > 2*time.Second {
				c.Say("%s (%s)", what, d.Round(time.Second))
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if d := c.dead(); d != nil {
			return d
		}
		if time.Since(start) > patience {
			return fmt.Errorf("waiting for: %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// dead says which part has ended by itself.
func (c *Cluster) dead() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	check := func(name string, p *process.Process) error {
		select {
		case <-p.Done():
			return fmt.Errorf("%s ended: %v\n%s", name, p.Err(), c.lastLines(name))
		default:
			return nil
		}
	}
	for name, p := range c.parts {
		if err := check(name, p); err != nil {
			return err
		}
	}
	for name, n := range c.nodes {
		if n.lost {
			continue
		}
		if err := check("node-"+name, n.process); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) lastLines(log string) string {
	b, err := os.ReadFile(c.log(log))
	if err != nil {
		return err.Error()
	}
	l := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(l[max(0, len(l)-15):], "\n")
}

func (c *Cluster) etc(file string) string { return filepath.Join(c.State, "etc", file) }
func (c *Cluster) log(name string) string { return filepath.Join(c.State, "log", name+".log") }
func (c *Cluster) bin(name string) string { return filepath.Join(c.Bin, name) }

// startPart starts a part that is a process on its own.
func (c *Cluster) startPart(name string) error {
	if c.parts[name] != nil {
		return fmt.Errorf("%s is there already", name)
	}
	cmd := c.part(name)
	cmd.Log, cmd.Dir = c.log(name), c.State
	p, err := c.starter.Start(cmd)
	if err != nil {
		return err
	}
	c.parts[name] = p
	return nil
}

// part is the command of a part.
func (c *Cluster) part(name string) process.Command {
	cmd := process.Command{Path: c.bin(name), Net: c.net, Env: environment()}
	switch name {
	case etcd:
		cmd.Args = []string{"--data-dir=" + filepath.Join(c.State, "etcd"), "--unsafe-no-fsync", "--log-level=error",
			"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379", "--listen-peer-urls=http://127.0.0.1:2380"}
	case apiServer:
		cmd.Args = []string{"--etcd-servers=http://127.0.0.1:2379", "--bind-address=" + apiAddress, "--advertise-address=" + apiAddress, "--secure-port=6443",
			"--tls-cert-file=" + c.etc("api.crt"), "--tls-private-key-file=" + c.etc("api.key"), "--token-auth-file=" + c.etc("tokens.csv"),
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged",
			"--service-account-issuer=" + apiURL, "--service-account-key-file=" + c.etc("sa.pub"), "--service-account-signing-key-file=" + c.etc("sa.key"),
			"--service-cluster-ip-range=" + services, "--kubelet-preferred-address-types=InternalIP",
			// calls the webhook by its EndpointSlice: there is no kube-proxy
			"--enable-aggregator-routing",
			"--event-ttl=24h"}
	case controllerManager:
		cmd.Args = []string{"--kubeconfig=" + c.etc("kcm.kubeconfig"), "--use-service-account-credentials", "--service-account-private-key-file=" + c.etc("sa.key"),
			"--root-ca-file=" + c.etc("ca.crt"), "--leader-elect=false", "--allocate-node-cidrs=false", "-v=2"}
	case kubeScheduler:
		k := c.etc("scheduler.kubeconfig")
		cmd.Args = []string{"--kubeconfig=" + k, "--authentication-kubeconfig=" + k, "--authorization-kubeconfig=" + k, "--leader-elect=false", "-v=2"}
	case csiController:
		cmd.Args = []string{"--name=" + driverName, "--endpoint=" + c.csiSocket(), "--disks=" + c.disks(), "--limit=" + c.diskLimit(), "--kubeconfig=" + c.etc("csi.kubeconfig")}
	case csiAttacher:
		cmd.Args = []string{"--kubeconfig=" + c.etc("csi.kubeconfig"), "--csi-address=" + c.csiSocket(), "--v=2"}
	case tektonController:
		cmd.Path, cmd.Env = c.bin("tekton-controller"), tektonEnvironment("CONFIG_LEADERELECTION_NAME=config-leader-election-controller")
		cmd.Args = []string{"-kubeconfig", c.etc("controller.kubeconfig"), "-shell-image", registry + "busybox:v1", "-shell-image-win", registry + "none:v1"}
		for _, i := range []string{"entrypoint", "nop", "sidecarlogresults", "workingdirinit"} {
			cmd.Args = append(cmd.Args, "-"+i+"-image", registry+i+":v1")
		}
	case tektonWebhook:
		// The controller and the webhook want the same ports.
		cmd.Path, cmd.Net = c.bin("tekton-webhook"), c.webhook
		cmd.Env = tektonEnvironment("CONFIG_LEADERELECTION_NAME=config-leader-election-webhook", "PROBES_PORT=8080", "WEBHOOK_PORT=8443",
			"WEBHOOK_ADMISSION_CONTROLLER_NAME=webhook.pipeline.tekton.dev", "WEBHOOK_SERVICE_NAME=tekton-pipelines-webhook", "WEBHOOK_SECRET_NAME=webhook-certs")
		cmd.Args = []string{"-kubeconfig", c.etc("webhook.kubeconfig")}
	}
	return cmd
}

func tektonEnvironment(more ...string) []string {
	return environment(append([]string{"SYSTEM_NAMESPACE=" + tektonNamespace, "KUBERNETES_MIN_VERSION=v1.28.0", "CONFIG_DEFAULTS_NAME=config-defaults", "CONFIG_LOGGING_NAME=config-logging",
		"CONFIG_OBSERVABILITY_NAME=config-observability", "CONFIG_FEATURE_FLAGS_NAME=feature-flags", "CONFIG_SPIRE=config-spire", "METRICS_DOMAIN=tekton.dev/pipeline", "POD_NAME=tekton"}, more...)...)
}

func (c *Cluster) csiSocket() string { return filepath.Join(c.State, "csi", "controller.sock") }
func (c *Cluster) disks() string     { return filepath.Join(c.State, "disks") }
func (c *Cluster) diskLimit() string { return filepath.Join(c.State, "disk-limit") }

func (c *Cluster) startControlPlane(ctx context.Context) error {
	for _, p := range []string{etcd, apiServer} {
		if err := c.startPart(p); err != nil {
			return err
		}
	}
	err := c.wait(ctx, "API server ready", 5*time.Minute, func(ctx context.Context) error {
		if c.API.Ready(ctx) {
			return nil
		}
		return errors.New("it is not ready")
	})
	if err != nil {
		return err
	}
	for _, p := range []string{controllerManager, kubeScheduler} {
		if err := c.startPart(p); err != nil {
			return err
		}
	}
	return nil
}

// Script is a command within the control plane's network, with kubectl on its path
// and set to this cluster.
func (c *Cluster) Script(output io.Writer, env []string, args ...string) (*process.Process, error) {
	e := environment(env...)
	for i, v := range e {
		if p, ok := strings.CutPrefix(v, "PATH="); ok {
			e[i] = "PATH=" + c.Bin + ":" + p
		}
	}
	e = append(e, "KUBECONFIG="+c.etc(adminUser+".kubeconfig"), "KUBECACHEDIR="+filepath.Join(c.State, "kubectl"))
	return c.starter.Start(process.Command{Path: "bash", Args: args, Env: e, Dir: c.State, Net: c.net, Output: output})
}

// Kubectl runs kubectl to its end.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) error {
	_, err := c.starter.Run(ctx, process.Command{Path: c.bin("kubectl"), Args: args, Net: c.net, Dir: c.State,
		Env: environment("KUBECONFIG="+c.etc(adminUser+".kubeconfig"), "KUBECACHEDIR="+filepath.Join(c.State, "kubectl"))})
	return err
}

// Close ends all processes and takes away what was made. Its error says what is left.
func (c *Cluster) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, n := range c.nodes {
		n.process.Signal(syscall.SIGKILL)
	}
	for _, p := range c.parts {
		p.Signal(syscall.SIGKILL)
	}
	for _, n := range c.nodes {
		n.process.Kill()
	}
	for _, p := range c.parts {
		p.Kill()
	}
	for _, n := range c.nets {
		errs = append(errs, n.Close())
	}
	if c.cgroups != nil {
		errs = append(errs, c.cgroups.remove(""))
	}
	// A node's mounts are gone once the last of its processes is.
	errs = append(errs, waitNone(20*time.Second, func() error { return leftLoops(c.disks()) }), leftMounts(c.State))
	return errors.Join(errs...)
}

func waitNone(patience time.Duration, left func() error) error {
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if err := left(); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// leftLoops says which loop devices still have files of a folder.
func leftLoops(dir string) error {
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return err
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil && strings.HasPrefix(string(b), dir+"/") {
			return fmt.Errorf("left: loop device %s of %s", f, strings.TrimSpace(string(b)))
		}
	}
	return nil
}

// leftMounts says which mounts of a folder this host still has.
func leftMounts(dir string) error {
	b, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return err
	}
	for l := range strings.Lines(string(b)) {
		if strings.Contains(l, dir) {
			return fmt.Errorf("left: mount %s", strings.TrimSpace(l))
		}
	}
	return nil
}
