package node

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"simctl.dev/simctl/sim/node/internal/entrypoint"
	"simctl.dev/simctl/sim/wellknown"
)

// tektonUID is the user of Tekton's own images.
const tektonUID = 65532

// container is a container of a pod.
type container struct {
	spec  *corev1.Container
	image string
	// step is the step's name for a container whose entrypoint is Tekton's.
	step string
	args entrypoint.Args
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
	// refused: the runtime did not make it at first.
	refused bool
	// pullError is why the container's image does not come, pullReason and pullMessage what
	// the last look at it came to, which the next one tells.
	pullError, pullReason, pullMessage string
	// backsOff is until when it is not asked for again.
	backsOff time.Time
	// death is how the container will end that was sent a signal; lost: it never was
	// there when its pod ended.
	death *death
	lost  bool

	// For a step: when its own turn began, what the turn will come to, and for
	// facts why it ended and what its log said last.
	began       time.Time
	turn        *entrypoint.Turn
	tektonWord  string
	lastLogLine string
}

func newContainer(spec *corev1.Container) *container {
	c := &container{spec: spec, image: spec.Image}
	c.native = spec.RestartPolicy != nil && *spec.RestartPolicy == corev1.ContainerRestartPolicyAlways
	if c.step = entrypoint.StepOf(spec.Name, spec.Command); c.step != "" {
		c.args = entrypoint.Parse(spec.Args)
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
