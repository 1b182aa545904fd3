package verdict

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/wellknown"
)

// TestStories judges the stories in testdata/stories and compares what is found with
// their last sections; README.md there has their words.
func TestStories(t *testing.T) {
	for _, file := range stories(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			archive, entries := tell(t, file)
			f, err := Judge(entries)
			if err != nil {
				t.Fatal(err)
			}
			checkFinding(t, f)
			if want := outcomeOf(name); f.Outcome != want {
				t.Errorf("outcome %s, want %s by the story's name", f.Outcome, want)
			}
			changed := false
			// A story without a chain would hold its outcome alone.
			if !slices.ContainsFunc(archive.Files, func(f txtar.File) bool { return f.Name == "chain" }) {
				archive.Files = append(archive.Files, txtar.File{Name: "chain"})
			}
			for i := range archive.Files {
				section := &archive.Files[i]
				var got string
				switch section.Name {
				case "chain":
					got = chainText(f)
				case "conduct":
					got = strings.Join(f.Conduct.Sentences(), "\n") + "\n"
				case "timing":
					got = timingText(f.Timing)
				default:
					continue
				}
				if got == string(section.Data) {
					continue
				}
				changed = true
				if !*update {
					t.Errorf("the %s is another (-update writes it):\n%s", section.Name, got)
				}
				section.Data = []byte(got)
			}
			if *update && changed {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestStoriesOfPrefixes judges every story cut off after each of its entries.
func TestStoriesOfPrefixes(t *testing.T) {
	for _, file := range stories(t) {
		_, entries := tell(t, file)
		judgePrefixes(t, file, entries, 1)
	}
}

// TestEveryRuleHasAHistory: what no history and no story comes to is not said to hold.
func TestEveryRuleHasAHistory(t *testing.T) {
	if testing.Short() {
		t.Skip("it judges once more what other tests judge")
	}
	said := map[string]bool{}
	var note func(links []Link)
	note = func(links []Link) {
		for _, l := range links {
			said[l.Rule] = true
			note(l.Behind)
		}
	}
	all := map[string][]history.Entry{}
	for _, file := range histories(t) {
		all[file] = readFile(t, file)
	}
	for _, file := range stories(t) {
		_, all[file] = tell(t, file)
	}
	for file, entries := range all {
		f, err := Judge(entries)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		note(f.Cause)
	}
	for _, r := range Rules() {
		if !said[r.ID] {
			t.Errorf("no history and no story comes to %s", r.ID)
		}
	}
}

func stories(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	return files
}

// tell reads a story and makes a history of it.
func tell(t *testing.T, file string) (*txtar.Archive, []history.Entry) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	h := &teller{shown: map[history.Ref]bool{}}
	for _, section := range archive.Files {
		switch section.Name {
		case "cluster", "story":
		case "chain", "conduct", "timing":
			continue
		default:
			t.Fatalf("%s: there is no section %s", file, section.Name)
		}
		for _, s := range statements(string(section.Data)) {
			if err := h.statement(s, section.Name == "story"); err != nil {
				t.Fatalf("%s: %s: %v", file, s.line, err)
			}
		}
	}
	for _, v := range history.Check(h.entries) {
		t.Errorf("%s: %s", file, v)
	}
	return archive, h.entries
}

// chainText is a finding as a story shows it.
func chainText(f Finding) string {
	var b strings.Builder
	b.WriteString(string(f.Outcome))
	if f.Recovered {
		b.WriteString(", recovered")
	}
	if f.MakespanSeconds != nil {
		fmt.Fprintf(&b, ", done in %g s", *f.MakespanSeconds)
	}
	if f.BlockedSinceSeconds != nil {
		fmt.Fprintf(&b, ", blocked since %g s", *f.BlockedSinceSeconds)
	}
	for _, never := range f.NeverEnd {
		fmt.Fprintf(&b, ", %s never ends", never)
	}
	b.WriteString("\n")
	var show func(indent string, links []Link)
	show = func(indent string, links []Link) {
		for _, l := range links {
			about := ""
			if !strings.Contains(l.What, l.Object) {
				about = " (" + l.Object + ")"
			}
			fmt.Fprintf(&b, "%s%s%s: %s\n", indent, l.Rule, about, l.What)
			for line := range strings.SplitSeq(l.Evidence, "\n") {
				fmt.Fprintf(&b, "%s  | %s\n", indent, line)
			}
			if len(l.Behind) > 0 {
				b.WriteString(indent + "  and so it stays:\n")
				show(indent+"  ", l.Behind)
			}
		}
	}
	show("", f.Cause)
	return b.String()
}

func timingText(timing Timing) string {
	var b strings.Builder
	for _, task := range timing.Tasks {
		fmt.Fprintf(&b, "%s on %s from %g s:", timing.Title(task), cmp.Or(task.Node, "no node"), task.Start)
		for _, phase := range []struct {
			name   string
			length *float64
		}{{"queued", task.Queued}, {"scheduled", task.Scheduled}, {"attached", task.Attached}, {"mounted", task.Mounted}, {"pulled", task.Pulled}, {"running", task.Running}} {
			if phase.length != nil {
				fmt.Fprintf(&b, " %s %g", phase.name, *phase.length)
			}
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "nodes %s; %d attaches, %d detaches; attach %g, mount %g, ownership %g, pull %g\n", strings.Join(timing.Nodes, ", "),
		timing.Attaches, timing.Detaches, timing.AttachSeconds, timing.MountSeconds, timing.OwnershipSeconds, timing.PullSeconds)
	return b.String()
}

// statement is one line of a story, with the lines indented below it.
type statement struct {
	line  string
	block []string
}

func statements(text string) []statement {
	var out []statement
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, " ") && len(out) > 0:
			last := &out[len(out)-1]
			last.block = append(last.block, line)
		default:
			out = append(out, statement{line: line})
		}
	}
	return out
}

