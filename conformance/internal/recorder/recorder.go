// Package recorder watches an API server and makes a recording of what it shows, each
// change with the time at which it came.
package recorder

import (
	"context"
	"sync"
	"time"

	"simctl.dev/simctl/conformance/internal/kubeapi"
	"simctl.dev/simctl/sim/recording"
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

	mu       sync.Mutex
	recorder *recording.Recorder
}

// Start begins to record what is in a namespace, and what belongs to it.
func Start(ctx context.Context, api *kubeapi.Client, namespace string) *Recorder {
	ctx, cancel := context.WithCancel(ctx)
	r := &Recorder{cancel: cancel, recorder: recording.NewRecorder(namespace)}
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
			e.Object["kind"] = kind // which the API server may leave out
			r.note(func(now float64) {
				if e.Type == "DELETED" {
					r.recorder.Gone(now, e.Object)
				} else {
					r.recorder.See(now, e.Object)
				}
			})
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
func (r *Recorder) Mark(text string) {
	r.note(func(now float64) { r.recorder.Mark(now, text) })
}

// note has something noted with the time, in seconds.
func (r *Recorder) note(what func(now float64)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what(float64(time.Now().UnixMilli()) / 1000)
}

// Stop ends the recording and returns it.
func (r *Recorder) Stop() *recording.Recording {
	r.cancel()
	r.watches.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.recorder.Recording()
}
