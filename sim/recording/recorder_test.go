package recording

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestRecorder: what a watch shows, {"t": ..., "type": ..., "o": {...}} or a mark, {"t":
// ..., "text": ...}, and the recording that comes of it, written and read again.
func TestRecorder(t *testing.T) {
	files, err := filepath.Glob("testdata/watched/*.changes.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".changes.jsonl")
		t.Run(filepath.Base(name), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			recorder := NewRecorder("demo")
			for i, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
				var c struct {
					T          float64
					Type, Text string
					O          map[string]any
				}
				if err := json.Unmarshal([]byte(line), &c); err != nil {
					t.Fatalf("%s:%d: %v", file, i+1, err)
				}
				switch {
				case c.Text != "":
					recorder.Mark(c.T, c.Text)
				case c.Type == "DELETED":
					recorder.Gone(c.T, c.O)
				default:
					recorder.See(c.T, c.O)
				}
			}
			content, err := recorder.Recording().Files()
			if err != nil {
				t.Fatal(err)
			}
			folder := fstest.MapFS{}
			for name, data := range content {
				folder[name] = &fstest.MapFile{Data: data}
			}
			r, err := Read(folder)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			show := func(v any) {
				line, err := encode(v)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&got, "%s\n", line)
			}
			for _, c := range r.Timeline {
				show(c)
			}
			for _, l := range r.Final {
				show(l)
			}
			golden := name + ".golden.jsonl"
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("got:\n%swant:\n%s", got.Bytes(), want)
			}
		})
	}
}

func TestNothingWasSeen(t *testing.T) {
	if r := NewRecorder("demo").Recording(); len(r.Timeline)+len(r.Final) > 0 {
		t.Errorf("got %v", r)
	}
}
