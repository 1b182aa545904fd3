package main

import (
	"os"
	"regexp"
	"testing"
)

var (
	required = regexp.MustCompile(`(?m)^\t?(?:require )?([\w./~-]+) (v\S+)`)
	pinned   = regexp.MustCompile(`(?m)^\t?(?:replace )?([\w./~-]+) => ([\w./~-]+) (v\S+)`)
)

// What is built for the real cluster is what simctl is built of: the same versions,
// and so the same compiled packages. External-attacher asks for newer ones.
func TestVersionsAreSimctls(t *testing.T) {
	versions := func(file string) map[string]string {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r := map[string]string{}
		for _, m := range required.FindAllSubmatch(b, -1) {
			r[string(m[1])] = string(m[2])
		}
		for _, m := range pinned.FindAllSubmatch(b, -1) {
			r[string(m[1])] = string(m[3])
		}
		return r
	}
	simctl, here := versions("../go.mod"), versions("go.mod")
	if len(simctl) < 50 || len(here) < 50 {
		t.Fatalf("%d and %d modules were found", len(simctl), len(here))
	}
	for module, v := range simctl {
		if got, ok := here[module]; ok && got != v {
			t.Errorf("%s: simctl has %s, go.mod here %s", module, v, got)
		}
	}
}
