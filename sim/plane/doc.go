// Package plane is one control plane: an API server with etcd, kube-scheduler, the
// Kubernetes controllers, informers for simulated machines, and the virtual clock that
// they all go by. It knows no cell: what is laid on it, and what is played, is others'
// business.
//
// [Start] starts one, [Plane.Stop] ends it. In between [Plane.Restart] has it begin
// anew for whatever comes next, [Plane.Record] says where to what happens is recorded,
// and [Plane.Quiet] waits until nothing goes on, in its own parts and in the processes
// that have joined it ([Plane.Join]).
//
// The rest are verbs: objects of any kind are read, replaced and deleted under one of
// the names that histories know ([Clients]), types are installed and removed so that
// nobody is blind to them meanwhile, and namespaces are removed without their five
// seconds.
package plane
