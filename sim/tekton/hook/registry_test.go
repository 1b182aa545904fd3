package hook

import (
	"crypto"
	"crypto/sha256"
	"hash"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// TestRegistry asks the simulated registries with the client that Tekton has.
func TestRegistry(t *testing.T) {
	former := remote.DefaultTransport
	simulateRegistries()
	t.Cleanup(func() {
		remote.DefaultTransport = former
		crypto.RegisterHash(crypto.SHA256, sha256.New)
	})
	const digest = "sha256:c6166717f7fe0b7da44908c986137ecfeab21f31ec3992f6e128fff8a94be8a5"
	seen := map[string]string{}
	for _, image := range []string{
		"busybox", "busybox:2", "registry.example:5000/a/b/c", "gcr.io/kaniko/executor:v1@" + digest, "quay.io/a/manifests/blobs@" + digest,
	} {
		ref, err := name.ParseReference(image)
		if err != nil {
			t.Fatal(err)
		}
		desc, err := remote.Get(ref)
		if err != nil {
			t.Errorf("%s: %v", image, err)
			continue
		}
		if strings.Contains(image, "@") != (desc.Digest.String() == digest) {
			t.Errorf("%s has the digest %s", image, desc.Digest)
		}
		if other := seen[desc.Digest.String()]; other != "" && desc.Digest.String() != digest {
			t.Errorf("%s and %s have the same digest", image, other)
		}
		seen[desc.Digest.String()] = image
		img, err := desc.Image()
		if err != nil {
			t.Fatal(err)
		}
		config, err := img.ConfigFile()
		if err != nil || len(config.Config.Entrypoint) != 1 || config.Config.Entrypoint[0] != imageEntrypoint || config.OS+"/"+config.Architecture != "linux/amd64" {
			t.Errorf("%s has the configuration %+v, %v", image, config, err)
		}
	}
	r, err := http.NewRequest(http.MethodGet, "https://quay.io/v2/a/blobs/"+digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := remote.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("a blob that nobody spoke of is answered with %s", resp.Status)
	}
}

// TestPinned: the hash is SHA-256 for all that does not begin with a digest.
func TestPinned(t *testing.T) {
	sum := func(h hash.Hash, parts ...string) string {
		for _, p := range parts {
			_, _ = h.Write([]byte(p))
		}
		return string(h.Sum(nil))
	}
	digest := strings.Repeat("ab", sha256.Size)
	whole := pin + "sha256:" + digest + `","a":1}`
	for what, parts := range map[string][]string{
		"nothing": nil, "text": {"some ", "text"}, "another object": {`{"simctlDigest":"md5:` + digest + `"}`},
		"a digest that is none": {pin + "sha256:" + strings.Repeat("xy", sha256.Size) + `"}`}, "a digest cut short": {whole[:40]},
	} {
		if got, want := sum(&pinned{Hash: sha256.New()}, parts...), sum(sha256.New(), parts...); got != want {
			t.Errorf("%s: %x, want %x", what, got, want)
		}
	}
	h := &pinned{Hash: sha256.New()}
	if got, want := sum(h, whole[:20], whole[20:30], whole[30:]), strings.Repeat("\xab", sha256.Size); got != want {
		t.Errorf("the digest is %x, want %x", got, want)
	}
	h.Reset()
	if got, want := sum(h, "text"), sum(sha256.New(), "text"); got != want {
		t.Errorf("after Reset %x, want %x", got, want)
	}
	kept, err := h.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	copied := &pinned{Hash: sha256.New()}
	if err := copied.UnmarshalBinary(kept); err != nil || sum(copied, "more") != sum(h, "more") {
		t.Errorf("a copy goes on differently: %v", err)
	}
}
