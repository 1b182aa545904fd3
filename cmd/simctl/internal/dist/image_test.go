package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// stand is a program in simctl's place, which says under whom it runs and where it can
// write. simctl itself takes minutes to build without C.
const stand = `package main

import (
	"fmt"
	"os"
)

func main() {
	writes := func(dir string) bool { return os.WriteFile(dir+"/written", nil, 0o600) == nil }
	_, err := os.ReadFile(os.Getenv("SIMCTL_CACHE_DIR") + "/tekton/v1-k/controller")
	fmt.Printf("user %d:%d in %s, home %s, writes / %t /tmp %t, has the build %t\n", os.Getuid(), os.Getgid(),
		os.Args[1], os.Getenv("HOME"), writes("/"), writes("/tmp"), err == nil)
}
`

// TestImage unpacks an image and runs its program in it, as a container engine would.
func TestImage(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(stand), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "stand", "main.go")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program, err := os.ReadFile(filepath.Join(dir, "stand"))
	if err != nil {
		t.Fatal(err)
	}
	var pack bytes.Buffer
	zip := gzip.NewWriter(&pack)
	in := tar.NewWriter(zip)
	if err := in.WriteHeader(&tar.Header{Name: "tekton/v1-k/controller", Mode: 0o755, Size: 3}); err != nil {
		t.Fatal(err)
	}
	_, _ = in.Write([]byte("abc"))
	_, _ = in.Close(), zip.Close()

	for _, test := range []struct {
		name string
		pack io.Reader
		want string
	}{
		{"with builds", &pack, "user 65532:65532 in /work, home /home/simctl, writes / false /tmp true, has the build true\n"},
		{"without", nil, "user 65532:65532 in /work, home /home/simctl, writes / false /tmp true, has the build false\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			to := filepath.Join(t.TempDir(), "image.tar")
			if err := writeImage(to, program, test.pack, "simctl:v1.2.3", "amd64", time.Unix(1790000000, 0)); err != nil {
				t.Fatal(err)
			}
			image, err := tarball.ImageFromPath(to, nil)
			if err != nil {
				t.Fatal(err)
			}
			config, err := image.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			c := config.Config
			if c.User != "65532:65532" || strings.Join(c.Entrypoint, " ") != "/usr/bin/simctl" || c.WorkingDir != "/work" || config.Architecture != "amd64" {
				t.Errorf("the configuration is %+v", c)
			}
			if os.Getuid() != 0 {
				t.Skip("only root can run it in a root of its own")
			}
			root := t.TempDir()
			if err := os.Chmod(filepath.Dir(root), 0o755); err != nil { //nolint:gosec // nobody has to get there
				t.Fatal(err)
			}
			unpack(t, mutate.Extract(image), root)
			if hosts, err := os.ReadFile(filepath.Join(root, "etc", "hosts")); err != nil || string(hosts) != "127.0.0.1 localhost\n" {
				t.Errorf("localhost is %q (%v)", hosts, err)
			}
			cmd := exec.CommandContext(t.Context(), c.Entrypoint[0], c.WorkingDir)
			cmd.Env, cmd.Dir = c.Env, c.WorkingDir
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != test.want {
				t.Errorf("%v\n%swant\n%s", err, out, test.want)
			}
		})
	}
}

// unpack writes the files of an image below a folder, as root.
func unpack(t *testing.T, from io.ReadCloser, root string) {
	t.Helper()
	defer func() { _ = from.Close() }()
	if err := os.Chmod(root, 0o755); err != nil { //nolint:gosec // nobody has to get there
		t.Fatal(err)
	}
	for in := tar.NewReader(from); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(root, filepath.Clean("/"+h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(to, 0o755)
		} else {
			var content []byte
			if content, err = io.ReadAll(in); err == nil {
				err = os.WriteFile(to, content, 0o600)
			}
		}
		if err == nil {
			err = os.Chown(to, h.Uid, h.Gid)
		}
		if err == nil {
			err = os.Chmod(to, h.FileInfo().Mode())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
