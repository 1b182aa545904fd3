package evidence

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/verdict"
	"simctl.dev/simctl/sim/wellknown"
)

const (
	// most is how many pods, log lines and refusals a section shows.
	most = 12
)

// detail makes a cell's section.
func (b *builder) detail(c *Cell) error {
	of, err := b.timeline(c)
	if err != nil {
		return err
	}
	d := &Detail{TimeLine: NewTimeLine(c.Result, of)}
	c.Detail = d
	if len(of.Entries()) == 0 {
		d.Missing = "The run kept no history of this cell."
		return nil
	}
	then := judgedAsOf(c.Result, of)
	d.Refusals = refusals(of, then)
	d.Exhibits = b.exhibits(c, of, then)
	return nil
}

// timeline returns a cell's history, an empty one where none was kept.
func (b *builder) timeline(c *Cell) (*timeline.Timeline, error) {
	if of := b.timelines[c.ID]; of != nil {
		return of, nil
	}
	of := timeline.New()
	if b.in.History != nil {
		entries, err := b.in.History(c.ID)
		if err != nil && !errors.Is(err, history.ErrTruncated) {
			return nil, err
		}
		if of, err = timeline.Read(entries); err != nil {
			return nil, fmt.Errorf("reading the history of cell %s: %w", c.ID, err)
		}
	}
	b.timelines[c.ID] = of
	return of, nil
}

// judgedAsOf is the objects as they were when the verdict looked at them. A result of
// before that was kept is shown as of its first stall, for after it time-outs take things
// apart; else of the end.
func judgedAsOf(c verdict.Cell, of *timeline.Timeline) *timeline.View {
	if c.AsOf != 0 {
		return of.Before(c.AsOf + 1)
	}
	if len(of.Stalls) > 0 {
		return of.Before(of.Stalls[0].Seq)
	}
	return of.Now()
}

// refusals returns the scheduler's last answer for each pod that it refused.
func refusals(of *timeline.Timeline, then *timeline.View) []Refusal {
	type answer struct {
		pod *timeline.Pod
		timeline.Fact[history.Unschedulable]
	}
	var all []answer
	for _, p := range of.Pods {
		for _, f := range p.Unschedulable {
			if f.Seq <= then.AsOf() {
				all = append(all, answer{p, f})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b answer) int { return cmp.Compare(a.Seq, b.Seq) })
	var out []Refusal
	at := map[string]int{}
	for _, a := range all {
		r := Refusal{Pod: a.pod.Namespace + "/" + a.pod.Name, Message: a.Data.Message, T: a.T, Nodes: a.Data.Nodes}
		if i, had := at[r.Pod]; had {
			out[i] = r
		} else if len(out) < most {
			at[r.Pod] = len(out)
			out = append(out, r)
		}
	}
	return out
}

func (b *builder) exhibits(c *Cell, of *timeline.Timeline, s *timeline.View) []Exhibit {
	cli, ns := b.cli(c), b.tektonNamespace(c)
	var out []Exhibit
	add := func(title, command, text string) {
		if strings.TrimSpace(text) != "" {
			out = append(out, Exhibit{title, command, strings.TrimRight(text, "\n") + "\n"})
		}
	}
	for _, o := range s.Named("ConfigMap", wellknown.FeatureFlags) {
		add("Feature flags as applied", fmt.Sprintf("%s get configmap feature-flags -n %s -o jsonpath='{.data}'", cli, ns),
			yamlOf(o.Field("data")))
	}
	for _, o := range of.Now().All("PipelineRun") {
		add(fmt.Sprintf("PipelineRun %s/%s: how it ended", o.Ref.Namespace, o.Ref.Name),
			fmt.Sprintf("%s get pipelinerun %s -n %s -o jsonpath='{.status.conditions}'", cli, o.Ref.Name, o.Ref.Namespace),
			yamlOf(timeless(o.Field("status", "conditions"))))
	}
	shown := 0
	for _, o := range s.List("Pod") {
		// Pods that ran prove nothing; those that the chain names do.
		if c.Result.Outcome == verdict.Success || shown == most || !named(c.Result.Cause, o.Ref.Name) {
			continue
		}
		shown++
		get := fmt.Sprintf("%s get pod %s -n %s -o jsonpath=", cli, o.Ref.Name, o.Ref.Namespace)
		add("Pod "+o.Ref.Namespace+"/"+o.Ref.Name+": conditions", get+"'{.status.conditions}'", yamlOf(timeless(o.Field("status", "conditions"))))
		add("Pod "+o.Ref.Namespace+"/"+o.Ref.Name+": affinity", get+"'{.spec.affinity}'", jsonOf(o.Field("spec", "affinity")))
	}
	for _, o := range s.List("StatefulSet") {
		if o.Text("metadata", "labels", wellknown.ComponentLabel) != wellknown.AffinityAssistant {
			continue
		}
		where := fmt.Sprintf("statefulset %s -n %s", o.Ref.Name, o.Ref.Namespace)
		add("StatefulSet "+o.Ref.Namespace+"/"+o.Ref.Name, fmt.Sprintf("%s get %s -o yaml", cli, where),
			yamlOf(map[string]any{"spec": map[string]any{"replicas": o.Field("spec", "replicas")}, "status": o.Field("status")}))
		add("StatefulSet "+o.Ref.Namespace+"/"+o.Ref.Name+": events", fmt.Sprintf("%s get events -n %s --field-selector involvedObject.name=%s", cli, o.Ref.Namespace, o.Ref.Name),
			events(s, o.Ref))
	}
	if c.Result.Outcome != verdict.Success {
		var lines []string
		for _, e := range of.Logs {
			if len(lines) == most {
				break
			}
			// Each once: a reconcile that came before its own last write was
			// seen says the same again.
			if line := fmt.Sprintf("%s %s: %s", e.Actor, e.Reason, e.Message); !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
		add("Tekton's log", fmt.Sprintf("%s logs -n %s deployment/tekton-pipelines-controller", cli, ns), strings.Join(lines, "\n"))
	}
	return out
}

// named says that a chain is about an object of that name.
func named(chain []verdict.Link, name string) bool {
	for _, l := range chain {
		if strings.HasSuffix(l.Object, "/"+name) || strings.Contains(l.What, "/"+name+" ") {
			return true
		}
	}
	return false
}

// events returns the warnings about an object, each once with how often it came.
func events(s *timeline.View, ref history.Ref) string {
	var out strings.Builder
	n := 0
	for _, o := range s.EventsAbout(ref.Kind, ref.Namespace, ref.Name) {
		if n == most {
			break
		}
		n++
		times := o.JSON("count")
		if times == "" {
			times = "1"
		}
		fmt.Fprintf(&out, "%s  %s  (x%s)  %s\n", o.Text("type"), o.Text("reason"), times, o.Text("message"))
	}
	return out.String()
}

// timeless leaves out of conditions the moments, which are virtual.
func timeless(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	var out []any
	for _, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			out = append(out, e)
			continue
		}
		kept := map[string]any{}
		for k, v := range m {
			if k != "lastTransitionTime" && k != "lastProbeTime" {
				kept[k] = v
			}
		}
		out = append(out, kept)
	}
	return out
}

