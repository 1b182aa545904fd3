package recording

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Known is what is known of how a simulated cluster differs from a recorded one.
type Known struct {
	// NotPlayed are the recorded cases that cannot be played.
	NotPlayed []NotPlayed `yaml:"notPlayed"`
	// Differences are those of the cases that are.
	Differences []KnownDifference `yaml:"differences"`
}

// NotPlayed is a case that is not played.
type NotPlayed struct {
	Case   string `yaml:"case"`
	Reason string `yaml:"reason"`
}

// KnownDifference stands for differences of a kind whose texts have a form.
type KnownDifference struct {
	Kind string `yaml:"kind"`
	// Pattern is a difference's text; "*" is any text.
	Pattern string `yaml:"pattern"`
	// Cases are those in which it is seen: in each of them.
	Cases  []string `yaml:"cases,flow"`
	Reason string   `yaml:"reason"`
}

// AllCases stands for every case that is played.
const AllCases = "all"

// ToDo is the reason of an entry that nobody has given one.
const ToDo = "TODO"

// ReadKnown reads the list; fields that it does not know are an error.
func ReadKnown(raw []byte) (*Known, error) {
	k := &Known{}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(k); err != nil {
		return nil, fmt.Errorf("reading the known differences: %w", err)
	}
	return k, nil
}

// Check returns what the list says and what is so but does not say the same: of
// found, by case, what is not in the list, and of the list what is not found or
// has no reason. What becomes of a run cannot be on the list, and an entry names the
// kind of object that it is about.
func (k *Known) Check(found map[string][]Difference) []string {
	var out []string
	for _, name := range sortedCases(found) {
		for _, d := range found[name] {
			if d.outcome() {
				out = append(out, fmt.Sprintf("%s: another outcome, which nothing excuses: %s: %s", name, d.Kind, d.Text))
				continue
			}
			if !slices.ContainsFunc(k.Differences, func(e KnownDifference) bool { return e.in(name) && e.matches(d) }) {
				out = append(out, fmt.Sprintf("%s: not known: %s: %s", name, d.Kind, d.Text))
			}
		}
	}
	for _, e := range k.Differences {
		at := fmt.Sprintf("%s: %s", e.Kind, e.Pattern)
		if e.Reason == "" || e.Reason == ToDo {
			out = append(out, at+": has no reason")
		}
		about, _, _ := strings.Cut(e.Pattern, " ")
		if !slices.Contains(kinds, about) {
			out = append(out, at+": does not name the kind of object that it is about")
		}
		if (Difference{e.Kind, e.Pattern}).outcome() {
			out = append(out, at+": an outcome cannot be excused")
		}
		for _, name := range e.absent(found) {
			out = append(out, fmt.Sprintf("%s: does not occur in %s any more: take it off the list", at, name))
		}
	}
	return out
}

// Of returns the list of some cases only.
func (k *Known) Of(names []string) *Known {
	out := &Known{NotPlayed: slices.DeleteFunc(slices.Clone(k.NotPlayed), func(n NotPlayed) bool { return !slices.Contains(names, n.Case) })}
	for _, e := range k.Differences {
		if !slices.Contains(e.Cases, AllCases) {
			e.Cases = slices.DeleteFunc(slices.Clone(e.Cases), func(c string) bool { return !slices.Contains(names, c) })
		}
		if len(e.Cases) > 0 {
			out.Differences = append(out.Differences, e)
		}
	}
	return out
}

// Update returns the list as it must be for what was found: what does not occur any
// more is taken off, and what is not in it is added with the reason [ToDo].
func (k *Known) Update(found map[string][]Difference) *Known {
	out := &Known{NotPlayed: k.NotPlayed}
	for _, e := range k.Differences {
		absent := e.absent(found)
		cases := slices.DeleteFunc(e.cases(found), func(c string) bool { return slices.Contains(absent, c) })
		if len(cases) > 0 {
			e.Cases = cases
			out.Differences = append(out.Differences, e)
		}
	}
	added := map[Difference][]string{}
	for _, name := range sortedCases(found) {
		for _, d := range found[name] {
			covers := func(e KnownDifference) bool { return slices.Contains(e.Cases, name) && e.matches(d) }
			if d.outcome() || slices.ContainsFunc(out.Differences, covers) {
				continue
			}
			d.Text = general(d)
			if i := slices.IndexFunc(out.Differences, func(e KnownDifference) bool { return e.matches(d) }); i >= 0 {
				out.Differences[i].Cases = append(out.Differences[i].Cases, name)
				continue
			}
			if !slices.Contains(added[d], name) {
				added[d] = append(added[d], name)
			}
		}
	}
	for d, cases := range added {
		out.Differences = append(out.Differences, KnownDifference{Kind: d.Kind, Pattern: d.Text, Cases: cases, Reason: ToDo})
	}
	for i := range out.Differences {
		e := &out.Differences[i]
		slices.Sort(e.Cases)
		if e.Cases = slices.Compact(e.Cases); len(e.Cases) == len(found) {
			e.Cases = []string{AllCases}
		}
	}
	slices.SortStableFunc(out.Differences, func(a, b KnownDifference) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Reason, b.Reason), strings.Compare(a.Pattern, b.Pattern))
	})
	return out
}

// YAML writes the list.
func (k *Known) YAML() ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(k); err != nil {
		return nil, fmt.Errorf("writing the known differences: %w", err)
	}
	return b.Bytes(), nil
}

func sortedCases(found map[string][]Difference) []string {
	return unionOf(found, nil)
}

// general returns the text of a difference without the names of objects, steps and
// containers, so that one entry stands for those of all cases.
func general(d Difference) string {
	s := d.Text
	for _, kind := range kinds {
		s = regexp.MustCompile(kind+`( |/)[a-z0-9][-a-z0-9#]*`).ReplaceAllString(s, kind+"$1*")
	}
	s = regexp.MustCompile(`\[(step|sidecar|place|prepare)[^\]]*\]`).ReplaceAllString(s, "[*]")
	return s
}

func (e KnownDifference) in(name string) bool {
	return slices.Contains(e.Cases, name) || slices.Contains(e.Cases, AllCases)
}

func (e KnownDifference) cases(found map[string][]Difference) []string {
	if slices.Contains(e.Cases, AllCases) {
		return sortedCases(found)
	}
	return slices.Clone(e.Cases)
}

// absent returns the cases of an entry in which it does not occur.
func (e KnownDifference) absent(found map[string][]Difference) []string {
	return slices.DeleteFunc(e.cases(found), func(name string) bool { return slices.ContainsFunc(found[name], e.matches) })
}

// outcome says whether a difference is one of what becomes of a run: which there are,
// what their conditions say one after the other, and how far they come.
func (d Difference) outcome() bool {
	about, rest, _ := strings.Cut(d.Text, " ")
	if about != "PipelineRun" && about != "TaskRun" {
		return false
	}
	_, rest, _ = strings.Cut(rest, ": ")
	return d.Kind == DifferentCondition || d.Kind == DifferentMilestone ||
		d.Kind == DifferentField && (rest == onlyReal || rest == onlySimulated)
}

func (e KnownDifference) matches(d Difference) bool {
	return e.Kind == d.Kind && glob(e.Pattern, d.Text)
}

// glob says whether a text has a form in which "*" is any text.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(text, p)
		if i < 0 {
			return false
		}
		text = text[i+len(p):]
	}
	return strings.HasSuffix(text, parts[len(parts)-1])
}
