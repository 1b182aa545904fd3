package scenario

// Intervention is something that is done in the middle of the runs: exactly one
// trigger, At or When, and exactly one action.
type Intervention struct {
	// Name names it in reports; default its action.
	Name string `json:"name,omitempty"`
	// At is the virtual time since the first run's creation, a Go duration.
	At string `json:"at,omitempty"`
	// When is a moment in a task's life; After is how long after it.
	When  *Moment `json:"when,omitempty"`
	After string  `json:"after,omitempty"`
	// Probability is that with which it is done, from 0 to 1, drawn from the cell's seed when
	// its moment has come; default 1.
	Probability *float64 `json:"probability,omitempty"`

	// Apply creates objects or merges manifests into those that are there, as
	// `kubectl apply --server-side --force-conflicts` does.
	Apply *Apply `json:"apply,omitempty"`
	// Patch changes objects.
	Patch *ObjectPatch `json:"patch,omitempty"`
	// Delete deletes objects.
	Delete *ObjectDeletion `json:"delete,omitempty"`
	// SetFlags sets keys of feature-flags, the way that tekton.via says;
	// "absent" takes a key out.
	SetFlags map[string]string `json:"setFlags,omitempty"`
	// Controller does something to Tekton's controller: stop (scaled to 0),
	// start (scaled to 1), kill (it crashes and is started again at once, and
	// waits until the leases of the one that was killed have run out) or restart
	// (it is replaced).
	Controller string `json:"controller,omitempty"`
	// SwapRelease replaces Tekton by another release as an operator does: CRDs,
	// ConfigMaps and controller. Flags that were set stay set.
	SwapRelease string `json:"swapRelease,omitempty"`
	// Cordon makes a node unschedulable, Uncordon schedulable again.
	Cordon   *NodeRef `json:"cordon,omitempty"`
	Uncordon *NodeRef `json:"uncordon,omitempty"`
	// Drain empties a node as `kubectl drain --ignore-daemonsets
	// --delete-emptydir-data` does.
	Drain *NodeDrain `json:"drain,omitempty"`
	// RemoveNode takes a node away, machine and all, as a cloud's autoscaler does
	// without draining it.
	RemoveNode *NodeRef `json:"removeNode,omitempty"`
	// ScaleDown has the cluster autoscaler take a node away when nobody has needed it for long
	// enough.
	ScaleDown *ScaleDown `json:"scaleDown,omitempty"`
	// Taint puts a taint on a node, Untaint takes it away.
	Taint   *NodeTaint `json:"taint,omitempty"`
	Untaint *NodeTaint `json:"untaint,omitempty"`
	// NodeSilent has nothing be heard of a node while its Node stays, for a while or for
	// good.
	NodeSilent *NodeSilence `json:"nodeSilent,omitempty"`
	// ZoneSilent has nothing be heard of the nodes of a zone, for a while or for good.
	ZoneSilent *ZoneSilence `json:"zoneSilent,omitempty"`
	// NodeShutdown has a node's machine be shut down, with or without a notice.
	NodeShutdown *NodeShutdown `json:"nodeShutdown,omitempty"`
	// RuntimeFails has container runtimes not do what they are asked for, for a while, or for
	// good.
	RuntimeFails *RuntimeFailure `json:"runtimeFails,omitempty"`
	// MemoryTaken has something outside of pods take a node's memory, for a while or for good.
	MemoryTaken *MemoryTaking `json:"memoryTaken,omitempty"`
	// RegistryFails has images not come for a while, or for good.
	RegistryFails *RegistryFailure `json:"registryFails,omitempty"`
	// WebhookFails has Tekton's webhook be away or not answer, for a while or for good.
	WebhookFails *WebhookFailure `json:"webhookFails,omitempty"`
	// StorageFails has CSI drivers fail at an operation, or be slow at it, for a while or for
	// good.
	StorageFails *StorageFailure `json:"storageFails,omitempty"`
	// ClockShift has the clock of Tekton's controller be ahead or behind, for a while or for
	// good.
	ClockShift *ClockShift `json:"clockShift,omitempty"`
	// SchedulerAway has the scheduler do nothing, for a while or for good.
	SchedulerAway *Absence `json:"schedulerAway,omitempty"`
	// APIErrors has the API server fail towards its clients for a while.
	APIErrors *APIErrors `json:"apiErrors,omitempty"`
	// End ends what the intervention of that name has begun, before its time or, if it has
	// none, at all.
	End string `json:"end,omitempty"`
}

// lasting says for how long something lasts; nothing where it lasts for good.
func lasting(text string) string {
	if text == "" {
		return ""
	}
	return " for " + text
}

// action is what this package knows of one thing that an intervention can do. Package sim
// has a table of its own that says how it is done.
type action struct {
	// field is the one of Intervention that asks for it, as it is written in files.
	field string
	given func(v *Intervention) bool
	// what says it in words.
	what func(v *Intervention) string
	// check looks at the action by itself, fits at the cluster and the workload around it;
	// at is the path of the field. Nil where there is nothing to look at.
	check func(c *checker, at string, v *Intervention)
	fits  func(f fitting, at string, v *Intervention)
	// finish puts in what a cell's intervention has beyond what is written; nil if nothing.
	finish func(f *File, s *Scenario, i int)
	// faults are the entries of the catalogue of faults that it does; none where it is what
	// operators and users do in the ordinary course of things.
	faults []Fault
}

// actions are all of them, in the order in which messages and docs have them. Each has a
// file of its own, or shares one with its kin.
func actions() []action {
	return []action{
		applyAction(), patchAction(), deleteAction(), setFlagsAction(), controllerAction(), swapReleaseAction(),
		cordonAction(), uncordonAction(), drainAction(), removeNodeAction(), scaleDownAction(), taintAction(), untaintAction(), nodeSilentAction(), zoneSilentAction(), nodeShutdownAction(), runtimeFailsAction(), memoryTakenAction(), registryFailsAction(), webhookFailsAction(), storageFailsAction(), clockShiftAction(), apiErrorsAction(), schedulerAwayAction(), endAction(),
	}
}
