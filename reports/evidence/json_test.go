package evidence

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := build(t, load(t, "incident")).JSON(&b); err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(b.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, c := range d.Cells {
		ids[c.ID] = true
		if (c.Cause == 0) != (c.Outcome == "success") || c.Cause > len(d.Causes) {
			t.Errorf("cell %s, %s, has cause %d", c.ID, c.Outcome, c.Cause)
		}
	}
	if d.Kind != ReportKind || len(d.Cells) != 5 || len(d.Causes) != 2 || len(d.Changes) != 2 || len(d.Alternatives) != 1 {
		t.Fatalf("the document is %+v", d)
	}
	if c := d.Causes[0]; len(c.Cells) != 2 || len(c.RuledOut) != 1 || !ids[c.RuledOut[0].Proof] || len(c.Chain) != 5 {
		t.Errorf("the first cause is %+v", c)
	}
	for _, c := range append(d.Changes, d.Alternatives...) {
		if !ids[c.Base] || !ids[c.Proof] || c.Cause != 1 || len(c.Patches) == 0 || len(c.Verify) == 0 {
			t.Errorf("the change is %+v", c)
		}
	}
	for _, list := range []string{"worse", "patches", "verify", "ruledOut", "cells", "chain"} {
		if bytes.Contains(b.Bytes(), []byte(`"`+list+`": null`)) {
			t.Errorf("the list %s is null", list)
		}
	}
}

func TestUntouched(t *testing.T) {
	for want, titles := range map[string][]string{
		"": {"TektonConfig config (where ...)", "ConfigMap ns/feature-flags", "PipelineRun ns/x"},
		"No change in the ConfigMap feature-flags and TektonConfig.":                  {"PipelineRun ns/x"},
		"No change in the PipelineRun.":                                               {"TektonConfig config"},
		"No change in the ConfigMap feature-flags, TektonConfig and the PipelineRun.": {"The operator's subscription"},
	} {
		c := &Change{}
		for _, title := range titles {
			c.Patches = append(c.Patches, Patch{Title: title})
		}
		if got := c.Untouched(); got != want {
			t.Errorf("%q: %q, want %q", titles, got, want)
		}
	}
}
