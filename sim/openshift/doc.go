// Package openshift is what OpenShift adds to the simulated cluster.
//
// [Admission] is its security context constraints: a webhook for pods in which
// the admission plug-in of openshift/apiserver-library-go decides, the one that
// OpenShift's API server has compiled in. That plug-in does not compile beside
// the Kubernetes of this module, so it runs in an [Engine], a child process built
// from the sources in engine/ with the versions the plug-in was written for. The
// engine decides and knows nothing: SCCs and namespaces are handed to it with the
// pod, and who may use which SCC it asks back. The API server's own RBAC authorizer
// answers, here in this process and from watches, as in OpenShift's API server:
// some twenty questions a pod are too many for requests. One engine serves any
// number of control planes.
//
// [Objects] are the SCCs, roles and bindings of a cluster, [Annotate] gives
// namespaces their ranges of ids.
//
// [Operator] renders a TektonConfig into Tekton's ConfigMaps as the Tekton
// operator does, [RenderFeatureFlags] is its pure part.
package openshift
