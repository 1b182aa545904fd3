package controlplane

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"k8s.io/apiserver/pkg/server/egressselector"
)

// startNetwork gives a network, and a way to dial in it as the API server does.
func startNetwork(t *testing.T) (*Network, func(address string) (net.Conn, error)) {
	t.Helper()
	dir := t.TempDir()
	n := &Network{}
	if err := n.listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.close)
	file, err := n.configure(dir)
	if err != nil {
		t.Fatal(err)
	}
	config, err := egressselector.ReadEgressSelectorConfiguration(file)
	if err != nil {
		t.Fatal(err)
	}
	selector, err := egressselector.NewEgressSelector(config)
	if err != nil {
		t.Fatal(err)
	}
	if selector, err = inItsWords(selector); err != nil {
		t.Fatal(err)
	}
	dial, err := selector.Lookup(egressselector.Cluster.AsNetworkContext())
	if err != nil {
		t.Fatal(err)
	}
	return n, func(address string) (net.Conn, error) { return dial(context.Background(), "tcp", address) }
}

// echo serves somebody who answers everything with his name.
func echo(t *testing.T, name string) (address string) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				for in := bufio.NewScanner(c); in.Scan(); {
					_, _ = fmt.Fprintln(c, name)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// hears returns what is answered on a connection.
func hears(c net.Conn) string {
	if _, err := fmt.Fprintln(c, "who is it?"); err != nil {
		return err.Error()
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(line)
}

// TestNetwork: an address leads where it is told to, or nowhere, in the words of a real
// network; what leads away cuts what was connected.
func TestNetwork(t *testing.T) {
	const address = "10.0.0.9:443"
	n, dial := startNetwork(t)
	nowhere := func(when string) {
		t.Helper()
		_, err := dial(address)
		if !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != "dial tcp "+address+": connect: connection refused" {
			t.Errorf("%s: %v", when, err)
		}
	}
	nowhere("before a route")
	end := n.Route(address, echo(t, "old"))
	c, err := dial(address)
	if err != nil {
		t.Fatal(err)
	}
	if got := hears(c); got != "old" {
		t.Errorf("heard %q", got)
	}
	again := n.Route(address, echo(t, "new"))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a connection of the route before goes on")
	}
	end() // of the one before: nothing
	if c, err = dial(address); err != nil || hears(c) != "new" {
		t.Error("the new route leads elsewhere", err)
	}

	speak := n.Silence(address)
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a connection to somebody silent goes on")
	}
	if _, err := dial(address); !errors.Is(err, os.ErrDeadlineExceeded) || err.Error() != "dial tcp "+address+": i/o timeout" {
		t.Errorf("nobody answers: %v", err)
	}
	speak()
	if c, err = dial(address); err != nil || hears(c) != "new" {
		t.Error("who speaks again is not heard", err)
	}
	again()
	nowhere("after the route")
	_ = c.Close()
}

// TestNetworkLoopback: kubelets are where their addresses say.
func TestNetworkLoopback(t *testing.T) {
	_, dial := startNetwork(t)
	c, err := dial(echo(t, "kubelet"))
	if err != nil || hears(c) != "kubelet" {
		t.Fatal(err)
	}
	_ = c.Close()
}

// TestNetworkNonsense: what is no CONNECT is hung up on.
func TestNetworkNonsense(t *testing.T) {
	n, _ := startNetwork(t)
	c, err := (&net.Dialer{}).DialContext(t.Context(), "unix", n.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = fmt.Fprintf(c, "%s / HTTP/1.1\r\n\r\n", http.MethodGet)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("it is answered: %v", err)
	}
}
