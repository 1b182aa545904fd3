package evidence

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"

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
	return sentence(why) + "."
}

// did says what became of the runs of a cause that did not do their work.
func (c *Cause) did() string {
	switch info := c.Outcome.Info(); {
	case info.Severity == verdict.Waiting && info.Lasting:
		return "stopped for good"
	case info.Severity == verdict.Waiting:
		return "ran into a time-out"
	}
	return "failed"
}

// sentence begins with a capital letter.
func sentence(s string) string {
	r := []rune(s)
	if len(r) > 0 {
		r[0] = unicode.ToUpper(r[0])
	}
	return string(r)
}

// String names a move by its axis and the values' names.
func (m Move) String() string { return fmt.Sprintf("%s=%s instead of %s", m.Axis, m.To, m.From) }

// words says what to do, as an admin would: fields by their own names with what is typed
// there, never JSON. Where the cells do not say what a move consists of, it is the axes'
// names and values.
func (d delta) words(moves []Move) string {
	var parts []string
	add := func(part string) {
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	keys := func(what string, all map[string][2]string) {
		for _, k := range slices.Sorted(maps.Keys(all)) {
			switch before, after := all[k][0], all[k][1]; {
			case after == "":
				add(fmt.Sprintf("remove %s %s: %s", what, k, before))
			case before == "":
				add(fmt.Sprintf("set %s %s: %s", what, k, after))
			default:
				add(fmt.Sprintf("set %s %s: %s instead of %s", what, k, after, before))
			}
		}
	}
	keys("the feature flag", d.flags)
	keys("the default of "+wellknown.ConfigDefaults, d.defaults)
	if d.version != nil {
		add(fmt.Sprintf("go from %s to %s", release(d.version[0]), release(d.version[1])))
	}
	for _, o := range d.objects {
		for _, part := range o.orders() {
			add(part)
		}
	}
	for _, part := range []struct {
		of    pairOf
		place string
	}{{d.cluster, "the cluster"}, {d.machines, "the scenario"}, {d.events, "the scenario"}} {
		for _, order := range fieldOrders(part.of.before, part.of.after, part.place) {
			add(order)
		}
	}
	if len(parts) == 0 {
		for _, m := range moves {
			parts = append(parts, m.String())
		}
		return strings.Join(parts, ", ")
	}
	return few(parts)
}

// few joins the first of the parts of a change, and says how many there are more.
func few(parts []string) string {
	const most = 3
	if len(parts) > most {
		parts = append(parts[:most:most], count(len(parts)-most, "more change", "more changes"))
	}
	return strings.Join(parts, ", ")
}

// orders says what to do with an object, field by field.
func (o objectDelta) orders() []string {
	place := "the run"
	if o.kind != "PipelineRun" && o.kind != "TaskRun" {
		place = "the " + strings.TrimSuffix(strings.TrimSpace(o.kind+" "+o.name), "-")
	}
	switch {
	case o.before == nil:
		return []string{"create " + place}
	case o.after == nil:
		return []string{"delete " + place}
	}
	return fieldOrders(o.before, o.after, place)
}

// fieldOrders says what makes one map of the other. Maps within are gone into, so that what
// is named is the field that somebody types.
func fieldOrders(before, after map[string]any, place string) []string {
	var out []string
	for _, k := range keys(before, after) {
		x, y := before[k], after[k]
		had, has := x != nil, y != nil
		if reflect.DeepEqual(x, y) {
			continue
		}
		xm, xIsMap := x.(map[string]any)
		ym, yIsMap := y.(map[string]any)
		xl, xIsList := x.([]any)
		yl, yIsList := y.([]any)
		switch {
		case (xIsMap || !had) && (yIsMap || !has) && (had && has || alone(xm) || alone(ym)):
			out = append(out, fieldOrders(xm, ym, place)...)
		case (xIsList || !had) && (yIsList || !has) && !typed(x) && !typed(y):
			out = append(out, listOrders(xl, yl, singular(k), place)...)
		case !has:
			out = append(out, fmt.Sprintf("remove %s from %s", fieldWords(k, x), place))
		case !had:
			out = append(out, fmt.Sprintf("add %s to %s", fieldWords(k, y), place))
		case typed(x) && typed(y):
			out = append(out, fmt.Sprintf("set %s in %s instead of %s", fieldWords(k, y), place, plain(x)))
		case typed(y):
			out = append(out, fmt.Sprintf("set %s in %s", fieldWords(k, y), place))
		default:
			out = append(out, fmt.Sprintf("change %s in %s", k, place))
		}
	}
	return out
}

// alone says that a map leads to one field and no other, however deep.
func alone(m map[string]any) bool {
	for _, v := range m {
		below, isMap := v.(map[string]any)
		return len(m) == 1 && (!isMap || alone(below))
	}
	return false
}

// listOrders is fieldOrders of lists, whose elements are known by their names.
func listOrders(before, after []any, noun, place string) []string {
	var out []string
	find := func(list []any, e any) any {
		for _, other := range list {
			if nameOfElement(e) != "" && nameOfElement(e) == nameOfElement(other) || reflect.DeepEqual(e, other) {
				return other
			}
		}
		return nil
	}
	for _, x := range before {
		y := find(after, x)
		xm, xIsMap := x.(map[string]any)
		ym, yIsMap := y.(map[string]any)
		switch {
		case y == nil:
			out = append(out, fmt.Sprintf("remove the %s from %s", element(noun, x), place))
		case xIsMap && yIsMap && !reflect.DeepEqual(x, y):
			out = append(out, fieldOrders(xm, ym, fmt.Sprintf("the %s %s of %s", noun, nameOfElement(x), place))...)
		}
	}
	for _, y := range after {
		if find(before, y) == nil {
			out = append(out, fmt.Sprintf("add the %s to %s", element(noun, y), place))
		}
	}
	if len(out) == 0 && !reflect.DeepEqual(before, after) {
		out = append(out, fmt.Sprintf("change the order of each %s in %s", noun, place))
	}
	return out
}

// nameOfElement is what a list's element goes by, "" where it has no name.
func nameOfElement(e any) string {
	m, _ := e.(map[string]any)
	name, _ := m["name"].(string)
	return name
}

// element says what an element of a list is: its name, else what is in it.
func element(noun string, e any) string {
	if name := nameOfElement(e); name != "" {
		return noun + " " + name
	}
	if m, _ := e.(map[string]any); noun == "taint" && m["key"] != nil {
		return noun + " " + taintText(m)
	}
	if what := inside(e); what != "" {
		return noun + " with " + what
	}
	return noun
}

// taintText is a taint as kubectl takes it: key=value:effect.
func taintText(taint map[string]any) string {
	key := fmt.Sprint(taint["key"])
	if value, _ := taint["value"].(string); value != "" {
		key += "=" + value
	}
	return fmt.Sprintf("%s:%v", key, taint["effect"])
}

// inside is a value in words: "key nvidia.com/gpu, operator Exists".
func inside(v any) string {
	const longest = 120
	var of func(v any) string
	of = func(v any) string {
		var parts []string
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				x := of(v[k])
				if x == "" {
					continue
				}
				if _, isMap := v[k].(map[string]any); isMap {
					x = "(" + x + ")"
				}
				parts = append(parts, k+" "+x)
			}
			return strings.Join(parts, ", ")
		case []any:
			for _, e := range v {
				parts = append(parts, of(e))
			}
			return strings.Join(parts, " and ")
		}
		if !typed(v) {
			return ""
		}
		return plain(v)
	}
	s := of(v)
	if r := []rune(s); len(r) > longest {
		s = strings.TrimRight(string(r[:longest]), " ,(") + "..."
	}
	return s
}

