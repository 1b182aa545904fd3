package impact

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/verdict"
)

// TestRankTest checks against values computed by hand: of the arrangements of so
// many values, how many are as extreme.
func TestRankTest(t *testing.T) {
	many := func(from, n int) (out []float64) {
		for i := range n {
			out = append(out, float64(from+i))
		}
		return out
	}
	for _, tt := range []struct {
		name  string
		a, b  []float64
		p     float64
		delta float64
	}{
		{"nothing in common", []float64{1, 2, 3, 4}, []float64{5, 6, 7, 8}, 2. / 70, 1},
		{"the other way round", []float64{5, 6, 7, 8}, []float64{1, 2, 3, 4}, 2. / 70, -1},
		{"three and three never suffice", []float64{1, 2, 3}, []float64{4, 5, 6}, 2. / 20, 1},
		{"alike", []float64{1, 4}, []float64{2, 3}, 1, 0},
		{"all equal", []float64{7, 7, 7, 7}, []float64{7, 7, 7, 7}, 1, 0},
		{"ties", []float64{1, 1, 1, 1}, []float64{1, 2, 2, 2}, 2. / 14, 0.75},
		{"none", nil, []float64{1}, 1, 0},
		// 30 and 30 values, none in common: z = (450-0.5)/sqrt(30*30*61/12).
		{"many", many(0, 30), many(100, 30), math.Erfc((450 - 0.5) / math.Sqrt(30*30*61./12) / math.Sqrt2), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, delta := rankTest(tt.a, tt.b)
			if math.Abs(p-tt.p) > 1e-9*math.Max(1, tt.p) || math.Abs(delta-tt.delta) > 1e-9 {
				t.Errorf("p=%g delta=%g, want p=%g delta=%g", p, delta, tt.p, tt.delta)
			}
		})
	}
}

func TestHolm(t *testing.T) {
	got := holm([]float64{0.04, 0.01, 0.03})
	for i, want := range []float64{0.06, 0.03, 0.06} {
		if math.Abs(got[i]-want) > 1e-12 {
			t.Errorf("%d: %g, want %g", i, got[i], want)
		}
	}
}

func run(change, version string, o verdict.Outcome, recovered bool, span float64, seen *Observed) Run {
	r := Run{Observed: seen, Flags: map[string]string{"coschedule": "workspaces", disableAssistant: "true"}}
	r.Cell = verdict.Cell{Scenario: "s", Axes: []string{tektonAxis, "change"}, Values: map[string]string{tektonAxis: version, "change": change}}
	r.Cell.Outcome, r.Cell.Recovered = o, recovered
	if span > 0 {
		r.Cell.MakespanSeconds = &span
	}
	r.Cell.Cause = []verdict.Link{{What: "symptom", Evidence: "pending"}, {What: "root of " + version, Evidence: "words"}}
	return r
}

// withRoot gives a run's chain a rule at its root.
func withRoot(r Run, rule string) Run {
	r.Cell.Cause = slices.Clone(r.Cell.Cause)
	r.Cell.Cause[len(r.Cell.Cause)-1].Rule = rule
	return r
}

// Every rule that a note rests on is one.
func TestNotesNameRules(t *testing.T) {
	for _, n := range notes {
		for _, id := range n.rules {
			if _, ok := verdict.RuleOf(id); !ok {
				t.Errorf("the note of %s rests on %s, which is no rule", n.version, id)
			}
		}
	}
}

