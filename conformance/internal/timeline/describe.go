package timeline

import (
	"reflect"
	"slices"
	"strings"
)

// differences collects the fields of a line in which two states differ.
type differences struct {
	was, is map[string]any
	line    Line
}

// value notes a value that differs; one that is not there and an empty one are the same.
func (d *differences) value(field string, was, is any) {
	if empty(was) && empty(is) || reflect.DeepEqual(was, is) {
		return
	}
	d.line = append(d.line, Field{field, is})
}

// at notes the value at a path.
func (d *differences) at(field string, path ...string) {
	d.value(field, lookup(d.was, path...), lookup(d.is, path...))
}

// entries notes those entries of a map that are new or differ.
func (d *differences) entries(field string, was, is map[string]any) {
	if m := changed(was, is); len(m) > 0 {
		d.line = append(d.line, Field{field, m})
	}
}

func (w *writer) describe(kind string, was, is map[string]any) Line {
	d := &differences{was: was, is: is}
	d.metadata(kind)
	switch kind {
	case "Pod":
		d.at("node", "spec", "nodeName")
		d.at("schedulingGates", "spec", "schedulingGates")
		for _, f := range []string{"phase", "reason", "message", "nominatedNodeName"} {
			d.at(f, "status", f)
		}
		d.conditions()
		d.entries("containers", containers(was), containers(is))
	case "PersistentVolumeClaim":
		d.at("phase", "status", "phase")
		d.at("volume", "spec", "volumeName")
		d.conditions()
	case "PersistentVolume":
		d.at("phase", "status", "phase")
	case "VolumeAttachment":
		d.at("node", "spec", "nodeName")
		d.at("volume", "spec", "source", "persistentVolumeName")
		d.at("attached", "status", "attached")
		d.at("attachError", "status", "attachError", "message")
		d.at("detachError", "status", "detachError", "message")
	case "Node":
		d.at("taints", "spec", "taints")
		d.at("unschedulable", "spec", "unschedulable")
		d.conditions()
		d.value("volumesAttached", w.attached(was), w.attached(is))
		d.value("volumesInUse", w.inUse(was), w.inUse(is))
	case "StatefulSet":
		for _, f := range []string{"replicas", "readyReplicas", "availableReplicas"} {
			d.at(f, "status", f)
		}
		d.at("specReplicas", "spec", "replicas")
	case "PipelineRun", "TaskRun":
		d.run()
	}
	return d.line
}

func (d *differences) metadata(kind string) {
	was, is := object(d.was, "metadata"), object(d.is, "metadata")
	grace := is["deletionGracePeriodSeconds"]
	switch {
	case is["deletionTimestamp"] != nil && was["deletionTimestamp"] == nil:
		d.line = append(d.line, Field{"deletionAsked", map[string]any{"gracePeriodSeconds": grace}})
	case d.was != nil && !reflect.DeepEqual(was["deletionGracePeriodSeconds"], grace):
		d.line = append(d.line, Field{"gracePeriodSeconds", grace})
	}
	d.at("finalizers", "metadata", "finalizers")
	if d.was == nil || kind == "Node" {
		return
	}
	for _, f := range []string{"labels", "annotations"} {
		a, b := object(was, f), object(is, f)
		m := changed(a, b)
		for k := range a {
			if _, ok := b[k]; !ok {
				m[k] = nil
			}
		}
		if len(m) > 0 {
			d.line = append(d.line, Field{f, m})
		}
	}
}

func (d *differences) run() {
	d.at("specStatus", "spec", "status")
	d.at("specStatusMessage", "spec", "statusMessage")
	d.conditions()
	d.at("pod", "status", "podName")
	d.value("retries", len(list(d.was, "status", "retriesStatus")), len(list(d.is, "status", "retriesStatus")))
	for _, f := range []struct{ field, of string }{{"completed", "completionTime"}, {"started", "startTime"}} {
		d.value(f.field, lookup(d.was, "status", f.of) != nil, lookup(d.is, "status", f.of) != nil)
	}
	for _, f := range []string{"steps", "sidecars"} {
		d.entries(f, steps(d.was, f), steps(d.is, f))
	}
	d.value("children", names(d.was, "childReferences"), names(d.is, "childReferences"))
	d.value("skipped", skipped(d.was), skipped(d.is))
	d.at("results", "status", "results")
	d.at("taskResults", "status", "taskResults")
}

func (d *differences) conditions() {
	was, order := conditions(d.was)
	is, now := conditions(d.is)
	var l []any
	for _, t := range now {
		if !reflect.DeepEqual(was[t], is[t]) {
			l = append(l, is[t])
		}
	}
	for _, t := range order {
		if is[t] == nil {
			l = append(l, map[string]any{"type": t, "removed": true})
		}
	}
	if len(l) > 0 {
		d.line = append(d.line, Field{"conditions", l})
	}
}

