package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func read(t *testing.T, b []byte) (map[string]*tar.Header, map[string][]byte) {
	t.Helper()
	headers, data := map[string]*tar.Header{}, map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return headers, data
		}
		if err != nil {
			t.Fatal(err)
		}
		headers[h.Name] = h
		if data[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "busybox")
	if err := os.WriteFile(program, []byte("program"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "image.tar")
	if err := Busybox("local.test/busybox:v1", program, []string{"busybox", "sh"}).Write(file); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, archive := read(t, b)
	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(archive["manifest.json"], &manifest); err != nil || len(manifest) != 1 || len(manifest[0].Layers) != 1 {
		t.Fatalf("manifest %s: %v", archive["manifest.json"], err)
	}
	m := manifest[0]
	if m.RepoTags[0] != "local.test/busybox:v1" {
		t.Errorf("name %q", m.RepoTags)
	}
	var config struct {
		Config struct{ Cmd []string }
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(archive[m.Config], &config); err != nil {
		t.Fatalf("config %s: %v", m.Config, err)
	}
	layer := archive[m.Layers[0]]
	if got, want := config.Rootfs.DiffIDs[0], "sha256:"+digest(layer); got != want {
		t.Errorf("the config names layer %s, there is %s", got, want)
	}
	if len(config.Config.Cmd) != 1 || config.Config.Cmd[0] != "sh" {
		t.Errorf("command %q", config.Config.Cmd)
	}
	headers, files := read(t, layer)
	if string(files["bin/busybox"]) != "program" || headers["bin/busybox"].Mode != 0o755 {
		t.Errorf("bin/busybox is %q, mode %o", files["bin/busybox"], headers["bin/busybox"].Mode)
	}
	if h := headers["bin/sh"]; h == nil || h.Typeflag != tar.TypeSymlink || h.Linkname != "busybox" {
		t.Errorf("bin/sh is %+v", h)
	}
	if h := headers["tmp"]; h == nil || h.Mode != 0o1777 {
		t.Errorf("tmp is %+v", h)
	}
}

func TestWriteWithoutTheProgram(t *testing.T) {
	dir := t.TempDir()
	if err := KoApp("x:v1", "nop", filepath.Join(dir, "none")).Write(filepath.Join(dir, "image.tar")); err == nil {
		t.Error("no error")
	}
}
