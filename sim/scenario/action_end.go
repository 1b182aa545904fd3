package scenario

import "slices"

func endAction() action {
	return action{
		field: "end",
		given: func(v *Intervention) bool { return v.End != "" },
		what:  func(v *Intervention) string { return "end " + v.End },
		fits: func(f fitting, at string, v *Intervention) {
			var names []string
			for i := range f.world.spec.Interventions {
				other := &f.world.spec.Interventions[i]
				name := other.Name
				if name == "" {
					name = other.Action()
				}
				if name != "" && other.End == "" && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			if !slices.Contains(names, v.End) {
				f.add(at, "no intervention is named %q%s", v.End, Suggest(v.End, names))
			}
		},
	}
}
