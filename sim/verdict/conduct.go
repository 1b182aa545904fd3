package verdict

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/internal/resultref"
	"simctl.dev/simctl/sim/timeline"
	"simctl.dev/simctl/sim/wellknown"
)

// Conduct is what an outcome does not tell of a cell: what was refused, what was
// not run, what was done twice, and what the runs left behind at its end.
type Conduct struct {
	// Refused are manifests that the API server, or Tekton's webhook, did not take.
	Refused []Refused `json:"refused,omitempty"`
	// NotRun are tasks that Tekton skipped, and finally tasks that it never came to.
	NotRun []NotRun `json:"notRun,omitempty"`
	// MadeAgain are TaskRuns, and pods of TaskRuns, that were made a second time
	// since the first was deleted.
	MadeAgain []MadeAgain `json:"madeAgain,omitempty"`
	// Retried are the TaskRuns that used retries.
	Retried []Retried `json:"retried,omitempty"`
	// BegunAgain are tasks whose work was begun more than once, AtOnce pairs of pods that were
	// at work at once where one may be, Survived the faults that met somebody and that the
	// runs got over.
	BegunAgain []BegunAgain `json:"begunAgain,omitempty"`
	AtOnce     []AtOnce     `json:"atOnce,omitempty"`
	Survived   []Survived   `json:"survived,omitempty"`
	// Claims are those that were made from a run's templates.
	Claims []Claim `json:"claims,omitempty"`
	// Changed are runs that changed after their end.
	Changed []Changed `json:"changed,omitempty"`
	// Left is what runs that are over left behind, and runs that cannot be deleted.
	Left []Left `json:"left,omitempty"`
}

// Refused is a manifest that was not taken.
type Refused struct {
	// T is when, in virtual seconds since the cell began.
	T      float64 `json:"t"`
	Object string  `json:"object"`
	// Message is the API server's or the webhook's.
	Message string `json:"message"`
}

// String returns a sentence.
func (r Refused) String() string { return fmt.Sprintf("%s is refused: %s", r.Object, Brief(r.Message)) }

// OfTheEnd says whether the reason for which a task was not run is that its run stops,
// was cancelled or has no time left, rather than the task's own (SkippingReason in
// pkg/apis/pipeline/v1 of Tekton).
func OfTheEnd(reason string) bool { return strings.HasPrefix(reason, "PipelineRun ") }

// NotRun is a task of a pipeline that has no run.
type NotRun struct {
	// PipelineRun is NAMESPACE/NAME.
	PipelineRun string `json:"pipelineRun"`
	Task        string `json:"task"`
	// Finally says that it is one of the pipeline's finally tasks.
	Finally bool `json:"finally,omitempty"`
	// Reason is Tekton's, from status.skippedTasks; empty for a finally task of
	// which the status says nothing.
	Reason string `json:"reason,omitempty"`
	// When are those of the task's expressions that kept it from running.
	When []When `json:"when,omitempty"`
}

// String returns a sentence.
func (n NotRun) String() string {
	return notRunText(n.PipelineRun, n.Finally, []string{n.Task}, n.why())
}

func notRunText(run string, finally bool, tasks []string, why string) string {
	what, was := "Task", "was"
	if finally {
		what = "Finally task"
	}
	if len(tasks) > 1 {
		what, was = what+"s", "were"
	}
	return fmt.Sprintf("%s %s of PipelineRun %s %s not run: %s", what, strings.Join(tasks, ", "), run, was, why)
}

func (n NotRun) why() string {
	if n.Reason == "" {
		return "the run ended without it"
	}
	var said []string
	for _, w := range n.When {
		said = append(said, w.String())
	}
	return strings.Join(append([]string{n.Reason}, said...), ": ")
}

