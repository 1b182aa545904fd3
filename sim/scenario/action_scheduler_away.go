package scenario

// Absence is the time for which a component is not there.
type Absence struct {
	// For is how long, in virtual time; a Go duration. Without it the component does not come
	// back.
	For string `json:"for,omitempty"`
}

func schedulerAwayAction() action {
	return action{
		field: "schedulerAway",
		given: func(v *Intervention) bool { return v.SchedulerAway != nil },
		what:  func(v *Intervention) string { return "take the scheduler away" + lasting(v.SchedulerAway.For) },
		check: func(c *checker, at string, v *Intervention) { c.span(at+".for", v.SchedulerAway.For) },
		faults: []Fault{{
			Name:      "scheduler-away",
			Does:      "No pod is given a node: the scheduler is away, or waits for its lease. It comes back with what has come in the meantime in its queue.",
			Real:      "the scheduler, once it is back, with its queue and its order",
			Simulated: "that it is away: it hears of everything and does nothing",
			Remedies:  []string{"`timeouts` of the run that are longer than the absence"},
			Rule:      "fault/scheduler-away",
			Example: `
- when: {task: download-model, phase: done}
  schedulerAway: {for: 5m}
`,
		}},
	}
}
