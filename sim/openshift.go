package sim

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	viaTektonConfig = "TektonConfig"
	absent          = "absent"
)

type sccAdmission struct{}

func (*sccAdmission) Stop()       {}
func (*sccAdmission) PIDs() []int { return nil }

func (c *play) renderTektonConfig(map[string]string) (map[string]string, error) {
	return nil, errors.New("no TektonConfig yet")
}

func (c *play) constrain(_ []*corev1.Namespace, _ []*unstructured.Unstructured) error {
	if !c.cell.Spec.Cluster.OpenShift.Enabled {
		return nil
	}
	return errors.New("no OpenShift yet")
}