func yamlOf(v any) string {
	if v == nil {
		return ""
	}
	raw, err := yaml.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}

func jsonOf(v any) string {
	if v == nil {
		return ""
	}
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return ""
	}
	return string(raw)
}

// verify returns the commands that show on a live cluster that a change works,
// with what they printed or would have printed in the cell that proves it.
func (b *builder) verify(c *Change, d delta) []Step {
	cli, tektonNS := b.cli(c.Proof), b.tektonNamespace(c.Proof)
	var out []Step
	for _, k := range keys(d.flags, nil) {
		after := d.flags[k][1]
		if after == "" {
			after = "(an empty line)"
		}
		out = append(out, Step{fmt.Sprintf("%s get configmap feature-flags -n %s -o jsonpath='{.data.%s}'", cli, tektonNS, k), after})
	}
	if d.version != nil {
		out = append(out, Step{fmt.Sprintf("%s get configmap pipelines-info -n %s -o jsonpath='{.data.version}'", cli, tektonNS), "v" + d.version[1]})
	}
	of, err := b.timeline(c.Proof)
	if err != nil {
		return out
	}
	last := of.Now()
	runs := last.All("PipelineRun")
	if len(runs) == 0 {
		return out
	}
	ns := runs[0].Ref.Namespace
	assistants, ready := assistantPod(of)
	expect := "No resources found in " + ns + " namespace."
	if assistants != "" {
		expect = assistants + "  " + ready
	}
	out = append(out,
		Step{fmt.Sprintf("%s get events -n %s --field-selector reason=FailedCreate", cli, ns), failedCreates(last, ns)},
		Step{fmt.Sprintf("%s get pods -n %s -l app.kubernetes.io/component=affinity-assistant", cli, ns) + "   # while the run goes on", expect})
	conditions, _ := runs[0].Field("status", "conditions").([]any)
	for _, x := range conditions {
		m, _ := x.(map[string]any)
		if m["type"] == "Succeeded" {
			out = append(out, Step{fmt.Sprintf("%s get pipelinerun -n %s   # once it has ended", cli, ns),
				fmt.Sprintf("SUCCEEDED %v   REASON %v", m["status"], m["reason"])})
		}
	}
	return out
}

// failedCreates is what the query for FailedCreate events finds.
func failedCreates(s *timeline.View, ns string) string {
	for _, o := range s.In("Event", ns) {
		if o.Text("reason") == "FailedCreate" {
			return o.Text("message")
		}
	}
	return "No resources found in " + ns + " namespace."
}

// assistantPod names the first assistant's pod that ran, else the first that there ever
// was, and how it was.
func assistantPod(of *timeline.Timeline) (name, status string) {
	for _, p := range of.Pods {
		switch {
		case p.Assistant == "":
		case p.StartedSeq != 0:
			return p.Name, string(corev1.PodRunning)
		case name == "":
			name = p.Name
			if o := of.Before(p.CreatedSeq+1).Get("Pod", p.Namespace, p.Name); o != nil {
				status = o.Text("status", "phase")
			}
		}
	}
	return name, status
}
