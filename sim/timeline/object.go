package timeline

import (
	"encoding/json"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/tree"
)

// Succeeded is the condition Succeeded of a PipelineRun or TaskRun.
func Succeeded(o *history.Object) (status, reason, message string) {
	return Condition(o, "Succeeded")
}

// Condition is a condition of an object; empty if it has none of that type.
func Condition(o *history.Object, typ string) (status, reason, message string) {
	list, _ := o.Field("status", "conditions").([]any)
	for _, c := range list {
		m, _ := c.(map[string]any)
		if m["type"] == typ {
			status, _ = m["status"].(string)
			reason, _ = m["reason"].(string)
			message, _ = m["message"].(string)
			return status, reason, message
		}
	}
	return "", "", ""
}

// Final is a condition's status once it is final.
func Final(status string) string {
	if status == "True" || status == "False" {
		return status
	}
	return ""
}

// Meta is as much of an object's metadata as ties it to others.
type Meta struct {
	Labels          map[string]string `json:"labels"`
	OwnerReferences []Owner           `json:"ownerReferences"`
}

// Owner is an owner of an object.
type Owner struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// MetaOf reads an object's metadata.
func MetaOf(o *history.Object) Meta {
	var m Meta
	labels, _ := o.Field("metadata", "labels").(map[string]any)
	if len(labels) > 0 {
		m.Labels = make(map[string]string, len(labels))
		for k, v := range labels {
			m.Labels[k], _ = v.(string)
		}
	}
	owners, _ := o.Field("metadata", "ownerReferences").([]any)
	for _, v := range owners {
		of, _ := v.(map[string]any)
		kind, _ := of["kind"].(string)
		name, _ := of["name"].(string)
		m.OwnerReferences = append(m.OwnerReferences, Owner{Kind: kind, Name: name})
	}
	return m
}

// MetaIn reads the metadata of the object in an entry; empty if it has none, or one that
// is no object.
func MetaIn(e history.Entry) Meta {
	var body struct {
		Meta `json:"metadata"`
	}
	if len(e.Body) == 0 || json.Unmarshal(e.Body, &body) != nil {
		return Meta{}
	}
	return body.Meta
}

// OwnedBy is the name of the object's owner of a kind, which a label gives too.
func (m Meta) OwnedBy(kind, label string) string {
	if v := m.Labels[label]; v != "" {
		return v
	}
	for _, o := range m.OwnerReferences {
		if o.Kind == kind {
			return o.Name
		}
	}
	return ""
}

// eventOf reads an Event; core/v1 and events.k8s.io/v1 name the same things differently.
func eventOf(o *history.Object) Event {
	about, message := "involvedObject", o.Text("message")
	if o.Field("regarding") != nil {
		about, message = "regarding", o.Text("note")
	}
	return Event{
		Kind: o.Text(about, "kind"), Namespace: o.Text(about, "namespace"), Name: o.Text(about, "name"),
		Type: o.Text("type"), Reason: o.Text("reason"), Message: message, Component: o.Text("source", "component"),
	}
}

// ClaimsOf are the claims that a pod mounts.
func ClaimsOf(pod *history.Object) []string {
	var out []string
	volumes, _ := pod.Field("spec", "volumes").([]any)
	for _, v := range volumes {
		if claim := tree.Text(v, "persistentVolumeClaim", "claimName"); claim != "" {
			out = append(out, claim)
		}
	}
	return out
}