// TestCompare has each known reason once, proved by what both sides show.
func TestCompare(t *testing.T) {
	none := &Observed{}
	assistant := func(sc, sa, failed string) *Observed {
		return &Observed{Assistants: []Assistant{{Name: "affinity-assistant-1", SecurityContext: sc, ServiceAccount: sa, Failed: failed}}}
	}
	for _, tt := range []struct {
		name     string
		from, to string
		x, y     Run
		worse    bool
		want     []string // parts of the reasons, in order
	}{
		{"the dead key", "0.68.1", "1.0.0",
			run("a", "0.68.1", verdict.Success, false, 10, none), run("a", "1.0.0", verdict.Deadlock, false, 0, assistant("", "default", "forbidden")), true,
			[]string{"no longer read since 1.0", "is refused|no assistant|forbidden"}},
		{"the copied securityContext", "0.62.0", "0.63.0",
			run("a", "0.62.0", verdict.Success, false, 10, assistant("", "default", "")), run("a", "0.63.0", verdict.Deadlock, false, 0, assistant(`{"fsGroup":2000}`, "default", "no")), true,
			[]string{`podTemplate.securityContext|no securityContext|{"fsGroup":2000}`, "is refused|its pod was made|no"}},
		{"the run's ServiceAccount", "1.6.1", "1.9.0",
			run("a", "1.6.1", verdict.Deadlock, false, 0, assistant("x", "default", "no")), run("a", "1.9.0", verdict.Success, false, 10, assistant("x", "pipeline", "")), false,
			[]string{"run's ServiceAccount|serviceAccountName default|serviceAccountName pipeline", "no longer refused"}},
		{"refused flags", "0.68.1", "1.0.0",
			run("a", "0.68.1", verdict.InvalidConfig, false, 0, &Observed{Refused: "incompatible"}), run("a", "1.0.0", verdict.Success, false, 10, none), false,
			[]string{"accepts the feature flags|incompatible|accepted"}},
		{"nothing known", "1.3.1", "1.6.1",
			run("a", "1.3.1", verdict.Success, false, 10, none), run("a", "1.6.1", verdict.Failed, false, 0, none), true,
			[]string{"end differently"}},
		{"no histories", "1.3.1", "1.6.1",
			run("a", "1.3.1", verdict.Success, false, 10, nil), run("a", "1.6.1", verdict.Failed, false, 0, nil), true,
			[]string{"end differently"}},
		{"what a release note says", "0.68.1", "1.3.1",
			run("a", "0.68.1", verdict.Success, false, 10, none), withRoot(run("a", "1.3.1", verdict.Timeout, false, 0, none), "timeout/tasks-count-finally"), true,
			[]string{"since 1.2 timeouts.tasks goes on counting"}},
		{"of a bump that does not pass the release it says nothing", "1.3.1", "1.6.1",
			run("a", "1.3.1", verdict.Success, false, 10, none), withRoot(run("a", "1.6.1", verdict.Timeout, false, 0, none), "timeout/tasks-count-finally"), true,
			[]string{"end differently"}},
		{"no event where the rules differ", "1.3.1", "1.6.1",
			run("a", "1.3.1", verdict.Success, false, 10, &Observed{events: events{}}), withRoot(run("a", "1.6.1", verdict.Failed, false, 0, &Observed{events: events{"3 x": {what: "Pod of task a: Pulled"}}}), "step/exit-code"), true,
			[]string{"end differently"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Compare([]Run{tt.x}, []Run{tt.y}, Release{Version: tt.from}, Release{Version: tt.to})
			if len(s.Changes) != 1 {
				t.Fatalf("%d changes, want 1", len(s.Changes))
			}
			c := s.Changes[0]
			if c.Regression != tt.worse {
				t.Errorf("regression is %t", c.Regression)
			}
			if len(c.Reasons) != len(tt.want) {
				t.Fatalf("reasons %+v, want %q", c.Reasons, tt.want)
			}
			for i, want := range tt.want {
				got := c.Reasons[i].What + "|" + c.Reasons[i].Before + "|" + c.Reasons[i].After
				if !strings.Contains(got, want) {
					t.Errorf("reason %q, want %q", got, want)
				}
			}
		})
	}
}

