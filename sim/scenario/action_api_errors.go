package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/wellknown"
)

// APIErrors is a fault of the API server that its clients meet, as behind a load balancer
// that loses its way, while a certificate is renewed, or when etcd is not as it should be.
type APIErrors struct {
	// Client is who meets it, as histories name it (Clients); default all of them.
	Client string `json:"client,omitempty"`
	// Resources are those that it is about, in the words of RBAC rules, as in taskruns,
	// pods/status or pods/*; default all.
	Resources []string `json:"resources,omitempty"`
	// Verbs are those that it is about, as in get or create; default all, with etcd's
	// request-too-large and database-full those that write.
	Verbs []string `json:"verbs,omitempty"`
	// Code is what requests are answered with: 429, 500, 503 (default) or 504.
	Code int `json:"code,omitempty"`
	// Etcd is what the API server hears from etcd and passes on with 500, in the place of
	// Code: leader-changed, request-too-large or database-full.
	Etcd string `json:"etcd,omitempty"`
	// For is how long it lasts, in virtual time; a Go duration.
	For string `json:"for"`
}

// Clients are the clients that APIErrors can be about: the controllers that try again.
var Clients = []string{
	wellknown.TektonController, wellknown.KubeScheduler, wellknown.StatefulSets, wellknown.VolumeBinder, wellknown.AttachDetach,
	wellknown.PodGC, wellknown.NodeController, wellknown.GarbageCollector, wellknown.EphemeralVolumes, wellknown.PVCProtection,
	wellknown.PVProtection, wellknown.Deployments, wellknown.ReplicaSets, wellknown.DaemonSets, wellknown.ResourceQuotas,
	wellknown.Namespaces, wellknown.ServiceAccounts, wellknown.Disruption,
}

// apiErrorCodes are those with which the API server says that it cannot, whatever is asked.
var apiErrorCodes = []int{429, internalError, unavailable, 504}

// internalError and unavailable are two of them by name.
const internalError, unavailable = 500, 503

// apiVerbs are the verbs of RBAC rules that APIErrors can be about: watches go on.
var (
	apiVerbs  = []string{"get", "list", "create", "update", "patch", "delete", "deletecollection"}
	apiWrites = []string{"create", "update", "patch"}
)

// What the API server hears from etcd.
const (
	etcdLeaderChanged = "leader-changed"
	etcdTooLarge      = "request-too-large"
	etcdFull          = "database-full"
)

var etcdAnswers = []string{etcdLeaderChanged, etcdTooLarge, etcdFull}

// etcdWords are etcd's own (go.etcd.io/etcd/api/v3/v3rpc/rpctypes), which the API server
// passes on.
func etcdWords(answer string) string {
	switch answer {
	case etcdLeaderChanged:
		return "etcdserver: leader changed"
	case etcdTooLarge:
		return "etcdserver: request is too large"
	case etcdFull:
		return "etcdserver: mvcc: database space exceeded"
	}
	return ""
}

func apiErrorsAction() action {
	return action{
		field: "apiErrors",
		given: func(v *Intervention) bool { return v.APIErrors != nil },
		what: func(v *Intervention) string {
			e := v.APIErrors
			what := fmt.Sprintf("answer %s with %d", cmp.Or(e.Client, "all controllers"), e.Status())
			if e.Etcd != "" {
				what += " (" + e.Message() + ")"
			}
			if of := strings.TrimSpace(strings.Join(e.Verbs, ", ") + " " + strings.Join(e.Resources, ", ")); of != "" {
				what += " to " + of
			}
			return what + lasting(e.For)
		},
		check: func(c *checker, at string, v *Intervention) {
			e := v.APIErrors
			c.choice(at+".client", "client of the API server", e.Client, Clients)
			for i, r := range e.Resources {
				of, sub, parts := strings.Cut(r, "/")
				if of == "" || of != strings.ToLower(of) || parts && sub == "" {
					c.add(fmt.Sprintf("%s.resources[%d]", at, i), "%q is no resource; name it as RBAC rules do, as in taskruns, pods/status or pods/*", r)
				}
			}
			for i, verb := range e.Verbs {
				c.choice(fmt.Sprintf("%s.verbs[%d]", at, i), "verb", verb, apiVerbs)
			}
			c.choice(at+".etcd", "answer of etcd", e.Etcd, etcdAnswers)
			if e.Etcd != "" && e.Code != 0 {
				c.add(at+".code", "%s has both a code and etcd; remove one", at)
			}
			if code := e.Status(); !slices.Contains(apiErrorCodes, code) {
				c.add(at+".code", "%s.code is %d; valid: %v", at, code, apiErrorCodes)
			}
			if e.For == "" {
				c.add(at+".for", "%s says not for how long; give it for, as 30s", at)
			}
			c.span(at+".for", e.For)
		},
		faults: apiFaults(),
	}
}

// Status returns the code, 503 by default, 500 for what etcd says.
func (e *APIErrors) Status() int {
	switch {
	case e.Code != 0:
		return e.Code
	case e.Etcd != "":
		return internalError
	}
	return unavailable
}

// Message returns the words of the answer; empty: those that go with the code.
func (e *APIErrors) Message() string { return etcdWords(e.Etcd) }

// Which returns the verbs that it is about; none: all.
func (e *APIErrors) Which() []string {
	if len(e.Verbs) == 0 && (e.Etcd == etcdTooLarge || e.Etcd == etcdFull) {
		return apiWrites
	}
	return e.Verbs
}

func apiFaults() []Fault {
	const (
		decides   = "the clients, with their retries and back-off in virtual time"
		simulated = "the answer, which is given before the API server is asked. It has no Retry-After: a client gets it as if it had asked as often as client-go does by itself"
	)
	fault := func(name, does, example string) Fault {
		return Fault{Name: name, Does: does, Real: decides, Simulated: simulated, Remedies: []string{retriesRemedy}, Rule: "fault/api-errors", Example: example}
	}
	return []Fault{
		fault("api-errors", "The API server answers controllers with 429, 500, 503 or 504: all of them or one, for all that they ask or for some verbs and resources. Watches that are open go on.", `
- when: {task: build-image, phase: done}
  apiErrors: {client: tekton-pipelines-controller, code: 503, for: 60s}
`),
		fault("etcd-leader-changed", "etcd has chosen another leader, and the API server passes on what it says of that. Where Tekton reads a Task it takes that for something that passes; a Pipeline that it cannot read it takes for good.", `
- when: {task: build-image, phase: done}
  apiErrors: {etcd: leader-changed, for: 10s}
`),
		fault("etcd-request-too-large", "etcd refuses writes that are too large (1.5 MiB by default), here all of some resources.", `
- when: {task: build-image, phase: done}
  apiErrors: {client: tekton-pipelines-controller, resources: [pipelineruns/status], etcd: request-too-large, for: 5m}
`),
		fault("etcd-database-full", "etcd has no space left: whatever writes is refused, what reads is not.", `
- when: {task: build-image, phase: done}
  apiErrors: {etcd: database-full, for: 5m}
`),
	}
}
