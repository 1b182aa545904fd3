package node

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/node/internal/entrypoint"
)

// resultsSidecar is the container that Tekton adds to print the results of steps,
// with the flag results-from set to sidecar-logs.
const resultsSidecar = "sidecar-tekton-log-results"

// sidecarResult is a line that it prints (internal/sidecarlogresults of Tekton).
type sidecarResult struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Type  string `json:"type"`
}

// stopResultsSidecar ends the results sidecar: it waits for the steps itself,
// prints what they left and ends.
func (k *Kubelets) stopResultsSidecar(ctx context.Context, p *pod) {
	for _, c := range p.all() {
		if c.spec.Name != resultsSidecar {
			continue
		}
		text := k.sidecarLog(ctx, p, c.spec.Command)
		k.mu.Lock()
		k.logs[p.namespace+"/"+p.name] = text
		k.mu.Unlock()
		if c.finished.IsZero() && !c.native {
			c.end(k.o.Clock.Now(), 0, "Completed", "")
		}
	}
}

// sidecarLog is what the sidecar that was started with a command prints: results of
// the Task once its last step has succeeded, and those of each step that has.
func (k *Kubelets) sidecarLog(ctx context.Context, p *pod, command []string) string {
	option := func(name string) string {
		if i := slices.Index(command, name); i >= 0 && i+1 < len(command) {
			return command[i+1]
		}
		return ""
	}
	var b strings.Builder
	line := func(r sidecarResult) {
		b.Write(mustJSON(r))
		b.WriteByte('\n')
	}
	done := func(s *container) bool {
		return !s.finished.IsZero() && s.exit == 0 && (s.turn == nil || !s.turn.Skipped)
	}
	if n := len(p.steps); n > 0 && done(p.steps[n-1]) {
		for _, name := range entrypoint.Names(option("-result-names")) {
			line(sidecarResult{Name: name, Value: k.resultValue(ctx, p, name, ""), Type: "task"})
		}
	}
	byStep := map[string][]string{}
	if json.Unmarshal([]byte(option("-step-results")), &byStep) == nil {
		for _, s := range p.steps {
			for _, name := range byStep[s.spec.Name] {
				if done(s) {
					line(sidecarResult{Name: s.spec.Name + "." + name, Value: k.resultValue(ctx, p, name, s.step), Type: "step"})
				}
			}
		}
	}
	return b.String()
}

// Handler serves the part of the kubelets' API that the API server asks for a
// container's log. Only the results sidecar prints anything.
func (k *Kubelets) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		namespace, name := r.PathValue("namespace"), r.PathValue("pod")
		if _, err := k.podLister.Pods(namespace).Get(name); err != nil {
			http.Error(w, "pod "+namespace+"/"+name+" is not on this node", http.StatusNotFound)
			return
		}
		text := ""
		if r.PathValue("container") == resultsSidecar {
			k.mu.Lock()
			text = k.logs[namespace+"/"+name]
			k.mu.Unlock()
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte(text)) // the API server is gone
	})
	return mux
}

// Serve has a node's status say that its kubelet is at a port of this host; the
// API server is to be told to look for kubelets at their ExternalIP.
func Serve(n *corev1.Node, port int) {
	n.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(port) //nolint:gosec // a port
	n.Status.Addresses = append(slices.DeleteFunc(n.Status.Addresses, func(a corev1.NodeAddress) bool {
		return a.Type == corev1.NodeExternalIP
	}), corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: "127.0.0.1"})
}
