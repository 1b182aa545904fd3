package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/verdict"
)

// Fold says whether a matrix shows only the axes that matter.
type Fold string

// The ways to fold.
const (
	FoldLarge  Fold = "large" // a matrix of more than [FoldAbove] cells
	FoldAlways Fold = "always"
	FoldNever  Fold = "never"
)

// FoldAbove is the number of cells of a scenario that are more than anybody reads.
const FoldAbove = 216

// Folds are all ways to fold, the default first.
var Folds = []Fold{FoldLarge, FoldAlways, FoldNever}

// ParseFold returns the way of that name, or an error that lists them.
func ParseFold(name string) (Fold, error) {
	return parse("way to fold", name, Folds)
}

// influence says which axes decide what becomes of a scenario's cells, as far as that is
// seen.
type influence struct {
	// matter are the axes in which alone two cells differ that fared differently.
	matter []string
	// doubtful are those that have to be told as well: without them cells that fared
	// differently would be called alike, and yet no two of these differ in one axis alone.
	doubtful []string
	// idle are those that made no difference where two cells differ in nothing else.
	idle []string
	// unseen are the others: no two cells differ in such an axis alone.
	unseen []string
}

// told are the axes that a folded matrix has, in the order of all.
func (f influence) told(all []string) []string {
	return without(all, append(slices.Clone(f.idle), f.unseen...))
}

// fate is equal for combinations whose cells fared alike: by outcome, root cause and
// whether that was expected. It is empty if simctl could not run one of them.
func fate(c combo) string {
	var of []string
	for _, cell := range c.cells {
		if cell.Outcome == verdict.Error {
			return ""
		}
		root := cell.Root()
		f := fmt.Sprintf("%s %t %t %s", cell.Outcome, cell.Recovered, Deviates(cell), cmp.Or(root.Rule, verdict.Canonical(root.What)))
		if !slices.Contains(of, f) {
			of = append(of, f)
		}
	}
	slices.Sort(of)
	return strings.Join(of, "\n")
}

// influences finds out which axes matter.
func influences(axes []string, combos []combo) influence {
	var f influence
	fates := make([]string, len(combos))
	for i, c := range combos {
		fates[i] = fate(c)
	}
	// alike counts the combinations that fared otherwise than the first one with their
	// values of some axes, and says whether any two have the same ones.
	alike := func(axes []string) (differ int, met bool) {
		first := map[string]string{}
		for i, c := range combos {
			if fates[i] == "" {
				continue
			}
			k := key(c.values, axes)
			was, has := first[k]
			switch {
			case !has:
				first[k] = fates[i]
			case was != fates[i]:
				differ++
				met = true
			default:
				met = true
			}
		}
		return differ, met
	}
	var rest []string
	compared := map[string]bool{}
	for _, a := range axes {
		differ, met := alike(without(axes, []string{a}))
		compared[a] = met
		if differ > 0 {
			f.matter = append(f.matter, a)
		} else {
			rest = append(rest, a)
		}
	}
	// With cells missing, that axes matter none for themselves does not say that all of
	// them together do not.
	for {
		left, _ := alike(append(slices.Clone(f.matter), f.doubtful...))
		if left == 0 || len(rest) == 0 {
			break
		}
		best, least := 0, -1
		for i, a := range rest {
			n, _ := alike(append(append(slices.Clone(f.matter), f.doubtful...), a))
			// Of two that explain as much, the one is doubtful of which nothing is seen.
			if least < 0 || n < least || n == least && compared[rest[best]] && !compared[a] {
				best, least = i, n
			}
		}
		f.doubtful = append(f.doubtful, rest[best])
		rest = slices.Delete(rest, best, best+1)
	}
	for _, a := range rest {
		if compared[a] {
			f.idle = append(f.idle, a)
		} else {
			f.unseen = append(f.unseen, a)
		}
	}
	return f
}

