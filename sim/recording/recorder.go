package recording

import (
	"cmp"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
)

// Recorder makes a recording of objects, each as it was seen after a change of it.
type Recorder struct {
	namespace string
	// begun is the time of the first object of the case; NaN before it.
	begun float64
	seen  map[object]map[string]any
	gone  []last
	lines []Change
	// volumes are the PersistentVolumes of the namespace's claims, attachments the
	// VolumeAttachments of these.
	volumes, attachments map[string]bool
	// named are the words of marks, nodes among them.
	named map[string]bool
}

type object struct{ kind, name string }

type last struct {
	object
	at    float64
	state map[string]any
}

// NewRecorder returns a Recorder of what is in a namespace, and of the volumes and
// nodes that belong to it.
func NewRecorder(namespace string) *Recorder {
	return &Recorder{namespace: namespace, begun: math.NaN(), seen: map[object]map[string]any{}, volumes: map[string]bool{}, attachments: map[string]bool{}, named: map[string]bool{}}
}

// Mark notes what was done to the cluster by hand. A node that the text names belongs to
// the case.
func (r *Recorder) Mark(t float64, text string) {
	for _, word := range strings.Fields(text) {
		r.named[word] = true
	}
	r.lines = append(r.lines, Change{T: t, Kind: KindMark, Fields: map[string]any{"text": text}})
}

// Gone says that an object has gone.
func (r *Recorder) Gone(t float64, state map[string]any) {
	id := object{text(state, "kind"), text(state, "metadata", "name")}
	if !r.concerns(state) || r.seen[id] == nil {
		return
	}
	delete(r.seen, id)
	if id.kind == KindEvent {
		return
	}
	r.lines = append(r.lines, Change{T: t, Kind: id.kind, Namespace: text(state, "metadata", "namespace"), Name: id.name, Op: OpGone, Fields: map[string]any{}})
	r.gone = append(r.gone, last{id, t, state})
}

// See says what an object is like now.
func (r *Recorder) See(t float64, state map[string]any) {
	if !r.concerns(state) {
		return
	}
	id := object{text(state, "kind"), text(state, "metadata", "name")}
	before := r.seen[id]
	r.seen[id] = state
	if id.kind == KindEvent {
		r.event(t, before, state)
		return
	}
	if math.IsNaN(r.begun) && id.kind != "Node" {
		r.begun = t
	}
	fields := r.describe(id.kind, before, state)
	if before != nil && len(fields) == 0 || before == nil && id.kind == "Node" {
		return
	}
	op := OpChanged
	if before == nil {
		op = OpCreated
	}
	r.lines = append(r.lines, Change{T: t, Kind: id.kind, Namespace: text(state, "metadata", "namespace"), Name: id.name, Op: op, Fields: fields})
}

// event adds a line if there is a new event or one was repeated.
func (r *Recorder) event(t float64, before, state map[string]any) {
	if before != nil && count(before) == count(state) {
		return
	}
	about := regarding(state)
	fields := map[string]any{
		"about":   text(about, "kind") + "/" + text(about, "name"),
		"type":    text(state, "type"),
		"reason":  text(state, "reason"),
		"message": cmp.Or(text(state, "message"), text(state, "note")),
		"source": cmp.Or(text(state, "source", "component"), text(state, "deprecatedSource", "component"),
			text(state, "reportingComponent"), text(state, "reportingController")),
	}
	if n := count(state); n > 1 {
		fields["count"] = n
	}
	r.lines = append(r.lines, Change{T: t, Kind: KindEvent, Fields: fields})
}

// regarding names what an event is about: it has another field in events.k8s.io.
func regarding(event map[string]any) map[string]any {
	for _, name := range []string{"involvedObject", "regarding"} {
		if m, ok := event[name].(map[string]any); ok {
			return m
		}
	}
	return nil
}

func count(event map[string]any) float64 {
	for _, at := range []any{field(event, "count"), field(event, "deprecatedCount"), field(event, "series", "count")} {
		switch n := at.(type) {
		case float64:
			if n > 0 {
				return n
			}
		case int64:
			if n > 0 {
				return float64(n)
			}
		}
	}
	return 1
}

