package controlplane

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Options for Start.
type Options struct {
	// Log takes what etcd and kube-apiserver print; nil throws it away.
	Log    io.Writer
	Logger logr.Logger
}

// ControlPlane is a running etcd and kube-apiserver.
type ControlPlane struct {
	env  *envtest.Environment
	dir  string
	tap  *Tap
	pids []int
	base *rest.Config

	logger logr.Logger
}

// Start starts etcd and kube-apiserver on loopback ports and waits until they
// answer; Stop ends them and removes every file they made. Starting cannot be
// interrupted half-way: a cancelled ctx is seen before and after.
func Start(ctx context.Context, o Options) (*ControlPlane, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	log.SetLogger(o.Logger)
	dir, err := os.MkdirTemp("", "simctl-control-plane-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the control plane: %w", err)
	}
	c := &ControlPlane{dir: dir, tap: &Tap{}, logger: o.Logger, env: &envtest.Environment{
		ControlPlaneStartTimeout: 90 * time.Second, // cold disks, loaded machines
		ControlPlaneStopTimeout:  2 * time.Second,
	}}
	if err := c.start(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the control plane: %w", err), c.Stop())
	}
	return c, nil
}

func (c *ControlPlane) start(ctx context.Context, o Options) error {
	apiServer := c.env.ControlPlane.GetAPIServer()
	c.env.ControlPlane.Etcd = &envtest.Etcd{Out: o.Log, Err: o.Log}
	apiServer.Out, apiServer.Err = o.Log, o.Log
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		for name, path := range map[string]*string{etcdName: &c.env.ControlPlane.Etcd.Path, apiServerName: &apiServer.Path} {
			*path = filepath.Join(c.dir, name)
			if err := os.Symlink(self, *path); err != nil {
				return err
			}
		}
	}
	for name, dir := range map[string]*string{"etcd-data": &c.env.ControlPlane.Etcd.DataDir, "certs": &apiServer.CertDir} {
		*dir = filepath.Join(c.dir, name)
		if err := os.Mkdir(*dir, 0o700); err != nil {
			return err
		}
	}
	args := apiServer.Configure()
	// envtest turns ServiceAccount admission off, for want of the controllers
	// that simctl runs.
	//
	// TaintNodesByCondition marks every new node as not ready, and leaves it to
	// the node lifecycle controller to take that back. Simulated nodes are ready
	// from the start.
	args.Set("disable-admission-plugins", "TaintNodesByCondition")
	args.Set("enable-admission-plugins", "NamespaceLifecycle", "ServiceAccount", "ResourceQuota", "LimitRanger", "Priority", "PodSecurity", "StorageObjectInUseProtection", "DefaultStorageClass")
	// Nothing looks for the API server's own Service, and its endpoint may not
	// be a loopback address.
	args.Set("endpoint-reconciler-type", "none")
	// Cells create and delete many objects and are short.
	args.Set("max-requests-inflight", "2000").Set("max-mutating-requests-inflight", "1000")
	args.Set("event-ttl", "24h")
	// Simulated kubelets have addresses of their own that lead nowhere; this is
	// where they are served.
	args.Set("kubelet-preferred-address-types", "ExternalIP")
	// Nobody competes for this API server.
	args.Set("enable-priority-and-fairness", "false").Set("profiling", "false")

	// A token costs the API server a look-up with every request, envtest's client
	// certificate the verification of a signature.
	token := rand.Text()
	tokens := filepath.Join(c.dir, "tokens.csv")
	if err := os.WriteFile(tokens, []byte(token+",simctl,simctl,"+user.SystemPrivilegedGroup+"\n"), 0o600); err != nil {
		return err
	}
	args.Set("token-auth-file", tokens)

	before := children()
	cfg, err := c.env.Start()
	if err != nil {
		return err
	}
	for _, pid := range children() {
		// Others of this process may start children at the same time.
		if !slices.Contains(before, pid) && slices.Contains([]string{etcdName, apiServerName}, command(pid)) {
			c.pids = append(c.pids, pid)
		}
	}
	c.base = rest.AnonymousClientConfig(cfg)
	c.base.BearerToken = token
	return ctx.Err()
}

