package conform

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"simctl.dev/simctl/conformance/internal/cluster"
	"simctl.dev/simctl/conformance/internal/kubeapi"
	"simctl.dev/simctl/conformance/internal/process"
	"simctl.dev/simctl/conformance/internal/recorder"
	"simctl.dev/simctl/conformance/internal/testcase"
	"simctl.dev/simctl/sim/recording"
)

//go:embed actions.bash
var actionFunctions string

const (
	tektonMaps = "/api/v1/namespaces/tekton-pipelines/configmaps/"
	// Tekton's informers have a changed ConfigMap by then.
	configTime = 3 * time.Second
	// Actions that wait for what does not come must not go on for ever.
	actionsMax = 20 * time.Minute
)

// player plays cases on a cluster, one after another.
type player struct {
	*cluster.Cluster
	state string
	say   func(format string, args ...any)
	// defaults are the keys of config-defaults that cases have set.
	defaults map[string]any
}

// play plays a case and gives its recording and the end of each run.
func (p *player) play(ctx context.Context, c testcase.Case) (r *recording.Recording, err error) {
	if err := p.Restore(ctx, c.Loss); err != nil {
		return r, err
	}
	if err := p.configure(ctx, c.Settings); err != nil {
		return r, err
	}
	namespace := map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": c.Name}}
	if err := p.API.Create(ctx, "/api/v1/namespaces", namespace); err != nil {
		return r, err
	}
	defer func() {
		if e := p.clear(ctx, c); e != nil && err == nil {
			err = e
		}
	}()
	rec := recorder.Start(ctx, p.API, c.Name)
	err = p.record(ctx, c, rec)
	return rec.Stop(), err
}

func (p *player) record(ctx context.Context, c testcase.Case, rec *recorder.Recorder) error {
	if err := p.poll(ctx, time.Minute, func() (bool, error) {
		_, err := p.API.Get(ctx, "/api/v1/namespaces/"+c.Name+"/serviceaccounts/default")
		return err == nil, nil
	}); err != nil {
		return fmt.Errorf("waiting for the namespace's ServiceAccount: %w", err)
	}
	for _, m := range c.Manifests {
		if err := p.Kubectl(ctx, "-n", c.Name, "create", "-f", m); err != nil {
			return err
		}
	}
	mark := func(text string) {
		rec.Mark(text)
		p.say("%s: %s", c.Name, text)
	}
	mark("manifests created")
	actions, err := p.startActions(c, mark)
	if err != nil {
		return err
	}
	defer actions.stop()
	if err := p.awaitRuns(ctx, c); err != nil {
		return err
	}
	if err := actions.wait(ctx); err != nil {
		return err
	}
	return sleep(ctx, c.Settle)
}

// awaitRuns waits until all runs have ended, or for the case's longest.
func (p *player) awaitRuns(ctx context.Context, c testcase.Case) error {
	err := p.poll(ctx, c.Max, func() (bool, error) {
		runs, err := p.conditions(ctx, c.Name)
		if err != nil {
			return false, nil // the API server may stand still, or be slow
		}
		for _, r := range runs {
			if r.status != "True" && r.status != "False" {
				return false, nil
			}
		}
		return len(runs) > 0, nil
	})
	if errors.Is(err, errPatience) {
		return nil
	}
	return err
}

type condition struct{ run, status, reason, message string }

// conditions are the runs' conditions Succeeded.
func (p *player) conditions(ctx context.Context, namespace string) ([]condition, error) {
	l, err := p.API.Get(ctx, "/apis/tekton.dev/v1/namespaces/"+namespace+"/pipelineruns")
	if err != nil {
		return nil, err
	}
	items, _ := l["items"].([]any)
	var r []condition
	for _, i := range items {
		o, _ := i.(map[string]any)
		m, _ := o["metadata"].(map[string]any)
		s, _ := o["status"].(map[string]any)
		cs, _ := s["conditions"].([]any)
		c := condition{run: fmt.Sprint(m["name"]), status: "Unknown"}
		for _, e := range cs {
			if e, ok := e.(map[string]any); ok && e["type"] == "Succeeded" {
				c.status, c.reason, c.message = fmt.Sprint(e["status"]), fmt.Sprint(e["reason"]), fmt.Sprint(e["message"])
			}
		}
		r = append(r, c)
	}
	return r, nil
}

