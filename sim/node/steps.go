package node

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"simctl.dev/simctl/sim/clock"
	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/storage"
	"simctl.dev/simctl/sim/wellknown"
)

// What Tekton's controller and entrypoint agree on (pkg/pod/entrypoint.go,
// pkg/entrypoint, pkg/result, pkg/termination of Tekton).
const (
	readyAnnotation  = "tekton.dev/ready"
	readyValue       = "READY"
	cancelAnnotation = "tekton.dev/cancel"
	cancelValue      = "CANCEL"

	entrypointBinary = "/tekton/bin/entrypoint"
	readyFile        = "/tekton/downward/ready"
	startedAtFormat  = "2006-01-02T15:04:05.000Z07:00"
	maxMessage       = 4096
	compressedPrefix = "tknz:"

	typeTaskResult = 1
	typeInternal   = 3
	typeStepResult = 4

	reasonSkipped   = "Skipped"
	reasonTimeout   = "TimeoutExceeded"
	reasonCancelled = "Cancelled"
	tooLong         = "Termination message is above max allowed size 4096, caused by large task result."

	// tektonUID is the user of Tekton's own images.
	tektonUID = 65532
)

const defaultDuration = 10 * time.Second

// container is a container of a pod.
type container struct {
	spec  *corev1.Container
	image string
	// step is the step's name for a container whose entrypoint is Tekton's.
	step string
	args entrypointArgs
	// native: an init container that goes on running.
	native bool
	// restarts: it is being ended to be started with another image.
	restarts bool

	// tried: the container has had its turn to be made; configError is why it could
	// not be, waitingReason and waitingMessage what the status says of it.
	tried                                      bool
	configError, waitingReason, waitingMessage string
	started, finished                          time.Time
	exit                                       int32
	reason, message                            string
	// death is how the container will end that was sent a signal; lost: it never was
	// there when its pod ended.
	death *death
	lost  bool

	// For a step: when its own turn began, what the turn will come to, and for
	// facts why it ended and what its log said last.
	began       time.Time
	turn        *turn
	tektonWord  string
	lastLogLine string
}

// turn is what a step will come to.
type turn struct {
	exit     int32
	reason   string
	word     string
	log      string
	duration time.Duration
	// skipped: its when expressions are false.
	skipped bool
	// killed: the entrypoint goes with its program, so that nobody tells the steps
	// after it.
	killed bool
}

func newContainer(spec *corev1.Container) *container {
	c := &container{spec: spec, image: spec.Image}
	c.native = spec.RestartPolicy != nil && *spec.RestartPolicy == corev1.ContainerRestartPolicyAlways
	if strings.HasPrefix(spec.Name, "step-") && len(spec.Command) == 1 && spec.Command[0] == entrypointBinary {
		c.step = trimStep(spec.Name)
		c.args = parseArgs(spec.Args)
	}
	return c
}

func (c *container) begin(now time.Time) {
	c.started, c.waitingReason, c.waitingMessage = now, "", ""
}

// runs says whether the container was started and has not ended.
func (c *container) runs() bool { return !c.started.IsZero() && c.finished.IsZero() }

func (c *container) end(now time.Time, exit int32, reason, message string) {
	c.finished, c.exit, c.reason, c.message = now, exit, reason, message
}

// internalContainer says whether Tekton made the container for itself.
func internalContainer(name string) bool {
	switch name {
	case "prepare", "place-scripts", "working-dir-initializer", wellknown.AffinityAssistant, resultsSidecar, "place-tools", "create-dir":
		return true
	}
	return false
}

// entrypointArgs are the arguments of Tekton's entrypoint that matter here.
type entrypointArgs struct {
	waitsForReady bool
	onError       string
	timeout       time.Duration
	results       []string
	stepResults   []string
	when          []whenExpression
	fromSidecar   bool
	compress      bool
}