func TestCompareCounts(t *testing.T) {
	from := []Run{run("same", "1", verdict.Success, false, 5, nil), run("held", "1", verdict.Deadlock, false, 0, nil), run("gone", "1", verdict.Success, false, 5, nil)}
	to := []Run{run("same", "2", verdict.Success, false, 5, nil), run("held", "2", verdict.Deadlock, false, 0, nil), run("new", "2", verdict.Success, false, 5, nil)}
	s := Compare(from, to, Release{Version: "1"}, Release{Version: "2"})
	if s.Unchanged != 2 || s.Still != 1 || len(s.Changes) != 0 || len(s.Timing) != 0 {
		t.Errorf("%+v", s)
	}
	if want := []string{"s change=new: only on 2", "s change=gone: only on 1"}; !slices.Equal(s.Missing, want) {
		t.Errorf("missing %q, want %q", s.Missing, want)
	}
}

// TestCompareBusy: a controller that does not come to rest is told where it begins
// and where it ends.
func TestCompareBusy(t *testing.T) {
	quiet, busy := run("a", "1", verdict.Success, false, 5, nil), run("a", "2", verdict.Success, false, 5, nil)
	busy.Cell.Busy = []string{"TaskRun of task build"}
	other := busy
	other.Cell.Busy = []string{"TaskRun of task build", "TaskRun of task push"}
	for _, tt := range []struct {
		from, to     []Run
		busy, rested []string
	}{
		{[]Run{quiet}, []Run{busy, other}, other.Cell.Busy, nil},
		{[]Run{busy}, []Run{other}, []string{"TaskRun of task push"}, nil},
		{[]Run{busy}, []Run{quiet}, nil, busy.Cell.Busy},
		{[]Run{busy}, []Run{busy}, nil, nil},
	} {
		s := Compare(tt.from, tt.to, Release{Version: "1"}, Release{Version: "2"})
		if !slices.Equal(s.Busy, tt.busy) || !slices.Equal(s.Rested, tt.rested) {
			t.Errorf("busy %q, rested %q, want %q and %q", s.Busy, s.Rested, tt.busy, tt.rested)
		}
	}
}

// TestWorstRepeat has one of three repeats fail: the cell counts as failed.
func TestWorstRepeat(t *testing.T) {
	from := []Run{run("a", "1", verdict.Success, false, 5, nil)}
	to := []Run{run("a", "2", verdict.Success, false, 5, nil), run("a", "2", verdict.Timeout, false, 0, nil), run("a", "2", verdict.MultiAttach, true, 9, nil)}
	s := Compare(from, to, Release{Version: "1"}, Release{Version: "2"})
	if len(s.Changes) != 1 || s.Changes[0].To.Outcome != verdict.Timeout || s.Changes[0].To.Repeats != 3 || *s.Changes[0].To.MakespanSeconds != 7 {
		t.Errorf("%+v", s.Changes)
	}
}

func TestTiming(t *testing.T) {
	repeats := func(version string, spans ...float64) (out []Run) {
		for _, s := range spans {
			out = append(out, run("a", version, verdict.Success, false, s, nil))
		}
		return out
	}
	for _, tt := range []struct {
		name        string
		a, b        []Run
		n           int
		significant bool
	}{
		{"clearly slower", repeats("1", 1, 2, 3, 4, 5), repeats("2", 11, 12, 13, 14, 15), 1, true},
		{"one repeat proves nothing", repeats("1", 1), repeats("2", 100), 1, false},
		{"mixed", repeats("1", 1, 3, 5, 7), repeats("2", 2, 4, 6, 8), 1, false},
		{"equal", repeats("1", 3), repeats("2", 3), 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Compare(tt.a, tt.b, Release{Version: "1"}, Release{Version: "2"})
			if len(s.Timing) != tt.n {
				t.Fatalf("timing %+v", s.Timing)
			}
			if tt.n > 0 && s.Timing[0].Significant != tt.significant {
				t.Errorf("%+v", s.Timing[0])
			}
		})
	}
}