// kinds are those that a recording has.
var kinds = []string{"Pod", "PipelineRun", "TaskRun", "StatefulSet", "PersistentVolumeClaim", "PersistentVolume", "VolumeAttachment", "Node", KindEvent}

// concerns says whether an object belongs to the case.
func (r *Recorder) concerns(state map[string]any) bool {
	name := text(state, "metadata", "name")
	switch kind := text(state, "kind"); kind {
	case KindEvent:
		about := regarding(state)
		return text(about, "namespace") == r.namespace || text(about, "kind") == "Node" || r.volumes[text(about, "name")]
	case "PersistentVolume":
		r.volumes[name] = r.volumes[name] || text(state, "spec", "claimRef", "namespace") == r.namespace
		return r.volumes[name]
	case "VolumeAttachment":
		r.attachments[name] = r.attachments[name] || r.volumes[text(state, "spec", "source", "persistentVolumeName")]
		return r.attachments[name]
	case "Node":
		return true
	default:
		return slices.Contains(kinds, kind) && text(state, "metadata", "namespace") == r.namespace
	}
}

// markBefore is how many seconds before the first object of the case a mark may be; one
// that is older is another case's.
const markBefore = 3

// Recording returns what was seen. Nodes are those that the case's pods were on, and
// those that a mark names.
func (r *Recorder) Recording() *Recording {
	finals := slices.Clone(r.gone)
	for id, state := range r.seen {
		finals = append(finals, last{id, math.Inf(1), state})
	}
	slices.SortStableFunc(finals, func(a, b last) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name), cmp.Compare(a.at, b.at))
	})
	nodes := maps.Clone(r.named)
	for _, f := range finals {
		if f.kind == "Pod" {
			nodes[text(f.state, "spec", "nodeName")] = true
		}
	}
	elsewhere := func(kind, name string) bool { return kind == "Node" && !nodes[name] }
	out := &Recording{}
	for _, f := range finals {
		if f.kind == KindEvent || elsewhere(f.kind, f.name) {
			continue
		}
		l := Last{Object: f.state}
		if !math.IsInf(f.at, 1) {
			l.GoneAt = new(since(r.begun, f.at))
		}
		out.Final = append(out.Final, l)
	}
	for _, c := range r.lines {
		kind, name := c.Kind, c.Name
		if kind == KindEvent {
			kind, name = aboutOf(c)
		}
		c.T = since(r.begun, c.T)
		earliest := 0.0
		if kind == KindMark {
			earliest = -markBefore
		}
		if c.T >= earliest && !elsewhere(kind, name) {
			out.Timeline = append(out.Timeline, c)
		}
	}
	return out
}

// since returns a time as the time line has it: in seconds, to the hundredth.
func since(begun, t float64) float64 {
	if math.IsNaN(begun) {
		return t
	}
	return math.Round((t-begun)*100) / 100
}

// change collects what is new of an object.
type change struct {
	kind          string
	before, after map[string]any
	fields        map[string]any
}

// set notes a value that is another one than before.
func (c *change) set(name string, before, after any) {
	if !reflect.DeepEqual(before, after) && (!empty(before) || !empty(after)) {
		c.fields[name] = after
	}
}

func empty(v any) bool {
	switch x := v.(type) {
	case nil:
		return true
	case string:
		return x == ""
	case []any:
		return len(x) == 0
	case map[string]any:
		return len(x) == 0
	}
	return false
}

// at notes the fields at a path that are not as before, under their own names.
func (c *change) at(path []string, names ...string) {
	for _, name := range names {
		p := append(slices.Clone(path), name)
		c.set(name, field(c.before, p...), field(c.after, p...))
	}
}

