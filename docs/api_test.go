package docs_test

import (
	"os"
	"strings"
	"testing"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/reports/evidence"
	"simctl.dev/simctl/sim/impact"
	"simctl.dev/simctl/sim/scenario"
)

// TestAPI holds the documents that api.md makes promises of against those that there are.
func TestAPI(t *testing.T) {
	page, err := os.ReadFile("api.md")
	if err != nil {
		t.Fatal(err)
	}
	for what, version := range map[string]string{scenario.Kind: scenario.APIVersion, reports.Kind: reports.APIVersion, impact.Kind: impact.APIVersion, evidence.ReportKind: reports.APIVersion} {
		found := false
		for _, line := range strings.Split(string(page), "\n") {
			found = found || strings.HasPrefix(line, "| ") && strings.Contains(line, what+"`") && strings.Contains(line, version)
		}
		if !found {
			t.Errorf("api.md has no row on %s of %s", what, version)
		}
	}
}
