package reports

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/verdict"
)

// cause is one causal chain with the cells that have it.
type cause struct {
	number    int
	outcome   verdict.Outcome
	recovered bool
	links     []verdict.Link
	// also are the pods that a link is about in other cells, by the link's place.
	also map[int][]string
	// cells are places in the result.
	cells []int
	// judgement is the worst of its cells: not as expected, nothing expected, as
	// expected.
	judgement verdict.Judgement
}

// causes returns each distinct chain of the cells that deviate or that are no
// success once, numbered from 1: those with a cell that deviates first, then those
// with a cell of which nothing is expected. The map has the number by the cell's place in the result.
func causes(cells []verdict.Cell) ([]*cause, map[int]int) {
	byKey := map[string]*cause{}
	var all []*cause
	for i, c := range cells {
		if c.Outcome == verdict.Success && !Deviates(c) {
			continue
		}
		links := c.Cause
		if c.Outcome == verdict.Error {
			links = []verdict.Link{{What: "simctl could not run the cell", Evidence: c.Error}}
		}
		k := chainKey(c.Outcome, c.Recovered, links)
		if byKey[k] == nil {
			byKey[k] = &cause{outcome: c.Outcome, recovered: c.Recovered, links: links, judgement: verdict.AsExpected}
			all = append(all, byKey[k])
		}
		byKey[k].join(links)
		byKey[k].cells = append(byKey[k].cells, i)
		byKey[k].worsen(c)
	}
	var sorted []*cause
	for _, j := range judgements {
		for _, c := range all {
			if c.judgement == j {
				sorted = append(sorted, c)
			}
		}
	}
	numbers := map[int]int{}
	for i, c := range sorted {
		c.number = i + 1
		for _, cell := range c.cells {
			numbers[cell] = c.number
		}
	}
	return sorted, numbers
}

// judgements are in the order in which readers want them.
var judgements = []verdict.Judgement{verdict.NotAsExpected, verdict.NothingExpected, verdict.AsExpected}

// worsen takes the cell's judgement if it is a worse one.
func (c *cause) worsen(cell verdict.Cell) {
	j := cell.Judgement
	if Deviates(cell) {
		j = verdict.NotAsExpected
	}
	if slices.Index(judgements, j) < slices.Index(judgements, c.judgement) {
		c.judgement = j
	}
}

// join notes the pods that a chain of the same key is about and this one is not.
func (c *cause) join(links []verdict.Link) {
	for i, l := range links {
		mine, its := verdict.Canonical(c.links[i].Object), verdict.Canonical(l.Object)
		if mine == its || !strings.HasPrefix(l.Object, podKind) {
			continue
		}
		if !slices.ContainsFunc(c.also[i], func(o string) bool { return verdict.Canonical(o) == its }) {
			if c.also == nil {
				c.also = map[int][]string{}
			}
			c.also[i] = append(c.also[i], l.Object)
		}
	}
}

// chainKey is equal for chains that say the same of objects whose generated names, or
// whose pods, differ, at whatever time of the day.
func chainKey(o verdict.Outcome, recovered bool, links []verdict.Link) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %t\n", o, recovered)
	for _, l := range links {
		fmt.Fprintf(&b, "%q %q %q\n", cmp.Or(l.Rule, l.What), l.Object, l.Evidence)
	}
	return verdict.Canonical(timeOfDay.ReplaceAllString(withoutPods(b.String()), "*"))
}

// podKind begins the name of an object that is a pod.
const podKind = "Pod "

var (
	// podNamed is a pod in a text: with its namespace, in quotes, or by a name that is no
	// word.
	podNamed = regexp.MustCompile(`\b[Pp]ods?(?:\(s\))? (?:[a-z0-9][-a-z0-9.]*/([a-z0-9][-a-z0-9.]*)|\\*"([a-z0-9][-a-z0-9.]*)\\*"|([a-z0-9.]+-[-a-z0-9.]*[a-z0-9]))`)
	// objectName is what may be a name.
	objectName = regexp.MustCompile(`[a-z0-9]([-a-z0-9.]*[a-z0-9])?`)
	timeOfDay  = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
)

