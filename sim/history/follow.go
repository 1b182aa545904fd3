package history

import "fmt"

// Follower is what a history that is being written has come to so far.
type Follower struct {
	log   *Log
	state *State
	read  int
}

// Follow returns a follower of a history from its beginning.
func Follow(l *Log) *Follower { return &Follower{log: l, state: NewState()} }

// Log returns the history that is followed.
func (f *Follower) Log() *Log { return f.log }

// State returns the state that the history has come to. It is the same State each time,
// with what was recorded since.
func (f *Follower) State() (*State, error) {
	entries := f.log.Entries()
	for _, e := range entries[f.read:] {
		if err := f.state.Apply(e); err != nil {
			return nil, fmt.Errorf("reading the cell's own history: %w", err)
		}
	}
	f.read = len(entries)
	return f.state, nil
}
