package sim_test

import (
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
)

// TestWebhook: the API server asks the release's own webhook about everybody's writes, and
// refuses what it could not ask about.
func TestWebhook(t *testing.T) {
	const (
		refused = "dial tcp 10.0.0.9:443: connect: connection refused"
		silent  = "dial tcp 10.0.0.9:443: i/o timeout"
	)
	want := map[string]struct {
		root  string // the rule of the chain's end
		words string // of the refusals
		by    string // who met them
		late  bool   // whether the run ends later than without
	}{
		"over-the-end":        {words: refused, by: "tekton-pipelines-controller", late: true},
		"silent-over-the-end": {words: silent, by: "tekton-pipelines-controller", late: true},
		"for-ever":            {words: refused, by: "tekton-pipelines-controller", root: "fault/webhook"},
		"flags-refused":       {words: `admission webhook "config.webhook.pipeline.tekton.dev" denied the request`, by: "tekton-operator", root: "config/refused-on-write"},
		"flags-unasked":       {words: refused, by: "tekton-operator"},
	}
	roots := map[string]string{}
	for name, w := range want {
		roots[name] = w.root
	}
	makespan := map[string]float64{}
	for name, entries := range play(t, "faults/webhook.yaml", "outage", roots) {
		w := want[name]
		met, others := 0, ""
		for _, e := range entries {
			switch {
			case e.Kind != history.KindRefused || e.Code < 400 || e.Code == 404 || e.Code == 409:
			case w.words != "" && e.Actor == w.by && strings.Contains(e.Message, w.words):
				met++
			default:
				others = e.Actor + ": " + e.Message
			}
			if e.Fact == history.FactFinished {
				makespan[name] = e.T
			}
		}
		if (met > 0) != (w.words != "") || others != "" {
			t.Errorf("%s: %d refusals with %q of %s, and %s", name, met, w.words, w.by, others)
		}
	}
	for name, w := range want {
		// A minute's outage costs at least what was left of it when the task ended.
		if w.late && makespan[name] < makespan["none"]+30 {
			t.Errorf("%s ended after %.0f s, and after %.0f s without an outage", name, makespan[name], makespan["none"])
		}
	}
	if makespan["in-the-middle"] != makespan["none"] {
		t.Errorf("an outage that nobody met cost time: %.3f s, and %.3f s without", makespan["in-the-middle"], makespan["none"])
	}
}

// TestForeignWebhook: the API server does not let in what it could not ask somebody else's
// webhook about, and nothing of that is left when it is taken out.
func TestForeignWebhook(t *testing.T) {
	const refused = `failed calling webhook "validate.policy.example.com"`
	for name, entries := range play(t, "faults/foreign-webhook.yaml", "webhook", map[string]string{"stays": "fault/foreign-webhook"}) {
		met := 0
		for _, e := range entries {
			if e.Kind == history.KindRefused && e.Object.Kind == "Pod" && strings.Contains(e.Message, refused) {
				met++
			}
		}
		if (met > 0) != (name == "stays") {
			t.Errorf("%s: %d pods are refused", name, met)
		}
	}
}
