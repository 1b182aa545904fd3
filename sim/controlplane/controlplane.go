package controlplane

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes"
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
	// Ended, unless nil, is told once if one of the two ends before [ControlPlane.Stop].
	Ended func(error)
}

// ControlPlane is a running etcd and kube-apiserver.
type ControlPlane struct {
	servers envtest.ControlPlane
	stopped atomic.Bool

	dir  string
	tap  *Tap
	net  Network
	pids []int
	base *rest.Config

	logger logr.Logger
}

// forever is for upstream's limits in real time: what is waited for here is waited
// for as long as its process lives and the context lasts, however slow the host is.
const forever = math.MaxInt64

// stopWithin is how long a server may take to end when it is asked to; then it is
// killed.
const stopWithin = 2 * time.Second

// Start starts etcd and kube-apiserver on loopback ports and waits until they
// answer; Stop ends them and removes every file they made. When ctx ends meanwhile,
// nothing is left of them.
func Start(ctx context.Context, o Options) (*ControlPlane, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	log.SetLogger(o.Logger)
	dir, err := os.MkdirTemp("", "simctl-control-plane-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the control plane: %w", err)
	}
	c := &ControlPlane{dir: dir, tap: &Tap{}, logger: o.Logger, servers: envtest.ControlPlane{
		Etcd:      &envtest.Etcd{StartTimeout: forever, StopTimeout: stopWithin, Out: o.Log, Err: o.Log},
		APIServer: &envtest.APIServer{StartTimeout: forever, StopTimeout: stopWithin, Out: o.Log, Err: o.Log},
	}}
	if err := c.start(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the control plane: %w", err), c.Stop())
	}
	return c, nil
}

func (c *ControlPlane) start(ctx context.Context, o Options) error {
	etcd, apiServer := c.servers.Etcd, c.servers.APIServer
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		for name, path := range map[string]*string{etcdName: &etcd.Path, apiServerName: &apiServer.Path} {
			*path = filepath.Join(c.dir, name)
			if err := os.Symlink(self, *path); err != nil {
				return err
			}
		}
	}
	for name, dir := range map[string]*string{"etcd-data": &etcd.DataDir, "certs": &apiServer.CertDir} {
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
	// No request is given up because the host is slow.
	args.Set("request-timeout", "24h")

	if err := c.net.listen(ctx); err != nil {
		return err
	}
	egress, err := c.net.configure(c.dir)
	if err != nil {
		return err
	}
	args.Set("egress-selector-config-file", egress)

	// A token costs the API server a look-up with every request, envtest's client
	// certificate the verification of a signature.
	token := rand.Text()
	tokens := filepath.Join(c.dir, "tokens.csv")
	if err := os.WriteFile(tokens, []byte(token+",simctl,simctl,"+user.SystemPrivilegedGroup+"\n"), 0o600); err != nil {
		return err
	}
	args.Set("token-auth-file", tokens)

	if err := c.launch(ctx); err != nil {
		return err
	}
	c.pids = c.processes()
	for _, pid := range c.pids {
		c.attend(pid, o.Ended)
	}
	admin, err := c.servers.AddUser(envtest.User{Name: "admin", Groups: []string{user.SystemPrivilegedGroup}}, &rest.Config{})
	if err != nil {
		return err
	}
	c.base = rest.AnonymousClientConfig(admin.Config())
	c.base.BearerToken = token
	return c.awaitDefaultNamespace(ctx)
}

