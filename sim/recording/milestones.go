package recording

import (
	"maps"
	"slices"
)

// milestone is a moment in the life of an object: reached names those that a
// change brings.
type milestone struct {
	kind    string
	reached func(Change) []string
	// takesTime says that nodes or drivers bring it about. What controllers do takes no
	// virtual time, so that it may come at once with what it follows.
	takesTime bool
}

// milestones are the moments whose order is compared.
var milestones = []milestone{
	{"Pod", when("created", func(c Change) bool { return c.Op == OpCreated }), false},
	{"Pod", when("scheduled", func(c Change) bool { return c.text("node") != "" }), false},
	{"Pod", when("started", func(c Change) bool { return c.text("phase") == "Running" }), true},
	{"Pod", ended, true},
	{"Pod", when("in its terminal phase", func(c Change) bool { return c.text("phase") == "Succeeded" || c.text("phase") == "Failed" }), true},
	{"Pod", when("asked to go", func(c Change) bool { return c.Fields["deletionAsked"] != nil }), false},
	{"Pod", when("gone", func(c Change) bool { return c.Op == OpGone }), true},
	{"PersistentVolumeClaim", when("given to a node", func(c Change) bool {
		return text(c.Fields, "annotations", "volume.kubernetes.io/selected-node") != ""
	}), false},
	{"PersistentVolumeClaim", when("bound", func(c Change) bool { return c.text("phase") == "Bound" }), true},
	{"VolumeAttachment", when("created", func(c Change) bool { return c.Op == OpCreated }), false},
	{"VolumeAttachment", when("attached", func(c Change) bool { return c.Fields["attached"] == true }), true},
	{"VolumeAttachment", when("detach asked", func(c Change) bool { return c.Fields["deletionAsked"] != nil }), true},
	{"VolumeAttachment", when("detached", func(c Change) bool { return c.Op == OpGone }), true},
	{"StatefulSet", when("created", func(c Change) bool { return c.Op == OpCreated }), false},
	{"StatefulSet", when("gone", func(c Change) bool { return c.Op == OpGone }), false},
	{"TaskRun", when("created", func(c Change) bool { return c.Op == OpCreated }), false},
	{"TaskRun", when("running", func(c Change) bool { return succeeded(c, "Unknown", "Running") }), false},
	{"TaskRun", when("refused by a quota", func(c Change) bool { return succeeded(c, "Unknown", "ExceededResourceQuota") }), false},
	{"TaskRun", when("given its pod", func(c Change) bool { return c.text("pod") != "" }), false},
	{"TaskRun", when("retried", func(c Change) bool { return c.Fields["retries"] != nil }), false},
	{"TaskRun", when("ended", func(c Change) bool { return succeeded(c, "True", "") || succeeded(c, "False", "") }), false},
	{"PipelineRun", when("created", func(c Change) bool { return c.Op == OpCreated }), false},
	{"PipelineRun", when("ended", func(c Change) bool { return succeeded(c, "True", "") || succeeded(c, "False", "") }), false},
}

// byDesign are the durations that no host's load explains: how long they take
// is set, in the recorded cluster's driver or in somebody's code.
var byDesign = []struct {
	kind, from, to string
	// within is by how many seconds they may differ.
	within float64
}{
	{"PersistentVolumeClaim", "given to a node", "bound", 1.5}, // provision, 3 s
	{"VolumeAttachment", "created", "attached", 1.5},           // attach, 10 s
	{"VolumeAttachment", "detach asked", "detached", 1.5},      // detach, 6 s
	{"TaskRun", "refused by a quota", "given its pod", 5},      // Tekton's try again, 60 s
}

// when makes a milestone of a condition.
func when(name string, reached func(Change) bool) func(Change) []string {
	return func(c Change) []string {
		if reached(c) {
			return []string{name}
		}
		return nil
	}
}

// ended names the containers that have ended.
func ended(c Change) []string {
	var out []string
	all, _ := c.Fields["containers"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if text(all, name, "state") == "terminated" {
			out = append(out, name+" ended")
		}
	}
	return out
}

// succeeded says whether a change makes the condition Succeeded so; an empty
// reason is any.
func succeeded(c Change, status, reason string) bool {
	items, _ := c.Fields["conditions"].([]any)
	return slices.ContainsFunc(items, func(item any) bool {
		m, _ := item.(map[string]any)
		return text(m, "type") == "Succeeded" && text(m, "status") == status && (reason == "" || text(m, "reason") == reason)
	})
}
