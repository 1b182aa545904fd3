// Command dist makes what a release of simctl consists of: for each architecture an archive
// with the program, its completions and man pages, and an SBOM; and the checksums of all of
// them. The bytes depend on the commit and the compiler alone. `make dist` calls it.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"simctl.dev/simctl/cmd/simctl/internal/cli"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("dist: ")
	o := options{goCommand: "go"}
	var arches string
	flag.StringVar(&o.version, "version", "", "the version, which names the files")
	flag.Int64Var(&o.epoch, "epoch", 0, "when the commit was made, in seconds since 1970: the date of all files")
	flag.StringVar(&o.ldflags, "ldflags", "", "flags for the linker")
	flag.StringVar(&arches, "arch", "amd64,arm64", "the architectures")
	flag.StringVar(&o.out, "out", "dist", "the folder to write to")
	image := flag.Bool("image", false, "make an image for the first architecture, and nothing else")
	pack := flag.String("pack", "", "a pack of simctl, whose builds the image is to have")
	flag.Parse()
	o.arches = strings.Split(arches, ",")
	if o.version == "" || o.epoch == 0 {
		log.Fatal("which version, and of when? Call make dist")
	}
	work := o.make
	if *image {
		work = func() error {
			program, err := o.build(o.arches[0])
			if err != nil {
				return err
			}
			return o.image(o.arches[0], program, *pack)
		}
	}
	if err := work(); err != nil {
		log.Fatal(err)
	}
}

// options say what to make.
type options struct {
	version, ldflags, out, goCommand string
	epoch                            int64
	arches                           []string
}

// file is one in an archive.
type file struct {
	name    string
	mode    int64
	content []byte
}

func (o options) make() error {
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	common, err := documents(time.Unix(o.epoch, 0).UTC(), o.version)
	if err != nil {
		return err
	}
	var made []string
	for _, arch := range o.arches {
		name := fmt.Sprintf("simctl_%s_linux_%s", o.version, arch)
		program, err := o.build(arch)
		if err != nil {
			return err
		}
		var sbom bytes.Buffer
		if err := writeSBOM(&sbom, program, o.version); err != nil {
			return fmt.Errorf("making the SBOM of %s: %w", name, err)
		}
		content, err := os.ReadFile(program)
		if err != nil {
			return err
		}
		files := append([]file{{"simctl", 0o755, content}}, common...)
		var archive bytes.Buffer
		if err := writeArchive(&archive, name, files, time.Unix(o.epoch, 0)); err != nil {
			return fmt.Errorf("writing the archive %s: %w", name, err)
		}
		for ending, raw := range map[string][]byte{".tar.gz": archive.Bytes(), ".cdx.json": sbom.Bytes()} {
			if err := os.WriteFile(filepath.Join(o.out, name+ending), raw, 0o644); err != nil {
				return err
			}
			made = append(made, name+ending)
		}
	}
	return writeChecksums(o.out, made)
}

// build compiles simctl, without C, so that it runs on every Linux and in an empty image.
func (o options) build(arch string) (string, error) {
	to := filepath.Join(o.out, "build", arch, "simctl")
	cmd := exec.Command(o.goCommand, "build", "-trimpath", "-buildvcs=false", "-ldflags", o.ldflags, "-o", to, "./cmd/simctl")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("building simctl for %s: %w", arch, err)
	}
	return to, nil
}

// documents returns what goes with the program on every architecture.
func documents(date time.Time, version string) ([]file, error) {
	var files []file
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name, 0o644, raw})
	}
	app := &cli.App{Versions: cli.Versions{Simctl: version}, Stdout: io.Discard, Stderr: io.Discard}
	root := app.Command()
	for name, write := range map[string]func(io.Writer) error{
		"simctl.bash": func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"_simctl":     root.GenZshCompletion,
		"simctl.fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return nil, fmt.Errorf("writing the completion %s: %w", name, err)
		}
		files = append(files, file{"completions/" + name, 0o644, b.Bytes()})
	}
	pages, err := manPages(root, date, version)
	if err != nil {
		return nil, err
	}
	return append(files, pages...), nil
}

// manPages returns a page for each command.
func manPages(root *cobra.Command, date time.Time, version string) ([]file, error) {
	var files []file
	var walk func(cmd *cobra.Command) error
	walk = func(cmd *cobra.Command) error {
		if cmd.IsAdditionalHelpTopicCommand() {
			return nil
		}
		cmd.DisableAutoGenTag = true
		var b bytes.Buffer
		if err := doc.GenMan(cmd, &doc.GenManHeader{Section: "1", Date: &date, Source: "simctl " + version}, &b); err != nil {
			return fmt.Errorf("writing the man page of %s: %w", cmd.CommandPath(), err)
		}
		files = append(files, file{"man/man1/" + strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1", 0o644, b.Bytes()})
		for _, sub := range cmd.Commands() {
			if err := walk(sub); err != nil {
				return err
			}
		}
		return nil
	}
	return files, walk(root)
}

// writeArchive writes files below a folder, sorted, all of one date and of nobody.
func writeArchive(w io.Writer, folder string, files []file, date time.Time) error {
	zip := gzip.NewWriter(w)
	out := tar.NewWriter(zip)
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	for _, f := range files {
		head := &tar.Header{Name: path.Join(folder, f.name), Mode: f.mode, Size: int64(len(f.content)), ModTime: date, Format: tar.FormatPAX}
		if err := out.WriteHeader(head); err != nil {
			return err
		}
		if _, err := out.Write(f.content); err != nil {
			return err
		}
	}
	return errors.Join(out.Close(), zip.Close())
}

// writeSBOM writes which modules a program consists of, as CycloneDX.
func writeSBOM(w io.Writer, program, version string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	of := func(path, version string) cdx.Component {
		purl := fmt.Sprintf("pkg:golang/%s@%s", path, version)
		return cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: purl}
	}
	main := of(info.Main.Path, version)
	main.Type = cdx.ComponentTypeApplication
	components := []cdx.Component{of("std", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		components = append(components, of(m.Path, m.Version))
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &main}
	bom.Components = &components
	return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom)
}

// writeChecksums writes checksums.txt, which sha256sum -c reads.
func writeChecksums(dir string, names []string) error {
	var b strings.Builder
	for _, name := range slices.Sorted(slices.Values(names)) {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(raw), name)
	}
	return os.WriteFile(filepath.Join(dir, "checksums.txt"), []byte(b.String()), 0o644)
}
