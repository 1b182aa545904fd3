package scenario

import (
	"cmp"
	"fmt"

	"simctl.dev/simctl/sim/history"
)

// registryAnswers are what a registry answers that does not give an image.
var registryAnswers = []string{history.RegistryRefuses, history.RegistryHasNot, history.RegistryLimits, history.RegistryDown}

// RegistryFailure is a registry that does not give images. Those that are on a node are not
// asked for.
type RegistryFailure struct {
	// Images are those that do not come: a name as it is written in pods, or its beginning
	// and "*"; default all.
	Images string `json:"images,omitempty"`
	// Answer is what the registry answers: connection-refused (default), not-found (404),
	// too-many-requests (429) or unavailable (503).
	Answer string `json:"answer,omitempty"`
	// For is how long it lasts, in virtual time; a Go duration. Without it the images never
	// come.
	For string `json:"for,omitempty"`
}

// Which returns the images, all by default.
func (r *RegistryFailure) Which() string { return cmp.Or(r.Images, "*") }

// Says returns the answer, connection-refused by default.
func (r *RegistryFailure) Says() string { return cmp.Or(r.Answer, history.RegistryRefuses) }

func registryFailsAction() action {
	return action{
		field: "registryFails",
		given: func(v *Intervention) bool { return v.RegistryFails != nil },
		what: func(v *Intervention) string {
			r := v.RegistryFails
			what := fmt.Sprintf("have registries answer %s for %s", r.Says(), r.Which())
			return what + lasting(r.For)
		},
		check: func(c *checker, at string, v *Intervention) {
			c.choice(at+".answer", "answer of a registry", v.RegistryFails.Answer, registryAnswers)
			c.span(at+".for", v.RegistryFails.For)
		},
		faults: registryFaults(),
	}
}

func registryFaults() []Fault {
	const (
		decides   = "what Tekton does about ErrImagePull and ImagePullBackOff, by the release's own code"
		simulated = "the registry, and the kubelet's asking for images: its words and its back-off are upstream's"
	)
	remedies := []string{"`tekton.defaults: {default-imagepullbackoff-timeout: 15m}`: Tekton waits so long for an image (releases that have it)", retriesRemedy}
	fault := func(name, does, example string) Fault {
		return Fault{Name: name, Does: does, Real: decides, Simulated: simulated, Timers: pullTimers(), Remedies: remedies, Rule: "fault/registry", Example: example}
	}
	return []Fault{
		fault("registry-away", "Nobody can connect to the registries: images that are not on their nodes do not come.", `
- at: 0s
  registryFails: {for: 10m}
`),
		fault("registry-unavailable", "Registries answer 503.", `
- when: {task: download-model, phase: done}
  registryFails: {answer: unavailable, for: 10m}
`),
		fault("registry-limits", "Registries answer 429, since they have been asked too often.", `
- when: {task: download-model, phase: done}
  registryFails: {answer: too-many-requests, for: 10m}
`),
		fault("image-missing", "An image is not in its registry, and comes later or never.", `
- at: 0s
  registryFails: {answer: not-found, for: 10m}
`),
	}
}
