package recording

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
)

// The files of a recording.
const (
	TimelineFile = "timeline.jsonl.gz"
	FinalFile    = "final.json.gz"
)

// Ops of a change; an Event and a Mark have none.
const (
	OpCreated = "created"
	OpChanged = "changed"
	OpGone    = "gone"
)

// Kinds of changes that are no objects' kinds.
const (
	KindEvent = "Event"
	KindMark  = "Mark"
)

// Recording is what was seen of one case.
type Recording struct {
	Timeline []Change
	// Final is the last state of each object, of those that are gone too: once for
	// each that bore the name, in order.
	Final []Last
}

// Change is one line of a time line.
type Change struct {
	// T is in seconds since the first object of the case came.
	T    float64
	Kind string
	// Namespace and Name are the object's, Op what became of it.
	Namespace, Name, Op string
	// Fields is what is new; null is what went away.
	Fields map[string]any
}

// Last is an object as it was seen last.
type Last struct {
	// GoneAt is when it went; nil if it was still there.
	GoneAt *float64       `json:"goneAt,omitempty"`
	Object map[string]any `json:"object"`
}

// UnmarshalJSON reads a line of a time line.
func (c *Change) UnmarshalJSON(raw []byte) error {
	fields := map[string]any{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return err
	}
	take := func(name string) string {
		s, _ := fields[name].(string)
		delete(fields, name)
		return s
	}
	*c = Change{Kind: take("kind"), Namespace: take("namespace"), Name: take("name"), Op: take("op"), Fields: fields}
	c.T, _ = fields["t"].(float64)
	delete(fields, "t")
	return nil
}

// MarshalJSON writes a line of a time line.
func (c Change) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"t":%v`, c.T)
	add := func(name string, value any) error {
		raw, err := encode(value)
		if err != nil {
			return fmt.Errorf("writing %s of a change: %w", name, err)
		}
		fmt.Fprintf(&b, ",%q:%s", name, raw)
		return nil
	}
	for _, f := range []struct{ name, value string }{{"kind", c.Kind}, {"namespace", c.Namespace}, {"name", c.Name}, {"op", c.Op}} {
		if f.value == "" {
			continue
		}
		if err := add(f.name, f.value); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		if err := add(name, c.Fields[name]); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode writes JSON with <, > and & as they are: messages are read by people.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Files returns the files of a recording with their contents, for [Read]. The same
// recording makes the same files.
func (r *Recording) Files() (map[string][]byte, error) {
	var lines bytes.Buffer
	for _, c := range r.Timeline {
		line, err := c.MarshalJSON()
		if err != nil {
			return nil, err
		}
		lines.Write(append(line, '\n'))
	}
	final, err := encode(r.Final)
	if err != nil {
		return nil, fmt.Errorf("writing the last states of a recording: %w", err)
	}
	out := map[string][]byte{}
	for name, content := range map[string][]byte{TimelineFile: lines.Bytes(), FinalFile: final} {
		var b bytes.Buffer
		z := gzip.NewWriter(&b) // its header has no time
		if _, err := z.Write(content); err != nil {
			return nil, fmt.Errorf("writing %s of a recording: %w", name, err)
		}
		if err := z.Close(); err != nil {
			return nil, fmt.Errorf("writing %s of a recording: %w", name, err)
		}
		out[name] = b.Bytes()
	}
	return out, nil
}

// text returns a field that is a string.
func (c Change) text(field string) string {
	s, _ := c.Fields[field].(string)
	return s
}

// Read reads the recording in a folder.
func Read(folder fs.FS) (*Recording, error) {
	r := &Recording{}
	err := readGzip(folder, TimelineFile, func(from io.Reader) error {
		lines := bufio.NewScanner(from)
		lines.Buffer(nil, 1<<24)
		for lines.Scan() {
			var c Change
			if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
				return fmt.Errorf("line %d: %w", len(r.Timeline)+1, err)
			}
			r.Timeline = append(r.Timeline, c)
		}
		return lines.Err()
	})
	if err != nil {
		return nil, err
	}
	err = readGzip(folder, FinalFile, func(from io.Reader) error {
		return json.NewDecoder(from).Decode(&r.Final)
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func readGzip(folder fs.FS, name string, read func(io.Reader) error) error {
	f, err := folder.Open(name)
	if err != nil {
		return fmt.Errorf("opening a recording: %w", err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err == nil {
		err = read(z)
	}
	if err != nil {
		return fmt.Errorf("reading %s of a recording: %w", name, err)
	}
	return nil
}

// End returns when the last of the runs ended, and whether all of them did.
func (r *Recording) End() (at float64, all bool) {
	ended, runs := map[string]bool{}, map[string]bool{}
	for _, c := range r.Timeline {
		if c.Kind != "PipelineRun" {
			continue
		}
		runs[c.Name] = true
		if completed, ok := c.Fields["completed"].(bool); ok && completed && !ended[c.Name] {
			ended[c.Name], at = true, c.T
		}
	}
	return at, len(runs) > 0 && len(ended) == len(runs)
}

// Last returns the time of the last change.
func (r *Recording) Last() float64 {
	if len(r.Timeline) == 0 {
		return 0
	}
	return r.Timeline[len(r.Timeline)-1].T
}