// When is a when expression as Tekton evaluated it.
type When struct {
	// Expression is as the pipeline has it, Evaluated with its references replaced.
	Expression string `json:"expression"`
	Evaluated  string `json:"evaluated"`
	// MadeUp are the results in it (TASK.RESULT) that no model gives: their values were
	// made up, and decided.
	MadeUp []string `json:"madeUp,omitempty"`
}

// String returns the expression and what decided it.
func (w When) String() string {
	text := w.Evaluated
	if w.Expression != w.Evaluated {
		text = fmt.Sprintf("%s, which was %s", w.Expression, w.Evaluated)
	}
	switch len(w.MadeUp) {
	case 0:
		return text
	case 1:
		return fmt.Sprintf("%s; the value of result %s was made up (workload.tasks can give it)", text, w.MadeUp[0])
	}
	return fmt.Sprintf("%s; the values of results %s were made up (workload.tasks can give them)", text, strings.Join(w.MadeUp, ", "))
}

// MadeAgain is an object of a task that was deleted and made again.
type MadeAgain struct {
	PipelineRun string `json:"pipelineRun,omitempty"`
	Task        string `json:"task"`
	// Object is the TaskRun, or the pod of a TaskRun that stayed.
	Object string `json:"object"`
	// DeletedT and DeletedBy are when and by whom its deletion was asked for, T is
	// when it was made again.
	DeletedT  float64 `json:"deletedT"`
	DeletedBy string  `json:"deletedBy"`
	T         float64 `json:"t"`
	// Had is the status that the deleted TaskRun had reached, "True" or "False";
	// empty if it had not ended, and for a pod.
	Had string `json:"had,omitempty"`
}

// String returns a sentence, without the moments, so that it is the same in cells that
// differ in them.
func (m MadeAgain) String() string { return m.text(1) }

func (m MadeAgain) text(times int) string {
	what := m.Object
	switch m.Had {
	case "True":
		what += ", which had done its work,"
	case "False":
		what += ", which had failed,"
	}
	often := ""
	if times > 1 {
		often = fmt.Sprintf(" %d times", times)
	}
	return fmt.Sprintf("Task %s was begun again%s: %s was deleted by %s", m.Task, often, what, m.DeletedBy)
}

// Retried is a TaskRun that used retries.
type Retried struct {
	PipelineRun string `json:"pipelineRun,omitempty"`
	Task        string `json:"task"`
	TaskRun     string `json:"taskRun"`
	// Used is how many retries it used, Of how many it was given.
	Used int `json:"used"`
	Of   int `json:"of"`
}

// String returns a sentence.
func (r Retried) String() string {
	return fmt.Sprintf("Task %s used %d of %d retries", r.Task, r.Used, max(r.Of, r.Used))
}

// Claim is a PersistentVolumeClaim that was made from a template of a run.
type Claim struct {
	PipelineRun string `json:"pipelineRun"`
	Object      string `json:"object"`
	// Kept says that it is there at the end of the cell; otherwise it was deleted.
	Kept bool `json:"kept"`
	// Owned says that it goes when the run's object is deleted; one that nobody owns
	// stays.
	Owned bool `json:"owned"`
}

// String returns a sentence.
func (c Claim) String() string {
	switch {
	case !c.Kept:
		return fmt.Sprintf("%s of PipelineRun %s was deleted", c.Object, c.PipelineRun)
	case c.Owned:
		return fmt.Sprintf("%s of PipelineRun %s is kept until the PipelineRun is deleted", c.Object, c.PipelineRun)
	}
	return fmt.Sprintf("%s of PipelineRun %s is kept, and nobody owns it", c.Object, c.PipelineRun)
}

// Changed is a PipelineRun that changed after its end, or a TaskRun that changed after its
// run's.
type Changed struct {
	PipelineRun string `json:"pipelineRun"`
	Object      string `json:"object"`
	// T is when it changed first, in virtual seconds since the cell began, By who wrote it.
	T  float64 `json:"t"`
	By string  `json:"by"`
	// Was is the reason with which it had ended, Is the last one.
	Was string `json:"was"`
	Is  string `json:"is"`
	// Alive says that it has not ended again.
	Alive bool `json:"alive,omitempty"`
}

