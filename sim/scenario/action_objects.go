package scenario

import (
	"encoding/json"
	"fmt"
	"strings"
)

func applyAction() action {
	return action{
		field: "apply",
		given: func(v *Intervention) bool { return v.Apply != nil },
		what: func(v *Intervention) string {
			var names []string
			for _, raw := range v.Apply.Manifests {
				if data, err := decodeObject(raw); err == nil {
					names = append(names, (&object{data: data}).String())
				}
			}
			return "apply " + strings.Join(append(names, v.Apply.Files...), ", ")
		},
		check: func(c *checker, at string, v *Intervention) {
			if len(v.Apply.Manifests)+len(v.Apply.Files) == 0 {
				c.add(at, "%s is empty; give it manifests or files", at)
			}
			for i, raw := range v.Apply.Manifests {
				c.manifest(fmt.Sprintf("%s.manifests[%d]", at, i), raw)
			}
		},
		fits: func(f fitting, at string, v *Intervention) {
			if len(v.Apply.Files) > 0 {
				f.world.issues = append(f.world.issues, f.file.read(at+".files", v.Apply.Files).issues...)
			}
		},
		finish: (*File).finishApply,
	}
}

// finishApply puts the content of its files into what is applied, and the namespace.
func (f *File) finishApply(s *Scenario, i int) {
	v := &s.Interventions[i]
	var objects []*object
	for _, raw := range v.Apply.Manifests {
		if data, err := decodeObject(raw); err == nil { // else reported
			objects = append(objects, &object{data: data})
		}
	}
	for _, o := range f.read(fmt.Sprintf("interventions[%d].apply.files", i), v.Apply.Files).objects {
		objects = append(objects, o.copy())
	}
	out := &Apply{}
	for _, o := range objects {
		if o.namespaced() && o.namespace() == "" {
			set(o.data, s.Workload.Namespace, "metadata", "namespace")
		}
		raw, err := json.Marshal(o.data)
		if err != nil {
			panic(fmt.Sprintf("a manifest that was read is written: %v", err))
		}
		out.Manifests = append(out.Manifests, raw)
	}
	v.Apply = out
}

func patchAction() action {
	return action{
		field: "patch",
		given: func(v *Intervention) bool { return v.Patch != nil },
		what:  func(v *Intervention) string { return fmt.Sprintf("patch %s with %s", v.Patch.Ref(), v.Patch.Patch) },
		check: func(c *checker, at string, v *Intervention) {
			c.ref(at, v.Patch.Ref())
			c.objectPatch(at+".patch", v.Patch.Patch)
		},
		fits: func(f fitting, at string, v *Intervention) { f.object(at, v.Patch.Ref()) },
	}
}

func deleteAction() action {
	return action{
		field: "delete",
		given: func(v *Intervention) bool { return v.Delete != nil },
		what: func(v *Intervention) string {
			what := "delete " + v.Delete.Ref().String()
			if s := v.Delete.GracePeriodSeconds; s != nil {
				what += fmt.Sprintf(" with a grace period of %d s", *s)
			}
			return what
		},
		check: func(c *checker, at string, v *Intervention) {
			c.ref(at, v.Delete.Ref())
			if s := v.Delete.GracePeriodSeconds; s != nil && *s < 0 {
				c.add(at+".gracePeriodSeconds", "%s.gracePeriodSeconds is %d; it cannot be negative", at, *s)
			}
		},
		fits: func(f fitting, at string, v *Intervention) { f.object(at, v.Delete.Ref()) },
	}
}
