//go:build ignore

// This program decides about pods as OpenShift's API server does: it runs the
// admission plug-in of openshift/apiserver-library-go, which does not compile
// beside the Kubernetes of the module around it, with the Kubernetes that the
// plug-in was written for. Package openshift embeds these sources with go.mod.txt
// and go.sum.txt, builds them on first need and talks to the program over its
// standard input and output, one JSON value a line; see package wire. The program
// has no connection to any API server and keeps nothing between requests but the
// SCCs: namespaces come with the request and authorisation is asked for. It ends
// with its standard input.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"simctl.dev/simctl/sim/openshift/engine/wire"
)

func main() {
	// An interrupt of the terminal reaches the whole process group. Whoever
	// started this program closes its input when no more is to be decided.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve decides what comes in until it ends.
func serve(in io.Reader, out io.Writer) error {
	p := &peer{out: json.NewEncoder(out), waiting: map[uint64]*asker{}}
	d, err := newDecider()
	if err != nil {
		return fmt.Errorf("setting up the conversion of pods: %w", err)
	}
	decoder := json.NewDecoder(bufio.NewReaderSize(in, 1<<16))
	for {
		var m wire.Message
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading a message: %w", err)
		}
		switch {
		case m.SCCs != nil:
			if err := d.setSCCs(m.SCCs); err != nil {
				return fmt.Errorf("taking over the SCCs: %w", err)
			}
		case m.Answer != nil:
			p.answer(m.ID, *m.Answer)
		case m.Request != nil:
			// The SCCs are those at the time the request came in.
			sccs, a := d.sccs, p.asker(m.ID, m.Request.Usable)
			go func() {
				r := d.decide(&m, sccs, a)
				r.ID = m.ID
				p.finish(r)
			}()
		}
	}
}
