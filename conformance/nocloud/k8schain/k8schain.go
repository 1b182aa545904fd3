// Package k8schain stands in for
// github.com/google/go-containerregistry/pkg/authn/k8schain where Tekton looks up
// an image, see go.mod: credentials come from pull secrets, as there, and from no
// cloud. A simulated cluster is in no cloud, and the libraries of three of them
// are a tenth of what is compiled.
package k8schain

import (
	"context"

	"github.com/google/go-containerregistry/pkg/authn"
	kauth "github.com/google/go-containerregistry/pkg/authn/kubernetes"
	"k8s.io/client-go/kubernetes"
)

// Options say whose pull secrets count.
type Options = kauth.Options

// New returns the credentials of pull secrets.
func New(ctx context.Context, client kubernetes.Interface, o Options) (authn.Keychain, error) {
	return kauth.New(ctx, client, o)
}