type whenExpression struct {
	Input    string   `json:"input"`
	Operator string   `json:"operator"`
	Values   []string `json:"values"`
	CEL      string   `json:"cel"`
}

func parseArgs(args []string) entrypointArgs {
	var out entrypointArgs
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		name, isFlag := strings.CutPrefix(args[i], "-")
		if !isFlag {
			continue
		}
		name = strings.TrimPrefix(name, "-")
		name, value, hasValue := strings.Cut(name, "=")
		next := func() string {
			if hasValue {
				return value
			}
			if i+1 < len(args) && args[i+1] != "--" {
				i++
				return args[i]
			}
			return ""
		}
		switch name {
		case "wait_file":
			out.waitsForReady = next() == readyFile
		case "on_error":
			out.onError = next()
		case "timeout":
			if d, err := time.ParseDuration(next()); err == nil {
				out.timeout = d
			}
		case "results":
			out.results = splitNames(next())
		case "step_results":
			out.stepResults = splitNames(next())
		case "result_from":
			out.fromSidecar = next() == "sidecar-logs"
		case "compress_termination_message":
			out.compress = !hasValue || value == "true"
		case "when_expressions":
			// What does not parse is no reason to skip a step.
			_ = json.Unmarshal([]byte(next()), &out.when)
		case "post_file", "termination_path", "step_metadata_dir", "stdout_path", "stderr_path", "entrypoint":
			next()
		}
	}
	return out
}

func splitNames(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(s string) bool { return s == "" })
}

// skips says whether a step's when expressions keep it from running. Only in
// and notin are judged; values that come from other steps are taken as true.
func (a entrypointArgs) skips() bool {
	for _, w := range a.when {
		if w.CEL != "" || strings.Contains(w.Input+strings.Join(w.Values, ""), "$(") {
			continue
		}
		in := slices.Contains(w.Values, w.Input)
		if w.Operator == "in" && !in || w.Operator == "notin" && in {
			return true
		}
	}
	return false
}

// subPath returns the folder of the volume that a mount shows. A subPathExpr is
// expanded from the container's literal environment.
func subPath(c *corev1.Container, vm corev1.VolumeMount) string {
	if vm.SubPath != "" || vm.SubPathExpr == "" {
		return vm.SubPath
	}
	sub := vm.SubPathExpr
	for _, e := range c.Env {
		sub = strings.ReplaceAll(sub, "$("+e.Name+")", e.Value)
	}
	return sub
}

// checkModels says what is wrong with the task models.
func checkModels(tasks map[string]scenario.TaskModel) error {
	for _, name := range slices.Sorted(maps.Keys(tasks)) {
		m := tasks[name]
		dists := map[string]*scenario.Distribution{"duration": m.Duration, "termination": m.Termination}
		for step, d := range m.Steps {
			dists["steps."+step] = d
		}
		for what, d := range dists {
			if _, err := d.Sample(clock.Rand(0, "check"), 0); err != nil {
				return fmt.Errorf("task model %q: %s: %w", name, what, err)
			}
		}
		if _, err := m.EphemeralStorage.Bytes(); err != nil {
			return fmt.Errorf("task model %q: ephemeralStorage: %w", name, err)
		}
		for i, w := range m.Writes {
			if _, _, err := writeOf(w); err != nil {
				return fmt.Errorf("task model %q: writes[%d]: %w", name, i, err)
			}
		}
	}
	return nil
}

// writeOf returns a write's bytes and mode.
func writeOf(w scenario.Write) (size int64, mode uint32, err error) {
	if size, err = w.Bytes.Bytes(); err != nil {
		return 0, 0, fmt.Errorf("bytes: %w", err)
	}
	mode = 0o644
	if w.Mode != "" {
		m, err := strconv.ParseUint(w.Mode, 8, 12)
		if err != nil {
			return 0, 0, fmt.Errorf("mode %q is not octal: %w", w.Mode, err)
		}
		mode = uint32(m)
	}
	return size, mode, nil
}

