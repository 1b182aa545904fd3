package kubeapi

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func client(t *testing.T, h http.HandlerFunc) *Client {
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	var d net.Dialer
	return New(s.URL, "secret", pool, d.DialContext)
}

func TestWatch(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" || r.URL.Query().Get("watch") != "1" || r.URL.Query().Get("resourceVersion") != "7" {
			http.Error(w, r.URL.String(), http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, `{"type":"ADDED","object":{"metadata":{"generation":9007199254740993}}}`)
		fmt.Fprintln(w, `{"type":"DELETED","object":{"n":1.5,"l":[0]}}`)
	})
	var got []Event
	if err := c.Watch(context.Background(), "/api/v1/pods", "7", func(e Event) { got = append(got, e) }); err != nil {
		t.Fatal(err)
	}
	want := []Event{
		{"ADDED", map[string]any{"metadata": map[string]any{"generation": int64(9007199254740993)}}},
		{"DELETED", map[string]any{"n": 1.5, "l": []any{int64(0)}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestErrors(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"message":"pods \"x\" not found"}`)
		default:
			http.Error(w, "no", http.StatusForbidden)
		}
	})
	ctx := context.Background()
	_, err := c.Get(ctx, "/none")
	if !NotFound(err) || !strings.Contains(err.Error(), `pods "x" not found`) {
		t.Errorf("error %v", err)
	}
	if err := c.Delete(ctx, "/none"); err != nil {
		t.Errorf("deleting what is not there: %v", err)
	}
	if err := c.Delete(ctx, "/other"); err == nil || NotFound(err) {
		t.Errorf("deleting what may not be deleted: %v", err)
	}
	if c.Ready(ctx) {
		t.Error("it is ready")
	}
}
