package node

import (
	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
)

// mountStatuses says how a container's volumes are mounted; the runtime can mount
// read-only all the way down where it is asked to (convertToAPIContainerStatuses in
// pkg/kubelet/kubelet_pods.go).
func mountStatuses(mounts []corev1.VolumeMount) []corev1.VolumeMountStatus {
	var out []corev1.VolumeMountStatus
	for _, m := range mounts {
		s := corev1.VolumeMountStatus{Name: m.Name, MountPath: m.MountPath, ReadOnly: m.ReadOnly}
		if m.ReadOnly {
			mode := corev1.RecursiveReadOnlyDisabled
			if m.RecursiveReadOnly != nil && *m.RecursiveReadOnly != corev1.RecursiveReadOnlyDisabled {
				mode = corev1.RecursiveReadOnlyEnabled
			}
			s.RecursiveReadOnly = &mode
		}
		out = append(out, s)
	}
	return out
}

// allocatedResources are those that the node has set aside for a pod.
func allocatedResources(obj *corev1.Pod) corev1.ResourceList {
	return resourcehelper.PodRequests(obj, resourcehelper.PodResourcesOptions{})
}
