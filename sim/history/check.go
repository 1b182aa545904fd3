package history

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Violation is a place at which a history says what cannot have been.
type Violation struct {
	// Seq and T are those of the entry, Invariant is the ID of what it violates.
	Seq       int
	T         float64
	Invariant string
	// What says what is wrong, in one line.
	What string
}

// String returns the violation in one line.
func (v Violation) String() string {
	return fmt.Sprintf("entry %d at %g s violates %s: %s", v.Seq, v.T, v.Invariant, v.What)
}

// Invariant is something that holds of every history that simctl records.
type Invariant struct {
	// ID names it, Says is what it demands.
	ID, Says string

	check func(c *checker, m moment) string
}

// Invariants returns those that [Check] holds a history to.
func Invariants() []Invariant { return slices.Clone(invariants) }

var invariants = []Invariant{
	{"entry/number", "entries are numbered from 1 without a gap", (*checker).number},
	{"entry/time", "virtual time begins at 0 or later and never goes back", (*checker).time},
	{"entry/form", "an entry has the fields of its kind, and a fact those of its name", (*checker).form},
	{"cell/over", "nothing comes after the cell has ended but what the scenario did not come to", (*checker).over},
	{"object/name", "an object is what its entry names", (*checker).name},
	{"object/life", "an object is created, updated and deleted, in this order; a write of the moment in which it was deleted may be told late", (*checker).life},
	{"object/same", "an object keeps its UID and its creation, its generation and resource version never go back, and its deletion is not taken back", (*checker).same},
	{"pod/bound", "a pod is bound to one node and stays there", (*checker).bound},
	{"pod/ended", "a pod that has ended has ended", (*checker).podEnded},
	{"run/done", "a run that is done stays done unless it is tried again, somebody else writes to it, its controller overtakes its own write, or another controller has taken it up since", (*checker).runDone},
	{"volume/one-node", "a volume that can be on one node only is attached to one", (*checker).oneNode},
	{"volume/detached", "a volume is detached from a node that it is attached to", (*checker).detached},
	{"fact/object", "a fact names objects that were there; nodes and volumes, if the history shows any", (*checker).factObject},
}

// Check holds a history to the [Invariants] and gives what violates them, in the order
// of the entries. It is linear in the history.
//
// A history that was cut short is not at fault for that: an invariant says nothing of
// what is still to come.
func Check(entries []Entry) []Violation {
	c := &checker{
		state: NewState(), lives: map[group]*life{}, seen: map[Ref]bool{}, kinds: map[string]bool{},
		driver: whereabouts{}, attachments: whereabouts{},
	}
	var out []Violation
	for _, e := range entries {
		m := moment{Entry: e, before: c.state.objects[e.Object]}
		m.folded = c.state.Apply(e)
		m.now = c.state.objects[e.Object]
		for _, inv := range invariants {
			if what := inv.check(c, m); what != "" {
				out = append(out, Violation{Seq: e.Seq, T: e.T, Invariant: inv.ID, What: lines.Replace(what)})
			}
		}
		c.take(m)
	}
	return out
}

// lines makes one line of what may have several: a damaged history can have any name.
var lines = strings.NewReplacer("\n", `\n`, "\r", `\r`)

// moment is an entry with its object before and after it.
type moment struct {
	Entry
	before, now *Object
	// folded says why the entry could not be folded in.
	folded error
}

// written says whether the entry is a write that leaves an object.
func (m moment) written() bool {
	return m.Kind == KindObject && m.Verb != VerbDelete && m.folded == nil
}

// changed says whether the entry is a write to an object that was there before it.
func (m moment) changed() bool {
	return m.written() && m.Verb != VerbCreate && m.before != nil && !m.before.Deleted
}

// Kinds of objects.
const (
	kindNode   = "Node"
	kindPod    = "Pod"
	kindVolume = "PersistentVolume"
)

// group names an object whatever the version of its API.
type group struct{ group, kind, namespace, name string }

func groupOf(r Ref) group {
	of, _, ok := strings.Cut(r.APIVersion, "/")
	if !ok {
		of = "" // the core group
	}
	return group{of, r.Kind, r.Namespace, r.Name}
}

// unversioned is how facts name an object, which may not know its API's version.
func unversioned(r Ref) Ref { return Ref{Kind: r.Kind, Namespace: r.Namespace, Name: r.Name} }

