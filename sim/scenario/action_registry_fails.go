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
			if r.For != "" {
				what += " for " + r.For
			}
			return what
		},
		check: func(c *checker, at string, v *Intervention) {
			c.choice(at+".answer", "answer of a registry", v.RegistryFails.Answer, registryAnswers)
			c.span(at+".for", v.RegistryFails.For)
		},
	}
}
