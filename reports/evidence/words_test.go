package evidence

import (
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/verdict"
)

// What fails at once is not said to wait, whatever the outcome.
func TestSeverityIsTheOutcomes(t *testing.T) {
	for _, info := range verdict.Outcomes() {
		if info == verdict.Success {
			continue
		}
		in := matrix([][]string{{"x"}, {"y"}}, func([]string) verdict.Finding { return finding(info, "the root") })
		r := build(t, in)
		why := r.Summary.Why
		waits := strings.Contains(why, "time-out ends")
		if want := info.Info().Severity == verdict.Waiting; waits != want {
			t.Errorf("%s: waits is %t, want %t: %s", info, waits, want, why)
		}
		if again := strings.Contains(why, "starting it again does not help"); again != info.Info().Lasting {
			t.Errorf("%s: %s", info, why)
		}
		if high := r.Summary.Severity == "high"; high != (waits && info.Info().Lasting) {
			t.Errorf("%s is %s", info, r.Summary.Severity)
		}
		if page := string(pageOf(t, in)); strings.Contains(page, "The runs stop and do not recover") || !strings.Contains(page, r.Causes[0].Consequence()) {
			t.Errorf("%s: the page does not say %q", info, r.Causes[0].Consequence())
		}
	}
}

// What a cause does to a run is said by its outcome's table, wherever it is said.
func TestVerdictIsTheOutcomes(t *testing.T) {
	for _, o := range verdict.Outcomes() {
		if o == verdict.Success {
			continue
		}
		info := o.Info()
		r := build(t, matrix([][]string{{"x", "y"}, {"z"}}, func(v []string) verdict.Finding {
			if v[0] == "y" {
				return finding(verdict.Success, "")
			}
			return finding(o, "the root")
		}))
		said := r.Summary.Verdict + r.Message + r.Markdown() + r.Changes[0].Takes
		for text, want := range map[string]bool{
			"stopped for good": info.Severity == verdict.Waiting && info.Lasting,
			"runs that hang":   info.Severity == verdict.Waiting,
			"did not finish":   false,
		} {
			if got := strings.Contains(said, text); got != want {
				t.Errorf("%s: %q is said: %t, want %t", o, text, got, want)
			}
		}
	}
}