// life is what was seen of the objects of one name.
type life struct {
	gone   bool
	goneAt float64
	uid    string
	// late says that a write was told after the deletion.
	late bool
	// endedBy wrote the end of the run, with entry endedSeq; another says that somebody
	// else has written to it since, overlapped that its controller may not have heard of
	// it.
	endedBy    string
	endedSeq   int
	another    bool
	overlapped bool
}

// whereabouts are the nodes that volumes are attached to.
type whereabouts map[string]map[string]bool

func (w whereabouts) set(pv, node string, attached bool) {
	if !attached {
		delete(w[pv], node)
		return
	}
	if w[pv] == nil {
		w[pv] = map[string]bool{}
	}
	w[pv][node] = true
}

// but returns a node other than this one, the first by name.
func (w whereabouts) but(pv, node string) string {
	first := ""
	for on := range w[pv] {
		if on != node && (first == "" || on < first) {
			first = on
		}
	}
	return first
}

// checker is what a history has said so far.
type checker struct {
	state *State
	seq   int
	t     float64
	ended bool
	// started is the entry with which the last of Tekton's controllers started.
	started int
	lives   map[group]*life
	seen    map[Ref]bool // unversioned
	kinds   map[string]bool
	// driver is where volumes are by what their drivers report, attachments by the
	// VolumeAttachments.
	driver, attachments whereabouts
}

// take has the checker know an entry.
func (c *checker) take(m moment) {
	c.seq, c.t = m.Seq, max(c.t, m.T)
	switch {
	case m.Kind == KindFact:
		c.takeFact(m)
	case m.Kind == KindObject && m.folded == nil:
		c.takeWrite(m)
	}
}

func (c *checker) takeFact(m moment) {
	switch m.Fact {
	case FactFinished:
		c.ended = true
	case FactTektonStarted:
		c.started = m.Seq
	case FactAttached, FactDetached:
		if v, ok := volumeOf(m); ok {
			c.driver.set(v.PV, v.Node, m.Fact == FactAttached)
		}
	case FactOverlap:
		if l := c.lives[groupOf(m.Object)]; l != nil {
			l.overlapped = true
		}
	}
}

func (c *checker) takeWrite(m moment) {
	c.seen[unversioned(m.Object)] = true
	c.kinds[m.Object.Kind] = true
	l := c.lives[groupOf(m.Object)]
	if pv, node := attachmentOf(m.before); pv != "" {
		c.attachments.set(pv, node, false)
	}
	switch {
	case m.Verb == VerbDelete:
		if l == nil {
			l = &life{}
			c.lives[groupOf(m.Object)] = l
		}
		l.gone, l.goneAt, l.late = true, m.T, false
		return
	case l == nil, l.gone && m.Verb == VerbCreate:
		l = &life{uid: m.now.Text("metadata", "uid")}
		c.lives[groupOf(m.Object)] = l
	case l.gone:
		l.late = true
		return
	}
	if pv, node := attachmentOf(m.now); pv != "" {
		c.attachments.set(pv, node, true)
	}
	switch was, is := outcomeOf(m.before), outcomeOf(m.now); {
	case is != "" && (was == "" || m.Verb == VerbCreate):
		l.endedBy, l.endedSeq, l.another = m.Actor, m.Seq, false
	case is != "" && m.Actor != l.endedBy:
		l.another = true
	}
}

func (c *checker) number(m moment) string {
	if m.Seq != c.seq+1 {
		return fmt.Sprintf("it follows entry %d", c.seq)
	}
	return ""
}

func (c *checker) time(m moment) string {
	if math.IsNaN(m.T) || math.IsInf(m.T, 0) || m.T < c.t {
		return fmt.Sprintf("it was %g s before", c.t)
	}
	return ""
}

