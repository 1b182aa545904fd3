package scenario

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"simctl.dev/simctl/sim/verdict"
)

// IDOf returns the ID of the cell that a result is of.
func IDOf(c verdict.Cell) string {
	if c.ID != "" {
		return c.ID
	}
	// An older simctl wrote the result.
	return Cell{Scenario: c.Scenario, Values: c.Values, Axes: c.Axes, Repeat: c.Repeat}.ID()
}

// ID names the cell: unique among a run's cells, the same in every run that has
// the cell, and fit to be a file name. It begins with what a reader would call
// the cell.
func (c Cell) ID() string {
	parts := []string{slug(c.Scenario)}
	for _, axis := range c.Axes {
		parts = append(parts, slug(c.Values[axis]))
	}
	readable := strings.Join(parts, "_")
	if len(readable) > 100 {
		readable = strings.TrimRight(readable[:100], "_-.")
	}
	h := sha256.New()
	write := func(s string) { _, _ = fmt.Fprintf(h, "%d:%s,", len(s), s) }
	write(c.Scenario)
	for _, axis := range sortedKeys(c.Values) {
		write(axis)
		write(c.Values[axis])
	}
	return fmt.Sprintf("%s_r%d_%s", readable, c.Repeat, hex.EncodeToString(h.Sum(nil))[:8])
}

// slug returns text as it can stand in a file name.
func slug(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		}
		return '-'
	}, text)
}

// Fingerprint is a hash of what the cell runs: its scenario, objects and
// repeat. Two cells with the same fingerprint have the same outcome. What only
// describes the cell, or says how many others there are, does not count, nor does how
// long simctl may take over it.
func (c Cell) Fingerprint() string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n%d", contentOf(&c.Spec, built{objects: c.Objects, remotes: c.Remotes}), c.Repeat)
	return hex.EncodeToString(h.Sum(nil))
}

// contentOf returns what a spec and its manifests come to, as a hash.
func contentOf(spec *Scenario, b built) string {
	s := *spec
	s.Description, s.Repeats, s.Limits.RealTime = "", 0, ""
	// These do what they do to the objects.
	s.Workload.Manifests, s.Workload.Overrides = nil, Overrides{}
	h := sha256.New()
	// The error is of writing values that were read as JSON.
	_ = json.NewEncoder(h).Encode(struct {
		Spec    *Scenario
		Objects []json.RawMessage
		Remotes []Remote `json:",omitempty"`
	}{&s, b.objects, b.remotes})
	return hex.EncodeToString(h.Sum(nil))
}