// The namespaces of a story, and who writes where nobody is named.
const (
	storyNamespace = "ci"
	tektonsOwn     = "tekton-pipelines"
	tektonActor    = "tekton-pipelines-controller"
)

// teller makes a history of a story.
type teller struct {
	now     float64
	entries []history.Entry
	shown   map[history.Ref]bool
	uids    int
}

type fields = map[string]any

// words are what is left of a statement's line.
type words struct {
	list []string
	// said is what stands behind the colon.
	said string
	yaml fields
	// block is the text below the line.
	block []string
}

// next takes the first word; empty if there is none.
func (w *words) next() string {
	if len(w.list) == 0 {
		return ""
	}
	first := w.list[0]
	w.list = w.list[1:]
	return first
}

// after takes a word and the one that follows it, wherever they stand; empty if the
// word is not there.
func (w *words) after(word string) string {
	i := slices.Index(w.list, word)
	if i < 0 || i+1 == len(w.list) {
		return ""
	}
	value := w.list[i+1]
	w.list = slices.Delete(w.list, i, i+2)
	return value
}

// has takes a word, wherever it stands.
func (w *words) has(word string) bool {
	i := slices.Index(w.list, word)
	if i >= 0 {
		w.list = slices.Delete(w.list, i, i+1)
	}
	return i >= 0
}

// assistants are how a story names the affinity assistant of a run's workspace.
var assistants = regexp.MustCompile(`@([a-z0-9]+)(?:/([a-z0-9]+))?`)