// condition has the fields of a condition that a recording keeps, in their order.
type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

func conditions(o map[string]any) (byType map[string]any, order []string) {
	byType = map[string]any{}
	for _, c := range list(o, "status", "conditions") {
		t := text(c, "type")
		order = append(order, t)
		byType[t] = condition{t, text(c, "status"), text(c, "reason"), text(c, "message")}
	}
	return byType, order
}

// state has the fields of a container's or step's state that a recording keeps.
type state struct {
	State             string `json:"state"`
	Reason            any    `json:"reason,omitempty"`
	Message           any    `json:"message,omitempty"`
	ExitCode          any    `json:"exitCode,omitempty"`
	Signal            any    `json:"signal,omitempty"`
	Ready             any    `json:"ready,omitempty"`
	Started           any    `json:"started,omitempty"`
	RestartCount      any    `json:"restartCount,omitempty"`
	LastState         any    `json:"lastState,omitempty"`
	TerminationReason any    `json:"terminationReason,omitempty"`
}

func stateOf(o map[string]any) state {
	for _, s := range []string{"waiting", "running", "terminated"} {
		if v, ok := o[s].(map[string]any); ok {
			return state{State: s, Reason: v["reason"], Message: v["message"], ExitCode: v["exitCode"], Signal: v["signal"]}
		}
	}
	return state{}
}

func containers(o map[string]any) map[string]any {
	r := map[string]any{}
	for _, f := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, c := range list(o, "status", f) {
			s := stateOf(object(c, "state"))
			s.Ready, s.Started, s.RestartCount = some(c["ready"]), some(c["started"]), some(c["restartCount"])
			s.LastState = some(c["lastState"])
			r[text(c, "name")] = s
		}
	}
	return r
}

func steps(o map[string]any, field string) map[string]any {
	r := map[string]any{}
	for _, c := range list(o, "status", field) {
		s := stateOf(c)
		s.TerminationReason = some(c["terminationReason"])
		r[text(c, "name")] = s
	}
	return r
}

func names(o map[string]any, field string) []any {
	var r []any
	for _, c := range list(o, "status", field) {
		r = append(r, c["name"])
	}
	return r
}

func skipped(o map[string]any) []any {
	var r []any
	for _, c := range list(o, "status", "skippedTasks") {
		r = append(r, []any{c["name"], c["reason"]})
	}
	return r
}

func (w *writer) attached(o map[string]any) []any {
	var l []string
	for _, v := range list(o, "status", "volumesAttached") {
		l = append(l, text(v, "name"))
	}
	return w.ours(l)
}

func (w *writer) inUse(o map[string]any) []any {
	var l []string
	v, _ := lookup(o, "status", "volumesInUse").([]any)
	for _, s := range v {
		if s, ok := s.(string); ok {
			l = append(l, s)
		}
	}
	return w.ours(l)
}

// ours are those of a node's volumes that are the case's. None is an empty list:
// a line that says so says that the last one went.
func (w *writer) ours(l []string) []any {
	slices.Sort(l)
	r := []any{}
	for _, v := range l {
		for p := range w.volumes {
			if strings.Contains(v, p) {
				r = append(r, v)
				break
			}
		}
	}
	return r
}

func changed(was, is map[string]any) map[string]any {
	r := map[string]any{}
	for k, v := range is {
		if old, ok := was[k]; !ok || !reflect.DeepEqual(old, v) {
			r[k] = v
		}
	}
	return r
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// some is nil for what a recording leaves out: false, 0, and what has nothing in it.
func some(v any) any {
	if empty(v) || v == false || v == int64(0) || v == float64(0) {
		return nil
	}
	return v
}

func lookup(o map[string]any, path ...string) any {
	for i, p := range path {
		if i == len(path)-1 {
			return o[p]
		}
		o, _ = o[p].(map[string]any)
	}
	return nil
}

func object(o map[string]any, path ...string) map[string]any {
	m, _ := lookup(o, path...).(map[string]any)
	return m
}

func text(o map[string]any, path ...string) string {
	s, _ := lookup(o, path...).(string)
	return s
}

func list(o map[string]any, path ...string) []map[string]any {
	l, _ := lookup(o, path...).([]any)
	var r []map[string]any
	for _, e := range l {
		if m, ok := e.(map[string]any); ok {
			r = append(r, m)
		}
	}
	return r
}

func name(o map[string]any) string { return text(o, "metadata", "name") }
