package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"simctl.dev/simctl/conformance/internal/host"
	firstprocess "simctl.dev/simctl/conformance/internal/node"
	"simctl.dev/simctl/conformance/internal/process"
)

// NodeCommand is the command of this program that is a node's first process.
const NodeCommand = "node"

type node struct {
	number  int
	process *process.Process
	// lost says that it was killed on purpose.
	lost bool
	// kubeletDead says that its kubelet was.
	kubeletDead bool
}

func nodeName(number int) string { return fmt.Sprintf("n%d", number) }

// startNode starts a node that has not been there, or is to be as if so.
func (c *Cluster) startNode(ctx context.Context, number int) error {
	name := nodeName(number)
	cfg, err := c.nodeConfig(name, number)
	if err != nil {
		return fmt.Errorf("node %s: %w", name, err)
	}
	n, err := c.plug(ctx, name, nodeAddress(number))
	if err != nil {
		return fmt.Errorf("node %s: %w", name, err)
	}
	if err := c.ip(ctx, c.net, "route replace "+podNetwork(number)+" via "+nodeAddress(number)); err != nil {
		return fmt.Errorf("node %s: %w", name, err)
	}
	file := filepath.Join(cfg.Dir, "node.json")
	if err := cfg.Write(file); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p, err := c.starter.Start(process.Command{Path: self, Args: []string{NodeCommand, file}, Env: environment(), Dir: "/", Net: n, Log: c.log("node-" + name), Told: true,
		Clone: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS})
	if err != nil {
		return err
	}
	c.nodes[name] = &node{number: number, process: p}
	return nil
}

func (c *Cluster) nodeConfig(name string, number int) (firstprocess.Config, error) {
	dir := filepath.Join(c.State, "nodes", name)
	cfg := firstprocess.Config{Name: name, Dir: dir, Log: filepath.Join(c.State, "log"), Images: c.images,
		Sysctls: map[string]string{"vm/overcommit_memory": "1", "kernel/panic": "10", "kernel/panic_on_oops": "1"}}
	cgroup, err := c.cgroups.add(name)
	if err != nil {
		return cfg, err
	}
	files := map[string]string{
		"cni/10.conflist": fmt.Sprintf(`{"cniVersion":"1.0.0","name":"pods","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,
 "ipam":{"type":"host-local","ranges":[[{"subnet":"%s"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}`, podNetwork(number)),
		"resolv.conf":     "nameserver " + dnsAddress + "\n",
		"containerd.toml": containerdConfig(filepath.Join(dir, "cni")),
		"kubelet.yaml":    c.kubeletConfig(number, cgroup, filepath.Join(dir, "resolv.conf")),
	}
	for f, content := range files {
		f = filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			return cfg, err
		}
		if err := os.WriteFile(f, []byte(content), 0o644); err != nil {
			return cfg, err
		}
	}
	cfg.Containerd = filepath.Join(dir, "containerd.toml")
	cfg.Driver = []string{c.bin("disk-csi"), "--name=" + driverName, "--node=" + name, "--disks=" + c.disks(), "--endpoint=/var/lib/kubelet/plugins/disk/csi.sock"}
	cfg.Kubelet = []string{c.bin("kubelet"), "--config=" + filepath.Join(dir, "kubelet.yaml"), "--kubeconfig=" + c.etc(name+".kubeconfig"),
		"--hostname-override=" + name, "--node-ip=" + nodeAddress(number), "--root-dir=/var/lib/kubelet", "--node-labels=pool=" + pool(number), "-v=2"}
	return cfg, nil
}

func pool(number int) string {
	if number < workNodes {
		return "work"
	}
	return "loss"
}

