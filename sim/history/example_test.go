package history_test

import (
	"fmt"
	"strings"

	"simctl.dev/simctl/sim/history"
)

// A history is read as lines and folded back into objects, up to any entry.
func ExampleRead() {
	file := strings.NewReader(`{"format":"simctl.dev/history","version":1}
{"seq":1,"t":0,"kind":"object","actor":"user","verb":"create","object":{"apiVersion":"v1","kind":"Pod","namespace":"team","name":"build"},"body":{"spec":{"containers":[{"name":"step-main"}]}}}
{"seq":2,"t":1.5,"kind":"object","actor":"kube-scheduler","verb":"bind","object":{"apiVersion":"v1","kind":"Pod","namespace":"team","name":"build"},"patch":{"spec":{"nodeName":"worker-1"}}}
{"seq":3,"t":4,"kind":"fact","actor":"kubelet/worker-1","object":{"apiVersion":"v1","kind":"Pod","namespace":"team","name":"build"},"fact":"ImagePulled","data":{"image":"example","seconds":2.5}}
`)
	entries, err := history.Read(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range entries {
		fmt.Println(e.T, e.Actor, e.Verb+e.Fact, e.Object)
	}
	for _, seq := range []int{1, 2} {
		state, err := history.AsOf(entries, seq)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("after %d the node is %q\n", seq, state.Live("Pod", "team", "build").Text("spec", "nodeName"))
	}
	// Output:
	// 0 user create Pod team/build
	// 1.5 kube-scheduler bind Pod team/build
	// 4 kubelet/worker-1 ImagePulled Pod team/build
	// after 1 the node is ""
	// after 2 the node is "worker-1"
}
