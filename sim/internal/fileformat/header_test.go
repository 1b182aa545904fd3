package fileformat

import (
	"errors"
	"strings"
	"testing"
)

func TestAccepts(t *testing.T) {
	known := Header{Format: "simctl.dev/x", Version: 2}
	for name, c := range map[string]struct {
		got  Header
		want error
	}{
		"nothing said":      {Header{}, nil},
		"an older version":  {Header{Format: "simctl.dev/x", Version: 1}, nil},
		"the same":          {known, nil},
		"a newer version":   {Header{Format: "simctl.dev/x", Version: 3}, ErrNewer},
		"another file":      {Header{Format: "simctl.dev/y", Version: 1}, ErrForeign},
		"a version alone":   {Header{Version: 1}, ErrForeign},
		"no version":        {Header{Format: "simctl.dev/x"}, ErrForeign},
		"a version below 0": {Header{Format: "simctl.dev/x", Version: -1}, ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			err := known.Accepts(c.got)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %v", err)
			}
		})
	}
}

func TestLineIsReadBack(t *testing.T) {
	want := Header{Format: "simctl.dev/x", Version: 2}
	line := want.Line()
	if string(line) != `{"format":"simctl.dev/x","version":2}`+"\n" {
		t.Errorf("the line is %q", line)
	}
	if got, ok := Parse(line); !ok || got != want {
		t.Errorf("read %+v, %v", got, ok)
	}
	for _, other := range []string{`{"seq":1}`, `{"version":1}`, `{"format":`, ``, `null`, `[]`, `{"format":1}`} {
		if h, ok := Parse([]byte(other)); ok || h != (Header{}) {
			t.Errorf("%q is the header %+v", other, h)
		}
	}
}
