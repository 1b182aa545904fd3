package openshift

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"simctl.dev/simctl/sim/internal/loopback"
	"simctl.dev/simctl/sim/openshift/engine/wire"
	"simctl.dev/simctl/sim/scenario"
)

// webhook serves an admission of a cluster, as the API server would find it by its
// configurations.
func webhook(t *testing.T, e *Engine) (post func(path string, body []byte) (int, string), o scenario.OpenShift) {
	t.Helper()
	o = scenario.OpenShift{UIDRange: "1000970000/10000", Grants: []scenario.SCCGrant{{SCC: "anyuid", ServiceAccount: "model-pipeline-sa"}}}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace}}
	Annotate(ns, o, 0)
	a, err := New(t.Context(), Options{Engine: e, Client: cluster(t, o, ns)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := loopback.Serve(t.Context(), a.Handler())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("closing:", err)
		}
	})
	mutating, validating := a.Configurations(s.URL, s.CABundle)
	urls := map[string]string{
		"mutate":   *mutating.Webhooks[0].ClientConfig.URL,
		"validate": *validating.Webhooks[0].ClientConfig.URL,
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(mutating.Webhooks[0].ClientConfig.CABundle) {
		t.Fatal("the CA bundle has no certificate")
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	t.Cleanup(client.CloseIdleConnections)
	return func(path string, body []byte) (int, string) {
		response, err := client.Post(urls[path], "application/json", bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Error(err)
		}
		return response.StatusCode, string(text)
	}, o
}

func reviewOf(t *testing.T, account string, fsGroup int64) []byte {
	t.Helper()
	c := sccCase{Pod: json.RawMessage(fmt.Sprintf(
		`{"metadata": {"name": "p"}, "spec": {"serviceAccountName": %q, "securityContext": {"fsGroup": %d}, "containers": [{"name": "a", "image": "i"}]}}`, account, fsGroup))}
	text, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: c.request(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Many pods at once, admitted and refused ones, each with its own answer.
func TestWebhook(t *testing.T) {
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	post, _ := webhook(t, e)
	var wg sync.WaitGroup
	for i := range 40 {
		account, allowed := "model-pipeline-sa", true
		if i%2 == 1 {
			account, allowed = "default", false
		}
		path := []string{"mutate", "validate"}[i/2%2]
		body := reviewOf(t, account, int64(2000+i))
		wg.Go(func() {
			code, text := post(path, body)
			if code != http.StatusOK {
				t.Errorf("%s: status %d: %s", path, code, text)
				return
			}
			var review admissionv1.AdmissionReview
			if err := json.Unmarshal([]byte(text), &review); err != nil {
				t.Error(err)
				return
			}
			r := review.Response
			switch {
			case review.Kind != "AdmissionReview" || r == nil || r.UID != "1":
				t.Errorf("%s: not the review's response: %s", path, text)
			// What was not defaulted by the mutating half does not pass the other.
			case path == "validate" && r.Allowed:
				t.Errorf("validate: admitted a pod that admission would have changed")
			case path == "mutate" && r.Allowed != allowed:
				t.Errorf("mutate: account %s: allowed %v: %s", account, r.Allowed, text)
			case path == "mutate" && allowed && !strings.Contains(string(r.Patch), "anyuid"):
				t.Errorf("mutate: patch %s", r.Patch)
			case !allowed && !strings.Contains(r.Result.Message, fmt.Sprintf("%d is not an allowed group", 2000+i)):
				t.Errorf("%s: refused with %q", path, r.Result.Message)
			case !allowed && (r.Result.Code != http.StatusForbidden || r.Result.Reason != metav1.StatusReasonForbidden):
				t.Errorf("%s: refused with %d %s", path, r.Result.Code, r.Result.Reason)
			}
		})
	}
	wg.Wait()
	for _, body := range []string{"", "{", "{}", "[1]"} {
		if code, text := post("mutate", []byte(body)); code != http.StatusBadRequest {
			t.Errorf("review %q: %d %s", body, code, text)
		}
	}
}

// An engine that is gone decides nothing, which the API server must not take for
// a refusal.
func TestEngineGone(t *testing.T) {
	shared, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	e, err := StartEngine(shared.cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	post, _ := webhook(t, e)
	body := reviewOf(t, "model-pipeline-sa", 2000)
	if code, text := post("mutate", body); code != http.StatusOK {
		t.Fatalf("before: %d %s", code, text)
	}
	if err := syscall.Kill(e.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-e.ended
	if code, text := post("mutate", body); code != http.StatusInternalServerError || !strings.Contains(text, ErrEngineGone.Error()) {
		t.Errorf("afterwards: %d %s", code, text)
	}
	for range 2 {
		if err := e.Close(); err != nil {
			t.Error("closing:", err)
		}
	}
}

// The engine ends by itself when nobody can talk to it any more, and not before:
// an interrupt of the terminal is not for it.
func TestEngineEnds(t *testing.T) {
	shared, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	e, err := StartEngine(shared.cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	post, _ := webhook(t, e)
	body := reviewOf(t, "model-pipeline-sa", 2000)
	for _, s := range []syscall.Signal{0, syscall.SIGINT, syscall.SIGTERM} {
		if err := syscall.Kill(e.PID(), s); err != nil {
			t.Fatal(err)
		}
		if code, text := post("mutate", body); code != http.StatusOK {
			t.Fatalf("after signal %v: %d %s", s, code, text)
		}
	}
	if err := e.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	<-e.ended
	if !e.cmd.ProcessState.Success() {
		t.Error("ended with", e.cmd.ProcessState)
	}
}

func TestStartEngine(t *testing.T) {
	if _, err := StartEngine(t.TempDir() + "/none"); err == nil {
		t.Error("started what is not there")
	}
	e, err := StartEngine("/bin/false")
	if err != nil {
		t.Fatal(err)
	}
	<-e.ended
	if _, err := e.decide(context.Background(), sccSet{}, wire.Request{}, nil); !errors.Is(err, ErrEngineGone) {
		t.Error("decided with", err)
	}
	_ = e.Close()
}

// BenchmarkDecide is a decision without an API server in the way.
func BenchmarkDecide(b *testing.B) {
	e, err := engine()
	if err != nil {
		b.Fatal(err)
	}
	o := scenario.OpenShift{UIDRange: "1000970000/10000"}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace}}
	Annotate(ns, o, 0)
	a, err := New(b.Context(), Options{Engine: e, Client: cluster(b, o, ns)})
	if err != nil {
		b.Fatal(err)
	}
	c := sccCase{Pod: json.RawMessage(`{"metadata": {"name": "p"}, "spec": {"serviceAccountName": "default", "securityContext": {}, "containers": [{"name": "a", "image": "i"}]}}`)}
	for b.Loop() {
		if r, err := a.Admit(b.Context(), c.request()); err != nil || !r.Allowed {
			b.Fatal(err, r)
		}
	}
}