// String returns a sentence, without the moment, so that it is the same in cells that
// differ in it.
func (c Changed) String() string {
	is := c.Is
	if c.Alive {
		is += ", and it has not ended again"
	}
	return fmt.Sprintf("%s changed after its end: it was %s, and %s made it %s", c.Object, c.Was, c.By, is)
}

// Left is something that a run has no more use for and that nobody takes away.
type Left struct {
	PipelineRun string `json:"pipelineRun"`
	Object      string `json:"object"`
	// What says what it does there.
	What string `json:"what"`
}

// String returns a sentence.
func (l Left) String() string {
	if l.Object == "PipelineRun "+l.PipelineRun {
		return fmt.Sprintf("%s is left behind: %s", l.Object, l.What)
	}
	return fmt.Sprintf("%s of PipelineRun %s is left behind: %s", l.Object, l.PipelineRun, l.What)
}

// Sentences says all of it, tasks that were not run for the same reason together, and
// once what was done again several times.
func (c Conduct) Sentences() []string {
	var out []string
	for _, r := range c.Refused {
		out = append(out, r.String())
	}
	for i, n := range c.NotRun {
		same := func(o NotRun) bool {
			return o.PipelineRun == n.PipelineRun && o.Finally == n.Finally && o.why() == n.why()
		}
		if slices.IndexFunc(c.NotRun, same) < i {
			continue
		}
		var tasks []string
		for _, o := range c.NotRun[i:] {
			if same(o) {
				tasks = append(tasks, o.Task)
			}
		}
		out = append(out, notRunText(n.PipelineRun, n.Finally, tasks, n.why()))
	}
	for i, m := range c.MadeAgain {
		same := func(o MadeAgain) bool { return o.String() == m.String() }
		if slices.IndexFunc(c.MadeAgain, same) < i {
			continue
		}
		times := 0
		for _, o := range c.MadeAgain {
			if same(o) {
				times++
			}
		}
		out = append(out, m.text(times))
	}
	for _, r := range c.Retried {
		out = append(out, r.String())
	}
	for _, b := range c.BegunAgain {
		out = append(out, b.String())
	}
	for _, a := range c.AtOnce {
		out = append(out, a.String())
	}
	for _, s := range c.Survived {
		out = append(out, s.String())
	}
	for _, x := range c.Changed {
		out = append(out, x.String())
	}
	for _, l := range c.Left {
		out = append(out, l.String())
	}
	for _, l := range c.Claims {
		out = append(out, l.String())
	}
	return out
}

// refusedManifests are the user's objects that were not taken as they were written.
// A conflict or what is not there is no word about the object.
func (t *judging) refusedManifests() []Refused {
	var out []Refused
	said := map[[2]string]bool{}
	for _, e := range t.Refused {
		if e.Actor != wellknown.User || e.Verb != history.VerbCreate && e.Verb != history.VerbUpdate || e.Code != 400 && e.Code != 403 && e.Code != 422 {
			continue
		}
		r := Refused{T: e.T, Object: e.Object.String(), Message: clip(e.Message)}
		if k := [2]string{r.Object, r.Message}; !said[k] {
			said[k] = true
			out = append(out, r)
		}
	}
	return out
}

// whenReason is how Tekton says that a when expression was false.
const whenReason = "When Expressions evaluated to false"

// ofPipeline is as much of a PipelineRun's status as tells which tasks were not run.
// The v1beta1 of older releases has the same fields.
type ofPipeline struct {
	Status struct {
		PipelineSpec struct {
			Tasks   []pipelineTask `json:"tasks"`
			Finally []pipelineTask `json:"finally"`
		} `json:"pipelineSpec"`
		SkippedTasks []struct {
			Name            string           `json:"name"`
			Reason          string           `json:"reason"`
			WhenExpressions []whenExpression `json:"whenExpressions"`
		} `json:"skippedTasks"`
	} `json:"status"`
}