// withoutPods puts the number of its first mention in the place of each pod's name.
func withoutPods(text string) string {
	numbers := map[string]string{}
	for _, m := range podNamed.FindAllStringSubmatch(text, -1) {
		name := cmp.Or(m[1], m[2], m[3])
		if numbers[name] == "" {
			numbers[name] = fmt.Sprintf("pod#%d", len(numbers)+1)
		}
	}
	return objectName.ReplaceAllStringFunc(text, func(name string) string { return cmp.Or(numbers[name], name) })
}

// render shows a chain: who has it, then the links from the symptom to the root.
func (c *cause) render(groups []*group, cells []verdict.Cell, width int, s style) string {
	var b strings.Builder
	name := string(c.outcome)
	if c.recovered {
		name += " (the run still finished)"
	}
	title := fmt.Sprintf("[%d] %s", c.number, name)
	if c.judgement == verdict.NotAsExpected {
		title = s.bad(title)
	} else {
		title = s.head(title)
	}
	fmt.Fprintf(&b, "%s  %s\n", title, s.dim(cellCount(len(c.cells))))

	mine := map[int]bool{}
	for _, i := range c.cells {
		mine[i] = true
	}
	for _, g := range groups {
		// The cells of one scenario by what was expected of them.
		byExpected := map[string][]verdict.Cell{}
		var order []string
		for n, i := range g.index {
			if !mine[i] {
				continue
			}
			cell := g.cells[n]
			e := Expectation(cell)
			if byExpected[e] == nil {
				order = append(order, e)
			}
			byExpected[e] = append(byExpected[e], cell)
		}
		for _, e := range order {
			set := byExpected[e]
			note := e
			if Deviates(set[0]) {
				note = s.bad(note)
			} else {
				note = s.dim(note)
			}
			for i, d := range g.describe(set) {
				line := "    " + g.name + ": " + d
				if i == 0 {
					line += "  " + note
				}
				b.WriteString(s.hang(line, 4) + "\n")
			}
		}
	}
	if since := c.since(cells); since != "" {
		fmt.Fprintf(&b, "    %s\n", s.dim("nothing could happen any more from "+since))
	}
	if len(c.links) == 0 && c.outcome != verdict.Success {
		b.WriteString("    " + s.dim("no cause was recorded") + "\n")
	}
	for i, l := range c.links {
		lead := "    "
		if i > 0 {
			lead = "  ← "
		}
		what := l.What
		if l.Object != "" && !strings.Contains(what, l.Object) {
			what += " (" + l.Object + ")"
		}
		for n, line := range wrap(what, width-4) {
			if n > 0 {
				lead = "    "
			}
			b.WriteString(lead + line + "\n")
		}
		also := ""
		if others := c.also[i]; len(others) > 0 {
			also = "in other cells " + strings.Join(others[:min(len(others), alsoNamed)], ", ")
			if n := len(others) - alsoNamed; n > 0 {
				also += fmt.Sprintf(" and %d more", n)
			}
		}
		for _, text := range []string{l.Evidence, l.Stays(), also} {
			if text == "" {
				continue
			}
			for _, line := range wrap(text, width-8) {
				b.WriteString("      " + s.dim("│ "+line) + "\n")
			}
		}
	}
	return b.String()
}

// alsoNamed is how many pods of other cells are named.
const alsoNamed = 3

// since shows when the cells of a cause stopped for good.
func (c *cause) since(cells []verdict.Cell) string {
	var mine []verdict.Cell
	for _, i := range c.cells {
		mine = append(mine, cells[i])
	}
	t := span(mine, func(c verdict.Cell) *float64 { return c.BlockedSinceSeconds })
	if t == markNone {
		return ""
	}
	return t
}

// Expectation says in words what was expected of a cell.
func Expectation(c verdict.Cell) string {
	switch {
	case c.Outcome == verdict.Error:
		return "not run"
	case c.Judgement != verdict.NotAsExpected:
		return c.Judgement.String()
	}
	return "expected " + strings.ReplaceAll(c.Expected, "|", " or ")
}
