package kube

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// server answers with a code; the body of a watch stays open until it is closed.
type server struct {
	code    atomic.Int64
	watches chan *io.PipeWriter
}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	code := int(s.code.Load())
	body, w := io.Pipe()
	if req.URL.Query().Get("watch") == "" || code != http.StatusOK {
		_ = w.Close()
	} else {
		s.watches <- w
	}
	return &http.Response{StatusCode: code, Body: body, Request: req}, nil
}

// A type goes and comes back: from the end of its watch until it is known to be gone, and
// from its return until it is watched again, the informers are deaf; a list of it is
// answered when it is back.
func TestEars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ears, api := newEars(), &server{watches: make(chan *io.PipeWriter, 1)}
		api.code.Store(http.StatusOK)
		client := listener{ears, api}
		path := pathOf(schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "taskruns"})
		ask := func(query string) *http.Response {
			t.Helper()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://api"+path+query, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		is := func(when string, deaf, lacks bool) {
			t.Helper()
			if ears.deaf() != deaf || ears.lacks(path) != lacks {
				t.Errorf("%s: deaf %v, lacks the type %v; want %v, %v", when, ears.deaf(), ears.lacks(path), deaf, lacks)
			}
		}
		_ = ask("").Body.Close()
		is("before the first watch", false, false)
		watch := ask("?watch=true")
		is("with a watch", false, false)
		_ = (<-api.watches).Close()
		_, _ = io.Copy(io.Discard, watch.Body)
		_ = watch.Body.Close()
		is("after its end", true, false)

		api.code.Store(http.StatusNotFound)
		_ = ask("?watch=true").Body.Close()
		is("when the type is gone", false, true)
		answered := make(chan int, 1)
		go func() {
			resp := ask("")
			_ = resp.Body.Close()
			answered <- resp.StatusCode
		}()
		synctest.Wait()
		ears.look()
		synctest.Wait()
		select {
		case code := <-answered:
			t.Errorf("a list of a type that is not there was answered with %d", code)
		default:
		}
		api.code.Store(http.StatusOK)
		ears.look()
		if code := <-answered; code != http.StatusOK {
			t.Errorf("a list of a type that is there again was answered with %d", code)
		}
		is("before it is watched again", true, false)
		watch = ask("?watch=1")
		is("when it is watched again", false, false)
		_ = (<-api.watches).Close()
		_ = watch.Body.Close()
	})
}
