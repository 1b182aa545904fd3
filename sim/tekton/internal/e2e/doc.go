// Package e2e tests Tekton controllers on a real control plane. It holds tests
// only: they link etcd and kube-apiserver, which the tests of package tekton do
// without.
//
// SIMCTL_TEST_TEKTON names the releases to test, separated by commas; the
// default is the built-in one.
package e2e
