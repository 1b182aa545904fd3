// Conformance plays small pipelines on a real Kubernetes with a real Tekton on this
// host, and writes down what happens: what simctl is held against. See
// docs/conformance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"simctl.dev/simctl/conformance/internal/cluster"
	"simctl.dev/simctl/conformance/internal/conform"
	"simctl.dev/simctl/conformance/internal/host"
	"simctl.dev/simctl/conformance/internal/node"
	"simctl.dev/simctl/conformance/internal/program"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	// This program is also a node's first process, and what a case's actions call.
	if len(args) > 1 {
		switch args[0] {
		case cluster.NodeCommand:
			return node.Main(args[1])
		case "ask":
			return conform.Ask(os.Getenv(conform.SocketVariable), args[1:])
		}
	}
	return play(args)
}

func play(args []string) error {
	f := flag.NewFlagSet("conformance", flag.ContinueOnError)
	cases := f.String("cases", "", "folder of the cases: manifests/, settings and actions.sh of each")
	out := f.String("out", "", "folder for the recordings (default: that of the cases)")
	module := f.String("module", ".", "folder of this module")
	bin := f.String("bin", "bin", "folder for the programs that are built")
	logs := f.String("logs", "", "folder in which to keep the logs of the cluster's programs")
	simctl := f.String("simctl", "", "folder of simctl's module: compares simctl with the recordings after it")
	f.Usage = func() {
		fmt.Fprint(f.Output(), "usage: conformance -cases DIR [flags] [CASE...]\n\n")
		f.PrintDefaults()
		fmt.Fprint(f.Output(), "\norders for actions.sh (cluster ORDER):\n"+cluster.Orders())
	}
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if *cases == "" {
		return errors.New("-cases is missing")
	}
	if *out == "" {
		*out = *cases
	}
	for _, p := range []*string{cases, out, module, bin, logs, simctl} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = abs
	}
	cgo, err := exec.Command("go", "env", "CGO_ENABLED").Output()
	if err != nil {
		return fmt.Errorf("asking go: %w", err)
	}
	here := host.Here(strings.TrimSpace(string(cgo)))
	if missing := here.Missing(os.TempDir(), *bin); len(missing) > 0 {
		fmt.Println("skipped: this host cannot be a cluster. Missing:")
		for _, m := range missing {
			fmt.Println("  " + m)
		}
		return nil
	}
	// A second Ctrl-C changes nothing: what was made is taken away.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err = conform.Run(ctx, conform.Options{Cases: *cases, Names: f.Args(), Out: *out, Host: here, Logs: *logs, Simctl: *simctl, Stdout: os.Stdout,
		Builder: program.Builder{Module: *module, Bin: *bin, CGO: here.CGO, Out: os.Stdout}})
	if ctx.Err() != nil {
		return errors.Join(errors.New("interrupted"), without(err, ctx.Err()))
	}
	return err
}

// without leaves out of joined errors the one that is no news.
func without(err, known error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var rest []error
		for _, e := range joined.Unwrap() {
			if !errors.Is(e, known) {
				rest = append(rest, e)
			}
		}
		return errors.Join(rest...)
	}
	if errors.Is(err, known) {
		return nil
	}
	return err
}