func parse(s statement) (words, error) {
	expand := func(text string) string {
		return assistants.ReplaceAllStringFunc(text, func(at string) string {
			m := assistants.FindStringSubmatch(at)
			return assistantOf(m[2], m[1])
		})
	}
	line := expand(s.line)
	w := words{}
	for _, l := range s.block {
		w.block = append(w.block, expand(l))
	}
	text := strings.Join(w.block, "\n")
	head, said, hasSaid := strings.Cut(line, ": ")
	if at := strings.Index(line, " {"); at >= 0 && (!hasSaid || at < len(head)) {
		head, said, text = line[:at], "", line[at:]+"\n"+text
	}
	w.list, w.said = strings.Fields(head), said
	if strings.HasPrefix(w.verb(), "unschedulable") {
		return w, nil // What stands below are nodes.
	}
	if err := yaml.Unmarshal([]byte(text), &w.yaml); err != nil {
		return w, fmt.Errorf("reading what stands below: %w", err)
	}
	return w, nil
}

// verb is the word that says what happens, behind the time if there is one.
func (w *words) verb() string {
	for _, word := range w.list {
		if _, err := strconv.ParseFloat(word, 64); err != nil {
			return word
		}
	}
	return ""
}

func (h *teller) statement(s statement, timed bool) error {
	w, err := parse(s)
	if err != nil {
		return err
	}
	if timed {
		if h.now, err = strconv.ParseFloat(w.next(), 64); err != nil {
			return fmt.Errorf("the line does not begin with a time: %w", err)
		}
	}
	verb := w.next()
	tell := h.verbs()[verb]
	if tell == nil {
		return fmt.Errorf("there is no word %q", verb)
	}
	if err := tell(&w); err != nil {
		return err
	}
	if len(w.list) > 0 {
		return fmt.Errorf("%q is too much", w.list)
	}
	return nil
}

func (h *teller) verbs() map[string]func(w *words) error {
	return map[string]func(w *words) error{
		"tekton": func(w *words) error {
			return h.fact("tekton", controllerRef(), history.FactTektonStarted, history.Tekton{Version: w.next()})
		},
		"node": h.tellNode, "claim": h.tellClaim, "flags": h.config("feature-flags"), "defaults": h.config("config-defaults"),
		"run": h.tellRun, "task": h.tellTask, "pod": h.tellPod, "assistant": h.tellAssistant,
		"bind": h.tellBind, "start": h.tellStart, "exit": h.tellExit, "end": h.tellEnd, "status": h.tellStatus,
		"unschedulable": h.tellUnschedulable, "event": h.tellEvent, "log": h.tellLog, "by": h.tellBy,
		"fact": func(w *words) error {
			fact, ref := w.next(), history.Ref{}
			if len(w.list) > 0 {
				ref = refOf(w.next(), w.next())
			}
			return h.fact("sim", ref, fact, w.yaml)
		},
		"stalled":  func(*words) error { return h.fact("driver", history.Ref{}, history.FactStalled, history.Stalled{}) },
		"finished": func(w *words) error { return h.fact("driver", history.Ref{}, history.FactFinished, w.yaml) },
	}
}

func controllerRef() history.Ref {
	return history.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: tektonsOwn, Name: tektonActor}
}

// versions are the groups of the kinds that a story has; the others are core's.
var versions = map[string]string{
	"PipelineRun": "tekton.dev/v1", "Pipeline": "tekton.dev/v1", "TaskRun": "tekton.dev/v1", "Task": "tekton.dev/v1",
	"CustomRun": "tekton.dev/v1beta1", "ResolutionRequest": "resolution.tekton.dev/v1beta1", "StatefulSet": "apps/v1",
	"VolumeAttachment": "storage.k8s.io/v1", "ValidatingAdmissionPolicy": "admissionregistration.k8s.io/v1",
}

// refOf names an object: those of a run as RUN/TASK, a pod of a task too.
func refOf(kind, name string) history.Ref {
	ref := history.Ref{APIVersion: cmp.Or(versions[kind], "v1"), Kind: kind, Namespace: storyNamespace, Name: name}
	switch kind {
	case "Node", "PersistentVolume", "VolumeAttachment", "Namespace", "ValidatingAdmissionPolicy":
		ref.Namespace = ""
	case "ConfigMap":
		ref.Namespace = tektonsOwn
	case "TaskRun":
		ref.Name = strings.ReplaceAll(name, "/", "-")
	case "Pod":
		if run, task, ok := strings.Cut(name, "/"); ok {
			ref.Name = run + "-" + task + "-pod"
		}
	}
	return ref
}