func (c *checker) form(m moment) string {
	verb := slices.Contains([]string{VerbCreate, VerbUpdate, VerbDelete, VerbBind}, m.Verb)
	switch m.Kind {
	case KindObject:
		body, patch := len(m.Body) > 0, len(m.Patch) > 0
		switch {
		case !verb:
			return fmt.Sprintf("there is no write %q", m.Verb)
		case m.Object.Kind == "" || m.Object.Name == "":
			return "a write to nothing"
		case m.folded != nil:
			return m.folded.Error()
		case m.Verb == VerbDelete && body:
			return fmt.Sprintf("the deletion of %s has a body", m.Object)
		case m.Verb == VerbCreate && (!body || patch):
			return fmt.Sprintf("the creation of %s has no whole body", m.Object)
		case m.Verb != VerbDelete && body == patch:
			return fmt.Sprintf("a write to %s has not one of body and patch", m.Object)
		case body && m.now.fields == nil:
			return fmt.Sprintf("the body of %s is null", m.Object)
		}
	case KindRefused:
		if !verb || m.Code < 400 || m.Object.Kind == "" {
			return fmt.Sprintf("the refusal of write %q to %s with code %d", m.Verb, m.Object, m.Code)
		}
	case KindFact:
		data := factData(m.Fact)
		if data == nil {
			return "" // of a version that knows more
		}
		if err := m.Decode(data); err != nil {
			return err.Error()
		}
	case KindLog:
	default:
		return fmt.Sprintf("there is no kind of entry %q", m.Kind)
	}
	return ""
}

// factData returns what a fact's fields are read into; nil for one that is not known.
func factData(fact string) any {
	switch fact {
	case FactUnschedulable:
		return &Unschedulable{}
	case FactProvisioned, FactAttached, FactDetached, FactPodAdmitted, FactVolumesAttached, FactContainersBusy:
		return &Volume{}
	case FactNoSpace:
		return &Space{}
	case FactVolumeFailed:
		return &VolumeFailed{}
	case FactStorageFails, FactStorageBack:
		return &StorageFault{}
	case FactPodRefused:
		return &Refusal{}
	case FactRuntimeFails, FactRuntimeBack:
		return &Runtime{}
	case FactClockShifted, FactClockRight:
		return &ClockShift{}
	case FactScaledDown:
		return &ScaledDown{}
	case FactMemory:
		return &Memory{}
	case FactMemoryTaken, FactMemoryBack:
		return &MemoryTaken{}
	case FactNotMade:
		return &NotMade{}
	case FactPullFailed:
		return &PullFailed{}
	case FactRegistryFails, FactRegistryBack:
		return &Registry{}
	case FactWebhookFails, FactWebhookBack:
		return &Webhook{}
	case FactSchedulerAway, FactSchedulerBack:
		return &SchedulerAway{}
	case FactAPIFails, FactAPIBack:
		return &APIFault{}
	case FactNodeSilent, FactNodeBack:
		return &NodeSilent{}
	case FactNodeShutdown:
		return &NodeShutdown{}
	case FactVolumesReady:
		return &VolumesReady{}
	case FactOwnership:
		return &Ownership{}
	case FactImagePulled:
		return &ImagePull{}
	case FactContainer:
		return &Container{}
	case FactFileWritten, FactFileDenied, FactFileDeleted:
		return &File{}
	case FactDisk:
		return &Disk{}
	case FactResultMadeUp:
		return &MadeUp{}
	case FactStalled:
		return &Stalled{}
	case FactFinished:
		return &Finished{}
	case FactIntervention:
		return &Intervention{}
	case FactFaultMet:
		return &FaultMet{}
	case FactInert:
		return &Inert{}
	case FactTektonStarted, FactTektonExited:
		return &Tekton{}
	case FactLeaseHeld, FactLeaseTaken:
		return &Lease{}
	case FactBusy:
		return &Busy{}
	case FactOverlap:
		return &Overlap{}
	}
	return nil
}

func (c *checker) over(m moment) string {
	if !c.ended {
		return ""
	}
	var missed Intervention
	if m.Fact == FactIntervention && m.Decode(&missed) == nil && missed.Missed {
		return ""
	}
	return "the cell has ended before"
}

func (c *checker) name(m moment) string {
	if !m.written() {
		return ""
	}
	got := Ref{
		APIVersion: m.now.Text("apiVersion"), Kind: m.now.Text("kind"),
		Namespace: m.now.Text("metadata", "namespace"), Name: m.now.Text("metadata", "name"),
	}
	want := m.Object
	for _, part := range []struct{ got, want string }{
		{got.APIVersion, want.APIVersion}, {got.Kind, want.Kind}, {got.Namespace, want.Namespace}, {got.Name, want.Name},
	} {
		if part.got != "" && part.got != part.want {
			return fmt.Sprintf("%s %s is named as %s %s", got.APIVersion, got, want.APIVersion, want)
		}
	}
	return ""
}

