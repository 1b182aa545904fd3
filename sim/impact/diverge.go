package impact

import (
	"cmp"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/wellknown"
)

// moment is when something happened for the first time in a history.
type moment struct {
	t        float64
	what     string
	evidence string
}

// The kinds of moments. At one virtual time what is made comes first, then what
// follows from it: controllers that are busy at once have no order of their own.
const (
	kindMade    = "1"
	kindRefused = "2"
	kindEvent   = "3"
	kindFact    = "4"
)

// events keeps the moments of a history by what happened, names that Tekton and
// Kubernetes make up left out: so that two histories can be laid side by side.
type events map[string]moment

// telling are the facts that say how a run goes on, as a sentence about whom they
// concern.
var telling = map[string]string{
	history.FactUnschedulable: "no node takes %s",
	history.FactPodRefused:    "the kubelet refuses %s",
	history.FactFileDenied:    "%s may not use a file",
	history.FactNoSpace:       "%s is full",
	history.FactDisk:          "the disk of %s's node has no room",
	history.FactTektonExited:  "%s exits",
	history.FactStalled:       "nothing but time-outs can happen any more",
}

// made are the kinds of objects whose making is a moment.
var made = map[string]bool{"PipelineRun": true, "TaskRun": true, "CustomRun": true, "StatefulSet": true, "Pod": true, "PersistentVolumeClaim": true}

// happened lists the moments of a history.
func happened(of *timeline.Timeline) events {
	out := events{}
	who := map[history.Ref]string{}
	id := func(r history.Ref) history.Ref {
		r.APIVersion = ""
		return r
	}
	name := func(r history.Ref) string { return cmp.Or(who[id(r)], r.Kind) }
	add := func(key string, e history.Entry, what, evidence string) {
		if _, met := out[key]; !met {
			out[key] = moment{t: e.T, what: what, evidence: cmp.Or(evidence, e.Object.String())}
		}
	}
	said := of.Events
	for _, e := range of.Entries() {
		switch {
		case len(said) > 0 && said[0].Seq == e.Seq:
			ev := said[0]
			said = said[1:]
			// What a kubelet does all day is none.
			if about := ev.About(); ev.Reason != "" && about.Kind != "" && (ev.Type != corev1.EventTypeNormal || ev.Component != "kubelet") {
				add(kindEvent+"\x00"+ev.Reason+"\x00"+name(about), e, fmt.Sprintf("%s: %s", name(about), ev.Reason), ev.Message)
			}
		case e.Kind == history.KindObject && e.Verb == history.VerbCreate:
			who[id(e.Object)] = called(e.Object, timeline.MetaIn(e).Labels)
			if made[e.Object.Kind] {
				add(kindMade+"\x00"+name(e.Object), e, name(e.Object)+" is made", "")
			}
		case e.Kind == history.KindRefused:
			of := called(e.Object, timeline.MetaIn(e).Labels)
			add(kindRefused+"\x00"+e.Reason+"\x00"+of, e, "the API server refuses "+of, e.Message)
		case e.Kind == history.KindFact && telling[e.Fact] != "":
			what := telling[e.Fact]
			if e.Fact != history.FactStalled {
				what = fmt.Sprintf(what, name(e.Object))
			}
			var f struct {
				Message string `json:"message"`
			}
			_ = json.Unmarshal(e.Data, &f) // facts without a message have no words
			add(kindFact+"\x00"+e.Fact+"\x00"+name(e.Object), e, what, f.Message)
		}
	}
	return out
}

// called names an object by what it is for, since its own name is made up.
func called(r history.Ref, labels map[string]string) string {
	switch {
	case labels[wellknown.PipelineTaskLabel] != "":
		return r.Kind + " of task " + labels[wellknown.PipelineTaskLabel]
	case labels[wellknown.ComponentLabel] == wellknown.AffinityAssistant:
		return r.Kind + " of the affinity assistant"
	}
	return r.Kind
}

// divergence returns the first thing that happened on one side only; false if the
// same things happened on both.
func divergence(x, y events) (Reason, bool) {
	type side struct {
		moment
		key   string
		after bool
	}
	var first *side
	look := func(a, b events, after bool) {
		for k, m := range a {
			if _, both := b[k]; both {
				continue
			}
			if first == nil || cmp.Or(cmp.Compare(m.t, first.t), cmp.Compare(k, first.key)) < 0 {
				first = &side{m, k, after}
			}
		}
	}
	look(x, y, false)
	look(y, x, true)
	if first == nil {
		return Reason{}, false
	}
	r := Reason{What: fmt.Sprintf("the histories part at %gs: %s", first.t, first.what), Before: first.evidence, After: "did not happen"}
	if first.after {
		r.Before, r.After = r.After, r.Before
	}
	return r, true
}
