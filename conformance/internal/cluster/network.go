package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"

	"simctl.dev/simctl/conformance/internal/host"
	"simctl.dev/simctl/conformance/internal/process"
)

// The addresses are those of namespaces that nothing else can reach: the control
// plane's, with a bridge to which the nodes' and the webhook's are plugged.
const (
	apiAddress     = "10.77.0.1"
	webhookAddress = "10.77.0.2"
	nodePrefix     = "10.77.0.1" // and the node's number
	podPrefix      = "10.78."
	services       = "10.96.0.0/16"
	serviceAddress = "10.96.0.1"
	dnsAddress     = "10.96.0.10"
	apiURL         = "https://" + apiAddress + ":6443"
)

func nodeAddress(number int) string { return fmt.Sprintf("%s%d", nodePrefix, number) }
func podNetwork(number int) string  { return fmt.Sprintf("%s%d.0/24", podPrefix, number) }

// ip runs a command of iproute2 in a network namespace.
func (c *Cluster) ip(ctx context.Context, n *process.Net, words string) error {
	_, err := c.starter.Run(ctx, process.Command{Path: "ip", Args: strings.Fields(words), Net: n})
	return err
}

func (c *Cluster) commands(ctx context.Context, n *process.Net, lines ...string) error {
	for _, l := range lines {
		if err := c.ip(ctx, n, l); err != nil {
			return err
		}
	}
	return nil
}

// newBridge makes the control plane's namespace.
func (c *Cluster) newBridge(ctx context.Context) error {
	n, err := c.newNet()
	if err != nil {
		return err
	}
	c.net = n
	if err := c.commands(ctx, n, "link set lo up", "link add br0 type bridge", "addr add "+apiAddress+"/24 dev br0", "link set br0 up"); err != nil {
		return err
	}
	// Answers of pods come by another way than questions go.
	for f, v := range map[string]string{"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/rp_filter": "0"} {
		if _, err := c.starter.Run(ctx, process.Command{Path: "bash", Args: []string{"-c", "echo " + v + " >/proc/sys/" + f}, Net: n}); err != nil {
			return err
		}
	}
	return nil
}

// plug makes a namespace with an address, plugged to the bridge.
func (c *Cluster) plug(ctx context.Context, name, address string) (*process.Net, error) {
	n, err := c.newNet()
	if err != nil {
		return nil, err
	}
	if err := c.commands(ctx, c.net,
		"link add v"+name+" type veth peer name eth0 netns "+n.Path(),
		"link set v"+name+" master br0", "link set v"+name+" up"); err != nil {
		return nil, err
	}
	return n, c.commands(ctx, n, "link set lo up", "addr add "+address+"/24 dev eth0", "link set eth0 up", "route add default via "+apiAddress)
}

func (c *Cluster) newNet() (*process.Net, error) {
	n, err := c.starter.NewNet()
	if err == nil {
		c.nets = append(c.nets, n)
	}
	return n, err
}

// environment is what programs get: nothing of this user's, least of all a proxy.
func environment(more ...string) []string {
	return append([]string{"PATH=" + host.Path, "HOME=/root", "TMPDIR=" + os.TempDir()}, more...)
}
