package sim

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/tekton"
	"simctl.dev/simctl/sim/wellknown"
)

// cellsIn gives the cells of scenario files.
func cellsIn(t *testing.T, patterns ...string) []scenario.Cell {
	t.Helper()
	var out []scenario.Cell
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			f, err := scenario.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			cells, err := f.Cells(scenario.Options{})
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, cells...)
		}
	}
	if len(out) == 0 {
		t.Fatalf("no cells in %v", patterns)
	}
	return out
}

// startWorker starts a worker that is stopped when the test ends, unless stop does so
// before.
func startWorker(t *testing.T) (w *worker, stop func()) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o750); err != nil {
		t.Fatal(err)
	}
	w, err := newWorker(t.Context(), dir, 0, "", logr.Discard(), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	w.checkCells = true
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			w.stop()
		}
	}
	t.Cleanup(stop)
	return w, stop
}

// buildsOf builds the releases of cells, or takes them from the cache.
func buildsOf(t *testing.T, cells []scenario.Cell) builds {
	t.Helper()
	var versions []string
	for i := range cells {
		versions = append(versions, cells[i].Versions()...)
	}
	slices.Sort(versions)
	out := builds{}
	b := &tekton.Builder{}
	err := b.BuildAll(t.Context(), slices.Compact(versions), func(version string, build *tekton.Build, err error) {
		if err != nil {
			t.Error(err)
		}
		out[version] = build
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// More cells can be played, others, and the same again.
var (
	aloneCells = flag.Int("alone-cells", 8, "how many cells TestCellsAreAlone plays")
	aloneSeed  = flag.Uint64("alone-seed", 1, "the seed by which TestCellsAreAlone chooses and orders them")
)

// TestCellsAreAlone plays cells in random order on one worker, and each alone on a
// fresh one: the histories must be the same.
func TestCellsAreAlone(t *testing.T) {
	all := cellsIn(t, "testdata/alone/*.yaml", "testdata/faults/*.yaml", "testdata/*.yaml", "../scenarios/*.yaml", "../scenarios/incidents/*.yaml")
	draw := rand.New(rand.NewPCG(*aloneSeed, 0))
	draw.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var cells []scenario.Cell
	for _, c := range all {
		// Others have to be built first, and are where they are wanted by name.
		if len(cells) < *aloneCells && prepared(&c) {
			cells = append(cells, c)
		}
	}
	t.Logf("%d of %d cells, -alone-seed %d", len(cells), len(all), *aloneSeed)
	builds := buildsOf(t, cells)
	play := func(w *worker, cell *scenario.Cell) []string {
		entries, err := w.play(t.Context(), cell, builds, nil)
		if err != nil {
			t.Errorf("%s: %v", cell.ID(), err)
		}
		// What is cleared away takes virtual time of its own: the cell began where the
		// history has nought.
		return canonical(t, entries, w.stage.Plane.Clock.Start())
	}
	var together [][]string
	w, stop := startWorker(t)
	for i := range cells {
		t.Logf("%s", cells[i].ID())
		together = append(together, play(w, &cells[i]))
		if w.spent() {
			stop()
			w, stop = startWorker(t)
		}
	}
	stop()
	for i := range cells {
		w, stop := startWorker(t)
		alone := play(w, &cells[i])
		stop()
		if diff := differences(alone, together[i]); diff != "" {
			t.Errorf("%s, alone and after %d others:\n%s", cells[i].ID(), i, diff)
		}
	}
}

// prepared says whether every release that a cell needs is ready.
func prepared(c *scenario.Cell) bool {
	b := &tekton.Builder{}
	for _, v := range c.Versions() {
		if ready, _, _ := b.Status(v); !ready && v != tekton.BuiltIn {
			return false
		}
	}
	return !c.Spec.Cluster.OpenShift.Enabled
}

// differences shows what one of two histories has and the other has not.
func differences(alone, after []string) string {
	count := map[string]int{}
	for _, line := range alone {
		count[line]++
	}
	for _, line := range after {
		count[line]--
	}
	const some = 12
	var out []string
	for _, line := range slices.Sorted(maps.Keys(count)) {
		if n := count[line]; n != 0 && len(out) < some {
			out = append(out, fmt.Sprintf("%+d %s", -n, line))
		}
	}
	return strings.Join(out, "\n")
}

// made are the parts of a text that somebody makes up: the API server and Tekton (uids,
// generated names, hashes of them), or the real clock.
var (
	uids      = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	instants  = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	hashes    = regexp.MustCompile(`[0-9a-f]{10,64}`)
	revisions = regexp.MustCompile(`(-|hash":")[bcdfghjklmnpqrstvwxz2456789]{6,10}\b`)
	// The scheduler meets a conflict when it binds a claim of which it has old news; it
	// tries again, and which of two pods with one claim it happens to is chance. It is
	// excused in the recordings of a real cluster as well.
	conflicts = regexp.MustCompile(`\{[^{}]*running PreBind plugin[^{}]*the object has been modified[^{}]*\},?`)
	nominated = regexp.MustCompile(`"nominatedNodeName":"[^"]*",`) // written with the conflict
	// In the order of a Go map.
	unordered = regexp.MustCompile(`"(childReferences|volumesAttached)":\[([^\]]*)\]`)
	// A node that comes with the taint of its condition has none; where the node lifecycle
	// controller sees the condition first, the taint has the host's time.
	tainted   = regexp.MustCompile(`,"timeAdded":"REAL"`)
	holders   = regexp.MustCompile(`used by pod\(s\) [^"\\]*`)
	generated = regexp.MustCompile(`-[bcdfghjklmnpqrstvwxz2456789]{5}\b`)
	versions  = regexp.MustCompile(`resourceVersion"?: ?"\d+"`)
	resolved  = regexp.MustCompile(`"data":"([A-Za-z0-9+/]{40,}=*)"`)
	// From the eleventh message about one object on, client-go's recorder begins them
	// all like this; how many there were before counts those that lastWords leaves out.
	combined = regexp.MustCompile(`\(combined from similar events\): `)
	ports    = regexp.MustCompile(`"Port":\d+`)
	services = regexp.MustCompile(`\b10\.0\.0\.\d{1,3}\b`) // the API server draws a Service's address
	bundles  = regexp.MustCompile(`"caBundle":"[^"]*"|127\.0\.0\.1:\d+`)
)

// saying is who said an Event, and when among the entries.
type saying struct {
	actor string
	n     int
}

// aboutOf is what an Event is about.
func aboutOf(event *history.Object) any {
	if about := event.Field("involvedObject"); about != nil {
		return about
	}
	return event.Field("regarding") // of events.k8s.io
}

// lastWords leaves out what the scheduler and Tekton said of an object before they said
// something else of it in the same moment: they tell of each state that they see it in,
// and it is chance which of those before the last they see, and whether a write of theirs
// is overtaken and tried again.
func lastWords(said map[*history.Object]saying) map[*history.Object]saying {
	type told struct{ actor, kind, namespace, name string }
	last, out := map[told]*history.Object{}, maps.Clone(said)
	for o, by := range said {
		if by.actor != wellknown.KubeScheduler && by.actor != wellknown.TektonController {
			continue
		}
		if strings.Contains(o.Text("message")+o.Text("note"), "the object has been modified") {
			delete(out, o)
			continue
		}
		about, _ := aboutOf(o).(map[string]any)
		text := func(field string) string { s, _ := about[field].(string); return s }
		key := told{by.actor, text("kind"), text("namespace"), text("name")}
		switch other := last[key]; {
		case other == nil:
			last[key] = o
		case said[other].n < by.n:
			delete(out, other)
			last[key] = o
		default:
			delete(out, o)
		}
	}
	return out
}

// canonical returns what a history says without what is chance: what somebody made up,
// and the order within one moment of virtual time, in which the real components run at
// their own speed. How often one of them writes before an object is as it stays until
// time moves on is part of that - a controller counts the first of its pods or both, a
// write is overtaken by another and tried again - and what it comes to is not: for each
// moment there is what was made and what went, by whom, how each object stood in the
// end, what Events and logs said, each refusal and each fact; of what the scheduler and
// Tekton tell of an object the last word. Virtual times are counted from the beginning of the
// cell; what dates from before it is as old as the cluster that the cell found.
func canonical(t *testing.T, entries []history.Entry, begun time.Time) []string {
	t.Helper()
	stable := func(at float64, what string, v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		text := resolved.ReplaceAllStringFunc(string(raw), func(s string) string {
			data, err := base64.StdEncoding.DecodeString(resolved.FindStringSubmatch(s)[1])
			if err != nil {
				return s
			}
			return string(data)
		})
		text = holders.ReplaceAllStringFunc(text, func(s string) string {
			names := strings.Split(strings.TrimPrefix(s, "used by pod(s) "), ", ")
			slices.Sort(names)
			return "used by pod(s) " + strings.Join(names, ", ")
		})
		text = unordered.ReplaceAllStringFunc(text, func(s string) string {
			parts := unordered.FindStringSubmatch(s)
			all := strings.Split(parts[2], "},{")
			for i := range all {
				all[i] = strings.Trim(all[i], "{}")
			}
			slices.Sort(all)
			return `"` + parts[1] + `":[` + strings.Join(all, ",") + "]"
		})
		text = combined.ReplaceAllString(text, "")
		text = nominated.ReplaceAllString(conflicts.ReplaceAllString(text, ""), "")
		text = instants.ReplaceAllStringFunc(text, func(s string) string {
			when, err := time.Parse(time.RFC3339Nano, s)
			switch {
			case err != nil || when.Before(clock.Epoch):
				return "REAL"
			case when.Before(begun):
				return "BEFORE"
			}
			return when.Sub(begun).String()
		})
		text = tainted.ReplaceAllString(text, "")
		text = versions.ReplaceAllString(text, "resourceVersion VERSION")
		text = bundles.ReplaceAllString(text, "CA")
		text = services.ReplaceAllString(text, "ADDRESS")
		text = ports.ReplaceAllString(text, `"Port":PORT`)
		text = uids.ReplaceAllString(text, "UID")
		text = revisions.ReplaceAllString(text, "${1}HASH")
		text = hashes.ReplaceAllString(text, "HASH")
		text = generated.ReplaceAllString(text, "-NAME")
		return fmt.Sprintf("%12.3f %s %s", at, what, text)
	}
	var out []string
	written := map[history.Ref]bool{}
	last := 0.0
	state := history.NewState()
	// What is said again when a try is made again counts once, and so does a state that an
	// object had before.
	said, logged := map[*history.Object]saying{}, map[string]bool{}
	heard, was := map[string]bool{}, map[history.Ref]string{}
	unplaced := map[history.Ref]history.Entry{}
	moment := func() {
		for o, by := range lastWords(said) {
			actor, about := by.actor, aboutOf(o)
			switch o.Text("reason") {
			case "WaitForFirstConsumer", "WaitForPodScheduled":
				// The volume controller says whether it has heard of the pod yet.
				continue
			case "SuccessfulAttachVolume":
				// The attach/detach controller says it of those pods of which it has
				// heard when it begins: of one, the other, or both that are bound at
				// one moment.
				about = nil
			}
			event := []any{actor, about, o.Field("type"), o.Field("reason"), o.Field("message"), o.Field("note")}
			if text := stable(0, "said", event); !heard[text] {
				heard[text] = true
				logged[stable(last, "said", event)] = true
			}
		}
		clear(said)
		out = slices.AppendSeq(out, maps.Keys(logged))
		clear(logged)
		for ref := range written {
			if o := state.Get(ref); o != nil && !o.Deleted {
				state := []any{ref, o.Field()}
				if text := stable(0, "is", state); was[ref] != text {
					was[ref] = text
					out = append(out, stable(last, "is", state))
				}
			}
		}
		clear(written)
		for ref, e := range unplaced {
			key := history.Ref{Kind: history.FactUnschedulable, Namespace: ref.Namespace, Name: ref.Name}
			if text := stable(0, "fact", e.Data); was[key] != text {
				was[key] = text
				out = append(out, stable(last, "fact", []any{ref, e.Fact, e.Data}))
			}
		}
		clear(unplaced)
	}
	for n, e := range entries {
		if e.T != last {
			moment()
			last = e.T
		}
		if err := state.Apply(e); err != nil {
			t.Fatal(err)
		}
		e.Seq = 0
		switch {
		case e.Object.Kind == "Event":
			said[state.Get(e.Object)] = saying{e.Actor, n}
		case e.Fact == history.FactUnschedulable:
			unplaced[e.Object] = e
		case e.Kind == history.KindLog, e.Kind == history.KindRefused:
			logged[stable(e.T, string(e.Kind), e)] = true
		case e.Fact == history.FactBusy:
			// Who follows its own writes is noticed sooner or later.
			e.T = 0
			if text := stable(0, string(e.Kind), e); !heard[text] {
				heard[text] = true
				out = append(out, text)
			}
		case e.Fact == history.FactTektonExited:
			// Of a controller that is killed the last line of its log is told, which is the
			// last of its moment.
			var exited history.Tekton
			if err := e.Decode(&exited); err != nil {
				t.Fatal(err)
			}
			if exited.ExitCode < 0 {
				exited.Message = ""
			}
			out = append(out, stable(e.T, string(e.Kind), []any{e.Fact, exited}))
		case e.Kind != history.KindObject:
			out = append(out, stable(e.T, string(e.Kind), e))
		case e.Verb == history.VerbBind:
			delete(unplaced, e.Object)
			written[e.Object] = true
		case e.Verb == history.VerbCreate, e.Verb == history.VerbDelete:
			out = append(out, stable(e.T, e.Verb, []any{e.Actor, e.Object}))
			fallthrough
		default:
			written[e.Object] = true
		}
	}
	moment()
	slices.Sort(out)
	return out
}
