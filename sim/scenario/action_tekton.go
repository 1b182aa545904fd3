package scenario

import "strings"

// What can be done to the controller.
const (
	ControllerStop    = "stop"
	ControllerStart   = "start"
	ControllerKill    = "kill"
	ControllerRestart = "restart"
)

var controllerActions = []string{ControllerStop, ControllerStart, ControllerKill, ControllerRestart}

func setFlagsAction() action {
	return action{
		field: "setFlags",
		given: func(v *Intervention) bool { return len(v.SetFlags) > 0 },
		what: func(v *Intervention) string {
			var flags []string
			for _, k := range sortedKeys(v.SetFlags) {
				flags = append(flags, k+"="+v.SetFlags[k])
			}
			return "set flags " + strings.Join(flags, ", ")
		},
		check: func(c *checker, at string, v *Intervention) { c.keys(at, v.SetFlags, FeatureFlags) },
	}
}

func controllerAction() action {
	return action{
		field: "controller",
		given: func(v *Intervention) bool { return v.Controller != "" },
		what:  func(v *Intervention) string { return v.Controller + " the controller" },
		check: func(c *checker, at string, v *Intervention) {
			c.choice(at, "action on the controller", v.Controller, controllerActions)
		},
		faults: controllerFaults(),
	}
}

func controllerFaults() []Fault {
	const decides = "all of it: the release's controller is a process, and its leases are in the API server"
	return []Fault{
		{
			Name: "controller-killed", Does: "Tekton's controller is killed and started again; the new one waits until it has seen the leases of the old one run out.",
			Real: decides, Simulated: "that the kubelet starts it again, which is at once", Timers: leaseTimers(),
			Example: `
- when: {task: build-image, phase: running}
  after: 1m
  controller: kill
`,
		},
		{
			Name: "controller-away", Does: "Tekton's controller is killed and not there for a while.",
			Real: decides, Simulated: "that its Deployment has it started again", Timers: leaseTimers(),
			Example: `
- when: {task: build-image, phase: running}
  controller: kill
- when: {task: build-image, phase: running}
  controller: stop
- when: {task: build-image, phase: running}
  after: 10m
  controller: start
`,
		},
	}
}

func swapReleaseAction() action {
	return action{
		field: "swapRelease",
		given: func(v *Intervention) bool { return v.SwapRelease != "" },
		what:  func(v *Intervention) string { return "swap Tekton for " + NormalizeVersion(v.SwapRelease) },
		check: func(c *checker, at string, v *Intervention) {
			if err := checkVersion(v.SwapRelease); err != nil {
				c.add(at, "%v", err)
			}
		},
		finish: func(_ *File, s *Scenario, i int) {
			s.Interventions[i].SwapRelease = NormalizeVersion(s.Interventions[i].SwapRelease)
		},
	}
}
