// Package pack carries what simctl builds once - controllers of Tekton releases, OpenShift's
// SCC admission - to other machines, where no compiler and no network is needed then. A pack
// is of use to the simctl that has written it, and to any other that would have built the
// same: checksums and the names of cache entries decide.
package pack
