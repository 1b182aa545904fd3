package timeline

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// read reads changes as a watch has them: {"t": ..., "kind": ..., "type": ..., "o": {...}} or {"t": ..., "text": ...} a line.
func read(t *testing.T, file string) []Change {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r []Change
	for i, l := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		var c struct {
			T                float64
			Kind, Type, Text string
			O                map[string]any
		}
		if err := json.Unmarshal([]byte(l), &c); err != nil {
			t.Fatalf("%s:%d: %v", file, i+1, err)
		}
		r = append(r, Change{c.T, c.Kind, c.Type, c.O, c.Text})
	}
	return r
}

func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("testdata/*.changes.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".changes.jsonl")
		t.Run(name, func(t *testing.T) {
			r := New("demo", read(t, f))
			var b bytes.Buffer
			for _, l := range r.Lines {
				line, err := l.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "%s\n", line)
			}
			for _, o := range r.Final {
				line, err := json.Marshal(o)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "%s\n", line)
			}
			golden := filepath.Join("testdata", name+".golden.jsonl")
			if *update {
				if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Errorf("got:\n%swant:\n%s", b.Bytes(), want)
			}
		})
	}
}

func TestNothingHappened(t *testing.T) {
	if r := New("demo", nil); len(r.Lines) != 0 || len(r.Final) != 0 {
		t.Errorf("got %v", r)
	}
}
