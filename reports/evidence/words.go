package evidence

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/verdict"
	"simctl.dev/simctl/sim/wellknown"
)

// severity is a word for what a cause means for who waits for the run, and a clause that
// says why. Both come from what is known of the outcome.
func (c *Cause) severity() (word, why string) {
	info := c.Outcome.Info()
	again := ""
	if info.Lasting {
		again = ", and starting it again does not help"
	}
	switch {
	case !c.Fatal:
		return "low", "the runs finish, but lose time"
	case info.Severity == verdict.Waiting && info.Lasting:
		return "high", "the run waits for what never comes until a time-out ends it" + again
	case info.Severity == verdict.Waiting:
		return "medium", "a time-out ends the run before it has done its work"
	}
	return "medium", "the run fails without waiting for a time-out" + again
}

// Consequence is what a cause means for a run, as a sentence.
func (c *Cause) Consequence() string {
	if !c.Fatal {
		return ""
	}
	_, why := c.severity()
	return strings.ToUpper(why[:1]) + why[1:] + "."
}

// short says what to do, in words that an admin types: fields by their own names, never
// JSON. It is "" where there is nothing that a few words could say.
func (d delta) short(moves []Move) string {
	var parts []string
	add := func(what string, all map[string][2]string) {
		for _, k := range slices.Sorted(maps.Keys(all)) {
			if all[k][1] == "" {
				parts = append(parts, fmt.Sprintf("remove %s %s: %s", what, k, all[k][0]))
				continue
			}
			parts = append(parts, fmt.Sprintf("set %s %s: %s", what, k, all[k][1]))
		}
	}
	add("the feature flag", d.flags)
	add(wellknown.ConfigDefaults, d.defaults)
	if d.version != nil {
		parts = append(parts, fmt.Sprintf("go from %s to %s", release(d.version[0]), release(d.version[1])))
	}
	for _, o := range d.objects {
		parts = append(parts, o.orders()...)
	}
	if d.cluster != nil {
		parts = append(parts, "change the cluster's settings")
	}
	return few(parts, "more changes", moves, "change ")
}

// orders says what to do with an object, field by field.
func (o objectDelta) orders() []string {
	name := strings.TrimSuffix(strings.TrimSpace(o.kind+" "+o.name), "-")
	place := "the " + name
	if o.kind == "PipelineRun" || o.kind == "TaskRun" {
		place = "the run"
	}
	switch {
	case o.before == nil:
		return []string{"create " + place}
	case o.after == nil:
		return []string{"delete " + place}
	}
	return fieldOrders(o.before, o.after, o.patch, place)
}

func fieldOrders(before, after, patch map[string]any, place string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(patch)) {
		x, had := before[k]
		y, has := after[k]
		xm, xIsMap := x.(map[string]any)
		ym, yIsMap := y.(map[string]any)
		switch {
		case (xIsMap || !had) && (yIsMap || !has) && len(xm)+len(ym) > 0:
			below, ok := patch[k].(map[string]any)
			if !ok {
				// The field goes whole, so everything below it does.
				below = xm
			}
			out = append(out, fieldOrders(xm, ym, below, place)...)
		case !has:
			out = append(out, fmt.Sprintf("remove %s from %s", fieldWords(k, x), place))
		case !had:
			out = append(out, fmt.Sprintf("add %s to %s", fieldWords(k, y), place))
		case scalar(x) && scalar(y):
			out = append(out, fmt.Sprintf("set %s in %s instead of %s", fieldWords(k, y), place, plain(x)))
		default:
			out = append(out, fmt.Sprintf("change %s in %s", k, place))
		}
	}
	return out
}

// fieldWords is a field as it stands in YAML, or its name where it holds more than a value.
func fieldWords(name string, v any) string {
	if !scalar(v) {
		return name
	}
	return name + ": " + plain(v)
}

func scalar(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

// plain is a value as it is typed.
func plain(v any) string { return strings.TrimSpace(asYAML(v)) }