// ofCells are the kinds of which there is nothing on a control plane before the cell's
// own: their objects' lives are in the history whole. A ConfigMap or a Role, say, may
// have come with the release.
var ofCells = []string{
	kindPod, "PipelineRun", "TaskRun", "CustomRun", "StatefulSet", "PersistentVolumeClaim", kindVolume, "VolumeAttachment", "Event",
}

func (c *checker) life(m moment) string {
	if m.Kind != KindObject || m.folded != nil {
		return ""
	}
	l := c.lives[groupOf(m.Object)]
	switch {
	case l == nil:
		if m.Verb != VerbCreate && slices.Contains(ofCells, m.Object.Kind) {
			return fmt.Sprintf("%s of %s, which was never created", m.Verb, m.Object)
		}
	case m.Verb == VerbCreate:
		if !l.gone {
			return fmt.Sprintf("%s is created while it is there", m.Object)
		}
	case !l.gone:
	case m.Verb == VerbDelete:
		if !l.late {
			return fmt.Sprintf("%s is deleted and was gone", m.Object)
		}
	case m.T != l.goneAt:
		return fmt.Sprintf("%s of %s, which went at %g s", m.Verb, m.Object, l.goneAt)
	case m.now.Text("metadata", "uid") != l.uid:
		return fmt.Sprintf("%s of another %s than that which is gone, and no creation", m.Verb, m.Object)
	}
	return ""
}

func (c *checker) same(m moment) string {
	if !m.changed() {
		return ""
	}
	for _, field := range []string{"uid", "creationTimestamp"} {
		if was, is := m.before.Text("metadata", field), m.now.Text("metadata", field); was != is {
			return fmt.Sprintf("%s of %s changes from %q to %q", field, m.Object, was, is)
		}
	}
	was, _ := m.before.Field("metadata", "generation").(float64)
	if is, _ := m.now.Field("metadata", "generation").(float64); is < was {
		return fmt.Sprintf("generation of %s goes back from %g to %g", m.Object, was, is)
	}
	const version = "resourceVersion"
	before, err := strconv.ParseUint(m.before.Text("metadata", version), 10, 64)
	now, again := strconv.ParseUint(m.now.Text("metadata", version), 10, 64)
	if err == nil && again == nil && now < before {
		return fmt.Sprintf("%s of %s goes back from %d to %d", version, m.Object, before, now)
	}
	if m.before.Text("metadata", "deletionTimestamp") != "" && m.now.Text("metadata", "deletionTimestamp") == "" {
		return fmt.Sprintf("the deletion of %s is taken back", m.Object)
	}
	return ""
}

func (c *checker) bound(m moment) string {
	if !m.changed() || m.Object.Kind != kindPod {
		return ""
	}
	was, is := m.before.Text("spec", "nodeName"), m.now.Text("spec", "nodeName")
	if was != "" && is != was {
		return fmt.Sprintf("%s goes from node %q to %q", m.Object, was, is)
	}
	return ""
}

func (c *checker) podEnded(m moment) string {
	if !m.changed() || m.Object.Kind != kindPod {
		return ""
	}
	was, is := m.before.Text("status", "phase"), m.now.Text("status", "phase")
	if (was == "Succeeded" || was == "Failed") && is != was {
		return fmt.Sprintf("%s goes from phase %s to %s", m.Object, was, is)
	}
	return ""
}

// outcomeOf returns the status of a run's condition Succeeded once it is True or False,
// and "" before.
func outcomeOf(o *Object) string {
	if o == nil || o.Ref.Kind != "PipelineRun" && o.Ref.Kind != "TaskRun" {
		return ""
	}
	conditions, _ := o.Field("status", "conditions").([]any)
	for _, c := range conditions {
		if c, _ := c.(map[string]any); c["type"] == "Succeeded" {
			if c["status"] == "True" || c["status"] == "False" {
				return c["status"].(string)
			}
		}
	}
	return ""
}

// runDone lets four things pass by which a run that is done is not: another attempt,
// which Tekton notes in retriesStatus; a write of somebody else; a controller that
// works on the run as it was before it wrote its end ([FactOverlap]); and one that was
// started since and has its own mind about runs that it finds.
func (c *checker) runDone(m moment) string {
	was := outcomeOf(m.before)
	if !m.changed() || was == "" || outcomeOf(m.now) == was {
		return ""
	}
	attempts := func(o *Object) int {
		all, _ := o.Field("status", "retriesStatus").([]any)
		return len(all)
	}
	l := c.lives[groupOf(m.Object)]
	if l == nil || l.overlapped || l.another || c.started > l.endedSeq || m.Actor != l.endedBy || attempts(m.now) > attempts(m.before) {
		return ""
	}
	return fmt.Sprintf("%s was done, its condition Succeeded %s, and is so no more by %s", m.Object, was, m.Actor)
}

