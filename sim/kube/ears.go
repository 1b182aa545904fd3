package kube

import (
	"context"
	"io"
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// ears know which resources the controllers' informers hear of. Types come and go with the
// releases that are installed, and with a type its watch ends. Upstream's informers then
// ask again after a while of real time, longer each time, up to half a minute: for that
// long the garbage collector would not see a run of the next cell go, and nothing would
// show that it has yet to. So a list of a type that is not there is not answered before
// there may be new types, and until every type that is there is watched again, the
// controllers are not at rest.
type ears struct {
	mu sync.Mutex
	// resources are those that were ever watched, by the path of their requests.
	resources map[string]*ear
	// news is closed when there may be new types.
	news chan struct{}
}

// ear is what is known of one resource.
type ear struct {
	watches int
	// absent says that there is no such type.
	absent bool
}

func newEars() *ears {
	return &ears{resources: map[string]*ear{}, news: make(chan struct{})}
}

// config returns a client configuration for informers that these ears are to know of.
func (e *ears) config(c *rest.Config) *rest.Config {
	c = rest.CopyConfig(c)
	c.Wrap(func(next http.RoundTripper) http.RoundTripper { return listener{e, next} })
	return c
}

// look has the lists that wait for their types tried again.
func (e *ears) look() {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.news)
	e.news = make(chan struct{})
}

// deaf says whether there is a resource that was watched and is not, though its type may
// be there.
func (e *ears) deaf() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.resources {
		if r.watches == 0 && !r.absent {
			return true
		}
	}
	return false
}

// lacks says whether a resource that was watched counts as one whose type is not there.
func (e *ears) lacks(path string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.resources[path]
	return r != nil && r.absent
}

// pathOf returns the path of requests for all objects of a resource.
func pathOf(gvr schema.GroupVersionResource) string {
	if gvr.Group == "" {
		return "/api/" + gvr.Version + "/" + gvr.Resource
	}
	return "/apis/" + gvr.Group + "/" + gvr.Version + "/" + gvr.Resource
}

// answered notes the answer to a list or a watch. It returns what is closed when there may
// be new types, if the answer is that this one is not there.
func (e *ears) answered(path string, code int, watch bool) (news <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.resources[path]
	if r == nil {
		if code != http.StatusOK || !watch {
			return nil // not heard of yet
		}
		r = &ear{}
		e.resources[path] = r
	}
	switch code {
	case http.StatusNotFound:
		r.absent = true
		return e.news
	case http.StatusOK:
		r.absent = false
		if watch {
			r.watches++
		}
	}
	return nil
}

// ended notes the end of a watch.
func (e *ears) ended(path string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.resources[path].watches--
}

// listener is the transport of the informers.
type listener struct {
	ears *ears
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (l listener) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet {
		return l.next.RoundTrip(req)
	}
	path, watch := req.URL.Path, req.URL.Query().Get("watch") != ""
	for {
		resp, err := l.next.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		news := l.ears.answered(path, resp.StatusCode, watch)
		switch {
		case watch && resp.StatusCode == http.StatusOK:
			resp.Body = &watched{ReadCloser: resp.Body, end: sync.OnceFunc(func() { l.ears.ended(path) })}
		case news != nil && !watch:
			if waitFor(req.Context(), news) {
				_ = resp.Body.Close()
				continue
			}
		}
		return resp, nil
	}
}

// waitFor waits until news is closed; it says false if ctx ends before.
func waitFor(ctx context.Context, news <-chan struct{}) bool {
	select {
	case <-news:
		return true
	case <-ctx.Done():
		return false
	}
}

// watched is the body of a watch's answer.
type watched struct {
	io.ReadCloser
	end func()
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if err != nil {
		w.end()
	}
	return n, err
}

// Close implements io.Closer.
func (w *watched) Close() error {
	w.end()
	return w.ReadCloser.Close()
}