// launch starts both servers and waits until they answer, or ctx ends.
func (c *ControlPlane) launch(ctx context.Context) error {
	// Upstream waits for an answer and heeds no context: without the process the
	// wait ends.
	over := make(chan struct{})
	defer close(over)
	context.AfterFunc(ctx, func() {
		for {
			c.kill()
			select {
			case <-over:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	// Another process may take a port between its choice and its use.
	const tries = 5
	for try := 1; ; try++ {
		err := c.servers.Start()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil || try == tries {
			return err
		}
		c.logger.Error(err, "The control plane did not start", "try", try)
	}
}

// awaitDefaultNamespace waits for what the API server makes of its own after it has
// begun to answer.
func (c *ControlPlane) awaitDefaultNamespace(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.Admin("simctl"))
	if err != nil {
		return err
	}
	return until(ctx, func() (bool, error) {
		_, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
}

// until asks again and again until the answer is yes, an error, or ctx ends.
func until(ctx context.Context, ask func() (bool, error)) error {
	for {
		if yes, err := ask(); yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// attend tells ended when a server's process has ended before Stop.
func (c *ControlPlane) attend(pid int, ended func(error)) {
	if ended == nil {
		return
	}
	name := command(pid)
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // an old kernel: what fails says so itself
	}
	go func() {
		defer func() { _ = unix.Close(fd) }()
		// The descriptor can be read once the process has ended.
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // descriptors fit
		for {
			if _, err := unix.Poll(fds, -1); !errors.Is(err, unix.EINTR) {
				break
			}
		}
		if c.stopped.CompareAndSwap(false, true) {
			ended(fmt.Errorf("%s has ended by itself", name))
		}
	}()
}

// processes lists the servers' processes: those whose arguments name the control
// plane's folder.
func (c *ControlPlane) processes() []int {
	return slices.DeleteFunc(children(), func(pid int) bool {
		args, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		return err != nil || !bytes.Contains(args, []byte(c.dir))
	})
}

func (c *ControlPlane) kill() {
	for _, pid := range c.processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// Stop ends both servers and removes their files. It may be called twice.
func (c *ControlPlane) Stop() error {
	c.stopped.Store(true)
	// An error is that of one that had to be killed, or has ended by itself.
	if err := c.servers.Stop(); err != nil {
		c.logger.V(1).Info("Killing the control plane", "why", err.Error())
	}
	c.net.close()
	// Nobody may write to the folder any more when it is removed.
	for len(c.processes()) > 0 {
		c.kill()
		time.Sleep(time.Millisecond)
	}
	return os.RemoveAll(c.dir)
}

// Tap is the tap of all of this control plane's clients.
func (c *ControlPlane) Tap() *Tap { return c.tap }

// Network is the cluster's network as far as the API server uses it.
func (c *ControlPlane) Network() *Network { return &c.net }

// Admin returns a client configuration of a member of system:masters whose writes
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

// ServiceAccount returns a client configuration that acts as a ServiceAccount,
// with its rights and no others; the name is recorded as the actor.
func (c *ControlPlane) ServiceAccount(namespace, name string) *rest.Config {
	cfg := c.Admin(name)
	cfg.Impersonate = impersonate(namespace, name)
	return cfg
}

// User returns a client configuration that acts as a user without groups of its
// own.
func (c *ControlPlane) User(user, actor string) *rest.Config {
	cfg := c.Admin(actor)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	return cfg
}

// InstallCRDs creates or replaces the definitions and waits until they are
// served.
func (c *ControlPlane) InstallCRDs(ctx context.Context, crds []*apiextensionsv1.CustomResourceDefinition) error {
	client, err := apiextensions.NewForConfig(c.Admin("simctl"))
	if err != nil {
		return fmt.Errorf("making the client of custom resource definitions: %w", err)
	}
	for _, crd := range crds {
		if err := install(ctx, client, crd); err != nil {
			return fmt.Errorf("installing CustomResourceDefinition %s: %w", crd.Name, err)
		}
	}
	for _, crd := range crds {
		for _, v := range crd.Spec.Versions {
			if !v.Served {
				continue
			}
			served := func() (bool, error) {
				list, err := client.Discovery().ServerResourcesForGroupVersion(crd.Spec.Group + "/" + v.Name)
				if apierrors.IsNotFound(err) || apierrors.IsServiceUnavailable(err) {
					return false, nil
				}
				return err == nil && slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == crd.Spec.Names.Plural }), err
			}
			if err := until(ctx, served); err != nil {
				return fmt.Errorf("waiting until the API server serves CustomResourceDefinition %s: %w", crd.Name, err)
			}
		}
	}
	return nil
}

// install creates a definition or puts it in the place of the one that is there.
func install(ctx context.Context, client apiextensions.Interface, crd *apiextensionsv1.CustomResourceDefinition) error {
	definitions := client.ApiextensionsV1().CustomResourceDefinitions()
	return until(ctx, func() (bool, error) {
		old, err := definitions.Get(ctx, crd.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			_, err = definitions.Create(ctx, crd, metav1.CreateOptions{})
			return err == nil, err
		}
		if err != nil {
			return false, err
		}
		changed := crd.DeepCopy()
		changed.ResourceVersion = old.ResourceVersion
		_, err = definitions.Update(ctx, changed, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return false, nil // the API server writes its status
		}
		return err == nil, err
	})
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
		ReadHeaderTimeout: -1, // none: a slow host's clients are welcome
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