type pipelineTask struct {
	Name string           `json:"name"`
	When []whenExpression `json:"when"`
}

type whenExpression struct {
	Input    string   `json:"input"`
	Operator string   `json:"operator"`
	Values   []string `json:"values"`
	CEL      string   `json:"cel"`
}

func (w whenExpression) String() string {
	if w.CEL != "" {
		return w.CEL
	}
	return fmt.Sprintf("%q %s %s", w.Input, w.Operator, compact(w.Values))
}

// holds says whether an evaluated expression is known to be true.
func (w whenExpression) holds() bool {
	in := slices.Contains(w.Values, w.Input)
	return w.CEL == "" && (w.Operator == "in" && in || w.Operator == "notin" && !in)
}

// notRun lists the tasks of a run that have none, once it is known that they will not.
func (t *judging) notRun(run *timeline.Run, s *timeline.View) []NotRun {
	o := s.Get("PipelineRun", run.Namespace, run.Name)
	var p ofPipeline
	if o == nil || o.Decode(&p) != nil || run.Status == "" && !o.Deleted && t.Finished == nil {
		return nil
	}
	spec := p.Status.PipelineSpec
	isFinally := func(task string) bool {
		return slices.ContainsFunc(spec.Finally, func(f pipelineTask) bool { return f.Name == task })
	}
	var out []NotRun
	for _, skipped := range p.Status.SkippedTasks {
		n := NotRun{PipelineRun: run.Namespace + "/" + run.Name, Task: skipped.Name, Finally: isFinally(skipped.Name), Reason: skipped.Reason}
		if n.Reason == "" && len(skipped.WhenExpressions) > 0 {
			n.Reason = whenReason // Up to 0.37 Tekton gave no reasons.
		}
		if n.Reason == whenReason {
			var written []whenExpression
			for _, task := range slices.Concat(spec.Tasks, spec.Finally) {
				if task.Name == skipped.Name {
					written = task.When
				}
			}
			n.When = t.decided(run, written, skipped.WhenExpressions)
		}
		out = append(out, n)
	}
	for _, f := range spec.Finally {
		if !hasRun(s, run, f.Name) && !slices.ContainsFunc(out, func(n NotRun) bool { return n.Task == f.Name }) {
			out = append(out, NotRun{PipelineRun: run.Namespace + "/" + run.Name, Task: f.Name, Finally: true})
		}
	}
	return out
}

// hasRun says whether there was ever a run of a pipeline's task.
func hasRun(s *timeline.View, run *timeline.Run, task string) bool {
	for _, kind := range []string{"TaskRun", "CustomRun", "Run", "PipelineRun"} {
		if slices.ContainsFunc(s.OfRun(kind, run.Namespace, run.Name), func(o *history.Object) bool {
			return o.Text("metadata", "labels", wellknown.PipelineTaskLabel) == task
		}) {
			return true
		}
	}
	return false
}

// decided returns the expressions that are not known to be true, with the results in
// them whose values were made up.
func (t *judging) decided(run *timeline.Run, written, evaluated []whenExpression) []When {
	var out []When
	for i, e := range evaluated {
		if e.holds() {
			continue
		}
		w := When{Expression: e.String(), Evaluated: e.String()}
		if len(written) == len(evaluated) {
			w.Expression = written[i].String()
			for _, m := range t.MadeUp {
				if m.Run == run.Namespace+"/"+run.Name && resultref.Names(w.Expression, m.Task, m.Result) && !slices.Contains(w.MadeUp, m.Task+"."+m.Result) {
					w.MadeUp = append(w.MadeUp, m.Task+"."+m.Result)
				}
			}
		}
		out = append(out, w)
	}
	return out
}

