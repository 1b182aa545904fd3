package scenario

import (
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Bytes returns the quantity as a whole number, rounded up; an empty quantity is
// 0. It is an error if it is no Kubernetes quantity or negative.
func (q Quantity) Bytes() (int64, error) {
	if q == "" {
		return 0, nil
	}
	parsed, err := resource.ParseQuantity(string(q))
	if err != nil {
		return 0, fmt.Errorf("%q is no quantity; write it as 500Gi, 250M or a number of bytes", string(q))
	}
	if parsed.Sign() < 0 {
		return 0, fmt.Errorf("%q is negative", string(q))
	}
	return parsed.Value(), nil
}

// Bounds are a cell's limits.
type Bounds struct {
	VirtualTime, RealTime time.Duration
	Entries               int
	Bytes                 int64
}

// defaultBounds are far beyond what pipelines take.
var defaultBounds = Bounds{VirtualTime: 90 * 24 * time.Hour, RealTime: time.Hour, Entries: 200_000, Bytes: 512 << 20}

// Bounds returns the limits with their defaults. The limits have been checked.
func (l Limits) Bounds() Bounds {
	b := defaultBounds
	if d, err := time.ParseDuration(l.VirtualTime); err == nil && d > 0 {
		b.VirtualTime = d
	}
	if d, err := time.ParseDuration(l.RealTime); err == nil && d > 0 {
		b.RealTime = d
	}
	if l.Entries > 0 {
		b.Entries = l.Entries
	}
	if n, err := l.Bytes.Bytes(); err == nil && n > 0 {
		b.Bytes = n
	}
	return b
}

// UnmarshalJSON takes a number as its text.
func (q *Quantity) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '"' && string(data) != "null" {
		var n json.Number
		if err := json.Unmarshal(data, &n); err != nil {
			return fmt.Errorf("reading a quantity: %w", err)
		}
		*q = Quantity(n)
		return nil
	}
	return json.Unmarshal(data, (*string)(q))
}

// UnmarshalJSON takes a single string as a list of one.
func (l *StringList) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return fmt.Errorf("reading a list of strings: %w", err)
		}
		*l = StringList{s}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(l))
}

// UnmarshalJSON takes a plain string as the node's name.
func (r *NodeRef) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*r = NodeRef{}
		return json.Unmarshal(data, &r.Name)
	}
	type plain NodeRef
	return json.Unmarshal(data, (*plain)(r))
}

// UnmarshalJSON takes a plain string as the node's name.
func (d *NodeDrain) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*d = NodeDrain{}
		return json.Unmarshal(data, &d.Name)
	}
	type plain NodeDrain
	return json.Unmarshal(data, (*plain)(d))
}

// UnmarshalJSON takes a plain string as the workspace.
func (c *ClaimOf) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*c = ClaimOf{}
		return json.Unmarshal(data, &c.Workspace)
	}
	type plain ClaimOf
	return json.Unmarshal(data, (*plain)(c))
}

// UnmarshalJSON takes a plain string as the task.
func (p *PodOf) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*p = PodOf{}
		return json.Unmarshal(data, &p.Task)
	}
	type plain PodOf
	return json.Unmarshal(data, (*plain)(p))
}

// UnmarshalJSON takes a plain string as the node's name.
func (s *NodeSilence) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*s = NodeSilence{}
		return json.Unmarshal(data, &s.Name)
	}
	type plain NodeSilence
	return json.Unmarshal(data, (*plain)(s))
}

// UnmarshalJSON takes a plain string as the node's name.
func (s *NodeShutdown) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*s = NodeShutdown{}
		return json.Unmarshal(data, &s.Name)
	}
	type plain NodeShutdown
	return json.Unmarshal(data, (*plain)(s))
}

// UnmarshalJSON takes a plain string as a constant.
func (d *Distribution) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*d = Distribution{}
		return json.Unmarshal(data, &d.Constant)
	}
	type plain Distribution
	return json.Unmarshal(data, (*plain)(d))
}

// The access modes' short names, as kubectl prints them.
var accessModes = []struct{ short, long string }{
	{"RWO", "ReadWriteOnce"},
	{"RWX", "ReadWriteMany"},
	{"ROX", "ReadOnlyMany"},
	{"RWOP", "ReadWriteOncePod"},
}

// NormalizeAccessMode returns the API's name of an access mode, "ReadWriteOnce"
// for "RWO". It is an error if there is no such mode.
func NormalizeAccessMode(mode string) (string, error) {
	var names []string
	for _, m := range accessModes {
		if mode == m.short || mode == m.long {
			return m.long, nil
		}
		names = append(names, m.short)
	}
	for _, m := range accessModes {
		names = append(names, m.long)
	}
	return "", fmt.Errorf("unknown access mode %q%s", mode, Suggest(mode, names))
}
