package kube

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
)

// shuffledPods lists pods in an order that is left to chance, as an informer does.
type shuffledPods struct{ corelisters.PodLister }

func (shuffledPods) List(labels.Selector) ([]*corev1.Pod, error) {
	var out []*corev1.Pod
	for _, n := range rand.Perm(6) {
		p := &corev1.Pod{}
		p.Namespace, p.Name, p.UID = "a", fmt.Sprint("r-task-", n, "-pod"), types.UID(fmt.Sprint(rand.Int()))
		out = append(out, p)
	}
	return out, nil
}

// TestDrawnPods checks that the order depends on the seed, and on nothing else.
func TestDrawnPods(t *testing.T) {
	order := func(seed int64) []string {
		pods, err := (drawnPods{shuffledPods{}, func() int64 { return seed }}).List(labels.Everything())
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, p := range pods {
			out = append(out, p.Name)
		}
		return out
	}
	drawnBySeed(t, order)
}

// TestDeletionOf: a deletion falls upon the pod that it was meant for, and stays what it
// was besides.
func TestDeletionOf(t *testing.T) {
	for name, c := range map[string]struct{ sent, want string }{
		"with options": {`{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0}`, `{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0,"preconditions":{"uid":"one"}}`},
		"without":      {"", `{"preconditions":{"uid":"one"}}`},
	} {
		req, err := http.NewRequest(http.MethodDelete, "https://server/api/v1/namespaces/a/pods/p", strings.NewReader(c.sent))
		if err != nil {
			t.Fatal(err)
		}
		req, err = deletionOf(req, "one")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(req.Body)
		if err != nil || string(body) != c.want || req.ContentLength != int64(len(body)) {
			t.Errorf("%s: %s of %d bytes (%v), want %s", name, body, req.ContentLength, err, c.want)
		}
	}
}
