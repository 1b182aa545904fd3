package scenario

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
}

// actions are all of them, in the order in which messages and docs have them. Each has a
// file of its own, or shares one with its kin.
func actions() []action {
	return []action{
		applyAction(), patchAction(), deleteAction(), setFlagsAction(), controllerAction(), swapReleaseAction(),
		cordonAction(), uncordonAction(), drainAction(), removeNodeAction(), taintAction(), untaintAction(),
	}
}
