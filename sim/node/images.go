package node

import (
	"fmt"
	"math"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"simctl.dev/simctl/sim/scenario"
)

const (
	defaultBandwidth = 100 << 20
	defaultImageSize = 250 << 20
)

// tektonImages are about the sizes of the images that Tekton puts into every
// pod, by a part of their names; a scenario's sizes go before.
var tektonImages = []struct {
	part string
	size int64
}{
	{"workingdirinit", 3 << 20},
	{"sidecarlogresults", 40 << 20},
	{"entrypoint", 40 << 20},
	{"/nop", 1 << 20},
	{"nop-image", 1 << 20},
	{"chainguard/busybox", 2 << 20},
	{"distroless/base", 8 << 20},
}

// registry knows how large images are and how fast they come.
type registry struct {
	bandwidth float64
	size      int64
	images    map[string]int64
	// preloaded says that every node has all images from the start.
	preloaded bool
	// tags has the sizes of what is listed of a repository.
	tags map[string][]int64
}

func newRegistry(r scenario.Registry) (*registry, error) {
	out := &registry{bandwidth: defaultBandwidth, size: defaultImageSize, preloaded: r.Preloaded, images: map[string]int64{}, tags: map[string][]int64{}}
	parse := func(what string, q scenario.Quantity, fallback int64) (int64, error) {
		if q == "" {
			return fallback, nil
		}
		v, err := resource.ParseQuantity(string(q))
		if err != nil {
			return 0, fmt.Errorf("registry: %s %q: %w", what, q, err)
		}
		if v.Sign() < 0 {
			return 0, fmt.Errorf("registry: %s %q is negative", what, q)
		}
		return v.Value(), nil
	}
	bandwidth, err := parse("bandwidth", r.Bandwidth, defaultBandwidth)
	if err != nil {
		return nil, err
	}
	if bandwidth == 0 {
		return nil, fmt.Errorf("registry: bandwidth is zero")
	}
	out.bandwidth = float64(bandwidth)
	if out.size, err = parse("imageSize", r.ImageSize, defaultImageSize); err != nil {
		return nil, err
	}
	for name, q := range r.Images {
		n, err := parse("image "+name, q, 0)
		if err != nil {
			return nil, err
		}
		name = canonical(name)
		out.images[name] = n
		repository := untag(name, false)
		out.tags[repository] = append(out.tags[repository], n)
	}
	return out, nil
}

// bytes returns an image's size: by its full reference, without its digest,
// without its tag. Tekton names the image of a step without a command by its
// digest alone; then the one listed tag of that repository is meant.
func (r *registry) bytes(image string) int64 {
	image = canonical(image)
	for _, name := range []string{image, untag(image, true), untag(image, false)} {
		if n, ok := r.images[name]; ok {
			return n
		}
	}
	repository := untag(image, false)
	if sizes := r.tags[repository]; len(sizes) == 1 && strings.HasPrefix(image, repository+"@") {
		return sizes[0]
	}
	for _, t := range tektonImages {
		if strings.Contains(untag(image, false), t.part) {
			return t.size
		}
	}
	return r.size
}

// canonical returns an image's name; the shortest one for an image of Docker Hub.
func canonical(image string) string {
	for _, host := range []string{"index.docker.io/", "docker.io/"} {
		if rest, ok := strings.CutPrefix(image, host); ok {
			return strings.TrimPrefix(rest, "library/")
		}
	}
	return image
}

// untag takes the digest, and the tag unless it is to be kept, off a reference.
func untag(image string, keepTag bool) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); !keepTag && i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	return image
}

// pull is one image on its way to a node.
type pull struct {
	image  string
	bytes  int64
	cached bool
	// took is how long the image is on its way, whole with the wait for others.
	took, whole time.Duration
	// refusal is why it does not come, which is known when whole is over; empty if it does.
	refusal string
}

// pull has an image come to the machine: m.images says when it is there. Whether images
// come one at a time, or for how many the registry is asked, is the puller's business. The
// registry is asked for one that is there if newest is true.
func (m *machine) pull(r *registry, now time.Time, image string, newest bool) pull {
	p := pull{image: image, bytes: r.bytes(image)}
	at, there := m.images[image]
	p.cached = there || r.preloaded
	if p.cached && !at.After(now) && !newest {
		return p
	}
	turn := m.puller.turn(now)
	// One at a time, no more are asked for than may be: each takes a round trip of longer.
	if (!m.puller.serial || !p.cached) && !m.puller.lets(turn) {
		p.refusal, p.whole = pullQPSExceeded, turn.Sub(now)
		return p
	}
	switch {
	case p.cached && !at.After(now):
		return p
	case there:
		p.took = max(0, at.Sub(now))
		p.whole = p.took
		if !m.puller.serial {
			m.puller.until = append(m.puller.until, at)
		}
		return p
	}
	seconds := float64(p.bytes) / r.bandwidth
	p.took = time.Duration(math.Round(seconds*1000)) * time.Millisecond
	m.images[image] = turn.Add(p.took)
	m.puller.until = append(m.puller.until, m.images[image])
	p.whole = m.images[image].Sub(now)
	return p
}