func TestWords(t *testing.T) {
	type fields = map[string]any
	list := func(e ...any) []any { return e }
	run := func(spec fields) fields { return fields{"kind": "PipelineRun", "spec": spec} }
	security := func(v fields) fields {
		return run(fields{"podTemplate": fields{"securityContext": v}})
	}
	claim := func(modes ...any) fields {
		return fields{"kind": "PersistentVolumeClaim", "metadata": fields{"name": "src"}, "spec": fields{"accessModes": modes}}
	}
	group := security(fields{"fsGroup": float64(1000970000)})
	object := func(before, after fields) delta {
		o := before
		if o == nil {
			o = after
		}
		kind, _ := o["kind"].(string)
		name, _ := nameOf(o)
		return delta{objects: []objectDelta{{kind: kind, name: name, before: before, after: after, patch: history.MergePatch(before, after)}}}
	}
	pool := func(v fields) fields {
		v["name"] = "gpu"
		return fields{"nodePools": list(v)}
	}
	taint := fields{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
	for name, tt := range map[string]struct {
		d    delta
		want string
	}{
		"a field goes with all that is around it": {object(group, run(fields{})), "remove fsGroup: 1000970000 from the run"},
		"a field alone goes":                      {object(group, security(fields{})), "remove fsGroup: 1000970000 from the run"},
		"a field comes with all around it":        {object(run(fields{}), group), "add fsGroup: 1000970000 to the run"},
		"a value is another":                      {object(group, security(fields{"fsGroup": "x"})), "set fsGroup: x in the run instead of 1000970000"},
		"a list of words":                         {object(claim("ReadWriteOnce"), claim("ReadWriteMany")), "set accessModes: [ReadWriteMany] in the PersistentVolumeClaim src instead of [ReadWriteOnce]"},
		"an object comes":                         {object(nil, claim("ReadWriteOnce")), "create the PersistentVolumeClaim src"},
		"an object goes":                          {object(claim("ReadWriteOnce"), nil), "delete the PersistentVolumeClaim src"},
		"a run comes":                             {object(nil, run(fields{})), "create the run"},
		"an element with a name": {object(run(fields{"params": list(fields{"name": "a", "value": "1"}, fields{"name": "b", "value": "2"})}),
			run(fields{"params": list(fields{"name": "a", "value": "1"}, fields{"name": "b", "value": "3"})})), "set value: \"3\" in the param b of the run instead of \"2\""},
		"elements without a name": {object(run(fields{"tolerations": list(fields{"key": "x", "operator": "Exists"})}), run(fields{"tolerations": list(fields{"key": "z", "operator": "Exists"})})),
			"remove the toleration with key x, operator Exists from the run, add the toleration with key z, operator Exists to the run"},
		"a workspace of another kind": {object(run(fields{"workspaces": list(fields{"name": "w", "emptyDir": fields{}})}),
			run(fields{"workspaces": list(fields{"name": "w", "persistentVolumeClaim": fields{"claimName": "src"}})})),
			"remove emptyDir from the workspace w of the run, add claimName: src to the workspace w of the run"},
		"a field with much in it": {object(run(fields{}), run(fields{"template": fields{"name": "src", "size": "1Gi"}})), "add template to the run"},
		"a script":                {object(run(fields{"script": "a\nb"}), run(fields{"script": "a\nc"})), "change script in the run"},
		"a taint":                 {delta{cluster: pairOf{pool(fields{"taints": list(taint)}), pool(fields{})}}, "remove the taint nvidia.com/gpu=true:NoSchedule from the node pool gpu of the cluster"},
		"a grant": {delta{cluster: pairOf{fields{"openshift": fields{"enabled": true}}, fields{"openshift": fields{"enabled": true, "grants": list(fields{"scc": "anyuid", "serviceAccount": "ci"})}}}},
			"add the grant with scc anyuid, serviceAccount ci to the cluster"},
		"an intervention": {delta{events: pairOf{fields{"interventions": nil}, fields{"interventions": list(fields{"at": "30s", "drain": fields{"node": "worker-0"}})}}},
			"add the intervention with at 30s, drain (node worker-0) to the scenario"},
		"a task's length": {delta{machines: pairOf{fields{"build": fields{"duration": "1m"}}, fields{"build": fields{"duration": "2m"}}}},
			"set duration: 2m in the scenario instead of 1m"},
		"a flag comes":          {delta{flags: map[string][2]string{"coschedule": {"", "disabled"}}}, "set the feature flag coschedule: disabled"},
		"a flag goes":           {delta{flags: map[string][2]string{"coschedule": {"disabled", ""}}}, "remove the feature flag coschedule: disabled"},
		"a flag is another":     {delta{flags: map[string][2]string{"coschedule": {"workspaces", "disabled"}}}, "set the feature flag coschedule: disabled instead of workspaces"},
		"a default":             {delta{defaults: map[string][2]string{"default-service-account": {"", "ci"}}}, "set the default of config-defaults default-service-account: ci"},
		"a release":             {delta{version: &[2]string{"0.1.0", "0.2.0"}}, "go from Tekton 0.1.0 to Tekton 0.2.0"},
		"nothing that is known": {delta{}, "a=y instead of x"},
		"the same in two runs": {delta{objects: append(object(group, run(fields{})).objects, object(group, run(fields{})).objects...)},
			"remove fsGroup: 1000970000 from the run"},
		"a great deal": {object(run(fields{}), run(fields{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5})), "add a: 1 to the run, add b: 2 to the run, add c: 3 to the run, 2 more changes"},
	} {
		got := tt.d.words([]Move{{Axis: "a", From: "x", To: "y"}})
		if got != tt.want {
			t.Errorf("%s:\n%s, want\n%s", name, got, tt.want)
		}
		if strings.ContainsAny(got, "{}") {
			t.Errorf("%s has JSON in it: %s", name, got)
		}
	}
}