func TestFlags(t *testing.T) {
	for _, tt := range []struct {
		version, flag string
		want          bool
	}{
		{"0.44.0", "disable-affinity-assistant", true},
		{"0.70.0", "disable-affinity-assistant", true},
		{"1.0.0", "disable-affinity-assistant", false},
		{"0.48.0", "coschedule", false},
		{"0.50.0", "coschedule", true},
		{"1.15.0", "coschedule", true},
		{"1.15.0", "a-flag-nobody-knows", true},
	} {
		if got := knows(tt.version, tt.flag); got != tt.want {
			t.Errorf("%s knows %s: %t, want %t", tt.version, tt.flag, got, tt.want)
		}
	}
	s := Compare([]Run{run("a", "0.70.0", verdict.Success, false, 5, nil)}, []Run{run("a", "1.0.0", verdict.Success, false, 5, nil)}, Release{Version: "0.70.0"}, Release{Version: "1.0.0"})
	if len(s.Flags) != 1 || s.Flags[0].Flag != disableAssistant || !strings.Contains(s.Flags[0].What, "dead") {
		t.Errorf("flags %+v", s.Flags)
	}
}

func TestObserve(t *testing.T) {
	object := func(kind, name, body string) history.Entry {
		return history.Entry{Kind: history.KindObject, Verb: history.VerbCreate, Object: history.Ref{Kind: kind, Namespace: "n", Name: name}, Body: json.RawMessage(body)}
	}
	entries := []history.Entry{
		object("StatefulSet", "db", `{"metadata":{"labels":{}},"spec":{}}`),
		object("StatefulSet", "affinity-assistant-1", `{"metadata":{"labels":{"app.kubernetes.io/component":"affinity-assistant"}},"spec":{"template":{"spec":{"securityContext":{"fsGroup":2000}}}}}`),
		object("Event", "e", `{"reason":"FailedCreate","message":"refused","involvedObject":{"kind":"StatefulSet","namespace":"n","name":"affinity-assistant-1"}}`),
		object("Pod", "task-pod", `{"spec":{"affinity":{"podAffinity":{"x":"affinity-assistant-1"}}}}`),
		{Kind: history.KindObject, Verb: history.VerbDelete, Object: history.Ref{Kind: "StatefulSet", Namespace: "n", Name: "affinity-assistant-1"}},
	}
	o := Observe(sound(t, entries))
	want := Assistant{Name: "affinity-assistant-1", SecurityContext: `{"fsGroup":2000}`, ServiceAccount: "default", Failed: "refused"}
	if len(o.Assistants) != 1 || o.Assistants[0] != want {
		t.Errorf("assistants %+v, want %+v", o.Assistants, want)
	}
	if !strings.Contains(o.Affinity, "affinity-assistant-1") {
		t.Errorf("affinity %q", o.Affinity)
	}
}

// TestCandidates: cheap ones first, on OpenShift those about its ranges, and the
// grants that are there stay.
func TestCandidates(t *testing.T) {
	spec := scenario.Scenario{}
	var costs []Cost
	for _, c := range Candidates(spec, []string{"1.15.0"}) {
		costs = append(costs, c.Cost)
		if strings.Contains(c.Name, "anyuid") {
			t.Error("an SCC is proposed off OpenShift")
		}
	}
	if !slices.IsSorted(costs) {
		t.Errorf("costs %v", costs)
	}
	spec.Cluster.OpenShift = scenario.OpenShift{Enabled: true, UIDRange: "1000970000/10000", Grants: []scenario.SCCGrant{{SCC: "privileged", ServiceAccount: "b"}}}
	var inRange, granted bool
	for _, c := range Candidates(spec, nil) {
		inRange = inRange || string(c.Value.SecurityContext["fsGroup"]) == "1000970000"
		granted = granted || strings.Contains(string(c.Value.Patch), `"privileged"`) && strings.Contains(string(c.Value.Patch), `"default"`)
	}
	if !inRange || !granted {
		t.Errorf("fsGroup in range: %t, grant beside those there: %t", inRange, granted)
	}
}

