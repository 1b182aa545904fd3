// Sameresults compares the results of two runs, cell by cell and task by task: outcomes,
// makespans, and the lengths of the phases of every task, in virtual time. It is for
// changes of simctl that must not change what it finds:
//
//	go run ./hack/sameresults BEFORE AFTER
//
// BEFORE and AFTER are folders of runs (simctl run --out). With -judge, AFTER is left out:
// the histories in BEFORE are judged anew by the code at hand. Exit status: 0 all is the
// same, 1 something differs, 2 the results could not be read.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"simctl.dev/simctl/sim/runstore"
	"simctl.dev/simctl/sim/verdict"
)

func main() {
	judge := flag.Bool("judge", false, "judge the histories of the one run anew")
	flag.Parse()
	differ, err := compare(os.Stdout, *judge, flag.Args())
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "sameresults:", err)
		os.Exit(2)
	case differ:
		os.Exit(1)
	}
}

func compare(w io.Writer, judge bool, dirs []string) (differ bool, err error) {
	if want := map[bool]int{true: 1, false: 2}[judge]; len(dirs) != want {
		return false, fmt.Errorf("want %d folder(s) of runs, have %d", want, len(dirs))
	}
	before, err := read(dirs[0])
	if err != nil {
		return false, err
	}
	var after map[string]verdict.Finding
	if judge {
		after, err = judged(dirs[0], before)
	} else {
		after, err = read(dirs[1])
	}
	if err != nil {
		return false, err
	}
	var ids []string
	for id := range before {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	same := 0
	for _, id := range ids {
		y, ok := after[id]
		if !ok {
			fmt.Fprintf(w, "%s: only in the first\n", id)
			differ = true
			continue
		}
		lines := differences(before[id], y)
		for _, line := range lines {
			fmt.Fprintf(w, "%s: %s\n", id, line)
		}
		if len(lines) == 0 {
			same++
		}
		differ = differ || len(lines) > 0
		delete(after, id)
	}
	for id := range after {
		fmt.Fprintf(w, "%s: only in the second\n", id)
		differ = true
	}
	fmt.Fprintf(w, "%d of %d cells are the same\n", same, len(ids))
	return differ, nil
}

// read returns the findings of a run's cells by their IDs.
func read(dir string) (map[string]verdict.Finding, error) {
	r, err := runstore.ReadResult(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the result in %s: %w", dir, err)
	}
	out := map[string]verdict.Finding{}
	for _, c := range r.Cells {
		out[runstore.CellID(c)] = c.Finding
	}
	return out, nil
}

// judged returns what the histories of a run come to by the code at hand.
func judged(dir string, cells map[string]verdict.Finding) (map[string]verdict.Finding, error) {
	out := map[string]verdict.Finding{}
	for id := range cells {
		entries, err := runstore.ReadHistory(dir, id)
		if err != nil {
			return nil, fmt.Errorf("reading the history of %s: %w", id, err)
		}
		if out[id], err = verdict.Judge(entries); err != nil {
			return nil, fmt.Errorf("judging %s: %w", id, err)
		}
	}
	return out, nil
}

// differences says what differs between two findings of a cell, names that controllers
// make up aside.
func differences(x, y verdict.Finding) []string {
	var out []string
	say := func(what string, a, b any) {
		if p, q := text(a), text(b); p != q {
			out = append(out, fmt.Sprintf("%s %s, was %s", what, q, p))
		}
	}
	say("outcome", x.Outcome, y.Outcome)
	say("recovered", x.Recovered, y.Recovered)
	say("makespan", x.MakespanSeconds, y.MakespanSeconds)
	say("blocked since", x.BlockedSinceSeconds, y.BlockedSinceSeconds)
	say("nodes", x.Timing.Nodes, y.Timing.Nodes)
	say("attaches and detaches", []int{x.Timing.Attaches, x.Timing.Detaches}, []int{y.Timing.Attaches, y.Timing.Detaches})
	say("number of tasks", len(x.Timing.Tasks), len(y.Timing.Tasks))
	for i := range min(len(x.Timing.Tasks), len(y.Timing.Tasks)) {
		say("task "+x.Timing.Tasks[i].Task, x.Timing.Tasks[i], y.Timing.Tasks[i])
	}
	return out
}

func text(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return verdict.Canonical(string(raw))
}
