//go:build go1.21

package hook

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"

	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// imageEntrypoint is what every simulated image runs where a step says nothing.
const imageEntrypoint = "/entrypoint-of-the-image"

// simulateRegistries has the controller's look-ups of entrypoints answered in
// this process: a step without a command makes it ask the image's registry.
func simulateRegistries() {
	remote.DefaultTransport = registry{}
	crypto.RegisterHash(crypto.SHA256, func() hash.Hash { return &pinned{Hash: sha256.New()} })
}

// registry is every registry there is. It has each image that it is asked for, all
// with one configuration, and wants no credentials.
type registry struct{}

// imageConfig is every image's configuration.
const imageConfig = `{"architecture":"amd64","os":"linux","config":{"Entrypoint":["` + imageEntrypoint + `"]},` +
	`"rootfs":{"type":"layers","diff_ids":[]}}`

const manifestType = "application/vnd.docker.distribution.manifest.v2+json"

// RoundTrip implements http.RoundTripper: the part of the distribution API that
// reading a manifest and a configuration takes.
func (registry) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
	if len(path) < 3 {
		return answer(r, http.StatusOK, "application/json", "", []byte("{}")), nil
	}
	kind, which := path[len(path)-2], path[len(path)-1]
	switch kind {
	case "manifests":
		name := r.URL.Host + "/" + strings.Join(path[:len(path)-2], "/")
		manifest, digest, err := manifestOf(name, which)
		if err != nil {
			return nil, err
		}
		return answer(r, http.StatusOK, manifestType, digest, manifest), nil
	case "blobs":
		if config := []byte(imageConfig); which == digestOf(config) {
			return answer(r, http.StatusOK, "application/octet-stream", which, config), nil
		}
	}
	return answer(r, http.StatusNotFound, "application/json", "", []byte("{}")), nil
}

func answer(r *http.Request, status int, kind, digest string, body []byte) *http.Response {
	h := http.Header{"Content-Type": {kind}}
	if digest != "" {
		h.Set("Docker-Content-Digest", digest)
	}
	out := &http.Response{StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, ContentLength: int64(len(body)), Request: r}
	if r.Method == http.MethodHead {
		body = nil
	}
	out.Body = io.NopCloser(bytes.NewReader(body))
	return out
}

// manifestOf makes an image's manifest. Its digest is the one it was asked for by,
// or comes from its name and tag.
func manifestOf(name, which string) (manifest []byte, digest string, err error) {
	body, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config":      map[string]any{"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(imageConfig), "digest": digestOf([]byte(imageConfig))},
		"layers":      []any{},
		"annotations": map[string]string{"org.opencontainers.image.ref.name": name + ":" + which},
	})
	if err != nil {
		return nil, "", err
	}
	if !strings.HasPrefix(which, "sha256:") {
		return body, digestOf(body), nil
	}
	body = append([]byte(pin+which+`",`), body[1:]...)
	if got, _, err := ggcr.SHA256(bytes.NewReader(body)); err != nil || got.String() != which {
		return nil, "", fmt.Errorf("%s@%s: this release looks up the entrypoint of an image by digest in a way that is not simulated; give the step a command", name, which)
	}
	return body, which, nil
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// pin is how a manifest begins that has to have a certain digest, which follows.
const pin = `{"simctlDigest":"`

// pinned is SHA-256, but for a manifest that begins with its digest: nobody can
// make one that really has it, and the client checks.
type pinned struct {
	hash.Hash
	begin []byte
}

func (p *pinned) Write(b []byte) (int, error) {
	const all = len(pin) + len("sha256:") + 2*sha256.Size
	if missing := all - len(p.begin); missing > 0 {
		p.begin = append(p.begin, b[:min(missing, len(b))]...)
	}
	return p.Hash.Write(b)
}

func (p *pinned) Reset() {
	p.begin = nil
	p.Hash.Reset()
}

func (p *pinned) Sum(b []byte) []byte {
	if rest, ok := strings.CutPrefix(string(p.begin), pin+"sha256:"); ok {
		if sum, err := hex.DecodeString(rest); err == nil && len(sum) == sha256.Size {
			return append(b, sum...)
		}
	}
	return p.Hash.Sum(b)
}

// MarshalBinary and UnmarshalBinary let TLS copy a hash.
func (p *pinned) MarshalBinary() ([]byte, error) {
	return p.Hash.(encoding.BinaryMarshaler).MarshalBinary()
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (p *pinned) UnmarshalBinary(b []byte) error {
	p.begin = nil
	return p.Hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(b)
}
