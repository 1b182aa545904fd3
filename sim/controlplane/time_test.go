package controlplane

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestWritesAreInVirtualTime: whoever dates a condition by the host's clock has dated
// it by the virtual one when the API server hears of it.
func TestWritesAreInVirtualTime(t *testing.T) {
	virtual := time.Date(2100, 1, 1, 0, 0, 42, 500, time.UTC)
	ofHost := func(ago time.Duration) string { return time.Now().Add(-ago).UTC().Format(time.RFC3339) }
	condition := func(at string) string {
		return fmt.Sprintf(`{"status":{"conditions":[{"type":"PodScheduled","lastTransitionTime":%q,"message":"m"}]}}`, at)
	}
	for name, c := range map[string]struct{ sent, want string }{
		"of the host's clock":       {condition(ofHost(0)), condition("2100-01-01T00:00:42Z")},
		"virtual":                   {condition("2100-01-01T00:00:07Z"), condition("2100-01-01T00:00:07Z")},
		"from before the clock":     {condition("2020-01-01T00:00:00Z"), condition("2020-01-01T00:00:00Z")},
		"none":                      {condition(""), condition("")},
		"another time":              {`{"startTime":"` + ofHost(0) + `"}`, `{"startTime":"` + ofHost(0) + `"}`},
		"several, with what is cut": {condition(ofHost(0)) + condition("2100-01-01T00:00:07Z") + `{"lastTransitionTime":"`, condition("2100-01-01T00:00:42Z") + condition("2100-01-01T00:00:07Z") + `{"lastTransitionTime":"`},
	} {
		t.Run(name, func(t *testing.T) {
			var tap Tap
			tap.SetClock(func() time.Time { return virtual })
			var got string
			client := tap.Wrap("scheduler")(roundTrip(func(req *http.Request) (*http.Response, error) {
				body, err := io.ReadAll(req.Body)
				if got = string(body); int(req.ContentLength) != len(body) {
					t.Errorf("the length is said to be %d, it is %d", req.ContentLength, len(body))
				}
				return answerJSON(req, http.StatusOK, nil), err
			}))
			resp, err := client.RoundTrip(writing(http.MethodPatch, podPath+"/status", c.sent))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if got != c.want {
				t.Errorf("the API server was sent %s, want %s", got, c.want)
			}
		})
	}
}

// TestWithoutAClock: a tap that has none changes nothing.
func TestWithoutAClock(t *testing.T) {
	var tap Tap
	sent := `{"lastTransitionTime":"` + time.Now().UTC().Format(time.RFC3339) + `"}`
	if got := string(tap.toVirtual([]byte(sent))); got != sent {
		t.Errorf("got %s", got)
	}
}

// TestEvictedInVirtualTime: the API server dates an eviction by the host's clock, and
// it is put right before it is recorded.
func TestEvictedInVirtualTime(t *testing.T) {
	var tap Tap
	var got entries
	tap.SetClock(func() time.Time { return time.Date(2100, 1, 1, 0, 0, 42, 0, time.UTC) })
	tap.SetRecorder(&got)
	at := time.Now().UTC().Format(time.RFC3339)
	client := tap.Wrap("user")(roundTrip(func(req *http.Request) (*http.Response, error) {
		switch req.Method + " " + req.URL.Path {
		case "POST " + podPath + "/eviction":
			return answerJSON(req, http.StatusCreated, []byte(`{"kind":"Status","apiVersion":"v1","status":"Success"}`)), nil
		case "PATCH " + podPath + "/status":
			patch, err := io.ReadAll(req.Body)
			if want := `"conditions":[{"lastTransitionTime":"2100-01-01T00:00:42Z","type":"DisruptionTarget"}]`; !strings.Contains(string(patch), want) || !strings.Contains(string(patch), `"uid":"one"`) {
				t.Errorf("the patch is %s", patch)
			}
			at = "2100-01-01T00:00:42Z"
			return answerPod(req, at), err
		case "GET " + podPath:
			return answerPod(req, at), nil
		}
		return answerJSON(req, http.StatusNotFound, nil), nil
	}))
	resp, err := client.RoundTrip(writing(http.MethodPost, podPath+"/eviction", `{"kind":"Eviction"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if len(got) != 1 || !strings.Contains(string(got[0].Body), `"lastTransitionTime":"2100-01-01T00:00:42Z"`) {
		t.Errorf("the history has %v", got)
	}
}

func writing(method, path, body string) *http.Request {
	req := request(method, path, "")
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return req
}

func answerPod(req *http.Request, at string) *http.Response {
	return answerJSON(req, http.StatusOK, fmt.Appendf(nil, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"a","uid":"one","resourceVersion":"5","deletionTimestamp":"2026-01-01T00:00:00Z","deletionGracePeriodSeconds":30},"status":{"conditions":[{"type":"DisruptionTarget","status":"True","lastTransitionTime":%q}]}}`, at))
}