// kubeletConfig is the default one, but for what a host without systemd and with
// a busy disk needs. Nodes have as many CPUs as in all recordings.
func (c *Cluster) kubeletConfig(number int, cgroup, resolv string) string {
	taints := "[]"
	if pool(number) == "loss" {
		taints = "[{key: pool, value: loss, effect: NoSchedule}]"
	}
	reserved := ""
	if more := c.CPUs - nodeCPUs; more > 0 {
		reserved = fmt.Sprintf("systemReserved: {cpu: %q}\n", fmt.Sprint(more))
	}
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %s
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: %s
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
clusterDNS: [%s]
resolvConf: %s
evictionHard: {memory.available: "0%%", nodefs.available: "0%%", nodefs.inodesFree: "0%%", imagefs.available: "0%%"}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
registerWithTaints: %s
%s`, nodeAddress(number), cgroup, dnsAddress, resolv, taints, reserved)
}

func containerdConfig(cni string) string {
	return fmt.Sprintf(`version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "%spause:v1"
  disable_apparmor = true
  # without CAP_SYS_RESOURCE runc could not lower it, and no container would start
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "%s"
    conf_dir = "%s"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`, registry, host.PluginDir, cni)
}

// items are the objects of a list.
func (c *Cluster) items(ctx context.Context, path string) ([]map[string]any, error) {
	l, err := c.API.Get(ctx, path)
	if err != nil {
		return nil, err
	}
	items, _ := l["items"].([]any)
	var r []map[string]any
	for _, i := range items {
		if o, ok := i.(map[string]any); ok {
			r = append(r, o)
		}
	}
	return r, nil
}

// allNodes is an error unless each node has an object of its name that is as asked for.
func (c *Cluster) allNodes(ctx context.Context, path string, is func(o map[string]any) bool) error {
	objects, err := c.items(ctx, path)
	if err != nil {
		return err
	}
	missing := map[string]bool{}
	c.mu.Lock()
	for name, n := range c.nodes {
		if !n.lost {
			missing[name] = true
		}
	}
	c.mu.Unlock()
	for _, o := range objects {
		m, _ := o["metadata"].(map[string]any)
		name, _ := m["name"].(string)
		if is(o) {
			delete(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	var l []string
	for n := range missing {
		l = append(l, n)
	}
	return fmt.Errorf("not so: %s", strings.Join(l, " "))
}

func (c *Cluster) nodesReady(ctx context.Context) error {
	return c.allNodes(ctx, "/api/v1/nodes", func(o map[string]any) bool {
		status, _ := o["status"].(map[string]any)
		conditions, _ := status["conditions"].([]any)
		for _, e := range conditions {
			if e, ok := e.(map[string]any); ok && e["type"] == "Ready" {
				return e["status"] == "True"
			}
		}
		return false
	})
}

func (c *Cluster) driversReady(ctx context.Context) error {
	return c.allNodes(ctx, "/apis/storage.k8s.io/v1/csinodes", func(o map[string]any) bool {
		spec, _ := o["spec"].(map[string]any)
		drivers, _ := spec["drivers"].([]any)
		return len(drivers) > 0
	})
}

// webhookReady tries to create a Task: it is ready when the API server can call it.
func (c *Cluster) webhookReady(ctx context.Context) error {
	return c.API.Create(ctx, "/apis/tekton.dev/v1/namespaces/default/tasks?dryRun=All", map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": map[string]any{"name": "probe"},
		"spec": map[string]any{"steps": []any{map[string]any{"name": "s", "image": registry + "busybox:v1", "command": []string{"true"}}}},
	})
}

// killNode ends a node with everything on it.
func (c *Cluster) killNode(name string) error {
	n, err := c.node(name)
	if err != nil {
		return err
	}
	n.process.Kill()
	n.lost = true
	return nil
}

func (c *Cluster) node(name string) (*node, error) {
	n := c.nodes[name]
	if n == nil || n.lost {
		return nil, fmt.Errorf("no node %q", name)
	}
	return n, nil
}

// removeNode takes away what is left of a node that was killed.
func (c *Cluster) removeNode(ctx context.Context, name string) error {
	n := c.nodes[name]
	if n == nil {
		return nil
	}
	n.process.Kill()
	delete(c.nodes, name)
	if err := c.API.Delete(ctx, "/api/v1/nodes/"+name); err != nil {
		return err
	}
	if err := c.ip(ctx, c.net, "link del v"+name); err != nil {
		return err
	}
	if err := c.cgroups.remove(name); err != nil {
		return err
	}
	dir := filepath.Join(c.State, "nodes", name)
	return waitNone(10*time.Second, func() error { return os.RemoveAll(dir) })
}