// describe returns what is new of an object, as a line of a time line says it.
func (r *Recorder) describe(kind string, before, after map[string]any) map[string]any {
	c := &change{kind: kind, before: before, after: after, fields: map[string]any{}}
	c.metadata()
	status, spec := []string{"status"}, []string{"spec"}
	switch kind {
	case "Pod":
		c.set("node", field(before, "spec", "nodeName"), field(after, "spec", "nodeName"))
		c.at(spec, "schedulingGates")
		c.at(status, "phase", "reason", "message", "nominatedNodeName")
		c.conditions()
		c.changed("containers", containers(before), containers(after))
	case "PersistentVolumeClaim":
		c.at(status, "phase")
		c.set("volume", field(before, "spec", "volumeName"), field(after, "spec", "volumeName"))
		c.conditions()
	case "PersistentVolume":
		c.at(status, "phase")
	case "VolumeAttachment":
		c.set("node", field(before, "spec", "nodeName"), field(after, "spec", "nodeName"))
		c.set("volume", field(before, "spec", "source", "persistentVolumeName"), field(after, "spec", "source", "persistentVolumeName"))
		c.at(status, "attached")
		for _, name := range []string{"attachError", "detachError"} {
			c.set(name, field(before, "status", name, "message"), field(after, "status", name, "message"))
		}
	case "Node":
		c.at(spec, "taints", "unschedulable")
		c.conditions()
		c.set("volumesAttached", r.attached(before), r.attached(after))
		c.set("volumesInUse", r.inUse(before), r.inUse(after))
	case "StatefulSet":
		c.at(status, "replicas", "readyReplicas", "availableReplicas")
		c.set("specReplicas", field(before, "spec", "replicas"), field(after, "spec", "replicas"))
	case "PipelineRun", "TaskRun":
		c.run()
	}
	return c.fields
}

func (c *change) metadata() {
	if deletion := field(c.after, "metadata", "deletionTimestamp"); deletion != nil && field(c.before, "metadata", "deletionTimestamp") == nil {
		c.fields["deletionAsked"] = map[string]any{"gracePeriodSeconds": field(c.after, "metadata", "deletionGracePeriodSeconds")}
	} else if c.before != nil {
		c.set("gracePeriodSeconds", field(c.before, "metadata", "deletionGracePeriodSeconds"), field(c.after, "metadata", "deletionGracePeriodSeconds"))
	}
	c.at([]string{"metadata"}, "finalizers")
	if c.before == nil || c.kind == "Node" {
		return
	}
	for _, name := range []string{"labels", "annotations"} {
		before, _ := field(c.before, "metadata", name).(map[string]any)
		after, _ := field(c.after, "metadata", name).(map[string]any)
		c.changed(name, before, after)
		for key := range before {
			if _, ok := after[key]; !ok {
				c.inner(name)[key] = nil
			}
		}
	}
}

// inner returns the mapping under a name, made if need be.
func (c *change) inner(name string) map[string]any {
	m, ok := c.fields[name].(map[string]any)
	if !ok {
		m = map[string]any{}
		c.fields[name] = m
	}
	return m
}

// changed notes the values of a mapping that are new.
func (c *change) changed(name string, before, after map[string]any) {
	for key, value := range after {
		if old, ok := before[key]; !ok || !reflect.DeepEqual(old, value) {
			c.inner(name)[key] = value
		}
	}
}

