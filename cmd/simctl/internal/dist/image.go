package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// nobody is the user and group under whom simctl runs in an image.
const nobody = 65532

// Places in an image.
const (
	home     = "/home/simctl"
	cacheDir = "/var/cache/simctl"
	workDir  = "/work"
)

// writeImage writes an image of simctl as an archive that docker load, podman load and
// skopeo read: a program without C on an empty root, which need not be written to but for
// /tmp and /work, run by nobody. What a pack has is in the image's cache.
func writeImage(to string, program []byte, pack io.Reader, tag, arch string, date time.Time) error {
	base, err := layer(func(out *tar.Writer) error {
		for _, dir := range []struct {
			name  string
			mode  int64
			owner int
		}{{"etc", 0o755, 0}, {"home", 0o755, 0}, {home[1:], 0o755, nobody}, {"tmp", 0o1777, 0}, {"usr", 0o755, 0}, {"usr/bin", 0o755, 0},
			{"var", 0o755, 0}, {"var/cache", 0o755, 0}, {cacheDir[1:], 0o755, nobody}, {workDir[1:], 0o755, nobody}} {
			head := &tar.Header{Typeflag: tar.TypeDir, Name: dir.name + "/", Mode: dir.mode, Uid: dir.owner, Gid: dir.owner, ModTime: date}
			if err := out.WriteHeader(head); err != nil {
				return err
			}
		}
		for _, f := range []file{
			{"etc/group", 0o644, fmt.Appendf(nil, "simctl:x:%d:\n", nobody)},
			// The servers are asked for by this name; a container engine may bring its own.
			{"etc/hosts", 0o644, []byte("127.0.0.1 localhost\n")},
			{"etc/passwd", 0o644, fmt.Appendf(nil, "simctl:x:%d:%d::%s:\n", nobody, nobody, home)},
			{"usr/bin/simctl", 0o755, program},
		} {
			if err := out.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.content)), ModTime: date}); err != nil {
				return err
			}
			if _, err := out.Write(f.content); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	layers := []v1.Layer{base}
	if pack != nil {
		builds, err := layer(func(out *tar.Writer) error { return packed(out, pack, date) })
		if err != nil {
			return fmt.Errorf("reading the pack: %w", err)
		}
		layers = append(layers, builds)
	}
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return err
	}
	image, err = mutate.ConfigFile(image, configOf(image, arch, date))
	if err != nil {
		return err
	}
	ref, err := name.NewTag(tag)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(to, ref, image)
}

// configOf returns the image's configuration with simctl's in it.
func configOf(image v1.Image, arch string, date time.Time) *v1.ConfigFile {
	config, err := image.ConfigFile()
	if err != nil {
		config = &v1.ConfigFile{} // of an image that is put together here
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, v1.Time{Time: date}
	config.Config = v1.Config{
		User:       fmt.Sprintf("%d:%d", nobody, nobody),
		Env:        []string{"PATH=/usr/bin", "HOME=" + home, "SIMCTL_CACHE_DIR=" + cacheDir},
		Entrypoint: []string{"/usr/bin/simctl"},
		WorkingDir: workDir,
		Labels:     map[string]string{"org.opencontainers.image.licenses": "Apache-2.0", "org.opencontainers.image.title": "simctl"},
	}
	return config
}

// layer returns a layer of what write writes.
func layer(write func(*tar.Writer) error) (v1.Layer, error) {
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	if err := errors.Join(write(out), out.Close()); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
}

// packed writes the files of a pack, which are those of a cache, to where the image has its
// cache.
func packed(out *tar.Writer, pack io.Reader, date time.Time) error {
	zip, err := gzip.NewReader(pack)
	if err != nil {
		return err
	}
	made := map[string]bool{}
	for in := tar.NewReader(zip); ; {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		folder := cacheDir[1:]
		for part := range strings.SplitSeq(path.Dir(head.Name), "/") {
			if folder = path.Join(folder, part); !made[folder] {
				made[folder] = true
				dir := &tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755, Uid: nobody, Gid: nobody, ModTime: date}
				if err := out.WriteHeader(dir); err != nil {
					return err
				}
			}
		}
		to := &tar.Header{Name: path.Join(cacheDir[1:], head.Name), Mode: head.Mode, Size: head.Size, Uid: nobody, Gid: nobody, ModTime: date}
		if err := out.WriteHeader(to); err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil { //nolint:gosec // what the header says, written by simctl pack
			return err
		}
	}
}

// image makes the image of one architecture; packFile may be empty.
func (o options) image(arch, program, packFile string) error {
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	var pack io.Reader
	if packFile != "" {
		f, err := os.Open(packFile)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		pack = f
	}
	to := path.Join(o.out, fmt.Sprintf("simctl_%s_linux_%s_image.tar", o.version, arch))
	if err := writeImage(to, content, pack, "simctl:"+o.version, arch, time.Unix(o.epoch, 0).UTC()); err != nil {
		return fmt.Errorf("making the image for %s: %w", arch, err)
	}
	return nil
}
