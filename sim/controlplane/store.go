package controlplane

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"simctl.dev/simctl/sim/history"
)

// storePrefix is where the API server keeps what it is given.
const storePrefix = "/registry/"

// Store reads what etcd holds, past the API server: whatever is there shows, of a
// kind that anybody thought of or not.
type Store struct {
	client *clientv3.Client
	codecs serializer.CodecFactory
}

// Stored is an object as etcd holds it.
type Stored struct {
	// Revision is that of the last write to it.
	Revision int64
	Ref      history.Ref
	Object   map[string]any
}

// Snapshot is what etcd held at one moment, by key.
type Snapshot map[string]Stored

// OpenStore returns a reader of this control plane's etcd.
func (c *ControlPlane) OpenStore() (*Store, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{c.servers.Etcd.URL.String()}, Logger: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("connecting to etcd: %w", err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientscheme.AddToScheme, apiextensionsv1.AddToScheme, apiregistrationv1.AddToScheme} {
		utilruntime.Must(add(scheme))
	}
	return &Store{client: client, codecs: serializer.NewCodecFactory(scheme)}, nil
}

// Close ends the connection.
func (s *Store) Close() error { return s.client.Close() }

// Snapshot returns what is there now. What has not been written to since an earlier
// snapshot, which may be nil, is taken from there.
func (s *Store) Snapshot(ctx context.Context, earlier Snapshot) (Snapshot, error) {
	keys, err := s.client.Get(ctx, storePrefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, fmt.Errorf("listing what etcd holds: %w", err)
	}
	out := Snapshot{}
	for _, kv := range keys.Kvs {
		key := string(kv.Key)
		if old, ok := earlier[key]; ok && old.Revision == kv.ModRevision {
			out[key] = old
			continue
		}
		// As of the same moment.
		found, err := s.client.Get(ctx, key, clientv3.WithRev(keys.Header.Revision))
		if err != nil {
			return nil, fmt.Errorf("reading %s from etcd: %w", key, err)
		}
		for _, kv := range found.Kvs {
			stored := s.read(key, kv.Value)
			stored.Revision = kv.ModRevision
			out[key] = stored
		}
	}
	return out, nil
}

// protobufPrefix begins what the API server stores of its own kinds.
var protobufPrefix = []byte("k8s\x00")

// read returns a stored value as an object. What is none is given by its key.
func (s *Store) read(key string, value []byte) Stored {
	object := map[string]any{}
	var err error
	if bytes.HasPrefix(value, protobufPrefix) {
		var o runtime.Object
		var gvk *schema.GroupVersionKind
		if o, gvk, err = s.codecs.UniversalDeserializer().Decode(value, nil, nil); err == nil {
			o.GetObjectKind().SetGroupVersionKind(*gvk)
			object, err = runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		}
	} else {
		err = json.Unmarshal(value, &object)
	}
	if err != nil {
		object = map[string]any{"value": base64.StdEncoding.EncodeToString(value)}
	}
	u := &unstructured.Unstructured{Object: object}
	ref := history.Ref{}
	if u.GetKind() != "" {
		ref = RefOf(u)
	} else {
		ref.Kind, ref.Name = "key", strings.TrimPrefix(key, storePrefix)
	}
	return Stored{Ref: ref, Object: object}
}
