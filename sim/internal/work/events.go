package work

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"

	"simctl.dev/simctl/sim/clock"
)

// Events writes what simulated components say, on virtual time. What is said again
// is counted, combined or dropped by client-go's own correlator, which a kubelet
// and an external-provisioner have too.
type Events struct {
	client     kubernetes.Interface
	clock      *clock.Clock
	log        logr.Logger
	correlator *record.EventCorrelator
	// made parts the names of events of one moment.
	made int64
}

// NewEvents returns the recorder of some components.
func NewEvents(client kubernetes.Interface, clk *clock.Clock, log logr.Logger) *Events {
	return &Events{
		client: client, clock: clk, log: log,
		correlator: record.NewEventCorrelatorWithOptions(record.CorrelatorOptions{Clock: clk}),
	}
}

// Say writes an event, or counts it on the one before if the same has been said of
// the same object. What cannot be written is logged: nobody waits for an event.
func (e *Events) Say(ctx context.Context, source corev1.EventSource, about corev1.ObjectReference, kind, reason, message string) {
	e.Repeat(ctx, source, about, kind, reason, message, e.clock.Now())
}

// Repeat writes in one go what was said at several moments, the last of which may be
// past.
func (e *Events) Repeat(ctx context.Context, source corev1.EventSource, about corev1.ObjectReference, kind, reason, message string, moments ...time.Time) {
	var last *record.EventCorrelateResult
	for _, at := range moments {
		e.made++
		namespace := cmp.Or(about.Namespace, metav1.NamespaceDefault)
		said, err := e.correlator.EventCorrelate(&corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("%s.%x", about.Name, at.UnixNano()+e.made)},
			InvolvedObject: about,
			Type:           kind, Reason: reason, Message: message,
			Source: source, ReportingController: source.Component, ReportingInstance: source.Host,
			FirstTimestamp: metav1.NewTime(at), LastTimestamp: metav1.NewTime(at), Count: 1,
		})
		if err != nil {
			e.log.Error(err, "Counting an event", "about", about.Kind+" "+namespace+"/"+about.Name, "reason", reason)
		} else if !said.Skip {
			last = said
		}
	}
	if last == nil {
		return
	}
	if err := e.write(ctx, last); err != nil && ctx.Err() == nil {
		e.log.Error(err, "Writing an event", "about", about.Kind+" "+last.Event.Namespace+"/"+about.Name, "reason", reason)
	}
}

// write sends an event, or what is new about one that was sent before.
func (e *Events) write(ctx context.Context, said *record.EventCorrelateResult) error {
	api := e.client.CoreV1().Events(said.Event.Namespace)
	if said.Event.Count > 1 {
		event, err := api.Patch(ctx, said.Event.Name, types.StrategicMergePatchType, said.Patch, metav1.PatchOptions{})
		if err == nil {
			e.correlator.UpdateState(event)
			return nil
		}
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("saying %s again: %w", said.Event.Reason, err)
		}
	}
	event, err := api.Create(ctx, said.Event, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("saying %s: %w", said.Event.Reason, err)
	}
	e.correlator.UpdateState(event)
	return nil
}
