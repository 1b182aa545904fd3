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
