package verdict

import (
	"bytes"
	"encoding/json"
	"fmt"

	"simctl.dev/simctl/sim/scenario"
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

// String gives the judgement in words, as reports have it.
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

// Expect judges the cell by what its scenario expects of it, nil for nothing.
func (c *Cell) Expect(e *scenario.Expectation) {
	c.Expected, c.Judgement = "", NothingExpected
	if e == nil {
		return
	}
	expected, met := e.Judge(string(c.Outcome), c.Recovered, len(c.Busy) > 0)
	c.Expected, c.Judgement = expected, judgementOf(met)
}

// DidItsWork says that the runs of a cell all succeeded, with trouble on the way or
// without.
func (f *Finding) DidItsWork() bool { return f.Outcome == Success || f.Recovered }

// Fails says that a cell makes a run fail: it is not as expected or, where nothing is
// expected, did not do its work.
func (c *Cell) Fails() bool {
	return c.Judgement == NotAsExpected || c.Judgement == NothingExpected && !c.DidItsWork()
}
