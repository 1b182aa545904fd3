package controlplane

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestTooSlow: an answer by which the API server gives a request up for want of real
// time is not taken for one about the object.
func TestTooSlow(t *testing.T) {
	for name, tt := range map[string]struct {
		code    int
		message string
		want    bool
	}{
		"a webhook that does not answer": {http.StatusInternalServerError, `failed calling webhook "scc": failed to call webhook: Post "https://127.0.0.1:1/": context deadline exceeded`, true},
		"etcd is too slow":               {http.StatusInternalServerError, "etcdserver: request timed out", true},
		"the API server itself":          {http.StatusGatewayTimeout, "Timeout: request did not complete within requested timeout - context deadline exceeded", true},
		"too large for etcd":             {http.StatusInternalServerError, "etcdserver: request is too large", false},
		"a message of the user's":        {http.StatusForbidden, "context deadline exceeded", false},
	} {
		t.Run(name, func(t *testing.T) {
			var tap Tap
			req := request(http.MethodPut, "/apis/tekton.dev/v1/namespaces/ns/taskruns/r/status", "")
			req.Body = io.NopCloser(strings.NewReader("{}"))
			resp, err := tap.Wrap("tekton")(answers{tt.code, `{"kind":"Status","message":` + quoted(tt.message) + `}`}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if got := tap.TooSlow(); errors.Is(got, ErrTooSlow) != tt.want {
				t.Errorf("too slow: %v, want %v", got, tt.want)
			}
		})
	}
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

// answers answers every request in the same way.
type answers struct {
	code int
	body string
}

func (a answers) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body)), Request: req}, nil
}
