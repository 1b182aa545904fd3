package reports

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/verdict"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// read returns a recorded result of testdata.
func read(t *testing.T, name string) verdict.RunResult {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".input.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r verdict.RunResult
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (run with -update to accept):\n%s", path, got)
	}
}

func TestRender(t *testing.T) {
	for _, name := range []string{"incident", "matrix", "repeats"} {
		r := read(t, name)
		for _, f := range Formats {
			t.Run(name+"/"+string(f), func(t *testing.T) {
				var b bytes.Buffer
				if err := Render(&b, f, r, Options{}); err != nil {
					t.Fatal(err)
				}
				golden(t, name+".output."+string(f), b.Bytes())
			})
		}
	}
	t.Run("matrix in a narrow window", func(t *testing.T) {
		var b bytes.Buffer
		if err := Render(&b, Table, read(t, "matrix"), Options{Width: 80}); err != nil {
			t.Fatal(err)
		}
		golden(t, "matrix.output.narrow", b.Bytes())
	})
	t.Run("nothing finished", func(t *testing.T) {
		var b bytes.Buffer
		if err := Render(&b, JSON, verdict.RunResult{ID: "x"}, Options{}); err != nil {
			t.Fatal(err)
		}
		golden(t, "empty.output.json", b.Bytes())
		b.Reset()
		if err := Render(&b, Table, verdict.RunResult{ID: "x"}, Options{}); err != nil {
			t.Fatal(err)
		}
		golden(t, "empty.output.table", b.Bytes())
	})
}

// JSON and YAML must give back the very result they were made from.
func TestRoundTrip(t *testing.T) {
	for _, name := range []string{"incident", "matrix", "repeats"} {
		want, err := json.Marshal(Normalize(read(t, name)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []Format{JSON, YAML} {
			var b bytes.Buffer
			if err := Render(&b, f, read(t, name), Options{}); err != nil {
				t.Fatal(err)
			}
			var back verdict.RunResult
			if err := yaml.UnmarshalStrict(b.Bytes(), &back); err != nil {
				t.Fatalf("%s as %s: %v", name, f, err)
			}
			got, err := json.Marshal(back)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s as %s does not read back as it was", name, f)
			}
		}
	}
}

func TestColor(t *testing.T) {
	r := read(t, "matrix")
	var plain, colored bytes.Buffer
	if err := Render(&plain, Table, r, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := Render(&colored, Table, r, Options{Color: true}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Error("escape sequences without Color")
	}
	if !strings.Contains(colored.String(), "\x1b[31;1m✗ deadlock") {
		t.Error("a deviating cell is not red")
	}
	// Colour must not change what is said, nor where it stands.
	if got := stripEscapes(colored.String()); got != plain.String() {
		t.Errorf("with its colours taken away the table reads:\n%s", got)
	}
}

func stripEscapes(s string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !ok {
			// Trailing spaces inside a painted text are not seen.
			lines := strings.Split(b.String(), "\n")
			for i, l := range lines {
				lines[i] = strings.TrimRight(l, " ")
			}
			return strings.Join(lines, "\n")
		}
		_, s, _ = strings.Cut(after, "m")
	}
}

func TestParseFormat(t *testing.T) {
	for _, f := range Formats {
		if got, err := ParseFormat(string(f)); err != nil || got != f {
			t.Errorf("ParseFormat(%q) = %q, %v", f, got, err)
		}
	}
	_, err := ParseFormat("xml")
	if err == nil || !strings.Contains(err.Error(), "table, wide, json, yaml") {
		t.Errorf("ParseFormat(xml): %v", err)
	}
}

func TestDuration(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0s", 0.45: "0.45s", 0.999: "1s", 3.24: "3.2s", 12: "12s", 59.96: "1m0s",
		60: "1m0s", 723.4: "12m3s", 3599.7: "1h0m0s", 7205: "2h0m5s", -3: "-3s",
	} {
		if got := Duration(seconds); got != want {
			t.Errorf("Duration(%v) = %q, want %q", seconds, got, want)
		}
	}
}
