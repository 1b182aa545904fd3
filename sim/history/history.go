package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"simctl.dev/simctl/sim/internal/fileformat"
)

// header is the first line of a history. Version 0, which is still read, had no such
// line; its entries are those of version 1.
var header = fileformat.Header{Format: "simctl.dev/history", Version: 1}

// Kind says what an Entry records.
type Kind string

// The kinds of entries.
const (
	// KindObject is an accepted write: Verb says which, Body holds the whole
	// object the first time it is seen, Patch the JSON merge patch (RFC 7386)
	// from the previous state after that.
	KindObject Kind = "object"
	// KindRefused is a write that the API server refused: Code, Reason and
	// Message are its answer, Body the object that was sent.
	KindRefused Kind = "refused"
	// KindFact is something a simulated machine did or a component reported;
	// Fact names it and Data holds its fields (see facts.go).
	KindFact Kind = "fact"
	// KindLog is one line of a controller's log worth keeping, in Message.
	KindLog Kind = "log"
)

// Verbs of KindObject and KindRefused entries.
const (
	VerbCreate = "create"
	VerbUpdate = "update"
	VerbDelete = "delete"
	VerbBind   = "bind"
)

// Ref names an object.
type Ref struct {
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// String returns "Kind namespace/name", or "Kind name" without a namespace.
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// Entry is one observation.
type Entry struct {
	// Seq numbers the entries of a history from 1.
	Seq int `json:"seq"`
	// T is the virtual time in seconds since the cell began.
	T float64 `json:"t"`
	// Kind says which of the fields below are set.
	Kind Kind `json:"kind"`
	// Actor is who did it: a controller's name, "kubelet/NODE", "csi", "user".
	Actor string `json:"actor,omitempty"`
	// Verb is the kind of write.
	Verb string `json:"verb,omitempty"`
	// Object is what it was done to.
	Object Ref `json:"object"`
	// Code, Reason and Message are a refusal's HTTP status, the API's reason
	// and its words. Message is also a log line's text.
	Code    int    `json:"code,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Body is a whole object, Patch a merge patch from its previous state: of a
	// deletion, what it changed of the object before that was gone.
	Body  json.RawMessage `json:"body,omitempty"`
	Patch json.RawMessage `json:"patch,omitempty"`
	// Fact names what a KindFact entry records, Data its fields.
	Fact string          `json:"fact,omitempty"`
	Data json.RawMessage `json:"data,omitempty"`
}

// The HTTP status codes of refusals that are told apart.
const (
	CodeForbidden = 403
	CodeNotFound  = 404
	CodeConflict  = 409
)

// Decode unmarshals a fact's fields into out.
func (e Entry) Decode(out any) error {
	if err := json.Unmarshal(e.Data, out); err != nil {
		return fmt.Errorf("decoding fact %s of entry %d: %w", e.Fact, e.Seq, err)
	}
	return nil
}

// Recorder takes what is observed. The log that implements it sets Seq and T.
type Recorder interface {
	Record(e Entry)
}

// NewFact makes a KindFact entry; data must marshal to JSON.
func NewFact(actor string, object Ref, fact string, data any) Entry {
	raw, err := json.Marshal(data)
	if err != nil {
		// Facts are structs of this package: a failure is a programming error.
		panic(fmt.Sprintf("history: fact %s does not marshal: %v", fact, err))
	}
	return Entry{Kind: KindFact, Actor: actor, Object: object, Fact: fact, Data: raw}
}

// Log is a history that is being written. It is safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	now     func() float64
	w       io.Writer
	entries []Entry
	bytes   int64 // written to w, without the header
	err     error
	closed  bool
	limit   func(entries int, bytes int64)
}

// Limit has f told the length of the history with every entry, in entries and in
// bytes written.
func (l *Log) Limit(f func(entries int, bytes int64)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = f
}

// NewLog returns an empty history whose entries are stamped by now (virtual
// seconds since the cell began) and, unless w is nil, appended to w as they come,
// after a first line that names the format.
func NewLog(now func() float64, w io.Writer) *Log {
	l := &Log{now: now, w: w}
	if w != nil {
		if _, err := w.Write(header.Line()); err != nil {
			l.err = fmt.Errorf("writing the first line of the history: %w", err)
		}
	}
	return l
}

// Record implements Recorder.
func (l *Log) Record(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	e.Seq = len(l.entries) + 1
	e.T = l.now()
	l.entries = append(l.entries, e)
	l.write(e)
	if l.limit != nil {
		l.limit(len(l.entries), l.bytes)
	}
}

func (l *Log) write(e Entry) {
	if l.w == nil || l.err != nil {
		return
	}
	line, err := json.Marshal(e)
	if err == nil {
		var n int
		n, err = l.w.Write(append(line, '\n'))
		l.bytes += int64(n)
	}
	if err != nil {
		l.err = fmt.Errorf("writing entry %d of the history: %w", e.Seq, err)
	}
}

// Close ends the history: what is recorded later is no part of it.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// Entries returns what was recorded so far; the slice must not be changed.
func (l *Log) Entries() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[:len(l.entries):len(l.entries)]
}

// Err is the first error met while appending to the writer.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// What can be wrong with a history that is read.
var (
	// ErrTruncated says that a history ends in the middle of a line.
	ErrTruncated = errors.New("the last line is cut short")
	// ErrNewer says that a history was written by a simctl that came later.
	ErrNewer = fileformat.ErrNewer
	// ErrForeign says that a file is of another kind.
	ErrForeign = fileformat.ErrForeign
)

// Read parses a history file, of this version of the format or an older one. A last
// line cut short by an interruption gives the entries before it and an error that
// wraps [ErrTruncated]; a file of a newer version, or that says that it is something
// else, an error that wraps [ErrNewer] or [ErrForeign].
func Read(r io.Reader) ([]Entry, error) {
	var entries []Entry
	br := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := br.ReadBytes('\n')
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return entries, fmt.Errorf("reading history: %w", err)
		}
		if len(line) > 0 {
			var l struct {
				fileformat.Header
				Entry
			}
			jerr := json.Unmarshal(line, &l)
			if jerr != nil && last {
				jerr = ErrTruncated
			}
			switch {
			case jerr != nil:
				return entries, fmt.Errorf("history line %d: %w", n, jerr)
			case l.Format == "":
				entries = append(entries, l.Entry)
			case n > 1:
				return entries, fmt.Errorf("history line %d: another file begins here: %w", n, ErrForeign)
			default:
				if err := header.Accepts(l.Header); err != nil {
					return nil, fmt.Errorf("reading history: %w", err)
				}
			}
		}
		if last {
			return entries, nil
		}
	}
}
