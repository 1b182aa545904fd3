// Disk-csi is a small CSI driver for a cluster on one host: a disk is a sparse
// file with an ext4 file system, mounted through a loop device, and is on one node
// at a time. It is the controller with the provisioner, or a node's half (-node),
// which makes itself known to the kubelet.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v11/controller"
)

func main() {
	log.SetFlags(log.Lmicroseconds)
	if err := serve(); err != nil {
		log.Fatal(err)
	}
}

func serve() error {
	d := &driver{attached: map[string]string{}}
	flag.StringVar(&d.name, "name", "", "name of the driver")
	flag.StringVar(&d.node, "node", "", "name of the node; none: the controller")
	flag.StringVar(&d.disks, "disks", "", "folder of the disks, the same for all nodes")
	flag.StringVar(&d.limit, "limit", "", "file with the number of disks that a node takes, read at each attach; no file: any number")
	flag.DurationVar(&d.provision, "provision", 3*time.Second, "time to make a disk")
	flag.DurationVar(&d.attach, "attach", 10*time.Second, "time to attach a disk")
	flag.DurationVar(&d.detach, "detach", 6*time.Second, "time to detach a disk")
	endpoint := flag.String("endpoint", "", "socket to listen at")
	plugins := flag.String("registry", "/var/lib/kubelet/plugins_registry", "folder in which the kubelet looks for plugins")
	kubeconfig := flag.String("kubeconfig", "", "the controller's way to the API server")
	flag.Parse()

	l, err := listen(*endpoint)
	if err != nil {
		return err
	}
	s := grpc.NewServer(grpc.UnaryInterceptor(logged))
	csi.RegisterIdentityServer(s, d)
	ended := make(chan error)
	if d.node == "" {
		csi.RegisterControllerServer(s, d)
		go func() { ended <- provision(*kubeconfig, d) }()
	} else {
		csi.RegisterNodeServer(s, d)
		r, err := listen(filepath.Join(*plugins, d.name+"-reg.sock"))
		if err != nil {
			return err
		}
		rs := grpc.NewServer()
		registration.RegisterRegistrationServer(rs, registrar{name: d.name, endpoint: *endpoint})
		go func() { ended <- rs.Serve(r) }()
	}
	go func() { ended <- s.Serve(l) }()
	return <-ended
}

func listen(socket string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return nil, err
	}
	// One that ended without taking it away.
	if err := os.RemoveAll(socket); err != nil {
		return nil, err
	}
	return net.Listen("unix", socket)
}

// logged writes each call down, for whoever wants to know why a disk is not there.
func logged(ctx context.Context, rq any, i *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
	start := time.Now()
	resp, err := h(ctx, rq)
	if !strings.HasSuffix(i.FullMethod, "/Probe") {
		log.Printf("%s %v: %v, %v, %s", i.FullMethod, rq, resp, err, time.Since(start))
	}
	return resp, err
}

// registrar answers the kubelet's plugin watcher.
type registrar struct {
	registration.UnsafeRegistrationServer
	name, endpoint string
}

// GetInfo says what the plugin is.
func (r registrar) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{Type: registration.CSIPlugin, Name: r.name, Endpoint: r.endpoint, SupportedVersions: []string{"1.0.0"}}, nil
}

// NotifyRegistrationStatus is the kubelet's answer.
func (r registrar) NotifyRegistrationStatus(_ context.Context, s *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	log.Print("registered: ", s)
	return &registration.RegistrationStatusResponse{}, nil
}

// provision runs external-provisioner's library with the driver.
func provision(kubeconfig string, d *driver) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	clients, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	ctx := context.Background()
	controller.NewProvisionController(ctx, clients, d.name, provisioner{d}, controller.LeaderElection(false)).Run(ctx)
	return fmt.Errorf("the provisioner ended")
}
