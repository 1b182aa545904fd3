package scenario

import (
	"fmt"
	"slices"

	"simctl.dev/simctl/sim/wellknown"
)

// APIErrors is a fault of the API server that one client meets, as behind a load balancer
// that loses its way, or while a certificate is renewed.
type APIErrors struct {
	// Client is who meets it, as histories name it (Clients).
	Client string `json:"client"`
	// Code is what its requests are answered with: 500, 503 (default) or 504.
	Code int `json:"code,omitempty"`
	// For is how long it lasts, in virtual time; a Go duration.
	For string `json:"for"`
}

// Clients are the clients that APIErrors can be about: the controllers that try again.
var Clients = []string{wellknown.TektonController, wellknown.KubeScheduler, wellknown.StatefulSets, wellknown.VolumeBinder, wellknown.AttachDetach}

// apiErrorCodes are those with which the API server says that it is its own fault.
var apiErrorCodes = []int{500, 503, 504}

func apiErrorsAction() action {
	return action{
		field: "apiErrors",
		given: func(v *Intervention) bool { return v.APIErrors != nil },
		what: func(v *Intervention) string {
			return fmt.Sprintf("answer %s with %d for %s", v.APIErrors.Client, v.APIErrors.Status(), v.APIErrors.For)
		},
		check: func(c *checker, at string, v *Intervention) {
			if v.APIErrors.Client == "" {
				c.add(at+".client", "%s has no client; valid: %v", at, Clients)
			}
			c.choice(at+".client", "client of the API server", v.APIErrors.Client, Clients)
			if code := v.APIErrors.Status(); !slices.Contains(apiErrorCodes, code) {
				c.add(at+".code", "%s.code is %d; valid: %v", at, code, apiErrorCodes)
			}
			if v.APIErrors.For == "" {
				c.add(at+".for", "%s says not for how long; give it for, as 30s", at)
			}
			c.span(at+".for", v.APIErrors.For)
		},
		faults: []Fault{{
			Name:      "api-errors",
			Does:      "The API server answers one client with 500, 503 or 504; watches that are open go on.",
			Real:      "the client, with its retries and back-off",
			Simulated: "the answer, which is given before the API server is asked; the time between two tries is virtual",
			Example: `
- when: {task: build-image, phase: running}
  after: 1m
  apiErrors: {client: tekton-pipelines-controller, code: 503, for: 60s}
`,
		}},
	}
}

// Status returns the code, 503 by default.
func (e *APIErrors) Status() int {
	if e.Code == 0 {
		return 503
	}
	return e.Code
}
