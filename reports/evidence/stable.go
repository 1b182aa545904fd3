package evidence

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/scenario"
	"simctl.dev/simctl/sim/wellknown"
)

// stable returns the input with numbers in place of what controllers and the API
// server make up anew in every run: the ends of generated names, uids, hashes. Two
// runs of the same scenarios then give the same report.
func stable(in Input) (Input, error) {
	if in.History == nil {
		return in, nil
	}
	original := in.History
	histories := map[string][]history.Entry{}
	cells := slices.Clone(in.Result.Cells)
	for i, c := range cells {
		id := scenario.IDOf(c)
		entries, err := original(id)
		if err != nil {
			return in, fmt.Errorf("reading the history of cell %s: %w", id, err)
		}
		names := generated(entries)
		if cells[i], err = renamed(c, names); err != nil {
			return in, fmt.Errorf("renaming in cell %s: %w", id, err)
		}
		if histories[id], err = renamed(entries, names); err != nil {
			return in, fmt.Errorf("renaming in cell %s: %w", id, err)
		}
	}
	in.Result.Cells = cells
	in.History = func(id string) ([]history.Entry, error) { return histories[id], nil }
	return in, nil
}

// renamed returns a value with other names, wherever they stand in it.
func renamed[V any](v V, names *strings.Replacer) (V, error) {
	var out V
	raw, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal([]byte(names.Replace(string(raw))), &out)
	}
	return out, err
}

// generated finds the names that were made up in a cell.
func generated(entries []history.Entry) *strings.Replacer {
	names := map[string]string{}
	counts := map[string]int{}
	number := func(prefix string) int {
		counts[prefix]++
		return counts[prefix]
	}
	const uidForm = "00000000-0000-4000-8000-%012d"
	for _, e := range entries {
		if e.Kind == history.KindObject && e.Object.Kind == "StatefulSet" && names[e.Object.Name] != "" {
			var o struct {
				Status struct {
					UpdateRevision string `json:"updateRevision"`
				} `json:"status"`
			}
			raw := e.Body
			if len(e.Patch) > 0 {
				raw = e.Patch
			}
			if r := &o.Status.UpdateRevision; json.Unmarshal(raw, &o) == nil && *r != "" && names[*r] == "" {
				names[*r] = fmt.Sprintf("%s-%010d", names[e.Object.Name], number(e.Object.Name))
			}
		}
		if e.Kind != history.KindObject || e.Verb != history.VerbCreate {
			continue
		}
		var o struct {
			Metadata struct {
				UID          string `json:"uid"`
				GenerateName string `json:"generateName"`
			} `json:"metadata"`
		}
		if json.Unmarshal(e.Body, &o) != nil {
			continue
		}
		name := e.Object.Name
		switch prefix := o.Metadata.GenerateName; {
		case names[name] != "":
		case e.Object.Kind == "PipelineRun" && prefix != "":
			names[name] = fmt.Sprintf("%s%05d", prefix, number(prefix))
		case e.Object.Kind == "StatefulSet" && strings.HasPrefix(name, wellknown.AffinityAssistant+"-"):
			names[name] = fmt.Sprintf("%s-%010d", wellknown.AffinityAssistant, number(wellknown.AffinityAssistant))
		case e.Object.Kind == "VolumeAttachment":
			names[name] = fmt.Sprintf("csi-%08d", number("csi"))
		}
		if uid := o.Metadata.UID; uid != "" && names[uid] == "" {
			// Volumes are named for their claims' uids. Others are seldom shown, and
			// objects made side by side have no order to be numbered by.
			n := 0
			if e.Object.Kind == "PersistentVolumeClaim" {
				n = number("PersistentVolumeClaim")
			}
			names[uid] = fmt.Sprintf(uidForm, n)
		}
	}
	// Of two names that begin alike the longer one is meant.
	olds := make([]string, 0, len(names))
	for old := range names {
		olds = append(olds, old)
	}
	slices.SortFunc(olds, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	var pairs []string
	for _, old := range olds {
		pairs = append(pairs, old, names[old])
	}
	return strings.NewReplacer(pairs...)
}