// sentence says what matters; among is empty for all cells of the scenario.
func (f influence) sentence(among string) string {
	verb := func(axes []string, one, more string) string {
		if len(axes) == 1 {
			return axes[0] + " " + one
		}
		return sentenceList(axes) + " " + more
	}
	var parts []string
	if len(f.matter) > 0 {
		text := verb(f.matter, "matters", "matter")
		if len(f.idle)+len(f.unseen)+len(f.doubtful) > 0 {
			text = "only " + text
		}
		if len(f.doubtful) > 0 {
			text = verb(f.matter, "matters", "matter")
		}
		parts = append(parts, text)
	}
	if len(f.doubtful) > 0 {
		parts = append(parts, verb(f.doubtful, "may matter", "may matter")+" (cells that fare differently differ in more than one axis)")
	}
	if len(f.idle) > 0 {
		parts = append(parts, verb(f.idle, "makes no difference", "make no difference"))
	}
	if len(f.unseen) > 0 {
		parts = append(parts, "of "+sentenceList(f.unseen)+" nothing is known (no two cells differ in it alone)")
	}
	text := strings.Join(parts, "; ")
	if len(f.matter) > 1 && len(parts) == 1 {
		text = "every axis matters"
	}
	if text == "" {
		return ""
	}
	if among != "" {
		return fmt.Sprintf("%s, %s.", among, text)
	}
	// The name of an axis is written as it is.
	for _, word := range []string{"only ", "of ", "every "} {
		if strings.HasPrefix(text, word) {
			text = strings.ToUpper(text[:1]) + text[1:]
		}
	}
	return text + "."
}

// sentenceList joins words: "a, b and c".
func sentenceList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// foldable says whether a scenario's matrix is to be folded.
func (g *group) foldable(how Fold) bool {
	return len(g.axes) > 1 && (how == FoldAlways || how != FoldNever && len(g.cells) > FoldAbove)
}

// fold returns the group with the axes that a folded matrix has.
func (g *group) fold(f influence) *group {
	out := *g
	out.axes, out.combos = f.told(g.axes), nil
	at := map[string]int{}
	release := map[string]string{}
	for _, c := range g.combos {
		k := key(c.values, out.axes)
		n, met := at[k]
		if !met {
			n = len(out.combos)
			at[k], release[k] = n, c.values[tektonKey]
			out.combos = append(out.combos, combo{values: c.values})
		}
		// The release follows from an axis that is folded.
		out.tektonFollows = out.tektonFollows && release[k] == c.values[tektonKey]
		out.combos[n].cells = append(out.combos[n].cells, c.cells...)
		out.combos[n].index = append(out.combos[n].index, c.index...)
	}
	return &out
}

// Matrix shows the matrix of each scenario as the table format does, without the numbers of
// causes.
func Matrix(cells []verdict.Cell, o Options) string {
	look, o := o.look()
	return matrices(layout(cells), verdict.RunResult{Cells: cells}, o, nil, look)
}

// matrices shows the matrix of each scenario, folded if it is to be.
func matrices(groups []*group, r verdict.RunResult, o Options, numbers map[int]int, s style) string {
	var b strings.Builder
	for _, g := range groups {
		shown, note := g, ""
		if g.foldable(o.Fold) {
			f := influences(g.axes, g.combos)
			among := ""
			switch {
			case o.Selected:
				among = "In the " + cellCount(len(g.cells)) + " shown"
			case r.Interrupted:
				among = "In the " + cellCount(len(g.cells)) + " that have a result"
			}
			shown, note = g.fold(f), f.sentence(among)
			if n := len(g.combos); len(shown.combos) < n {
				note += fmt.Sprintf(" Of %d rows these are left: --fold=never shows each.", n)
			}
		}
		fmt.Fprintf(&b, "%s\n", s.hang(g.title(s), 0))
		if note != "" {
			fmt.Fprintf(&b, "%s\n", indent(strings.Join(wrap(note, o.Width-2), "\n"), 2))
		}
		fmt.Fprintf(&b, "%s\n\n", indent(shown.matrix(o.Width-2, numbers, s), 2))
	}
	return b.String()
}