func (h *teller) record(e history.Entry) {
	e.Seq, e.T = len(h.entries)+1, h.now
	h.entries = append(h.entries, e)
}

func (h *teller) fact(actor string, ref history.Ref, fact string, data any) error {
	h.record(history.NewFact(actor, ref, fact, data))
	return nil
}

// write records a write: the whole object the first time, a merge patch after that.
func (h *teller) write(actor, verb string, ref history.Ref, parts ...fields) error {
	e := history.Entry{Kind: history.KindObject, Actor: actor, Verb: verb, Object: ref}
	if verb == history.VerbDelete {
		h.shown[ref] = false
		h.record(e)
		return nil
	}
	if h.shown[ref] {
		raw, err := merged(parts)
		if err != nil {
			return err
		}
		e.Patch = raw
		h.record(e)
		return nil
	}
	raw, err := h.whole(ref, parts)
	if err != nil {
		return err
	}
	e.Body, h.shown[ref] = raw, true
	h.record(e)
	return nil
}

// whole is an object as the API server has it.
func (h *teller) whole(ref history.Ref, parts []fields) (json.RawMessage, error) {
	h.uids++
	metadata := fields{"name": ref.Name, "uid": fmt.Sprintf("uid-%d", h.uids)}
	if ref.Namespace != "" {
		metadata["namespace"] = ref.Namespace
	}
	return merged(append([]fields{{"apiVersion": ref.APIVersion, "kind": ref.Kind, "metadata": metadata}}, parts...))
}

// merged puts objects one over the other.
func merged(parts []fields) (json.RawMessage, error) {
	out := []byte("{}")
	for _, part := range parts {
		if part == nil {
			continue
		}
		raw, err := json.Marshal(part)
		if err == nil {
			out, err = jsonpatch.MergeMergePatches(out, raw)
		}
		if err != nil {
			return nil, fmt.Errorf("merging: %w", err)
		}
	}
	return out, nil
}

func (h *teller) tellNode(w *words) error {
	name := w.next()
	return h.write(wellknown.User, history.VerbCreate, refOf("Node", name), fields{
		"metadata": fields{"labels": fields{"kubernetes.io/hostname": name}},
		"status":   fields{"allocatable": fields{"cpu": "4", "memory": "16Gi"}},
	}, w.yaml)
}

// tellClaim makes a claim, with a volume unless it is unbound.
func (h *teller) tellClaim(w *words) error {
	name, unbound := w.next(), w.has("unbound")
	mode := "ReadWriteOnce"
	if len(w.list) > 0 {
		mode = w.next()
	}
	claim := fields{"spec": fields{"accessModes": []string{mode}, "storageClassName": "fast", "resources": fields{"requests": fields{"storage": "1Gi"}}}, "status": fields{"phase": "Pending"}}
	bound := fields{"spec": fields{"volumeName": "pv-" + name}, "status": fields{"phase": "Bound"}}
	if unbound {
		bound = nil
	} else if err := h.write("csi", history.VerbCreate, refOf("PersistentVolume", "pv-"+name), fields{"spec": fields{"claimRef": fields{"name": name}}}); err != nil {
		return err
	}
	return h.write(wellknown.User, history.VerbCreate, refOf("PersistentVolumeClaim", name), claim, bound, w.yaml)
}

// config writes a ConfigMap of Tekton's: KEY=VALUE, or YAML.
func (h *teller) config(name string) func(w *words) error {
	return func(w *words) error {
		data := fields{}
		for len(w.list) > 0 {
			key, value, _ := strings.Cut(w.next(), "=")
			data[key] = value
		}
		for key, value := range w.yaml {
			data[key] = value
		}
		return h.write(wellknown.User, h.createOrUpdate(refOf("ConfigMap", name)), refOf("ConfigMap", name), fields{"data": data})
	}
}

