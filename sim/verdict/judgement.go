package verdict

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Judgement says whether a cell came out as its scenario expects. In JSON it is
// true, false, or null where nothing is expected.
type Judgement int

// The judgements.
const (
	NothingExpected Judgement = iota
	AsExpected
	NotAsExpected
)

// String returns the judgement in words, as reports have it.
func (j Judgement) String() string {
	switch j {
	case AsExpected:
		return "as expected"
	case NotAsExpected:
		return "not as expected"
	}
	return "nothing expected"
}

// MarshalJSON implements json.Marshaler.
func (j Judgement) MarshalJSON() ([]byte, error) {
	switch j {
	case AsExpected:
		return []byte("true"), nil
	case NotAsExpected:
		return []byte("false"), nil
	}
	return []byte("null"), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (j *Judgement) UnmarshalJSON(data []byte) error {
	*j = NothingExpected
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	var met bool
	if err := json.Unmarshal(data, &met); err != nil {
		return fmt.Errorf("reading whether a cell came out as expected: %w", err)
	}
	*j = judgementOf(met)
	return nil
}

func judgementOf(met bool) Judgement {
	if met {
		return AsExpected
	}
	return NotAsExpected
}

// Expect takes down what is expected of the cell, in words, and whether it came out so.
func (c *Cell) Expect(expected string, met bool) {
	c.Expected, c.Judgement = expected, judgementOf(met)
}

// ExpectNothing takes down that nothing is expected of the cell.
func (c *Cell) ExpectNothing() { c.Expected, c.Judgement = "", NothingExpected }

// DidItsWork says that the runs of a cell all succeeded, with trouble on the way or
// without.
func (f *Finding) DidItsWork() bool { return f.Outcome == Success || f.Recovered }

// Fails says that a cell makes a run fail: it is not as expected or, where nothing is
// expected, did not do its work.
func (c *Cell) Fails() bool {
	return c.Judgement == NotAsExpected || c.Judgement == NothingExpected && !c.DidItsWork()
}
