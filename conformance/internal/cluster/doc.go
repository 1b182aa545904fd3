// Package cluster runs a real cluster on one host: etcd, the API server, the
// scheduler and the controller manager in one network namespace, nodes in namespaces
// of their own, a CSI driver with its attacher and Tekton's controller and webhook.
//
// What it makes are processes, network namespaces without a name, cgroups and one
// folder. Mounts and loop devices are in the nodes' mount namespaces and go with
// them. The kernel kills the processes when this program ends; Close takes
// everything away in order and says what is left.
package cluster