// singular is the word for an element of a list: of nodePools "node pool".
func singular(list string) string {
	var b strings.Builder
	for i, r := range list {
		if unicode.IsUpper(r) && i > 0 && !unicode.IsUpper(rune(list[i-1])) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	s := b.String()
	switch {
	case strings.HasSuffix(s, "ies"):
		return strings.TrimSuffix(s, "ies") + "y"
	case strings.HasSuffix(s, "sses"):
		return strings.TrimSuffix(s, "es")
	}
	return strings.TrimSuffix(s, "s")
}

// fieldWords is a field as it stands in YAML, or its name where it holds more than fits a
// line.
func fieldWords(name string, v any) string {
	if !typed(v) {
		return name
	}
	return name + ": " + plain(v)
}

// typed says that a value is typed on one line: a short scalar, or a list of them.
func typed(v any) bool {
	const longest = 80
	switch v := v.(type) {
	case map[string]any:
		return false
	case []any:
		for _, e := range v {
			if _, isList := e.([]any); isList || !typed(e) {
				return false
			}
		}
		return len(v) > 0 && len(plain(v)) <= longest
	case nil:
		return false
	}
	s := plain(v)
	return len(s) <= longest && !strings.Contains(s, "\n")
}

// plain is a value as it is typed.
func plain(v any) string {
	list, ok := v.([]any)
	if !ok {
		return strings.TrimSpace(asYAML(v))
	}
	var parts []string
	for _, e := range list {
		parts = append(parts, plain(e))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