// model returns the task model of a pod, the empty one if there is none.
func (k *Kubelets) model(p *pod) scenario.TaskModel {
	for _, name := range p.models {
		if m, ok := k.o.Workload.Tasks[name]; ok {
			return m
		}
	}
	return scenario.TaskModel{}
}

// configError says why a container cannot be made, as the kubelet does.
func (k *Kubelets) configError(p *pod, c *container) string {
	if uid, nonRoot := k.user(p, c); nonRoot && uid == 0 {
		if p.explicitUser(c) {
			return fmt.Sprintf("container's runAsUser breaks non-root policy (pod: %q, container: %s)", p.ref(), c.spec.Name)
		}
		return fmt.Sprintf("container has runAsNonRoot and image will run as root (pod: %q, container: %s)", p.ref(), c.spec.Name)
	}
	for _, e := range c.spec.EnvFrom {
		if s := e.SecretRef; s != nil && !isTrue(s.Optional) {
			if _, err := k.secretLister.Secrets(p.namespace).Get(s.Name); err != nil {
				k.want(wantedKey("secret", p.namespace, s.Name), p.uid)
				return fmt.Sprintf("secret %q not found", s.Name)
			}
		}
		if s := e.ConfigMapRef; s != nil && !isTrue(s.Optional) {
			if _, err := k.configLister.ConfigMaps(p.namespace).Get(s.Name); err != nil {
				k.want(wantedKey("configmap", p.namespace, s.Name), p.uid)
				return fmt.Sprintf("configmap %q not found", s.Name)
			}
		}
	}
	for _, e := range c.spec.Env {
		if e.ValueFrom == nil {
			continue
		}
		if s := e.ValueFrom.SecretKeyRef; s != nil && !isTrue(s.Optional) {
			secret, err := k.secretLister.Secrets(p.namespace).Get(s.Name)
			if err != nil {
				k.want(wantedKey("secret", p.namespace, s.Name), p.uid)
				return fmt.Sprintf("secret %q not found", s.Name)
			}
			if _, ok := secret.Data[s.Key]; !ok {
				k.want(wantedKey("secret", p.namespace, s.Name), p.uid)
				return fmt.Sprintf("couldn't find key %v in Secret %v/%v", s.Key, p.namespace, s.Name)
			}
		}
		if s := e.ValueFrom.ConfigMapKeyRef; s != nil && !isTrue(s.Optional) {
			config, err := k.configLister.ConfigMaps(p.namespace).Get(s.Name)
			if err != nil {
				k.want(wantedKey("configmap", p.namespace, s.Name), p.uid)
				return fmt.Sprintf("configmap %q not found", s.Name)
			}
			if _, ok := config.Data[s.Key]; !ok {
				k.want(wantedKey("configmap", p.namespace, s.Name), p.uid)
				return fmt.Sprintf("couldn't find key %v in ConfigMap %v/%v", s.Key, p.namespace, s.Name)
			}
		}
	}
	return ""
}

func isTrue(b *bool) bool { return b != nil && *b }

// ref is a pod as kubelets write it: NAME_NAMESPACE(UID).
func (p *pod) ref() string { return fmt.Sprintf("%s_%s(%s)", p.name, p.namespace, p.uid) }

func (p *pod) explicitUser(c *container) bool {
	return p.spec.SecurityContext != nil && p.spec.SecurityContext.RunAsUser != nil ||
		c.spec.SecurityContext != nil && c.spec.SecurityContext.RunAsUser != nil
}

// stepsGoOn starts the first step if it may start and has not; it reports
// whether the pod's status was written.
func (k *Kubelets) stepsGoOn(ctx context.Context, p *pod) bool {
	if len(p.steps) == 0 || !p.steps[0].began.IsZero() {
		return false
	}
	if p.steps[0].args.waitsForReady && !p.visible.ready {
		return false
	}
	return k.beginStep(ctx, p, 0)
}

