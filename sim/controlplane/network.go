package controlplane

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apiserver/pkg/server/egressselector"
)

// Network is the simulated cluster's network as far as the API server uses it: it calls
// webhooks by their Services' addresses, which lead here and from here to where the
// webhook really serves. An address that leads nowhere refuses connections, as one of
// which no pod is ready does.
//
// The API server dials by HTTP CONNECT over a Unix socket, which is one of upstream's ways for it to leave its
// network (package egressselector).
type Network struct {
	listener net.Listener
	served   chan struct{}

	mu     sync.Mutex
	routes map[string]*route
	silent map[string]bool // addresses where nobody answers
	closed bool
}

// route is where an address leads.
type route struct {
	to    string
	conns map[net.Conn]struct{}
	ended bool
}

// timeIsOver is the status of an address where nobody answers.
const timeIsOver = "time is over"

// listen starts the network at a Unix socket without a file, whose name has no limit that
// the path of a folder could exceed.
func (n *Network) listen(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", "@simctl-network-"+rand.Text())
	if err != nil {
		return fmt.Errorf("opening the socket of the cluster's network: %w", err)
	}
	n.listener, n.served, n.routes, n.silent = l, make(chan struct{}), map[string]*route{}, map[string]bool{}
	go n.serve()
	return nil
}

// Route has an address, as in 10.0.0.9:443, lead to another one until the function that it
// returns is called; connections are cut then.
func (n *Network) Route(address, to string) (end func()) {
	r := &route{to: to, conns: map[net.Conn]struct{}{}}
	n.mu.Lock()
	old := n.routes[address]
	n.routes[address] = r
	n.mu.Unlock()
	if old != nil {
		n.cut(old)
	}
	return func() {
		n.mu.Lock()
		if n.routes[address] == r {
			delete(n.routes, address)
		}
		n.mu.Unlock()
		n.cut(r)
	}
}

func (n *Network) cut(r *route) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r.ended = true
	r.hangUp()
}

// hangUp closes a route's connections. Callers hold the lock.
func (r *route) hangUp() {
	for c := range r.conns {
		_ = c.Close()
	}
}

// Silence has nobody answer at an address until the function that it returns is called.
// Who asks there is told at once that the time is over in which he waits for an answer.
func (n *Network) Silence(address string) (end func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent[address] = true
	if r := n.routes[address]; r != nil {
		r.hangUp()
	}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.silent, address)
	}
}

func (n *Network) serve() {
	var conns sync.WaitGroup
	defer func() { conns.Wait(); close(n.served) }()
	for {
		c, err := n.listener.Accept()
		if err != nil {
			return // closed
		}
		conns.Go(func() {
			defer func() { _ = c.Close() }()
			n.connect(c)
		})
	}
}

// routeOf is the route of an address; nil if it leads nowhere. Kubelets are served on
// loopback, and their addresses lead there. silent says that nobody answers.
func (n *Network) routeOf(address string) (r *route, silent bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r = n.routes[address]
	if host, _, err := net.SplitHostPort(address); r == nil && err == nil && net.ParseIP(host).IsLoopback() && !n.closed {
		r = &route{to: address, conns: map[net.Conn]struct{}{}}
		n.routes[address] = r
	}
	return r, n.silent[address]
}

// connect serves one connection from beginning to end.
func (n *Network) connect(c net.Conn) {
	in := bufio.NewReader(c)
	req, err := http.ReadRequest(in)
	if err != nil || req.Method != http.MethodConnect {
		return
	}
	r, silent := n.routeOf(req.Host)
	if silent {
		_, _ = io.WriteString(c, "HTTP/1.1 504 "+timeIsOver+"\r\n\r\n")
		return
	}
	var to net.Conn
	if r != nil {
		to, err = (&net.Dialer{}).DialContext(context.Background(), "tcp", r.to)
	}
	if r == nil || err != nil {
		_, _ = io.WriteString(c, "HTTP/1.1 502 connection refused\r\n\r\n")
		return
	}
	defer func() { _ = to.Close() }()
	n.mu.Lock()
	over := n.closed || r.ended
	if !over {
		r.conns[c], r.conns[to] = struct{}{}, struct{}{}
	}
	n.mu.Unlock()
	if over {
		return
	}
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err == nil {
		back := make(chan struct{})
		go func() {
			defer close(back)
			_, _ = io.Copy(c, to)
			_ = c.Close()
		}()
		_, _ = io.Copy(to, in)
		_ = to.Close()
		<-back
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(r.conns, c)
	delete(r.conns, to)
}

// close ends the network and every connection.
func (n *Network) close() {
	if n.listener == nil {
		return
	}
	_ = n.listener.Close()
	n.mu.Lock()
	n.closed = true
	routes := n.routes
	n.routes = nil
	n.mu.Unlock()
	for _, r := range routes {
		n.cut(r)
	}
	<-n.served
}

// egressConfig is the configuration by which an API server reaches the network at an address.
const egressConfig = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      uds:
        udsName: "%s"
`

// configure writes a file that has an API server reach the network, and returns its name.
func (n *Network) configure(dir string) (string, error) {
	name := filepath.Join(dir, "egress.yaml")
	if err := os.WriteFile(name, fmt.Appendf(nil, egressConfig, n.listener.Addr()), 0o600); err != nil {
		return "", fmt.Errorf("writing how the API server reaches the cluster's network: %w", err)
	}
	return name, nil
}

// inItsWords has failures to reach the network be told as they are on a cluster without a
// proxy in between.
func inItsWords(selector *egressselector.EgressSelector) (*egressselector.EgressSelector, error) {
	if selector == nil {
		return nil, nil
	}
	dial, err := selector.Lookup(egressselector.Cluster.AsNetworkContext())
	if err != nil || dial == nil {
		return selector, err
	}
	return egressselector.NewEgressSelectorWithMap(map[egressselector.EgressType]utilnet.DialFunc{
		egressselector.Cluster: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dial(ctx, network, address)
			switch {
			case err == nil, ctx.Err() != nil:
			case strings.Contains(err.Error(), timeIsOver):
				return nil, failed(network, address, os.ErrDeadlineExceeded)
			default:
				return nil, failed(network, address, os.NewSyscallError("connect", syscall.ECONNREFUSED))
			}
			return c, err
		},
	}), nil
}

// failed is the error of a dialer at an address.
func failed(network, address string, why error) error {
	to, err := net.ResolveTCPAddr(network, address)
	if err != nil {
		return errors.Join(why, err)
	}
	return &net.OpError{Op: "dial", Net: network, Addr: to, Err: why}
}