func (h *teller) createOrUpdate(ref history.Ref) string {
	if h.shown[ref] {
		return history.VerbUpdate
	}
	return history.VerbCreate
}

func succeededIs(status, reason, message string) fields {
	return fields{"status": fields{"conditions": []fields{{"type": "Succeeded", "status": status, "reason": reason, "message": message}}}}
}

// tellRun makes a PipelineRun that runs, or, "new", that nobody has looked at.
func (h *teller) tellRun(w *words) error {
	ref := refOf("PipelineRun", w.next())
	fresh := w.has("new")
	if err := h.write(wellknown.User, history.VerbCreate, ref, fields{"spec": fields{"pipelineRef": fields{"name": "build"}}}, w.yaml); err != nil || fresh {
		return err
	}
	return h.write(tektonActor, history.VerbUpdate, ref, succeededIs("Unknown", "Running", "Tasks Completed: 0"))
}

// tellTask makes a TaskRun of a run and, unless it is "without pod", its pod.
func (h *teller) tellTask(w *words) error {
	name := w.next()
	run, task, ok := strings.Cut(name, "/")
	if !ok {
		return fmt.Errorf("%s is not RUN/TASK", name)
	}
	ref := refOf("TaskRun", name)
	podless := w.after("without") == "pod"
	err := h.write(tektonActor, history.VerbCreate, ref, fields{
		"metadata": fields{"labels": fields{wellknown.PipelineRunLabel: run, wellknown.PipelineTaskLabel: task}, "ownerReferences": owner("PipelineRun", run)},
		"spec":     fields{"taskRef": fields{"name": task}},
	}, w.yaml)
	if err != nil {
		return err
	}
	if podless {
		return nil
	}
	if err := h.write(tektonActor, history.VerbUpdate, ref, succeededIs("Unknown", "Pending", "Pending")); err != nil {
		return err
	}
	w.list = append([]string{ref.Name + "-pod", "of", name}, w.list...)
	spec, _ := w.yaml["spec"].(fields)
	template, _ := spec["podTemplate"].(fields)
	w.yaml = fields{}
	if template != nil {
		w.yaml["spec"] = template
	}
	return h.tellPod(w)
}

func owner(kind, name string) []fields {
	return []fields{{"kind": kind, "name": name, "controller": true}}
}

// tellPod makes a pod: of a task, with claims, beside the assistant of a workspace.
func (h *teller) tellPod(w *words) error {
	name, of, with, beside := w.next(), w.after("of"), w.after("with"), w.after("beside")
	run, task, _ := strings.Cut(of, "/")
	actor, pod := wellknown.User, fields{"spec": fields{"containers": []fields{{"name": "main", "image": "main"}}}, "status": fields{"phase": "Pending"}}
	parts := []fields{pod}
	if of != "" {
		actor = tektonActor
		parts = append(parts, fields{
			"metadata": fields{"labels": fields{wellknown.PipelineRunLabel: run, wellknown.PipelineTaskLabel: task, wellknown.TaskRunLabel: run + "-" + task}, "ownerReferences": owner("TaskRun", run+"-"+task)},
			"spec":     fields{"containers": []fields{{"name": "step-main", "image": "main"}}},
		})
	}
	if with != "" {
		var volumes []fields
		for claim := range strings.SplitSeq(with, ",") {
			claim, readOnly := strings.CutSuffix(claim, ":ro")
			source := fields{"claimName": claim}
			if readOnly {
				source["readOnly"] = true
			}
			volumes = append(volumes, fields{"name": "ws-" + claim, "persistentVolumeClaim": source})
		}
		parts = append(parts, fields{"spec": fields{"volumes": volumes}})
	}
	if beside != "" {
		parts = append(parts, fields{"spec": fields{"affinity": fields{"podAffinity": fields{"requiredDuringSchedulingIgnoredDuringExecution": []fields{{
			"topologyKey": "kubernetes.io/hostname", "labelSelector": fields{"matchLabels": assistantLabels(beside)}}}}}}})
	}
	return h.write(actor, history.VerbCreate, refOf("Pod", name), append(parts, w.yaml)...)
}

