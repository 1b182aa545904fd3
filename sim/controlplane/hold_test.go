package controlplane

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// pipes is an API server whose watches deliver what is written into them.
type pipes map[string]*io.PipeWriter

func (p pipes) RoundTrip(req *http.Request) (*http.Response, error) {
	body := io.NopCloser(strings.NewReader("{}"))
	if req.URL.Query().Has("watch") {
		r, w := io.Pipe()
		p[req.URL.Path], body = w, r
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Request: req}, nil
}

// TestWithhold writes an object that is waited for: its writer's watch of that
// resource delivers nothing more until it is let go, and every other one does.
func TestWithhold(t *testing.T) {
	const runs, pods = "/apis/tekton.dev/v1/taskruns", "/api/v1/pods"
	type watch struct {
		server pipes
		path   string
		body   io.Closer
		got    *bytes.Buffer
		cancel func()
	}
	// open has an actor watch; the goroutine ends with the watch.
	open := func(t *testing.T, tap *Tap, actor, path string) watch {
		ctx, cancel := context.WithCancel(t.Context())
		w := watch{server: pipes{}, path: path, got: &bytes.Buffer{}, cancel: cancel}
		req := request(http.MethodGet, path+"?watch=true", "").WithContext(ctx)
		resp, err := tap.Wrap(actor)(w.server).RoundTrip(req) //nolint:bodyclose // the test closes w.body
		if err != nil {
			t.Fatal(err)
		}
		w.body = resp.Body
		go func() {
			var buf [64]byte
			for {
				n, err := resp.Body.Read(buf[:])
				if err != nil {
					return
				}
				w.got.Write(buf[:n])
			}
		}()
		return w
	}
	synctest.Test(t, func(t *testing.T) {
		var tap Tap
		tap.Withhold("taskruns", func(object []byte) bool { return bytes.Contains(object, []byte("ended")) })
		held, other, another := open(t, &tap, "tekton", runs), open(t, &tap, "tekton", pods), open(t, &tap, "gc", runs)
		news := func(text string, to ...watch) {
			t.Helper()
			for _, w := range to {
				if _, err := io.WriteString(w.server[w.path], text); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		want := func(want string, of ...watch) {
			t.Helper()
			for _, w := range of {
				if w.got.String() != want {
					t.Errorf("the watch of %s delivered %q, want %q", w.path, w.got, want)
				}
			}
		}
		send := func(body string) {
			t.Helper()
			req := request(http.MethodPut, runs+"/r/status", "")
			req.Body = io.NopCloser(strings.NewReader(body))
			resp, err := tap.Wrap("tekton")(pipes{}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
		}

		send("runs")
		news("1", held, other, another)
		want("1", held, other, another)
		if tap.Deliver() {
			t.Error("something was held though nothing has ended")
		}

		send("ended")
		later := open(t, &tap, "tekton", runs)
		news("2", held, other, another, later)
		want("1", held)
		want("12", other, another)
		want("2", later)

		if !tap.Deliver() {
			t.Error("nothing was held")
		}
		synctest.Wait()
		want("12", held)
		if tap.Deliver() {
			t.Error("something is held still")
		}
		news("3", held)
		want("123", held)

		// Each change has its turn, those among them that come meanwhile.
		send("ended")
		news("a\nb\nc", held)
		for _, w := range []string{"123a\n", "123a\nb\n"} {
			tap.Deliver()
			synctest.Wait()
			want(w, held)
		}
		tap.Deliver()
		news("d\n", held)
		want("123a\nb\nc", held)
		tap.Deliver()
		tap.Deliver()
		news("4", held)
		want("123a\nb\ncd\n4", held)

		// A client that goes away is not kept.
		send("ended")
		news("5", held)
		held.cancel()
		synctest.Wait()
		want("123a\nb\ncd\n45", held)

		for _, w := range []watch{held, other, another, later} {
			w.cancel()
			_ = w.body.Close()
		}
		if n := len(tap.holds.watches); n != 0 {
			t.Errorf("%d closed watches are kept", n)
		}
	})
}

// TestTellLast deletes objects: only what one of two deletes is told to one of two readers
// when it is let go, and to the other at once.
func TestTellLast(t *testing.T) {
	const runs = "/apis/tekton.dev/v1/taskruns"
	synctest.Test(t, func(t *testing.T) {
		var tap Tap
		tap.TellLast("tekton", "taskruns", "user")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		watch := func(actor string) (news *io.PipeWriter, got *bytes.Buffer) {
			server := pipes{}
			resp, err := tap.Wrap(actor)(server).RoundTrip(request(http.MethodGet, runs+"?watch=true", "").WithContext(ctx)) //nolint:bodyclose // the goroutine closes it
			if err != nil {
				t.Fatal(err)
			}
			got = &bytes.Buffer{}
			go func() {
				_, _ = io.Copy(got, resp.Body)
				_ = resp.Body.Close()
			}()
			return server[runs], got
		}
		tekton, told := watch("tekton")
		gc, heard := watch("gc")
		deleted := func(by, line string) {
			t.Helper()
			resp, err := tap.Wrap(by)(answering("{}")).RoundTrip(request(http.MethodDelete, runs+"/r", ""))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			for _, w := range []*io.PipeWriter{tekton, gc} {
				if _, err := io.WriteString(w, line); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		is := func(when, to, of string) {
			t.Helper()
			if told.String() != to || heard.String() != of {
				t.Errorf("%s: told %q and %q, want %q and %q", when, told, heard, to, of)
			}
		}
		deleted("gc", "a\n")
		is("another's deletion", "a\n", "a\n")
		deleted("user", "b\n")
		is("the user's deletion", "a\n", "a\nb\n")
		if !tap.Deliver() {
			t.Error("there is nothing to deliver")
		}
		synctest.Wait()
		is("when it is delivered", "a\nb\n", "a\nb\n")
		for tap.Deliver() {
			synctest.Wait()
		}
		tap.TellLast("", "", "")
		deleted("user", "c\n")
		is("after the cell", "a\nb\nc\n", "a\nb\nc\n")
		_, _ = tekton.Close(), gc.Close()
	})
}
