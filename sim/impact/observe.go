package impact

import (
	"cmp"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/verdict"
	"simctl.dev/simctl/sim/wellknown"
)

// Observed is what a cell's history shows of how the release did co-scheduling.
type Observed struct {
	Assistants []Assistant `json:"assistants,omitempty"`
	// Affinity is the podAffinity of a TaskRun's pod to an assistant, as JSON;
	// empty if no pod had one.
	Affinity string `json:"affinity,omitempty"`
	// Refused is what Tekton or the API server said when it refused the
	// configuration.
	Refused string `json:"refused,omitempty"`

	// events are what happened, for where two histories part.
	events events
}

// Assistant is an affinity assistant's StatefulSet.
type Assistant struct {
	Name string `json:"name"`
	// SecurityContext is that of the pod template, as JSON.
	SecurityContext string `json:"securityContext,omitempty"`
	// ServiceAccount is the one its pod runs under.
	ServiceAccount string `json:"serviceAccount"`
	// Failed is the message of the event that says why its pod could not be
	// made; empty if it was.
	Failed string `json:"failed,omitempty"`
}

// Observe says what a history shows.
func Observe(of *timeline.Timeline) Observed {
	o := Observed{events: happened(of)}
	for _, e := range of.Entries() {
		if o.Refused = verdict.RefusedConfig(e); o.Refused != "" {
			break
		}
	}
	// All objects, also those that are gone: Tekton deletes the assistant when the
	// run ends.
	all := of.Now()
	for _, s := range all.All("StatefulSet") {
		if s.Text("metadata", "labels", wellknown.ComponentLabel) != wellknown.AffinityAssistant && !strings.HasPrefix(s.Ref.Name, wellknown.AffinityAssistant) {
			continue
		}
		a := Assistant{
			Name:            s.Ref.Name,
			SecurityContext: s.JSON("spec", "template", "spec", "securityContext"),
			ServiceAccount:  cmp.Or(s.Text("spec", "template", "spec", "serviceAccountName"), "default"),
		}
		if e := of.LastEvent("StatefulSet", s.Ref.Namespace, s.Ref.Name, of.End(), func(e timeline.Event) bool { return e.Reason == "FailedCreate" }); e != nil {
			a.Failed = verdict.Brief(e.Message)
		}
		o.Assistants = append(o.Assistants, a)
	}
	slices.SortStableFunc(o.Assistants, func(a, b Assistant) int { return cmp.Compare(a.Name, b.Name) })
	for _, p := range all.All("Pod") {
		if strings.HasPrefix(p.Ref.Name, wellknown.AffinityAssistant) {
			continue
		}
		if a := p.JSON("spec", "affinity", "podAffinity"); strings.Contains(a, wellknown.AffinityAssistant) {
			o.Affinity = a
			break
		}
	}
	return o
}

// Release names a release with the OpenShift Pipelines that carries it.
type Release struct {
	Version            string `json:"version"`
	OpenShiftPipelines string `json:"openShiftPipelines,omitempty"`
}

// String returns "1.3.1 (OpenShift Pipelines 1.20)".
func (r Release) String() string {
	if r.OpenShiftPipelines == "" {
		return r.Version
	}
	return r.Version + " (OpenShift Pipelines " + r.OpenShiftPipelines + ")"
}

// Run is one cell as it was run on one release.
type Run struct {
	Cell verdict.Cell
	// Flags are the feature flags that the scenario sets.
	Flags map[string]string
	// Observed is nil if there is no history.
	Observed *Observed
	// Silent says that the result does not tell of conduct: an older simctl wrote it, and
	// its history was not kept.
	Silent bool
}

// key is equal for the repeats of a cell on any release.
func (r Run) key() string {
	var b strings.Builder
	b.WriteString(r.Cell.Scenario)
	for _, a := range r.Cell.Axes {
		if a != tektonAxis {
			b.WriteString("\x00" + a + "\x00" + r.Cell.Values[a])
		}
	}
	return b.String()
}

// tektonAxis is the name of the axis that tells the release.
const tektonAxis = "tekton"