// Stop ends both servers and removes their files. It may be called twice.
func (c *ControlPlane) Stop() error {
	err := c.env.Stop()
	return errors.Join(err, os.RemoveAll(c.dir))
}

// Tap is the tap of all of this control plane's clients.
func (c *ControlPlane) Tap() *Tap { return c.tap }

// Admin gives a client configuration of a member of system:masters whose writes
// are recorded under the name actor.
func (c *ControlPlane) Admin(actor string) *rest.Config {
	cfg := rest.CopyConfig(c.base)
	cfg.QPS = -1 // virtual time makes any client-side rate a distortion
	cfg.UserAgent = actor
	// What is sent is recorded, as JSON; what is only read may come in the form
	// that costs both sides less. Compression on a loopback costs, and gains nothing.
	cfg.ContentType = runtime.ContentTypeJSON
	cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	cfg.DisableCompression = true
	cfg.WrapTransport = c.tap.Wrap(actor)
	return cfg
}

// ServiceAccount gives a client configuration that acts as a ServiceAccount,
// with its rights and no others; the name is recorded as the actor.
func (c *ControlPlane) ServiceAccount(namespace, name string) *rest.Config {
	cfg := c.Admin(name)
	cfg.Impersonate = impersonate(namespace, name)
	return cfg
}

// User gives a client configuration that acts as a user without groups of its
// own.
func (c *ControlPlane) User(user, actor string) *rest.Config {
	cfg := c.Admin(actor)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	return cfg
}

// InstallCRDs creates or replaces the definitions and waits until they are
// served.
func (c *ControlPlane) InstallCRDs(crds []*apiextensionsv1.CustomResourceDefinition) error {
	if _, err := envtest.InstallCRDs(c.Admin("simctl"), envtest.CRDInstallOptions{CRDs: crds}); err != nil {
		return fmt.Errorf("installing custom resource definitions: %w", err)
	}
	return nil
}

func impersonate(namespace, name string) rest.ImpersonationConfig {
	return rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + namespace + ":" + name,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
	}
}

// Proxy is a way to the API server for a client in another process: everything
// that comes through it acts as one ServiceAccount and goes through the tap.
type Proxy struct {
	// Kubeconfig is a file that points a client at the proxy.
	Kubeconfig string
	server     *http.Server
	done       chan struct{}
}

// Proxy starts a proxy on a loopback port.
func (c *ControlPlane) Proxy(namespace, name string) (*Proxy, error) {
	target, err := url.Parse(c.base.Host)
	if err != nil {
		return nil, fmt.Errorf("parsing the API server's address: %w", err)
	}
	transport, err := rest.TransportFor(c.ServiceAccount(namespace, name))
	if err != nil {
		return nil, fmt.Errorf("making the proxy's transport: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening a loopback port for the proxy of %s: %w", name, err)
	}
	p := &Proxy{
		Kubeconfig: filepath.Join(c.dir, strings.ReplaceAll(l.Addr().String(), ":", "-")+".kubeconfig"),
		done:       make(chan struct{}),
	}
	p.server = &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				// The tap reads the answers.
				r.Out.Header.Del("Accept-Encoding")
			},
			Transport:     transport,
			FlushInterval: -1, // watches
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
				w.WriteHeader(http.StatusBadGateway)
			},
		},
	}
	go func() {
		defer close(p.done)
		_ = p.server.Serve(l) // always ErrServerClosed, or the listener is gone
	}()
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters["simctl"] = &clientcmdapi.Cluster{Server: "http://" + l.Addr().String()}
	kubeconfig.Contexts["simctl"] = &clientcmdapi.Context{Cluster: "simctl"}
	kubeconfig.CurrentContext = "simctl"
	if err := clientcmd.WriteToFile(*kubeconfig, p.Kubeconfig); err != nil {
		p.Stop()
		return nil, fmt.Errorf("writing the proxy's kubeconfig: %w", err)
	}
	return p, nil
}

// Stop closes the proxy and every connection through it.
func (p *Proxy) Stop() {
	_ = p.server.Close()
	<-p.done
}
