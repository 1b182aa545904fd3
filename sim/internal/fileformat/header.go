package fileformat

import (
	"encoding/json"
	"errors"
	"fmt"
)

// What can be wrong with a file's header.
var (
	// ErrNewer: the file was written by a later simctl, in a way this one does not know.
	ErrNewer = errors.New("it was written by a newer simctl: use that one, or run it again with this one")
	// ErrForeign: the file is of another kind.
	ErrForeign = errors.New("it is no such file")
)

// Header is what a file says of itself. Its zero value is that of a file that says
// nothing, which is version 0 of whatever it is.
type Header struct {
	// Format names the kind of file.
	Format string `json:"format,omitempty"`
	// Version counts the ways in which files of this kind were written, from 1.
	Version int `json:"version,omitempty"`
}

// Line is the header as the first line of a file of lines.
func (h Header) Line() []byte {
	raw, err := json.Marshal(h)
	if err != nil {
		panic(err) // A string and a number marshal.
	}
	return append(raw, '\n')
}

// Parse returns the header that a line holds. It is not ok for a line that is none, as
// the first line of a file of version 0.
func Parse(line []byte) (h Header, ok bool) {
	if err := json.Unmarshal(line, &h); err != nil || h.Format == "" {
		return Header{}, false
	}
	return h, true
}

// Accepts checks that a reader that knows the versions up to h's can read a file with
// the header got. The error wraps [ErrNewer] or [ErrForeign].
func (h Header) Accepts(got Header) error {
	switch {
	case got == Header{}:
		return nil
	case got.Format != h.Format:
		return fmt.Errorf("the file says that it is a %q, not a %q: %w", got.Format, h.Format, ErrForeign)
	case got.Version < 1:
		return fmt.Errorf("the file says that it is version %d of %s, which there is not: %w", got.Version, h.Format, ErrForeign)
	case got.Version > h.Version:
		return fmt.Errorf("the file is version %d of %s, and this simctl knows up to %d: %w", got.Version, h.Format, h.Version, ErrNewer)
	}
	return nil
}
