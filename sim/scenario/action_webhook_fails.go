package scenario

import (
	"cmp"

	"simctl.dev/simctl/sim/history"
)

// webhookAnswers are what the API server meets that asks a webhook in vain.
var webhookAnswers = []string{history.WebhookRefuses, history.WebhookSilent}

// WebhookFailure is Tekton's webhook, away or not answering.
type WebhookFailure struct {
	// Answer is what the API server meets that asks it: connection-refused (default; its
	// process is gone) or timeout (nobody answers).
	Answer string `json:"answer,omitempty"`
	// For is how long it lasts, in virtual time; a Go duration. Without it the webhook does
	// not come back.
	For string `json:"for,omitempty"`
}

// Says returns the answer, connection-refused by default.
func (w *WebhookFailure) Says() string { return cmp.Or(w.Answer, history.WebhookRefuses) }

func webhookFailsAction() action {
	return action{
		field: "webhookFails",
		given: func(v *Intervention) bool { return v.WebhookFails != nil },
		what: func(v *Intervention) string {
			what := map[string]string{
				history.WebhookRefuses: "kill Tekton's webhook", history.WebhookSilent: "have Tekton's webhook not answer",
			}[v.WebhookFails.Says()]
			return what + lasting(v.WebhookFails.For)
		},
		check: func(c *checker, at string, v *Intervention) {
			c.choice(at+".answer", "answer of a webhook", v.WebhookFails.Answer, webhookAnswers)
			c.span(at+".for", v.WebhookFails.For)
		},
		faults: webhookFaults(),
	}
}

func webhookFaults() []Fault {
	const decides = "the webhook is the release's own, a process of its own; the API server asks it about every write of Tekton's objects and ConfigMaps, of status too, and refuses what it could not ask about (`failurePolicy: Fail`); Tekton's controller tries again by its own back-off"
	timers := []Timer{
		{Is: "Tekton's controller tries again after, doubled each time", Value: "5ms", Package: clientGoWorkqueue},
		{Is: "at most", Value: "1000s", Package: clientGoWorkqueue},
		{Is: "the API server waits for a webhook (seconds)", Value: "10", Package: "k8s.io/kubernetes/pkg/apis/admissionregistration/v1, SetDefaults_ValidatingWebhook"},
	}
	remedies := []string{"two replicas of `tekton-pipelines-webhook` with its PodDisruptionBudget: none of it is away while a node is drained", "time-outs of the run that leave room for the back-off, which goes on for up to as long again as the webhook was away"}
	return []Fault{
		{Name: "webhook-away", Does: "Tekton's webhook is killed and comes back later: nobody writes any of Tekton's objects meanwhile, its own controller least of all.",
			Real: decides, Simulated: "the network between the API server and the webhook", Timers: timers, Remedies: remedies, Rule: "fault/webhook", Example: `
- when: {task: build-image, phase: running}
  webhookFails: {for: 60s}
`},
		{Name: "webhook-silent", Does: "Nobody answers at the address of Tekton's webhook, as where a network policy drops what is sent there.",
			Real: decides, Simulated: "the network between the API server and the webhook: the API server is told at once that its 10 s are over, and they are not spent", Timers: timers, Remedies: remedies, Rule: "fault/webhook", Example: `
- when: {task: build-image, phase: running}
  webhookFails: {answer: timeout, for: 60s}
`},
	}
}

// clientGoWorkqueue is where the back-off of controllers' queues is.
const clientGoWorkqueue = "k8s.io/client-go/util/workqueue, DefaultTypedControllerRateLimiter"