// beginStep gives step i its turn; it reports whether the turn is over already
// and the status written.
func (k *Kubelets) beginStep(ctx context.Context, p *pod, i int) bool {
	s := p.steps[i]
	s.began = k.o.Clock.Now()
	s.turn = k.outcome(ctx, p, i)
	if s.turn.duration == 0 {
		k.endStep(ctx, p, i)
		return true
	}
	k.planDisk(ctx, p.m)
	k.after(ctx, p, s.turn.duration, "step-"+s.step, func() { k.endStep(ctx, p, i) })
	return false
}

// outcome decides what a step will come to, but for what it writes at its end.
func (k *Kubelets) outcome(ctx context.Context, p *pod, i int) *turn {
	s, m := p.steps[i], k.model(p)
	t := &turn{reason: "Completed"}
	if s.args.skips() {
		t.skipped, t.word = true, reasonSkipped
		return t
	}
	if i == 0 {
		if line := k.reads(ctx, p, s, m); line != "" {
			t.exit, t.reason, t.log = 1, "Error", line
			return t
		}
	}
	t.duration = k.stepDuration(p, i, m)
	for n, f := range m.Failures {
		step := p.steps[len(p.steps)-1].step
		if f.Step != "" {
			step = f.Step
		}
		if step != s.step || f.Attempt != 0 && f.Attempt != p.attempt {
			continue
		}
		if f.Probability != nil && clock.Rand(k.o.Seed, "failure", p.key, strconv.Itoa(n)).Float64() >= *f.Probability {
			continue
		}
		t.exit, t.reason, t.log = 1, "Error", f.Message
		if f.ExitCode != 0 {
			t.exit = int32(f.ExitCode)
		}
		if f.OOMKilled {
			// The kernel kills all that runs in the container's cgroup, or the one
			// process that asked for too much: then the entrypoint is left to end as
			// after any program that died of a signal.
			t.exit, t.reason, t.killed = exitSIGKILL, "OOMKilled", true
			if k.o.Kubelet.SingleProcessOOMKill {
				t.exit, t.killed = exitChildSignalled, false
			}
		}
		break
	}
	if d := s.args.timeout; d > 0 && t.duration > d {
		t.exit, t.reason, t.word, t.duration, t.killed = 1, "Error", reasonTimeout, d, false
		t.log = "context deadline exceeded"
	}
	return t
}

// stepDuration draws how long a step takes: its own distribution, or an even
// part of the task's.
func (k *Kubelets) stepDuration(p *pod, i int, m scenario.TaskModel) time.Duration {
	draw := func(d *scenario.Distribution, fallback time.Duration, what ...string) time.Duration {
		v, err := d.Sample(clock.Rand(k.o.Seed, append([]string{"duration", p.key}, what...)...), fallback)
		if err != nil {
			// New has checked every distribution.
			k.o.Logger.Error(err, "Drawing a duration", "pod", p.key)
			return fallback
		}
		return v
	}
	if d, ok := m.Steps[p.steps[i].step]; ok && d != nil {
		return draw(d, defaultDuration, p.steps[i].step)
	}
	whole := draw(m.Duration, defaultDuration)
	if m.Duration == nil && len(m.Steps) > 0 {
		return 0 // The model gives the steps that take time.
	}
	n := len(p.steps)
	part := (whole / time.Duration(n)).Truncate(time.Millisecond)
	if i < n-1 {
		return part
	}
	for range n - 1 {
		whole -= part
	}
	return whole
}

// reads does the task's reads; it gives the complaint about the first that
// fails.
func (k *Kubelets) reads(ctx context.Context, p *pod, c *container, m scenario.TaskModel) string {
	proc := k.process(p, c)
	for _, r := range m.Reads {
		a, ok := k.workspace(ctx, p, c, r.Workspace)
		if !ok {
			continue
		}
		entry, err := k.o.Storage.Volume(a.mount.pv).Read(proc, path.Join(a.prefix, r.Path))
		if line := k.accessFact(p, a, proc, "read", r.Path, entry, err); line != "" {
			return line
		}
	}
	return ""
}

