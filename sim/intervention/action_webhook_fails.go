package intervention

import (
	"maps"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// webhookFails has Tekton's webhook be away, or not answer.
func webhookFails(all *Interventions, v *scenario.Intervention, f *history.Intervention) error {
	if !all.Install.WebhookRuns() {
		return ineffective("Tekton's webhook does not run")
	}
	began, since := history.Webhook{Name: wellknown.TektonWebhook, Answer: v.WebhookFails.Says()}, all.now()
	if began.Answer == history.WebhookSilent {
		all.Install.SilenceWebhook()
	} else if err := all.Install.StopWebhook(all.ctx); err != nil {
		return err
	}
	all.Record(history.FactWebhookFails, began)
	return all.lasting(f, v.WebhookFails.For, "webhook-back", func() {
		if err := all.Install.MendWebhook(all.ctx); err != nil && all.failed == nil {
			all.failed = err
			return
		}
		all.Record(history.FactWebhookBack, began)
	}, func() []string { return all.unasked(since) })
}

// unasked are the objects of which writes were refused from an entry on because a webhook
// could not be asked about them.
func (all *Interventions) unasked(since int) []string {
	met := map[string]bool{}
	for _, e := range all.History.Log().Entries()[since:] {
		if e.Kind == history.KindRefused && strings.Contains(e.Message, history.WebhookFailed) {
			met[e.Object.String()] = true
		}
	}
	return slices.Sorted(maps.Keys(met))
}
