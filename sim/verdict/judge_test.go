package verdict

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/history"
)

var update = flag.Bool("update", false, "write the findings to the golden files")

// histories are the files to judge: those written by hand, to be read, and
// those recorded by simctl, packed.
func histories(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.jsonl*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no histories: %v", err)
	}
	return files
}

func readFile(t testing.TB, path string) []history.Entry {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := history.Read(in)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return entries
}

// outcomeOf is the outcome that a history's file name begins with.
func outcomeOf(name string) Outcome {
	best := Outcome("")
	for _, o := range Outcomes() {
		if strings.HasPrefix(name, string(o)) && len(o) > len(best) {
			best = o
		}
	}
	return best
}

// TestJudge judges the histories in testdata; each begins its name with the
// outcome it must have, and has the whole finding in a file beside it.
func TestJudge(t *testing.T) {
	covered := map[Outcome]bool{}
	for _, file := range histories(t) {
		name, _, _ := strings.Cut(filepath.Base(file), ".jsonl")
		covered[outcomeOf(name)] = true
		t.Run(name, func(t *testing.T) {
			f, err := Judge(readFile(t, file))
			if err != nil {
				t.Fatal(err)
			}
			if want := outcomeOf(name); f.Outcome != want {
				t.Errorf("outcome %s, want %s", f.Outcome, want)
			}
			checkFinding(t, f)
			// Evidence is read by people here: keep its < and > as they are.
			var plain bytes.Buffer
			enc := json.NewEncoder(&plain)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			if err := enc.Encode(f); err != nil {
				t.Fatal(err)
			}
			got := plain.Bytes()
			golden := filepath.Join("testdata", name+".golden.json")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the finding differs from %s (-update writes it):\n%s", golden, got)
			}
		})
	}
	for _, file := range stories(t) {
		covered[outcomeOf(filepath.Base(file))] = true
	}
	for _, o := range Outcomes() {
		if !covered[o] {
			t.Errorf("no history and no story has outcome %s", o)
		}
	}
}

// checkFinding checks what holds of every finding.
func checkFinding(t *testing.T, f Finding) {
	t.Helper()
	if (f.Outcome == Success) != (len(f.Cause) == 0) {
		t.Errorf("outcome %s with a chain of %d links", f.Outcome, len(f.Cause))
	}
	for i, l := range f.Cause {
		if l.What == "" || l.Object == "" || l.Evidence == "" {
			t.Errorf("link %d is not whole: %+v", i, l)
		}
	}
	if did := f.Outcome == Success || f.Recovered; did != (f.MakespanSeconds != nil) {
		t.Errorf("outcome %s, recovered %v, makespan %v", f.Outcome, f.Recovered, f.MakespanSeconds)
	}
	if f.MakespanSeconds != nil && f.BlockedSinceSeconds != nil {
		t.Error("a run that did its work stopped for good")
	}
}

func TestJudgeWithoutARun(t *testing.T) {
	if _, err := Judge(nil); !errors.Is(err, ErrNoRun) {
		t.Errorf("an empty history: %v", err)
	}
	_, err := Judge([]history.Entry{{Seq: 1, Kind: history.KindObject, Verb: history.VerbUpdate,
		Object: history.Ref{Kind: "Pod", Name: "a"}, Patch: json.RawMessage(`{}`)}})
	if !errors.Is(err, history.ErrNoBase) {
		t.Errorf("a history that cannot be folded: %v", err)
	}
}

// TestJudgeIsPure judges twice: the order of maps must not show.
func TestJudgeIsPure(t *testing.T) {
	entries := readFile(t, "testdata/unschedulable-behind-isolation.jsonl")
	first, err := Judge(entries)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := json.Marshal(first)
	for range 20 {
		f, err := Judge(entries)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(f); !bytes.Equal(got, want) {
			t.Fatalf("another finding from the same history:\n%s\n%s", got, want)
		}
	}
}

// TestJudgeOfPrefixes judges every history cut off in many places: an
// interrupted cell has an outcome or no run, and its chain is whole.
func TestJudgeOfPrefixes(t *testing.T) {
	if testing.Short() {
		t.Skip("it judges some thousand histories")
	}
	for _, file := range histories(t) {
		entries := readFile(t, file)
		// The recorded ones are long: some of their entries do.
		judgePrefixes(t, file, entries, 1+len(entries)/50)
	}
}

// judgePrefixes judges a history cut off after every so many entries.
func judgePrefixes(t *testing.T, file string, entries []history.Entry, every int) {
	t.Helper()
	for n := 0; n < len(entries); n += every {
		f, err := Judge(entries[:n])
		if errors.Is(err, ErrNoRun) {
			continue
		}
		if err != nil {
			t.Fatalf("%s cut off after %d entries: %v", file, n, err)
		}
		checkFinding(t, f)
	}
	if t.Failed() {
		t.Fatalf("in %s", file)
	}
}

// TestConfigWords holds lines as real controllers log them.
func TestConfigWords(t *testing.T) {
	for line, want := range map[string]bool{
		// 0.50.0, coschedule: isolate-pipelinerun.
		"Reconcile error: affinity assistant behavior: AffinityAssistantPerPipelineRunWithIsolation is not implemented":                                                                         true,
		`Error initializing defaults/features/metrics/spire/events config "feature-flags": "invalid value for feature flag \"coschedule\": \"nowhere\""`:                                        true,
		`Error updating defaults/features config "feature-flags": "coschedule value disabled is incompatible with disable-affinity-assistant setting to false"`:                                 true,
		`Reconcile error: error creating TaskRuns called [a] for PipelineTask b from PipelineRun c: taskruns.tekton.dev "a" already exists`:                                                     false,
		`Failed to update resource status: pipelineruns.tekton.dev "a" is forbidden: User "system:serviceaccount:tekton-pipelines:tekton-pipelines-controller" cannot update resource "a" here`: false,
	} {
		if got := configWords.MatchString(line); got != want {
			t.Errorf("%t for %s", got, line)
		}
	}
}
