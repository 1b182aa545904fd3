package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// contents returns the files of an archive.
func contents(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for in := tar.NewReader(zip); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Uname != "" || h.ModTime.Unix() != 1790000000 {
			t.Errorf("%s is of %q, %d, %v", h.Name, h.Uname, h.Uid, h.ModTime)
		}
		out[h.Name] = string(content)
	}
}

// What goes to users has a page and a completion for every verb, and is the same each time.
func TestMake(t *testing.T) {
	t.Chdir("../../../..") // where LICENSE is
	dir := t.TempDir()
	// The program is this test: building simctl takes minutes.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	goCommand := filepath.Join(dir, "go")
	script := "#!/bin/sh\nwhile [ \"$1\" != -o ]; do shift; done\nmkdir -p \"$(dirname \"$2\")\" && cp " + self + " \"$2\"\n"
	if err := os.WriteFile(goCommand, []byte(script), 0o700); err != nil { //nolint:gosec // it is a program
		t.Fatal(err)
	}
	var archives [][]byte
	for _, out := range []string{filepath.Join(dir, "one"), filepath.Join(dir, "two")} {
		o := options{version: "v1.2.3", epoch: 1790000000, out: out, goCommand: goCommand, arches: []string{"amd64"}}
		if err := o.make(); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(out, "simctl_v1.2.3_linux_amd64.tar.gz"))
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, raw)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the archive is another the second time")
	}
	files := contents(t, archives[0])
	for name, has := range map[string]string{
		"LICENSE": "Apache License", "README.md": "# simctl", "completions/simctl.bash": "simctl", "completions/_simctl": "#compdef simctl",
		"completions/simctl.fish": "complete -c simctl", "man/man1/simctl.1": "SIMCTL", "man/man1/simctl-tekton-build.1": "Build Tekton releases ahead of their use",
		"simctl": "\x7fELF",
	} {
		if !strings.Contains(files["simctl_v1.2.3_linux_amd64/"+name], has) {
			t.Errorf("%s is not there or has no %q", name, has)
		}
	}

	one := filepath.Join(dir, "one")
	var bom struct {
		BOMFormat  string
		Components []struct{ Name, Version, Purl string }
	}
	raw, err := os.ReadFile(filepath.Join(one, "simctl_v1.2.3_linux_amd64.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &bom); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(bom.Components, func(c struct{ Name, Version, Purl string }) bool { return c.Name == "github.com/spf13/cobra" })
	if bom.BOMFormat != "CycloneDX" || i < 0 || bom.Components[i].Purl != "pkg:golang/github.com/spf13/cobra@"+bom.Components[i].Version {
		t.Errorf("the SBOM is %s", raw[:min(len(raw), 500)])
	}

	sums, err := os.ReadFile(filepath.Join(one, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x  simctl_v1.2.3_linux_amd64.tar.gz\n", sha256.Sum256(archives[0])); !strings.Contains(string(sums), want) {
		t.Errorf("the checksums are\n%s", sums)
	}
}

func TestManPagesAreDated(t *testing.T) {
	t.Chdir("../../../..")
	files, err := documents(time.Unix(1790000000, 0).UTC(), "v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasPrefix(f.name, "man/") && !strings.Contains(string(f.content), `"Sep 2026" "simctl v1.2.3"`) {
			t.Errorf("%s has another date or version", f.name)
		}
	}
}
