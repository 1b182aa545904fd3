package verdict

import (
	"fmt"
	"strings"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/wellknown"
)

// unasked says that what Tekton's controller wrote of a run or its TaskRun before an entry
// was refused because its webhook could not be asked about it, and why; nil if none was, or
// if nothing is written of a run any more, which says the same.
func (t *judging) unasked(run *timeline.Run, r *timeline.TaskRun, before int) []Link {
	if t.unended(run) && t.unwritten(run) != nil {
		return nil
	}
	var refused []history.Entry
	for _, e := range append(t.RefusedOf(r.Namespace, r.Name), t.RefusedOf(run.Namespace, run.Name)...) {
		if e.Seq < before && e.Actor == wellknown.TektonController && strings.Contains(e.Message, history.WebhookFailed) {
			refused = append(refused, e)
		}
	}
	if len(refused) == 0 {
		return nil
	}
	last := refused[len(refused)-1]
	return append([]Link{webhookUnasked.link(last.Object.String(), clip(last.Message), last.Object.String(), len(refused))}, t.webhookAway(last)...)
}

// webhookAway says why a write was refused about which Tekton's webhook could not be asked;
// nil if it was refused for another reason, or nobody knows.
func (t *judging) webhookAway(e history.Entry) []Link {
	if o := t.WebhookOutage(e.Seq); o != nil && strings.Contains(e.Message, history.WebhookFailed) {
		return []Link{webhookFails.link("Deployment "+o.Began.Data.Name, fmt.Sprintf("%s at %.0f s", history.FactWebhookFails, o.Began.T), o.Began.Data.Answer, lasted(*o))}
	}
	return nil
}

// specFast is what Tekton's webhook says to a write of the spec of something that is done
// (pkg/apis/pipeline/v1/taskrun_validation.go).
const specFast = "is complete, no updates are allowed"

// refusesOwn says why Tekton's webhook refused what its own controller wrote; nil if it
// was for another reason than that the object is done.
func refusesOwn(e history.Entry) []Link {
	if !strings.Contains(e.Message, specFast) {
		return nil
	}
	return []Link{webhookRefusesOwn.link(e.Object.String(), clip(e.Message), e.Object.String())}
}
