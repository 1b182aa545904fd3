// Package draft makes a scenario of manifests alone: a run of each Pipeline that has none,
// stubs for what is referred to and missing, and a cluster that has what the manifests
// demand. What it made up it marks. It is a pure function of the manifests.
package draft
