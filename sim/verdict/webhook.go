package verdict

import (
	"fmt"
	"strings"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/wellknown"
)

// unasked says that what Tekton's controller wrote of a run or its TaskRun before an entry
// was refused because its webhook could not be asked about it, and why; nil if none was.
func (t *judging) unasked(run *timeline.Run, r *timeline.TaskRun, before int) []Link {
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
	links := []Link{webhookUnasked.link(last.Object.String(), clip(last.Message), last.Object.String(), len(refused))}
	if o := t.WebhookOutage(last.Seq); o != nil {
		links = append(links, webhookFails.link("Deployment "+o.Began.Data.Name, fmt.Sprintf("%s at %.0f s", history.FactWebhookFails, o.Began.T), o.Began.Data.Answer, lasted(*o)))
	}
	return links
}
