package cluster

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"simctl.dev/simctl/conformance/internal/image"
	"simctl.dev/simctl/conformance/internal/process"
	"simctl.dev/simctl/conformance/internal/program"
)

//go:embed manifests/*.yaml
var own embed.FS

// tektonManifests are those of Tekton's that are created: what is left out are the
// Deployments, which are processes here, and the resolvers.
var tektonManifests = []string{"100-namespace/*.yaml", "200-*.yaml", "201-*.yaml", "clusterrole*.yaml", "300-crds/*.yaml", "config-*.yaml", "500-webhooks.yaml"}

// createManifests creates what the cluster has from the start, as one file: kubectl
// asks for all schemas once a file.
func (c *Cluster) createManifests(ctx context.Context) error {
	var all strings.Builder
	add := func(b []byte) { fmt.Fprintf(&all, "---\n%s\n", b) }
	for _, pattern := range tektonManifests {
		files, err := filepath.Glob(filepath.Join(c.TektonConfig, pattern))
		if err != nil {
			return err
		}
		if len(files) == 0 {
			return fmt.Errorf("Tekton's manifests: no %s in %s", pattern, c.TektonConfig)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			add(b)
		}
	}
	files, err := own.ReadDir("manifests")
	if err != nil {
		return err
	}
	for _, f := range files {
		b, err := own.ReadFile("manifests/" + f.Name())
		if err != nil {
			return err
		}
		add(b)
	}
	file := c.etc("manifests.yaml")
	if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
		return err
	}
	return c.Kubectl(ctx, "create", "--validate=false", "-f", file)
}

// makeImages makes the archives of the images that nodes have.
func (c *Cluster) makeImages(ctx context.Context) ([]string, error) {
	busybox, err := c.starter.Run(ctx, process.Command{Path: "bash", Args: []string{"-c", "command -v busybox"}, Env: environment()})
	if err != nil {
		return nil, err
	}
	busybox = strings.TrimSpace(busybox)
	applets, err := c.starter.Run(ctx, process.Command{Path: busybox, Args: []string{"--list"}})
	if err != nil {
		return nil, err
	}
	images := []image.Image{
		{Name: registry + "pause:v1", Files: []image.File{{Path: "pause", Copy: c.bin("pause"), Mode: 0o755}}, Entrypoint: []string{"/pause"}, User: "65535:65535"},
		image.Busybox(registry+"busybox:v1", busybox, strings.Fields(applets)),
	}
	for _, n := range program.TektonImages {
		images = append(images, image.KoApp(registry+n+":v1", n, c.bin("tekton-"+n)))
	}
	var files []string
	for i, im := range images {
		f := filepath.Join(c.State, "images", fmt.Sprintf("%d-%s.tar", i, runtime.GOARCH))
		if err := im.Write(f); err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}
