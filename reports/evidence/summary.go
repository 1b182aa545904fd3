package evidence

import (
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/verdict"
)

// simulated says what nobody should take for more than it is;
// docs/real-and-simulated.md has the whole of it.
var simulated = []string{
	"Real: etcd, kube-apiserver with its admission, kube-scheduler, the controllers of Kubernetes, Tekton's controller of the release named, OpenShift's SCC admission. They decide as they do on a cluster.",
	"Simulated: nodes, kubelets, containers, the registry, CSI disks and time. What a task does and how long it takes is what the scenario says of it.",
	"Outcomes and their causes are decisions of the real parts. Durations come from models; compare them with each other, not with a clock.",
	"Names that end in random characters are those of the simulation; on your cluster they differ.",
}

func (b *builder) summarize() {
	r, result := b.r, b.in.Result
	var names, versions []string
	for _, s := range r.Scenarios {
		names = append(names, s.Name)
		for _, c := range s.Cells {
			if !slices.Contains(versions, c.Tekton) {
				versions = append(versions, c.Tekton)
			}
		}
	}
	total := len(result.Cells)
	r.Title = "Evidence report: " + strings.Join(names, ", ")
	if len(names) > 3 {
		r.Title = fmt.Sprintf("Evidence report: %d scenarios", len(names))
	}
	r.Simulated = slices.Clone(simulated)
	for _, line := range reports.Inert(result.Cells) {
		r.Simulated = append(r.Simulated, "Without effect here: "+line+".")
	}
	for _, line := range reports.MadeUp(result.Cells) {
		r.Simulated = append(r.Simulated, "Made up, as the manifests do not have it: "+line+".")
	}
	for _, line := range reports.Busy(result.Cells) {
		r.Simulated = append(r.Simulated, "Tekton's controller follows its own writes without end, and was kept from it here: "+line+".")
	}
	r.Summary.Run = fmt.Sprintf("%s of %s on Tekton %s, against Kubernetes %s.", count(total, "cell", "cells"),
		count(len(names), "scenario", "scenarios"), strings.Join(versions, ", "), result.Kubernetes)
	var fatal, held, broken, deviates, good int
	var main *Cause
	for _, c := range r.Causes {
		switch {
		case c.Fatal:
			fatal += len(c.Cells)
			if main == nil {
				main = c
			}
		case c.Outcome == verdict.Error:
			broken += len(c.Cells)
		default:
			held += len(c.Cells)
		}
	}
	for _, c := range result.Cells {
		if reports.Deviates(c) {
			deviates++
		}
		if c.Outcome == verdict.Success {
			good++
		}
	}
	s := &r.Summary
	switch {
	case main == nil && held == 0 && broken == 0:
		s.Verdict = fmt.Sprintf("All %s did their work. Nothing is to be changed.", count(total, "cell", "cells"))
		s.Severity, s.Why, s.Act = "none", "every run succeeded", "nobody"
		b.message(nil, nil)
		return
	case broken == total && broken > 0:
		s.Verdict = fmt.Sprintf("simctl could not run any of %s, so nothing is known of them.", count(total, "cell", "cells"))
		s.Severity, s.Why, s.Act = "unknown", "no cell was run", "whoever ran simctl"
		b.message(nil, nil)
		return
	case main == nil && held == 0:
		s.Verdict = fmt.Sprintf("simctl could not run %s. Of those that ran, all did their work.", count(broken, "cell", "cells"))
		s.Severity, s.Why, s.Act = "unknown", "cells are missing", "whoever ran simctl"
		b.message(nil, nil)
		return
	case main == nil:
		s.Verdict = fmt.Sprintf("Every run did its work, but in %s with trouble on the way: %s. %s came out without.",
			count(held, "cell", "cells"), lower(strings.TrimSuffix(r.Causes[0].Root.What, ".")), count(good, "cell", "cells"))
		s.Severity, s.Why = r.Causes[0].severity()
		s.Act = "nobody at once"
		change := r.changeOf(r.Causes[0])
		if change != nil {
			s.Verdict += fmt.Sprintf(" What takes it away with the least reach: %s.", change.What)
		}
		b.message(r.Causes[0], change)
		return
	}
	change := r.changeOf(main)
	why := lower(strings.TrimSuffix(main.Root.What, "."))
	first := fmt.Sprintf("%s of %d %s (%s), because %s.", count(len(main.Cells), "cell", "cells"), total, main.did(), main.Outcome, why)
	if fatal > len(main.Cells) {
		first = fmt.Sprintf("%s of %d did not do their work; %d of them (%s), because %s.", count(fatal, "cell", "cells"), total, len(main.Cells), main.Outcome, why)
	}
	second := "No cell of that scenario came out well, so the matrix proves no change."
	s.Act = "whoever owns the scenario: add an axis with the change you have in mind"
	if change != nil {
		second = fmt.Sprintf("What mends it with the least reach: %s", change.What)
		if len(main.RuledOut) > 0 {
			second += fmt.Sprintf("; %s makes no difference", main.RuledOut[0].Move)
		}
		second += "."
		s.Act = change.Scope
	}
	s.Verdict = first + " " + second
	s.Severity, s.Why = main.severity()
	if deviates > 0 {
		s.Why += fmt.Sprintf("; %s not as the scenario expects", count(deviates, "cell is", "cells are"))
	}
	b.message(main, change)
}

