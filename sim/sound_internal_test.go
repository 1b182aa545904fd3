package sim

import (
	"errors"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
)

// TestSound: the error names the first entry that is wrong, in one line.
func TestSound(t *testing.T) {
	pod := history.Ref{APIVersion: "v1", Kind: "Pod", Namespace: "ns", Name: "a"}
	made := history.Entry{Seq: 1, Kind: history.KindObject, Verb: history.VerbCreate, Object: pod, Body: []byte(`{}`)}
	gone := history.Entry{Seq: 2, T: 1, Kind: history.KindObject, Verb: history.VerbDelete, Object: pod}
	if err := sound([]history.Entry{made, gone}); err != nil {
		t.Error(err)
	}
	made.Seq, made.T = 3, 0.5
	err := sound([]history.Entry{gone, made})
	if !errors.Is(err, ErrUnsound) || !strings.Contains(err.Error(), "entry 2 at 1 s violates entry/number: ") ||
		!strings.HasSuffix(err.Error(), ", and 2 more") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}