// madeAgain lists TaskRuns that were made again, and pods that were while their
// TaskRun stayed.
func (t *judging) madeAgain() []MadeAgain {
	var out []MadeAgain
	for _, a := range t.Remade {
		r := a.TaskRun
		out = append(out, MadeAgain{PipelineRun: r.Of(), Task: r.Task, Object: r.Object(), DeletedT: a.DeletedT, DeletedBy: a.DeletedBy, T: a.T, Had: a.Had})
	}
	for _, r := range t.TaskRuns {
		for i, p := range r.Pods {
			if i == 0 || r.Pods[i-1].Name != p.Name || r.Pods[i-1].StopSeq == 0 {
				continue
			}
			old := r.Pods[i-1]
			if slices.ContainsFunc(r.Remade, func(a timeline.Remade) bool { return a.Seq > old.CreatedSeq && a.Seq < p.CreatedSeq }) {
				continue
			}
			stop, found := t.Entry(old.StopSeq)
			if !found {
				continue
			}
			out = append(out, MadeAgain{PipelineRun: r.Of(), Task: r.Task, Object: p.Object(), DeletedT: stop.T, DeletedBy: stop.Actor, T: p.Created})
		}
	}
	slices.SortStableFunc(out, func(a, b MadeAgain) int { return cmp.Compare(a.T, b.T) })
	return out
}

// retried lists the TaskRuns that used retries.
func (t *judging) retried(s *timeline.View) []Retried {
	var out []Retried
	for _, r := range t.TaskRuns {
		if len(r.Attempts) < 2 {
			continue
		}
		x := Retried{PipelineRun: r.Of(), Task: r.Task, TaskRun: r.Namespace + "/" + r.Name, Used: len(r.Attempts) - 1}
		if o := s.Get("TaskRun", r.Namespace, r.Name); o != nil {
			if of, ok := o.Field("spec", "retries").(float64); ok {
				x.Of = int(of)
			}
		}
		out = append(out, x)
	}
	return out
}

// over says whether a PipelineRun is done, or gone: nobody works for it any more.
func (t *judging) over(namespace, name string, s *timeline.View) bool {
	if run := t.Run(namespace, name); run != nil && run.Status != "" {
		return true
	}
	return s.Live("PipelineRun", namespace, name) == nil
}

// going says that an object's deletion was asked for, or that it goes with an owner
// that is gone: it is being taken away.
func going(o *history.Object, s *timeline.View) bool {
	if o.Deleted || o.Text("metadata", "deletionTimestamp") != "" {
		return true
	}
	owners := timeline.MetaOf(o).OwnerReferences
	if len(owners) == 0 {
		return false
	}
	for _, owner := range owners {
		of := s.Get(owner.Kind, o.Ref.Namespace, owner.Name)
		if of == nil || !going(of, s) || !of.Deleted && of.Field("metadata", "finalizers") != nil {
			return false // What an owner has goes when the owner is gone.
		}
	}
	return true
}

// claims lists the claims that were made from runs' templates: by Tekton, which owns
// them by the run, or by an assistant's StatefulSet, whose claims nobody owns.
func claims(s *timeline.View) []Claim {
	sets := map[string]string{} // claim -> run
	for _, set := range s.All("StatefulSet") {
		var spec struct {
			Spec struct {
				VolumeClaimTemplates []struct {
					Metadata struct {
						Name string `json:"name"`
					} `json:"metadata"`
				} `json:"volumeClaimTemplates"`
			} `json:"spec"`
		}
		if !isAssistant(set) || set.Decode(&spec) != nil {
			continue
		}
		for _, v := range spec.Spec.VolumeClaimTemplates {
			sets[set.Ref.Namespace+"/"+v.Metadata.Name+"-"+set.Ref.Name+"-0"] = timeline.MetaOf(set).OwnedBy("PipelineRun", wellknown.PipelineRunLabel)
		}
	}
	var out []Claim
	for _, o := range s.All("PersistentVolumeClaim") {
		m := timeline.MetaOf(o)
		run, owned := m.OwnedBy("PipelineRun", ""), true
		if run == "" {
			run, owned = sets[o.Ref.Namespace+"/"+o.Ref.Name], false
		}
		if run == "" {
			continue
		}
		out = append(out, Claim{PipelineRun: o.Ref.Namespace + "/" + run, Object: o.Ref.String(), Kept: !going(o, s) || keptByEnded(o, s) != nil, Owned: owned})
	}
	return out
}

