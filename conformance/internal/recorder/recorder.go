// Package recorder watches an API server and keeps each change with the time at
// which it came.
package recorder

import (
	"context"
	"sync"
	"time"

	"simctl.dev/simctl/conformance/internal/kubeapi"
	"simctl.dev/simctl/conformance/internal/timeline"
)

// collections are what is recorded, by kind.
var collections = map[string]string{
	"Pod":                   "/api/v1/pods",
	"Event":                 "/api/v1/events",
	"PersistentVolumeClaim": "/api/v1/persistentvolumeclaims",
	"PersistentVolume":      "/api/v1/persistentvolumes",
	"VolumeAttachment":      "/apis/storage.k8s.io/v1/volumeattachments",
	"Node":                  "/api/v1/nodes",
	"StatefulSet":           "/apis/apps/v1/statefulsets",
	"PipelineRun":           "/apis/tekton.dev/v1/pipelineruns",
	"TaskRun":               "/apis/tekton.dev/v1/taskruns",
}

// Recorder records until it is stopped.
type Recorder struct {
	cancel  context.CancelFunc
	watches sync.WaitGroup

	mu      sync.Mutex
	changes []timeline.Change
}

// Start begins to record.
func Start(ctx context.Context, api *kubeapi.Client) *Recorder {
	ctx, cancel := context.WithCancel(ctx)
	r := &Recorder{cancel: cancel}
	for kind, path := range collections {
		r.watches.Go(func() { r.watch(ctx, api, kind, path) })
	}
	return r
}

func (r *Recorder) watch(ctx context.Context, api *kubeapi.Client, kind, path string) {
	version := ""
	for ctx.Err() == nil {
		err := api.Watch(ctx, path, version, func(e kubeapi.Event) {
			if e.Type == "ERROR" {
				version = "" // it is too old: what is there now comes as if it were new
				return
			}
			m, _ := e.Object["metadata"].(map[string]any)
			version, _ = m["resourceVersion"].(string)
			if e.Type == "BOOKMARK" {
				return
			}
			delete(m, "managedFields")
			if s, ok := e.Object["status"].(map[string]any); ok && kind == "Node" {
				delete(s, "images")
			}
			r.add(timeline.Change{Kind: kind, Type: e.Type, Object: e.Object})
		})
		if err != nil {
			// The API server is away or stands still: that is part of some cases.
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

// Mark notes what is done by hand.
func (r *Recorder) Mark(text string) { r.add(timeline.Change{Kind: timeline.MarkKind, Text: text}) }

func (r *Recorder) add(c timeline.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Time = float64(time.Now().UnixMilli()) / 1000
	r.changes = append(r.changes, c)
}

// Stop ends the recording and returns it.
func (r *Recorder) Stop() []timeline.Change {
	r.cancel()
	r.watches.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changes
}