func (c *change) conditions() {
	before, after := conditions(c.before), conditions(c.after)
	var out []any
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if !reflect.DeepEqual(before[name], after[name]) {
			out = append(out, after[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if after[name] == nil {
			out = append(out, map[string]any{"type": name, "removed": true})
		}
	}
	if len(out) > 0 {
		c.fields["conditions"] = out
	}
}

// conditions returns an object's conditions by type, without their times.
func conditions(state map[string]any) map[string]any {
	out := map[string]any{}
	for _, x := range list(state, "status", "conditions") {
		short := map[string]any{}
		for _, name := range []string{"type", "status", "reason", "message"} {
			if v := text(x, name); v != "" {
				short[name] = v
			}
		}
		out[text(x, "type")] = short
	}
	return out
}

// containers returns the states of a pod's containers by name.
func containers(pod map[string]any) map[string]any {
	out := map[string]any{}
	for _, statuses := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, x := range list(pod, "status", statuses) {
			short := stateOf(field(x, "state"))
			for _, name := range []string{"ready", "started", "restartCount"} {
				if v := field(x, name); v != nil && v != false && v != 0.0 && v != int64(0) {
					short[name] = v
				}
			}
			if last := field(x, "lastState"); !empty(last) {
				short["lastState"] = last
			}
			out[text(x, "name")] = short
		}
	}
	return out
}

// stateOf says which state a container is in and what is told of it.
func stateOf(state any) map[string]any {
	out := map[string]any{"state": ""}
	m, _ := state.(map[string]any)
	for _, name := range []string{"waiting", "running", "terminated"} {
		inner, ok := m[name].(map[string]any)
		if !ok {
			continue
		}
		out["state"] = name
		for _, f := range []string{"reason", "message", "exitCode", "signal"} {
			if v, ok := inner[f]; ok {
				out[f] = v
			}
		}
	}
	return out
}

// attached returns the names of the case's volumes that a node's status has attached.
func (r *Recorder) attached(node map[string]any) any {
	var names []string
	for _, v := range list(node, "status", "volumesAttached") {
		names = append(names, text(v, "name"))
	}
	return r.ours(names)
}

// inUse returns the names of the case's volumes that a node's kubelet has in use.
func (r *Recorder) inUse(node map[string]any) any {
	items, _ := field(node, "status", "volumesInUse").([]any)
	var names []string
	for _, v := range items {
		if s, ok := v.(string); ok {
			names = append(names, s)
		}
	}
	return r.ours(names)
}

// ours returns those of a node's volumes that are the case's. None is an empty list: a
// line that says so says that the last one went.
func (r *Recorder) ours(names []string) []any {
	slices.Sort(names)
	out := []any{}
	for _, n := range names {
		for volume, ours := range r.volumes {
			if ours && strings.Contains(n, volume) {
				out = append(out, n)
				break
			}
		}
	}
	return out
}

// run describes a PipelineRun or TaskRun.
func (c *change) run() {
	c.set("specStatus", field(c.before, "spec", "status"), field(c.after, "spec", "status"))
	c.set("specStatusMessage", field(c.before, "spec", "statusMessage"), field(c.after, "spec", "statusMessage"))
	c.conditions()
	c.set("pod", field(c.before, "status", "podName"), field(c.after, "status", "podName"))
	if before, after := len(list(c.before, "status", "retriesStatus")), len(list(c.after, "status", "retriesStatus")); before != after {
		c.fields["retries"] = float64(after)
	}
	for name, at := range map[string]string{"started": "startTime", "completed": "completionTime"} {
		before, after := field(c.before, "status", at) != nil, field(c.after, "status", at) != nil
		if before != after {
			c.fields[name] = after
		}
	}
	c.changed("steps", steps(c.before, "steps"), steps(c.after, "steps"))
	c.changed("sidecars", steps(c.before, "sidecars"), steps(c.after, "sidecars"))
	c.set("children", pick(c.before, "childReferences", "name"), pick(c.after, "childReferences", "name"))
	c.set("skipped", pick(c.before, "skippedTasks", "name", "reason"), pick(c.after, "skippedTasks", "name", "reason"))
	c.at([]string{"status"}, "results", "taskResults")
}

func steps(run map[string]any, what string) map[string]any {
	out := map[string]any{}
	for _, x := range list(run, "status", what) {
		short := stateOf(any(x))
		if r := text(x, "terminationReason"); r != "" {
			short["terminationReason"] = r
		}
		out[text(x, "name")] = short
	}
	return out
}

// pick returns some fields of the items of a list in the status: the values alone
// where it is one field.
func pick(state map[string]any, what string, names ...string) any {
	out := []any{}
	for _, x := range list(state, "status", what) {
		if len(names) == 1 {
			out = append(out, field(x, names[0]))
			continue
		}
		var item []any
		for _, n := range names {
			item = append(item, field(x, n))
		}
		out = append(out, item)
	}
	return out
}

// field returns the value at a path of field names, or nil.
func field(m map[string]any, path ...string) any {
	var at any = m
	for _, name := range path {
		inner, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = inner[name]
	}
	return at
}

func text(m map[string]any, path ...string) string {
	s, _ := field(m, path...).(string)
	return s
}

// list returns the items of a list that are mappings.
func list(m map[string]any, path ...string) []map[string]any {
	items, _ := field(m, path...).([]any)
	var out []map[string]any
	for _, x := range items {
		if item, ok := x.(map[string]any); ok {
			out = append(out, item)
		}
	}
	return out
}
