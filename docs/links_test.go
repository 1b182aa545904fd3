package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// link is a link to another file of the repository, without what begins with a scheme.
var link = regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)\s]*)?\)`)

// named is a Go file, folder or data file that CONTRIBUTING.md names.
var named = regexp.MustCompile("`((?:sim|docs|reports|cmd|scheduler|scenarios)/[a-zA-Z0-9_./-]+)`")

// TestLinks holds every link between pages against the files that there are.
func TestLinks(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"*.md", "../*.md", "decisions/*.md", "../sim/verdict/testdata/stories/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no page is called %s: %v", pattern, err)
		}
		pages = append(pages, found...)
	}
	for _, page := range pages {
		text := read(t, page)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s leads to %s, which there is not", page, m[1])
			}
		}
	}
}

// TestContributing holds the files that CONTRIBUTING.md sends a reader to against those
// that there are; names in capitals are for the reader to fill in.
func TestContributing(t *testing.T) {
	text := read(t, "../CONTRIBUTING.md")
	names := named.FindAllStringSubmatch(text, -1)
	if len(names) < 20 {
		t.Fatalf("only %d names were found", len(names))
	}
	for _, m := range names {
		name := strings.TrimSuffix(m[1], "/...")
		if base := filepath.Base(name); strings.Contains(base, "NAME") {
			name = filepath.Dir(name)
		}
		if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(name))); err != nil {
			t.Errorf("CONTRIBUTING.md names %s, which there is not", m[1])
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
