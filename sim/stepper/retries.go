package stepper

import (
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/wellknown"
)

// retries tells whether what is tried again for long can succeed: if anything has
// changed since it was tried. Whether it does is seen when its time has come, since
// nobody tries it earlier.
type retries struct {
	read int // of the history
	// changes counts what has changed; before is the number at the last moment at
	// which all was quiet.
	changes, before int
	tried           map[string]try
}

type try struct {
	attempt, changes int
	at               float64
}

// look takes note of what was tried and of what has changed since the last time.
func (r *retries) look(entries []history.Entry, retrying map[string]int, now float64) {
	r.note(entries[r.read:], retrying, now)
	r.read = len(entries)
}

// note takes the entries since the last quiet moment, and what is tried again, with
// the number of attempts.
func (r *retries) note(entries []history.Entry, retrying map[string]int, now float64) {
	for _, e := range entries {
		if changes(e) {
			r.changes++
		}
	}
	tried := map[string]try{}
	for key, attempt := range retrying {
		t, ok := r.tried[key]
		if !ok || t.attempt != attempt {
			// What has changed since the last moment may have come after it.
			t = try{attempt: attempt, changes: r.before, at: now}
		}
		tried[key] = t
	}
	r.tried, r.before = tried, r.changes
}

// changes says whether an entry is of a change that may let succeed what failed
// before. What Tekton writes of its own runs tells only how they do, as Events and
// leases do; a machine's report of itself is periodic.
func changes(e history.Entry) bool {
	if e.Kind != history.KindObject {
		return false
	}
	switch e.Object.Kind {
	case "Event", "Lease":
		return false
	case "TaskRun", "PipelineRun", "CustomRun", "Node":
		return e.Verb == history.VerbCreate || e.Verb == history.VerbDelete || e.Actor == wellknown.User || e.Actor == wellknown.Simctl
	}
	return true
}

// hopeful says whether anything that is tried again can succeed.
func (r *retries) hopeful() bool {
	for _, t := range r.tried {
		if t.changes < r.changes {
			return true
		}
	}
	return false
}

// beforehand says whether something that is tried again has not been tried since a
// moment.
func (r *retries) beforehand(at float64) bool {
	for _, t := range r.tried {
		if t.at <= at {
			return true
		}
	}
	return false
}
