package controlplane

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"simctl.dev/simctl/sim/history"
)

// TestEcho writes an object: the answer comes once the writer's watch has handed on the
// news of it and the writer has nothing to do any more.
func TestEcho(t *testing.T) {
	const runs, written = "/apis/tekton.dev/v1/taskruns", `{"kind":"TaskRun","metadata":{"name":"r","resourceVersion":"7"}}`
	event := func(version string) string {
		return `{"type":"MODIFIED","object":{"metadata":{"resourceVersion":"` + version + `"}}}` + "\n"
	}
	for _, test := range []struct {
		name, actor, query string
		held               bool // the watch's news is withheld
		waits              bool
	}{
		{name: "its own write", actor: "tekton", query: "&resourceVersion=3", waits: true},
		{name: "another's write", actor: "gc", query: "&resourceVersion=3"},
		{name: "a watch that began later", actor: "tekton", query: "&resourceVersion=9"},
		{name: "a watch of some objects", actor: "tekton", query: "&resourceVersion=3&labelSelector=a%3Db"},
		{name: "news that is withheld", actor: "tekton", query: "&resourceVersion=3", held: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tap Tap
				var idle atomic.Bool
				idle.Store(true)
				tap.Echo("tekton", idle.Load)
				// What is recorded is no longer as it was answered.
				tap.SetRecorder(history.NewLog(func() float64 { return 0 }, nil))
				server := pipes{}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				resp, err := tap.Wrap("tekton")(server).RoundTrip(request(http.MethodGet, runs+"?watch=true"+test.query, "").WithContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = resp.Body.Close() }()
				go func() { _, _ = io.Copy(io.Discard, resp.Body) }()
				if test.held {
					tap.Withhold("taskruns", func([]byte) bool { return true })
				}
				var answered atomic.Bool
				go func() {
					req := request(http.MethodPut, runs+"/r/status", "")
					req.Body = io.NopCloser(strings.NewReader(written))
					resp, err := tap.Wrap(test.actor)(answering(written)).RoundTrip(req)
					if err != nil {
						t.Error(err)
						return
					}
					_ = resp.Body.Close()
					answered.Store(true)
				}()
				synctest.Wait()
				if !test.waits {
					// A busy writer that has nothing to hear of is answered all the same.
					if !answered.Load() {
						t.Error("there is no answer")
					}
					tap.Withhold("", nil)
					return
				}
				say := func(text string) {
					t.Helper()
					if _, err := io.WriteString(server[runs], text); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				say(event("6"))
				half := event("7")
				say(half[:10])
				if answered.Load() {
					t.Error("the answer comes before the news")
				}
				say(half[10:])
				if !answered.Load() {
					t.Error("the answer does not come after the news")
				}
			})
		})
	}
}

// TestEchoOfAWatchThatEnds: nobody waits for news that cannot come.
func TestEchoOfAWatchThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tap Tap
		tap.Echo("tekton", func() bool { return true })
		resp, err := tap.Wrap("tekton")(pipes{}).RoundTrip(request(http.MethodGet, "/api/v1/configmaps?watch=true&resourceVersion=1", ""))
		if err != nil {
			t.Fatal(err)
		}
		var answered atomic.Bool
		go func() {
			req := request(http.MethodPut, "/api/v1/namespaces/n/configmaps/c", "")
			resp, err := tap.Wrap("tekton")(answering(`{"kind":"ConfigMap","metadata":{"resourceVersion":"7"}}`)).RoundTrip(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			answered.Store(err == nil)
		}()
		synctest.Wait()
		if answered.Load() {
			t.Error("the answer comes before the news")
		}
		_ = resp.Body.Close()
		synctest.Wait()
		if !answered.Load() {
			t.Error("the answer does not come though nobody watches any more")
		}
	})
}

// answering is an API server that always gives the same answer.
type answering string

func (a answering) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader([]byte(a))), Request: req}, nil
}