// attachmentOf returns the volume and the node of a VolumeAttachment that is attached.
func attachmentOf(o *Object) (pv, node string) {
	if o == nil || o.Deleted || o.Ref.Kind != "VolumeAttachment" {
		return "", ""
	}
	if attached, _ := o.Field("status", "attached").(bool); !attached {
		return "", ""
	}
	return o.Text("spec", "source", "persistentVolumeName"), o.Text("spec", "nodeName")
}

func volumeOf(m moment) (v Volume, ok bool) {
	return v, json.Unmarshal(m.Data, &v) == nil && v.PV != "" && v.Node != ""
}

// onOneOnly says whether a volume can be on one node only, as the attach/detach
// controller sees it (IsMultiAttachAllowed of pkg/volume/util): one whose access modes
// are not known may be on several.
func (c *checker) onOneOnly(pv string) bool {
	o := c.state.objects[Ref{APIVersion: "v1", Kind: kindVolume, Name: pv}]
	if o == nil {
		return false
	}
	modes, _ := o.Field("spec", "accessModes").([]any)
	return len(modes) > 0 && !slices.Contains(modes, any("ReadWriteMany")) && !slices.Contains(modes, any("ReadOnlyMany"))
}

// oneNode needs no exception for a detach that is forced, after six minutes or by a
// taint: that asks the driver to detach without asking the node, and the driver has the
// volume elsewhere only when it has done so.
func (c *checker) oneNode(m moment) string {
	var pv, node string
	in := c.attachments
	switch {
	case m.Kind == KindFact && m.Fact == FactAttached:
		v, _ := volumeOf(m)
		pv, node, in = v.PV, v.Node, c.driver
	case m.written():
		pv, node = attachmentOf(m.now)
	}
	if pv == "" || !c.onOneOnly(pv) {
		return ""
	}
	if on := in.but(pv, node); on != "" {
		return fmt.Sprintf("PersistentVolume %s is attached to node %s and still to %s", pv, node, on)
	}
	return ""
}

func (c *checker) detached(m moment) string {
	if m.Kind != KindFact || m.Fact != FactDetached {
		return ""
	}
	if v, ok := volumeOf(m); ok && !c.driver[v.PV][v.Node] {
		return fmt.Sprintf("PersistentVolume %s is detached from node %s and was not there", v.PV, v.Node)
	}
	return ""
}

func (c *checker) factObject(m moment) string {
	if m.Kind != KindFact {
		return ""
	}
	switch m.Fact {
	case FactRegistryFails, FactRegistryBack, FactAPIFails, FactAPIBack, FactSchedulerAway, FactSchedulerBack, FactWebhookFails, FactWebhookBack, FactStorageFails, FactStorageBack, FactRuntimeFails, FactRuntimeBack, FactStalled, FactFinished, FactIntervention, FactFaultMet, FactInert, FactTektonStarted, FactTektonExited, FactLeaseHeld, FactLeaseTaken, FactClockShifted, FactClockRight, FactScaledDown:
		return "" // of the cell, of what is not made, and of what comes with the release
	}
	if factData(m.Fact) == nil {
		return ""
	}
	var data struct {
		Node, PV, Claim, Pod string
		Nodes                []NodeRefusal
	}
	if m.Decode(&data) != nil {
		return "" // said by form
	}
	named := []Ref{
		{Kind: "PersistentVolumeClaim", Namespace: m.Object.Namespace, Name: data.Claim},
		{Kind: kindPod, Namespace: m.Object.Namespace, Name: data.Pod},
		{Kind: kindVolume, Name: data.PV},
		{Kind: kindNode, Name: data.Node},
	}
	for _, n := range data.Nodes {
		named = append(named, Ref{Kind: kindNode, Name: n.Node})
	}
	named = slices.DeleteFunc(named, func(r Ref) bool {
		return r.Name == "" || (r.Kind == kindNode || r.Kind == kindVolume) && !c.kinds[r.Kind]
	})
	for _, ref := range append(named, unversioned(m.Object)) {
		if !c.seen[ref] {
			return fmt.Sprintf("%s names %s, which was never there", m.Fact, ref)
		}
	}
	return ""
}