// writes does the task's writes, then its deletes.
func (k *Kubelets) writes(ctx context.Context, p *pod, c *container, m scenario.TaskModel) string {
	proc := k.process(p, c)
	for _, w := range m.Writes {
		a, ok := k.workspace(ctx, p, c, w.Workspace)
		if !ok {
			continue
		}
		size, mode, err := writeOf(w)
		if err != nil {
			return err.Error()
		}
		var entry storage.Entry
		if err = storage.ErrReadOnly; !a.readOnly {
			entry, err = k.o.Storage.Volume(a.mount.pv).Write(proc, path.Join(a.prefix, w.Path), mode, size, max(w.Files, 1))
		}
		if line := k.accessFact(p, a, proc, "write", w.Path, entry, err); line != "" {
			return line
		}
	}
	for _, r := range m.Deletes {
		a, ok := k.workspace(ctx, p, c, r.Workspace)
		if !ok {
			continue
		}
		gone, err := false, storage.ErrReadOnly
		if !a.readOnly {
			gone, err = k.o.Storage.Volume(a.mount.pv).Delete(proc, path.Join(a.prefix, r.Path))
		}
		if err != nil {
			return k.accessFact(p, a, proc, "write", r.Path, storage.Entry{}, err)
		}
		if gone {
			k.accessFact(p, a, proc, "delete", r.Path, storage.Entry{}, nil)
		}
	}
	return ""
}

// endStep ends step i: what it writes, its termination message, and what comes
// next.
func (k *Kubelets) endStep(ctx context.Context, p *pod, i int) {
	s, t := p.steps[i], p.steps[i].turn
	if t.killed {
		s.lastLogLine = t.log
		s.end(k.o.Clock.Now(), t.exit, t.reason, "")
		k.containerFact(p, s)
		if !k.finishIfDone(ctx, p) {
			k.writeStatus(ctx, p)
		}
		k.planDisk(ctx, p.m)
		return
	}
	last := i == len(p.steps)-1
	var results []runResult
	if t.exit == 0 && !t.skipped {
		if last {
			if line := k.writes(ctx, p, s, k.model(p)); line != "" {
				t.exit, t.reason, t.log = 1, "Error", line
			}
		}
		if t.exit == 0 {
			results = k.resultsOf(ctx, p, s, last)
		}
	}
	failed := k.closeStep(p, s, t, results)
	if failed {
		for _, later := range p.steps[i+1:] {
			k.skipStep(p, later)
		}
		last = true
	}
	if last {
		k.stopResultsSidecar(ctx, p)
	}
	switch {
	case last && k.finishIfDone(ctx, p):
	case last:
		k.writeStatus(ctx, p) // Sidecars are still running.
	default:
		// A next step that ends at once writes the status itself.
		if !k.beginStep(ctx, p, i+1) {
			k.writeStatus(ctx, p)
		}
	}
}

// closeStep ends a step's container; it reports whether the steps after it are
// skipped.
func (k *Kubelets) closeStep(p *pod, s *container, t *turn, results []runResult) bool {
	exit, reason, message, failed := s.ending(t, results)
	s.tektonWord, s.lastLogLine = t.word, t.log
	s.end(k.o.Clock.Now(), exit, reason, message)
	k.containerFact(p, s)
	return failed
}

