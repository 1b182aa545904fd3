// Package scc says, by the fields of security context constraints alone, whether one takes
// what a pod wants. OpenShift's own code decides when a cell is run; this is for what is
// said before: warnings, and proposals of what to grant.
package scc
