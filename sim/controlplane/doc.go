// Package controlplane runs a real etcd and kube-apiserver for simctl, by way
// of envtest, and the one tap that every client's traffic goes through.
//
// Both servers are compiled into simctl: envtest is pointed at links to the
// running executable, which looks at its argv[0] ([ChildMain]). If
// KUBEBUILDER_ASSETS is set, the binaries there are run instead.
//
// The [Tap] counts requests in flight, and turns every write and every refusal
// into a history entry. [ControlPlane.Quiet] says when nothing is going on any
// more: no request in flight, no goroutine of this process about to run, no
// thread of a child process on a processor.
package controlplane