func assistantLabels(assistant string) fields {
	return fields{wellknown.ComponentLabel: wellknown.AffinityAssistant, wellknown.InstanceLabel: assistant}
}

// tellAssistant makes the StatefulSet of an affinity assistant and its pod; with a node
// the pod runs there. "without pod" leaves it out.
func (h *teller) tellAssistant(w *words) error {
	name, run, with, on := w.next(), w.after("of"), w.after("with"), w.after("on")
	podless := w.after("without") == "pod"
	labels := assistantLabels(name)
	labels[wellknown.PipelineRunLabel] = run
	var volumes []fields
	if with != "" {
		volumes = []fields{{"name": "workspace-0", "persistentVolumeClaim": fields{"claimName": with}}}
	}
	pod := fields{"metadata": fields{"labels": labels}, "spec": fields{"containers": []fields{{"name": "affinity-assistant", "image": "nop"}}, "volumes": volumes}}
	err := h.write(tektonActor, history.VerbCreate, refOf("StatefulSet", name), fields{
		"metadata": fields{"labels": labels, "ownerReferences": owner("PipelineRun", run)},
		"spec":     fields{"replicas": 1, "template": pod}, "status": fields{"replicas": 0},
	}, w.yaml)
	if err != nil || podless {
		return err
	}
	err = h.write("statefulset-controller", history.VerbCreate, refOf("Pod", name+"-0"), pod,
		fields{"metadata": fields{"ownerReferences": owner("StatefulSet", name)}, "status": fields{"phase": "Pending"}})
	if err != nil || on == "" {
		return err
	}
	return h.running(name+"-0", on, "affinity-assistant")
}

func (h *teller) running(pod, node string, container string) error {
	if err := h.bind(pod, node); err != nil {
		return err
	}
	return h.started(pod, container)
}

func (h *teller) bind(pod, node string) error {
	return h.write("kube-scheduler", history.VerbBind, refOf("Pod", pod), fields{
		"spec": fields{"nodeName": node}, "status": fields{"conditions": []fields{{"type": "PodScheduled", "status": "True"}}}})
}

func (h *teller) started(pod string, containers ...string) error {
	var statuses []fields
	for _, c := range containers {
		statuses = append(statuses, fields{"name": c, "state": fields{"running": fields{}}})
	}
	return h.write("kubelet", history.VerbUpdate, refOf("Pod", pod), fields{"status": fields{"phase": "Running", "containerStatuses": statuses}})
}

func (h *teller) tellBind(w *words) error { return h.bind(w.next(), w.next()) }

// tellStart has a pod's containers run, that of its step unless others are named.
func (h *teller) tellStart(w *words) error {
	pod := w.next()
	containers := []string{"step-main"}
	if len(w.list) > 0 {
		containers, w.list = w.list, nil
	}
	return h.started(pod, containers...)
}

// tellExit ends a container: POD CONTAINER CODE, and the reason with its message.
func (h *teller) tellExit(w *words) error {
	ref, name := refOf("Pod", w.next()), w.next()
	code, err := strconv.Atoi(w.next())
	if err != nil {
		return fmt.Errorf("reading an exit code: %w", err)
	}
	step, isStep := strings.CutPrefix(name, "step-")
	if !isStep {
		step = ""
	}
	return h.fact("kubelet", ref, history.FactContainer, history.Container{Name: name, Step: step, ExitCode: code, Reason: cmp.Or(w.next(), "Error"), Message: w.said})
}

