package controlplane

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Components that are told no time date their conditions by the host's clock. What
// they write is put into virtual time on its way to the API server, before anybody has
// seen it.

// virtualTime is the virtual clock, and when by the host's own it began to count.
type virtualTime struct {
	now   func() time.Time
	since time.Time
}

// SetClock has the tap put what is written into the virtual time that now returns.
func (t *Tap) SetClock(now func() time.Time) {
	t.virtual.Store(&virtualTime{now, time.Now().Truncate(time.Second)})
}

// dates is the link that puts what is written into virtual time.
func (t *Tap) dates(req *http.Request, c *call, next sender) (*http.Response, error) {
	if c.sent != nil {
		c.sent = t.toVirtual(c.sent)
	}
	if c.kind == kindWrite {
		t.tellTime(req, c.where)
	}
	return next(req, c)
}

// transition is how the time of a condition's last transition begins in JSON.
var transition = []byte(`"lastTransitionTime":"`)

// toVirtual puts the times of transitions that come from the host's clock to the
// present. Those from before the tap had its clock were meant as they are.
func (t *Tap) toVirtual(sent []byte) []byte {
	v := t.virtual.Load()
	if v == nil || !bytes.Contains(sent, transition) {
		return sent
	}
	var out []byte
	for {
		before, after, more := bytes.Cut(sent, transition)
		out = append(out, before...)
		if !more {
			return out
		}
		out = append(out, transition...)
		said, _, _ := bytes.Cut(after, []byte(`"`))
		sent = after[len(said):]
		if at, err := time.Parse(time.RFC3339, string(said)); err == nil && !at.Before(v.since) && !at.After(time.Now()) {
			said = v.now().UTC().AppendFormat(nil, time.RFC3339)
		}
		out = append(out, said...)
	}
}

// redated returns the patch of a pod's status that puts the moment at which the pod
// became the target of a disruption into virtual time; nil if there is nothing to put
// right.
func (t *Tap) redated(pod []byte) []byte {
	var seen struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
		Status struct {
			Conditions []corev1.PodCondition `json:"conditions"`
		} `json:"status"`
	}
	if json.Unmarshal(pod, &seen) != nil {
		return nil
	}
	i := slices.IndexFunc(seen.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.DisruptionTarget })
	if i < 0 {
		return nil
	}
	condition := map[string]any{"type": corev1.DisruptionTarget, "lastTransitionTime": seen.Status.Conditions[i].LastTransitionTime}
	raw, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": seen.Metadata.UID},
		"status":   map[string]any{"conditions": []any{condition}},
	})
	if err != nil {
		return nil
	}
	if fixed := t.toVirtual(raw); !bytes.Equal(fixed, raw) {
		return fixed
	}
	return nil
}

// tellTime tells the API server the virtual time with what it dates by itself, the
// phases of PersistentVolumes.
func (t *Tap) tellTime(req *http.Request, where target) {
	if v := t.virtual.Load(); v != nil && where.group == "" && where.resource == "persistentvolumes" {
		req.Header.Set(timeHeader, v.now().UTC().Format(time.RFC3339Nano))
	}
}