// TestTolerationCandidate: taints that keep pods off are proposed to be tolerated,
// those of a control plane are not.
func TestTolerationCandidate(t *testing.T) {
	pools := []scenario.NodePool{
		{Taints: []scenario.Taint{{Key: "nvidia.com/gpu", Value: "true", Effect: "NoSchedule"}, {Key: "spot", Effect: "PreferNoSchedule"}}},
		{Taints: []scenario.Taint{{Key: "node-role.kubernetes.io/master", Effect: "NoSchedule"}, {Key: "nvidia.com/gpu", Effect: "NoSchedule"}}},
	}
	want := []scenario.Toleration{{Key: "nvidia.com/gpu", Operator: "Exists", Effect: "NoSchedule"}}
	for _, tt := range []struct {
		pools []scenario.NodePool
		want  []scenario.Toleration
	}{{pools, want}, {pools[:1], want}, {nil, nil}} {
		var got []scenario.Toleration
		for _, c := range Candidates(scenario.Scenario{Cluster: scenario.Cluster{NodePools: tt.pools}}, nil) {
			got = append(got, c.Value.Tolerations...)
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%v: %v, want %v", tt.pools, got, tt.want)
		}
	}
}

func TestTried(t *testing.T) {
	c := Change{}
	tried := []Candidate{{Name: "flag", Cost: CostFlag}, {Name: "run", Cost: CostRun}, {Name: "storage", Cost: CostStorage}, {Name: "dear", Cost: CostRelease}}
	c.Tried(tried, [][]Run{
		{run("a", "1", verdict.MultiAttach, true, 9, nil)}, {run("a", "1", verdict.Success, false, 5, nil)},
		{run("a", "1", verdict.Deadlock, false, 0, nil)}, {run("a", "1", verdict.Success, false, 5, nil)},
	})
	var got []string
	for _, r := range c.Remedies {
		got = append(got, r.Name)
	}
	if want := []string{"run", "dear", "flag", "storage"}; !slices.Equal(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
	if !c.Remedies[2].Mends || c.Remedies[3].Mends {
		t.Errorf("%+v", c.Remedies)
	}
}

// TestFlagsBecomeInvalid: refused on the new side only is a change of the flags.
func TestFlagsBecomeInvalid(t *testing.T) {
	words := &Observed{Refused: "coschedule value pipelineruns is incompatible"}
	invalid := func(version string) Run { return run("a", version, verdict.InvalidConfig, true, 5, words) }
	fine := run("a", "0.48.0", verdict.Success, false, 5, &Observed{})
	refused := func(s Step) (out []FlagChange) {
		for _, f := range s.Flags {
			if f.Flag == "feature-flags" {
				out = append(out, f)
			}
		}
		return out
	}
	s := Compare([]Run{fine}, []Run{invalid("0.62.0")}, Release{Version: "0.48.0"}, Release{Version: "0.62.0"})
	if got := refused(s); len(got) != 1 || got[0].Evidence != words.Refused || got[0].What != "Tekton 0.62.0 refuses the flags" {
		t.Errorf("%+v", got)
	}
	if len(s.Changes) != 1 || s.Changes[0].Reasons[0].What != "Tekton 0.62.0 refuses the feature flags" {
		t.Errorf("%+v", s.Changes)
	}
	s = Compare([]Run{invalid("0.62.0")}, []Run{invalid("0.65.7")}, Release{Version: "0.62.0"}, Release{Version: "0.65.7"})
	if got := refused(s); len(got) != 0 {
		t.Errorf("refused on both sides, and yet %+v", got)
	}
}

// TestCandidatesOfRelease: the assistant's own key is tried where it is read.
func TestCandidatesOfRelease(t *testing.T) {
	for version, want := range map[string]string{"v0.68.1": "assistant-disabled", "1.3.1": "coschedule-workspaces"} {
		var names []string
		for _, c := range Candidates(scenario.Scenario{Tekton: scenario.Tekton{Version: version}}, nil) {
			names = append(names, c.Name)
		}
		if len(names) < 2 || names[1] != want {
			t.Errorf("%s: %q, want %s second", version, names, want)
		}
	}
}
