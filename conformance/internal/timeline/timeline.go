package timeline

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
)

// MarkKind is the kind of a change that was made by hand.
const MarkKind = "Mark"

// Change is one event of a watch, or a mark.
type Change struct {
	// Time is in seconds, by the recorder's clock.
	Time float64
	Kind string
	// Type is ADDED, MODIFIED or DELETED, as the API server has it.
	Type string
	// Object is the whole object after the change; when deleted, its last state.
	Object map[string]any
	// Text says what was done, in a mark.
	Text string
}

// Line is one line of a time line: fields in the order in which they are written.
type Line []Field

// Field is one field of a line.
type Field struct {
	Name  string
	Value any
}

// Get is the value of the field of that name.
func (l Line) Get(name string) any {
	for _, f := range l {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// MarshalJSON writes the fields in their order.
func (l Line) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range l {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(f.Name)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		v, err := encode(f.Value)
		if err != nil {
			return nil, err
		}
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode leaves <, > and & as they are: messages are read by people.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Final is the last state of an object.
type Final struct {
	// GoneAt is when it went away, in seconds of the time line.
	GoneAt *float64       `json:"goneAt,omitempty"`
	Object map[string]any `json:"object"`
}

// Recording is what is kept of a case.
type Recording struct {
	Lines []Line
	Final []Final
}

// the run's objects: the first of them is second 0
var firsts = []string{"PersistentVolumeClaim", "PipelineRun", "TaskRun", "Pod", "StatefulSet"}

// marks older than this many seconds before the run are another case's
const markBefore = -3

type key struct{ kind, namespace, name string }

// New makes the recording of the case in a namespace: of its objects, the volumes
// and attachments of its claims, and the nodes that its pods were on or a mark names.
func New(namespace string, changes []Change) Recording {
	changes = slices.Clone(changes)
	sort.SliceStable(changes, func(i, j int) bool { return changes[i].Time < changes[j].Time })
	volumes := volumesOf(namespace, changes)
	changes = ofCase(namespace, volumes, changes)
	if len(changes) == 0 {
		return Recording{}
	}
	start := changes[0].Time
	if i := slices.IndexFunc(changes, func(c Change) bool { return slices.Contains(firsts, c.Kind) }); i >= 0 {
		start = changes[i].Time
	}
	w := writer{volumes: volumes, last: map[key]map[string]any{}}
	for _, c := range changes {
		w.write(c, math.Round((c.Time-start)*100)/100)
	}
	return Recording{Lines: w.lines, Final: w.final()}
}

func volumesOf(namespace string, changes []Change) map[string]bool {
	r := map[string]bool{}
	for _, c := range changes {
		if c.Kind == "PersistentVolume" && text(c.Object, "spec", "claimRef", "namespace") == namespace {
			r[name(c.Object)] = true
		}
	}
	return r
}

func ofCase(namespace string, volumes map[string]bool, changes []Change) []Change {
	nodes, words := map[string]bool{}, map[string]bool{}
	for _, c := range changes {
		switch {
		case c.Kind == MarkKind:
			for _, w := range strings.Fields(c.Text) {
				words[w] = true
			}
		case c.Kind == "Pod" && text(c.Object, "metadata", "namespace") == namespace:
			nodes[text(c.Object, "spec", "nodeName")] = true
		}
	}
	isNode := func(n string) bool { return nodes[n] || words[n] }
	var r []Change
	for _, c := range changes {
		o := c.Object
		var mine bool
		switch c.Kind {
		case MarkKind:
			mine = true
		case "Node":
			mine = isNode(name(o))
		case "Event":
			about := object(o, "involvedObject")
			if about["kind"] == "Node" {
				mine = isNode(text(about, "name"))
			} else {
				mine = text(about, "namespace") == namespace || volumes[text(about, "name")]
			}
		case "VolumeAttachment":
			mine = volumes[text(o, "spec", "source", "persistentVolumeName")]
		default:
			mine = text(o, "metadata", "namespace") == namespace || volumes[name(o)]
		}
		if mine {
			r = append(r, c)
		}
	}
	return r
}

type gone struct {
	key
	at     float64
	object map[string]any
}

type writer struct {
	volumes map[string]bool
	last    map[key]map[string]any
	gone    []gone
	lines   []Line
}

func (w *writer) write(c Change, t float64) {
	if c.Kind == MarkKind {
		if t >= markBefore {
			w.lines = append(w.lines, Line{{"t", t}, {"kind", MarkKind}, {"text", c.Text}})
		}
		return
	}
	k := key{c.Kind, text(c.Object, "metadata", "namespace"), name(c.Object)}
	old, known := w.last[k]
	base := Line{{"t", t}, {"kind", k.kind}}
	if k.namespace != "" {
		base = append(base, Field{"namespace", k.namespace})
	}
	base = append(base, Field{"name", k.name})
	if c.Type == "DELETED" {
		delete(w.last, k)
		w.gone = append(w.gone, gone{k, t, c.Object})
		if t >= 0 && c.Kind != "Event" {
			w.lines = append(w.lines, append(base, Field{"op", "gone"}))
		}
		return
	}
	w.last[k] = c.Object
	if t < 0 {
		return
	}
	if c.Kind == "Event" {
		if n := count(c.Object); !known || count(old) != n {
			w.lines = append(w.lines, event(c.Object, t, n))
		}
		return
	}
	d := w.describe(c.Kind, old, c.Object)
	switch {
	case known && len(d) > 0:
		w.lines = append(w.lines, append(append(base, Field{"op", "changed"}), d...))
	case !known && c.Kind != "Node":
		w.lines = append(w.lines, append(append(base, Field{"op", "created"}), d...))
	}
}

func event(o map[string]any, t float64, n int64) Line {
	about := object(o, "involvedObject")
	source := text(o, "source", "component")
	if source == "" {
		source = text(o, "reportingComponent")
	}
	l := Line{{"t", t}, {"kind", "Event"}, {"about", text(about, "kind") + "/" + text(about, "name")}, {"type", o["type"]}, {"reason", o["reason"]},
		{"message", text(o, "message")}, {"source", source}}
	if n > 1 {
		l = append(l, Field{"count", n})
	}
	return l
}

// count is how often an event has come, whichever of the two ways says so.
func count(o map[string]any) int64 {
	for _, v := range []any{o["count"], object(o, "series")["count"]} {
		switch n := v.(type) {
		case int64:
			if n > 0 {
				return n
			}
		case float64:
			if n > 0 {
				return int64(n)
			}
		}
	}
	return 1
}

func (w *writer) final() []Final {
	all := w.gone
	for k, o := range w.last {
		all = append(all, gone{k, math.Inf(1), o})
	}
	all = slices.DeleteFunc(all, func(g gone) bool { return g.kind == "Event" })
	sort.SliceStable(all, func(i, j int) bool {
		a, b := all[i], all[j]
		if a.key != b.key {
			return slices.Compare([]string{a.kind, a.namespace, a.name}, []string{b.kind, b.namespace, b.name}) < 0
		}
		return a.at < b.at
	})
	var r []Final
	for _, g := range all {
		o := maps.Clone(g.object)
		o["kind"] = g.kind
		f := Final{Object: o}
		if !math.IsInf(g.at, 1) {
			f.GoneAt = &g.at
		}
		r = append(r, f)
	}
	return r
}
