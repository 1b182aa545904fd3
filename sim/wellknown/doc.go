// Package wellknown has the names that Tekton, Kubernetes and OpenShift Pipelines give to
// things, where more than one package has to know them: labels and annotations,
// namespaces, ConfigMaps, and the clients under whose names histories record writes.
package wellknown