func (h *teller) tellEnd(w *words) error {
	return h.write("kubelet", history.VerbUpdate, refOf("Pod", w.next()), fields{"status": fields{"phase": w.next()}}, w.yaml)
}

// tellStatus writes the condition Succeeded: of a run, or of a RUN/TASK.
func (h *teller) tellStatus(w *words) error {
	name := w.next()
	ref := refOf("PipelineRun", name)
	if strings.Contains(name, "/") {
		ref = refOf("TaskRun", name)
	}
	return h.write(tektonActor, history.VerbUpdate, ref, succeededIs(w.next(), w.next(), w.said), w.yaml)
}

// tellUnschedulable records why no node takes a pod: in the scheduler's words or, below,
// a line for each node: NODE PLUGIN REASON, with its taints in braces.
func (h *teller) tellUnschedulable(w *words) error {
	ref := refOf("Pod", w.next())
	u := history.Unschedulable{Message: w.said}
	var reasons []string
	taint := regexp.MustCompile(` \{([^}]*)\}`)
	for _, line := range w.block {
		part := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(part) < 3 {
			return fmt.Errorf("%q is not NODE PLUGIN REASON", line)
		}
		n := history.NodeRefusal{Node: part[0], Plugin: part[1]}
		for _, m := range taint.FindAllStringSubmatch(part[2], -1) {
			n.Taints = append(n.Taints, m[1])
		}
		text, unresolvable := strings.CutSuffix(taint.ReplaceAllString(part[2], ""), " (unresolvable)")
		n.Unresolvable = unresolvable
		n.Reasons = strings.Split(text, ", ")
		reasons = append(reasons, "1 "+text)
		u.Nodes = append(u.Nodes, n)
	}
	if len(u.Nodes) > 0 {
		u.Message = fmt.Sprintf("0/%d nodes are available: %s.", len(u.Nodes), strings.Join(reasons, ", "))
	}
	return h.fact("kube-scheduler", ref, history.FactUnschedulable, u)
}

// tellEvent records an Event: KIND NAME REASON: MESSAGE, a Warning unless "normal".
func (h *teller) tellEvent(w *words) error {
	typ := "Warning"
	if w.has("normal") {
		typ = "Normal"
	}
	about := refOf(w.next(), w.next())
	ref := history.Ref{APIVersion: "v1", Kind: "Event", Namespace: cmp.Or(about.Namespace, storyNamespace), Name: fmt.Sprintf("%s.%d", about.Name, len(h.entries))}
	return h.write("recorder", history.VerbCreate, ref, fields{
		"involvedObject": fields{"kind": about.Kind, "namespace": about.Namespace, "name": about.Name},
		"type":           typ, "reason": w.next(), "message": w.said,
	})
}

// tellLog records a line of a log: ACTOR, perhaps KIND NAME, and the words.
func (h *teller) tellLog(w *words) error {
	e := history.Entry{Kind: history.KindLog, Actor: w.next(), Message: w.said}
	if len(w.list) > 0 {
		e.Object = refOf(w.next(), w.next())
	}
	h.record(e)
	return nil
}

// tellBy records a write by somebody: ACTOR VERB KIND NAME, the fields below; or, with
// "refused CODE: WORDS", one that was not taken.
func (h *teller) tellBy(w *words) error {
	actor, verb := w.next(), w.next()
	ref := refOf(w.next(), w.next())
	code := w.after("refused")
	if code == "" {
		return h.write(actor, verb, ref, w.yaml)
	}
	n, err := strconv.Atoi(code)
	if err != nil {
		return fmt.Errorf("reading a code: %w", err)
	}
	body, err := h.whole(ref, []fields{w.yaml})
	if err != nil {
		return err
	}
	h.record(history.Entry{Kind: history.KindRefused, Actor: actor, Verb: verb, Object: ref, Code: n, Message: w.said, Body: bytes.TrimSpace(body)})
	return nil
}
