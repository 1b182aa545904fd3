package scenario

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	sigsyaml "sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/stub"
)

// TestStubMissing compares the stubs of testdata/stubs with what they should be.
func TestStubMissing(t *testing.T) {
	f, err := Load("testdata/stubs/scenario.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cells, err := f.Cells(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, line := range cells[0].MadeUp {
		got.WriteString("# " + line + "\n")
	}
	for _, raw := range cells[0].Objects {
		if !bytes.Contains(raw, []byte(stub.Annotation)) {
			continue
		}
		text, err := sigsyaml.JSONToYAML(raw)
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString("---\n")
		got.Write(text)
	}
	const golden = "testdata/stubs/want.yaml"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("the stubs differ (-want +got); -update rewrites them:\n%s", diff)
	}
}