// changeOf returns the change that mends a cause with the least reach, nil if none
// was proved.
func (r *Report) changeOf(cause *Cause) *Change {
	for _, c := range r.Changes {
		if c.Cause == cause {
			return c
		}
	}
	return nil
}

// lower begins a sentence in the middle of another, names left as they are.
func lower(s string) string {
	word, rest, _ := strings.Cut(s, " ")
	switch word {
	case "A", "An", "The", "There", "Nothing", "No", "It", "Every":
		return strings.ToLower(word) + " " + rest
	}
	return s
}

// message writes what can be sent to the admin.
func (b *builder) message(cause *Cause, change *Change) {
	var m strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&m, format+"\n", args...) }
	line("Subject: %s", strings.TrimPrefix(b.r.Title, "Evidence report: ")+": "+map[bool]string{true: "change needed", false: "result"}[change != nil])
	line("")
	line("%s", b.r.Summary.Verdict)
	if cause == nil {
		b.r.Message = m.String()
		return
	}
	line("")
	line("How it comes about, from the symptom to the root:")
	for i, l := range cause.Chain {
		line("  %d. %s", i+1, l.What)
	}
	if len(cause.RuledOut) > 0 {
		line("")
		line("What does not help (tried, same result for the same reason):")
		for _, r := range cause.RuledOut {
			line("  - %s", r)
		}
	}
	if change != nil {
		line("")
		line("What helps (%s, by %s):", change.What, change.Scope)
		for _, p := range change.Patches {
			if p.Command != "" {
				line("  %s", p.Command)
				continue
			}
			line("  in %s:", p.Title)
			for _, l := range strings.Split(strings.TrimRight(p.After, "\n"), "\n") {
				line("    %s", l)
			}
		}
		line("")
		line("%s %s", change.Risk, change.Takes)
		for _, v := range change.Verify {
			line("  to check: %s", v.Command)
			line("            -> %s", v.Expect)
		}
	}
	line("")
	for _, c := range b.r.Changes {
		if c != change && c.Cause == cause {
			line("Also proved: %s (by %s).", c.What, c.Scope)
		}
	}
	for _, c := range b.r.Alternatives {
		if c.Cause == cause {
			line("Ends too, at a price: %s (%s).", c.What, c.Proof.Badge.Text)
		}
	}
	line("")
	line("This was replayed on simulated machines with the real control plane: %s", b.command())
	b.r.Message = m.String()
}

// command is what to type to run it again. Where the result was kept does not
// matter to what comes out.
func (b *builder) command() string {
	var out []string
	command := b.in.Result.Command
	for i := 0; i < len(command); i++ {
		arg := command[i]
		if arg == "--out" || arg == "--report" {
			i++
			continue
		}
		if strings.HasPrefix(arg, "--out=") || strings.HasPrefix(arg, "--report=") {
			continue
		}
		if strings.ContainsAny(arg, " '\"$&|;<>*?()\\`") {
			arg = quote(arg)
		}
		out = append(out, arg)
	}
	return strings.Join(out, " ")
}

func (b *builder) reproduce() {
	result := b.in.Result
	r := Reproduce{Command: b.command(), Kubernetes: result.Kubernetes, Simctl: result.Simctl, Files: b.in.Files}
	seeds := map[int64]bool{}
	for _, s := range b.r.Scenarios {
		for _, c := range s.Cells {
			if !slices.Contains(r.Tekton, c.Tekton) {
				r.Tekton = append(r.Tekton, c.Tekton)
			}
			if c.spec != nil && !seeds[c.spec.Spec.Seed] {
				seeds[c.spec.Spec.Seed] = true
				r.Seed = strings.TrimPrefix(fmt.Sprintf("%s, %d", r.Seed, c.spec.Spec.Seed), ", ")
			}
		}
	}
	if r.Seed == "" {
		r.Seed = "each scenario's own"
	}
	if !b.in.Example {
		r.ID, r.Started = result.ID, result.Started.UTC().Format("2006-01-02 15:04:05 MST")
	} else {
		r.Simctl = ""
	}
	b.r.Reproduce = r
}