// isAssistant says whether a StatefulSet or pod is an affinity assistant's.
func isAssistant(o *history.Object) bool {
	return o.Text("metadata", "labels", wellknown.ComponentLabel) == wellknown.AffinityAssistant
}

// left lists what runs that are over left behind: what nobody is taking away. A pod
// whose containers have ended, and a volume that no pod on its node uses any more, are
// on their way.
func (t *judging) left(s *timeline.View) []Left {
	var out []Left
	for _, o := range s.List("StatefulSet") {
		if !isAssistant(o) || going(o, s) {
			continue
		}
		if run := timeline.MetaOf(o).OwnedBy("PipelineRun", wellknown.PipelineRunLabel); run != "" && t.over(o.Ref.Namespace, run, s) {
			out = append(out, Left{PipelineRun: o.Ref.Namespace + "/" + run, Object: o.Ref.String(), What: "the run is over, and Tekton does not delete it"})
		}
	}
	for _, o := range s.List("Pod") {
		p := t.Pod(o.Ref.Namespace, o.Ref.Name, t.End())
		if p == nil || p.PipelineRun == "" || p.OverSeq != 0 || going(o, s) || !t.over(p.Namespace, p.PipelineRun, s) || !busy(o) {
			continue
		}
		l := Left{PipelineRun: p.Namespace + "/" + p.PipelineRun, Object: p.Object(), What: "no node takes it"}
		if p.Node != "" {
			l.What = "it is on node " + p.Node
		}
		out = append(out, l)
		out = append(out, t.leftAttached(l, o, p, s)...)
	}
	return out
}

// leftAttached lists the volumes that a pod which is left behind keeps on its node.
func (t *judging) leftAttached(by Left, o *history.Object, p *timeline.Pod, s *timeline.View) []Left {
	if p.Node == "" {
		return nil
	}
	var out []Left
	for _, name := range timeline.ClaimsOf(o) {
		claim := s.Live("PersistentVolumeClaim", p.Namespace, name)
		if claim == nil {
			continue
		}
		for _, a := range s.Attachments(claim.Text("spec", "volumeName")) {
			if a.Text("spec", "nodeName") == p.Node && !going(a, s) {
				out = append(out, Left{PipelineRun: by.PipelineRun, Object: a.Ref.String(),
					What: fmt.Sprintf("%s keeps the volume of claim %s on node %s", p.Object(), claim.Ref.Name, p.Node)})
			}
		}
	}
	return out
}

// busy says whether one of a pod's containers has not ended and is not being replaced:
// Tekton stops a sidecar by giving it another image.
func busy(o *history.Object) bool {
	var p struct {
		Spec struct {
			Containers []image `json:"containers"`
		} `json:"spec"`
		Status struct {
			ContainerStatuses []struct {
				image
				State map[string]json.RawMessage `json:"state"`
			} `json:"containerStatuses"`
		} `json:"status"`
	}
	if o.Decode(&p) != nil {
		return false
	}
	for _, c := range p.Spec.Containers {
		ended := false
		for _, status := range p.Status.ContainerStatuses {
			if status.Name != c.Name {
				continue
			}
			terminated := len(status.State["terminated"]) > 0 && string(status.State["terminated"]) != "null"
			ended = terminated || status.Image != "" && status.Image != c.Image
		}
		if !ended {
			return true
		}
	}
	return false
}