// ending returns what the entrypoint leaves of a turn: exit code, reason and
// termination message of the container, and whether the task goes no further.
func (c *container) ending(t *turn, results []runResult) (exit int32, reason, message string, failed bool) {
	exit, reason, failed = t.exit, t.reason, t.exit != 0
	internal := []runResult{{Key: "StartedAt", Value: c.began.UTC().Format(startedAtFormat), Type: typeInternal}}
	if t.word != "" {
		internal = append(internal, runResult{Key: "Reason", Value: t.word, Type: typeInternal})
	}
	if failed && c.args.onError == "continue" && t.word == "" {
		internal = append(internal, runResult{Key: "ExitCode", Value: strconv.Itoa(int(t.exit)), Type: typeInternal})
		failed, exit = false, 0
		if reason != "OOMKilled" {
			reason = "Completed"
		}
	}
	message, fits := encode(append(results, internal...), c.args.compress)
	if !fits {
		message, _ = encode(internal, c.args.compress)
		failed, exit, reason = true, 1, "Error"
		t.log = tooLong
	}
	return exit, reason, message, failed
}

// skipStep ends a step that follows a failed one.
func (k *Kubelets) skipStep(p *pod, s *container) {
	now := k.o.Clock.Now()
	s.began = now
	message, _ := encode([]runResult{
		{Key: "StartedAt", Value: now.UTC().Format(startedAtFormat), Type: typeInternal},
		{Key: "Reason", Value: reasonSkipped, Type: typeInternal},
	}, s.args.compress)
	s.tektonWord, s.lastLogLine = reasonSkipped, "Skipping step because a previous step failed"
	s.end(now, 1, "Error", message)
	k.containerFact(p, s)
}

// cancelSteps ends the steps of a pod that Tekton cancels and keeps: the one
// that runs is killed by its entrypoint, the others are skipped.
func (k *Kubelets) cancelSteps(ctx context.Context, p *pod) bool {
	var left []*container
	for _, s := range p.steps {
		if s.finished.IsZero() {
			left = append(left, s)
		}
	}
	if len(left) == 0 {
		return false
	}
	p.cancelNext()
	for i, s := range left {
		if i > 0 {
			k.skipStep(p, s)
			continue
		}
		if s.began.IsZero() {
			s.began = k.o.Clock.Now()
		}
		k.closeStep(p, s, &turn{exit: 9, reason: "Error", word: reasonCancelled, log: "Step was cancelled"}, nil)
	}
	k.stopResultsSidecar(ctx, p)
	if !k.finishIfDone(ctx, p) {
		k.writeStatus(ctx, p)
	}
	return true
}

func (k *Kubelets) containerFact(p *pod, c *container) {
	from := c.started
	if !c.began.IsZero() {
		from = c.began
	}
	reason := c.reason
	if c.tektonWord != "" {
		reason = c.tektonWord
	}
	k.fact(p, history.FactContainer, history.Container{
		Name: c.spec.Name, Step: c.step, Task: p.task, ExitCode: int(c.exit), Reason: reason,
		Message: c.lastLogLine, Seconds: c.finished.Sub(from).Seconds(),
	})
}

// runResult is one entry of a termination message (pkg/result of Tekton).
type runResult struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Type  int    `json:"type"`
}

// encode writes a termination message; the second result is false if it is
// longer than Kubernetes takes.
func encode(entries []runResult, compress bool) (string, bool) {
	raw := mustJSON(entries)
	if compress {
		if small := deflate(raw); len(small) < len(raw) {
			raw = small
		}
	}
	return string(raw), len(raw) <= maxMessage
}

func deflate(raw []byte) []byte {
	var b bytes.Buffer
	b.WriteString(compressedPrefix)
	text := base64.NewEncoder(base64.RawStdEncoding, &b)
	// Writing to a buffer with a level that exists does not fail.
	w, _ := flate.NewWriter(text, flate.BestCompression)
	_, _ = w.Write(raw)
	_ = w.Close()
	_ = text.Close()
	return b.Bytes()
}

func mustJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // Only values of this package are given, which marshal.
	}
	return raw
}

// objects returns the objects in a list of an object.
func objects(from map[string]any, field string) []map[string]any {
	list, _, _ := unstructured.NestedSlice(from, field)
	var out []map[string]any
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func text(from map[string]any, field string) string {
	s, _, _ := unstructured.NestedString(from, field)
	return s
}