// configure sets Tekton's ConfigMaps as the case wants them.
func (p *player) configure(ctx context.Context, s testcase.Settings) error {
	for k := range p.defaults {
		p.defaults[k] = nil // what an earlier case has set goes
	}
	for k, v := range s.Defaults {
		p.defaults[k] = v
	}
	changed := false
	for name, data := range map[string]map[string]any{"feature-flags": {"coschedule": s.Coschedule}, "config-defaults": p.defaults} {
		before, err := p.API.Get(ctx, tektonMaps+name)
		if err != nil {
			return err
		}
		after, err := p.API.Merge(ctx, tektonMaps+name, map[string]any{"data": data})
		if err != nil {
			return err
		}
		changed = changed || version(before) != version(after)
	}
	if changed {
		return sleep(ctx, configTime)
	}
	return nil
}

func version(o map[string]any) any {
	m, _ := o["metadata"].(map[string]any)
	return m["resourceVersion"]
}

// clear takes the case's namespace away: the next case finds no pod of it.
func (p *player) clear(ctx context.Context, c testcase.Case) error {
	if err := p.Restore(ctx, c.Loss); err != nil {
		return err
	}
	path := "/api/v1/namespaces/" + c.Name
	if err := p.API.Delete(ctx, path); err != nil {
		return err
	}
	err := p.poll(ctx, 5*time.Minute, func() (bool, error) {
		_, err := p.API.Get(ctx, path)
		return kubeapi.NotFound(err), nil
	})
	if err != nil {
		return fmt.Errorf("waiting until namespace %s is gone: %w", c.Name, err)
	}
	return nil
}

var errPatience = errors.New("it took too long")

func (p *player) poll(ctx context.Context, patience time.Duration, is func() (bool, error)) error {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		ok, err := is()
		if ok || err != nil {
			return err
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	return errPatience
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// actions are what is done beside a case.
type actions struct {
	process *process.Process
	output  *os.File
	close   func() error
}

func (p *player) startActions(c testcase.Case, mark func(string)) (*actions, error) {
	a := &actions{close: func() error { return nil }}
	if c.Actions == "" {
		return a, nil
	}
	socket := filepath.Join(p.state, "ask.sock")
	l, err := asked{mark, p.Do}.listen(socket)
	if err != nil {
		return nil, err
	}
	a.close = l.Close
	functions := filepath.Join(p.state, "actions.bash")
	if err := os.WriteFile(functions, []byte(actionFunctions), 0o644); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	out, err := os.Create(filepath.Join(p.state, "log", "actions-"+c.Name+".log"))
	if err != nil {
		return nil, err
	}
	a.output = out
	a.process, err = p.Script(out, []string{"CASE_NAMESPACE=" + c.Name, "CONFORMANCE=" + self, SocketVariable + "=" + socket},
		"-euo", "pipefail", "-c", `. "$1"; . "$2"`, "actions", functions, c.Actions)
	return a, err
}

func (a *actions) wait(ctx context.Context) error {
	if a.process == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(actionsMax):
		return errors.New("actions.sh does not end")
	case <-a.process.Done():
	}
	if err := a.process.Err(); err != nil {
		out, _ := os.ReadFile(a.output.Name()) // the error says enough without
		return fmt.Errorf("actions.sh: %w: %s", err, out)
	}
	return nil
}

func (a *actions) stop() {
	if a.process != nil {
		a.process.Signal(syscall.SIGKILL)
		a.process.Kill()
		_ = a.output.Close() // what is in it was read
	}
	_ = a.close() // nobody asks any more
}