type image struct {
	Name  string `json:"name"`
	Image string `json:"image"`
}

// conduct says what the outcome does not tell. What is there at the end of the cell is
// known only of a history that has an end.
func (t *judging) conduct() Conduct {
	s := t.Now()
	if t.Finished != nil {
		s = t.Before(t.Finished.Seq + 1)
	}
	c := Conduct{Refused: t.refusedManifests(), MadeAgain: t.madeAgain(), Retried: t.retried(s), Changed: t.changed()}
	if works := t.works(); len(works) > 1 {
		c.BegunAgain, c.AtOnce = t.workAgain(works), t.atOnce(works)
	}
	for _, run := range t.Runs {
		c.NotRun = append(c.NotRun, t.notRun(run, s)...)
	}
	if t.Finished != nil {
		c.Claims, c.Left = claims(s), append(t.left(s), undeletable(s)...)
	}
	return c
}

// absentRoot ends a chain that comes to something that is not there with why it is not as
// of an entry: it was refused when it was to be made, somebody deleted it, or it never
// was.
func (t *judging) absentRoot(cause []Link, asOf int) []Link {
	for _, e := range t.Refused {
		if e.Actor != wellknown.User || e.Verb != history.VerbCreate || e.Code != 400 && e.Code != 403 && e.Code != 422 {
			continue
		}
		if slices.ContainsFunc(cause, func(l Link) bool { return l.Evidence == clip(e.Message) }) {
			continue // The chain says so, and what is behind it.
		}
		for _, l := range cause {
			if !misses(l, e.Object) {
				continue
			}
			return append(slices.Clone(cause), manifestWasRefused.link(e.Object.String(), clip(e.Message), e.Object.String()))
		}
	}
	s := t.Before(asOf + 1)
	for _, l := range cause {
		for _, said := range lackingMount.FindAllStringSubmatch(l.What+"\n"+l.Evidence, -1) {
			ref := history.Ref{Kind: mountedKinds[said[1]], Namespace: namespaceOf(l.Object), Name: said[2]}
			switch o := s.Get(ref.Kind, ref.Namespace, ref.Name); {
			case o == nil:
				return append(slices.Clone(cause), objectNeverMade.link(ref.String(), said[0], ref.String()))
			case o.Deleted:
				return append(slices.Clone(cause), objectDeleted.link(ref.String(),
					fmt.Sprintf("deletion asked for by %s at %.0f s", o.DeletedBy, o.CondemnedAt), ref.String(), o.DeletedBy))
			}
		}
	}
	return cause
}

// lackingMount is a kubelet's complaint of what a pod mounts or has in its environment;
// mountedKinds has the kinds by its words.
var (
	lackingMount = regexp.MustCompile(`\b(secret|configmap) "([^"]+)" not found`)
	mountedKinds = map[string]string{"secret": "Secret", "configmap": "ConfigMap"} //nolint:gochecknoglobals // a table that nothing changes
)

// namespaceOf returns the namespace of an object that is named as a link names it, "Kind
// namespace/name".
func namespaceOf(object string) string {
	_, of, _ := strings.Cut(object, " ")
	namespace, _, _ := strings.Cut(of, "/")
	return namespace
}

// misses says whether a link is about an object that is not there, in the words of the
// API server, the kubelet and the scheduler: `secret "a" not found`.
func misses(l Link, o history.Ref) bool {
	said := strings.ToLower(l.What + "\n" + l.Evidence)
	for _, kind := range []string{strings.ToLower(o.Kind), strings.ToLower(o.Kind) + "s"} {
		for _, name := range []string{fmt.Sprintf("%q", o.Name), fmt.Sprintf("%q", o.Namespace+"/"+o.Name)} {
			if strings.Contains(said, kind+" "+name+" not found") {
				return true
			}
		}
	}
	return false
}
