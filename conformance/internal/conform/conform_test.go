package conform

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"simctl.dev/simctl/sim/recording"
)

func TestAsk(t *testing.T) {
	var marks []string
	var orders [][]string
	a := asked{func(s string) { marks = append(marks, s) }, func(w []string) error {
		orders = append(orders, w)
		if w[0] == "kill" {
			return errors.New("no node n9")
		}
		return nil
	}}
	socket := filepath.Join(t.TempDir(), "s")
	l, err := a.listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct {
		words []string
		err   string
	}{
		{words: []string{"mark", "pod \"p\" deleted\nby hand"}},
		{words: []string{"cluster", "start", "webhook"}},
		{words: []string{"cluster", "kill", "node", "n9"}, err: "no node n9"},
		{words: []string{"cluster"}, err: "cannot be asked for"},
		{words: []string{"mark"}, err: "cannot be asked for"},
	} {
		err := Ask(socket, c.words)
		if got := errorText(err); !strings.Contains(got, c.err) || (c.err == "") != (got == "") {
			t.Errorf("%q: error %q, want %q", c.words, got, c.err)
		}
	}
	if want := []string{"pod \"p\" deleted\nby hand"}; !reflect.DeepEqual(marks, want) {
		t.Errorf("marks %q", marks)
	}
	if want := [][]string{{"start", "webhook"}, {"kill", "node", "n9"}}; !reflect.DeepEqual(orders, want) {
		t.Errorf("orders %q", orders)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Ask(socket, []string{"mark", "x"}); err == nil {
		t.Error("asked where nobody answers, no error")
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestWrite(t *testing.T) {
	recorder := recording.NewRecorder("demo")
	recorder.See(10, map[string]any{"kind": "Pod", "metadata": map[string]any{"namespace": "demo", "name": "p"}})
	recorder.Mark(11, "a > b")
	r := recorder.Recording()
	dir := filepath.Join(t.TempDir(), "case")
	if err := write(dir, r); err != nil {
		t.Fatal(err)
	}
	got, err := recording.Read(os.DirFS(dir))
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("read %+v, %v; want %+v", got, err, r)
	}
}

func TestEnds(t *testing.T) {
	run := func(name string, conditions ...any) recording.Last {
		return recording.Last{Object: map[string]any{"kind": "PipelineRun", "metadata": map[string]any{"name": name}, "status": map[string]any{"conditions": conditions}}}
	}
	gone := run("old")
	at := 3.0
	gone.GoneAt = &at
	got := ends(&recording.Recording{Final: []recording.Last{
		gone, {Object: map[string]any{"kind": "TaskRun"}}, run("none"),
		run("r", map[string]any{"type": "Succeeded", "status": "False", "reason": "Failed", "message": "m"}),
	}})
	if want := []string{"run r: False, Failed: m"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestForgottenFolders(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	dead, alive := statePrefix+strconv.Itoa(cmd.Process.Pid)+"-12", statePrefix+strconv.Itoa(os.Getpid())+"-12"
	for _, d := range []string{dead, alive, statePrefix + "x-1", "other-1"} {
		if err := os.MkdirAll(filepath.Join(dir, d, "log"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	removeForgotten(dir)
	var got []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got = append(got, e.Name())
	}
	want := []string{"other-1", alive, statePrefix + "x-1"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
}
