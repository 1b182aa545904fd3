// Package manyruns makes a history of many runs on many nodes out of recorded histories
// of one run each, to see how the readers of histories bear long ones.
package manyruns

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"simctl.dev/simctl/sim/history"
)

// perOther is how many runs there are for each one of each other sort.
const perOther = 100

// ofRun are the kinds of which every run has objects of its own.
var ofRun = map[string]bool{
	"PipelineRun": true, "TaskRun": true, "Pod": true, "StatefulSet": true, "ControllerRevision": true, "Event": true,
	"PersistentVolumeClaim": true, "PersistentVolume": true, "VolumeAttachment": true,
}

// ofNode are the kinds of which every node has one, under its name.
var ofNode = map[string]bool{"Node": true, "CSINode": true}

// History returns a history of so many runs, one of which begins every second, on no
// fewer nodes than these. Most are like the one in works; one of a hundred, and at least
// one, is like each of the others. What happens to those after a stall happens when all
// have done what they can. All are in one namespace; each has claims of its own.
func History(runs, nodes int, works []history.Entry, others ...[]history.Entry) ([]history.Entry, error) {
	m := maker{fleets: 1, nodes: nodesOf(works)}
	if n := len(m.nodes); n > 0 {
		m.fleets = (nodes + n - 1) / n
	}
	for _, e := range works {
		if e.Kind == history.KindObject && !ofRun[e.Object.Kind] && e.T == 0 {
			m.setUp(e)
		}
	}
	length := works[len(works)-1].T
	for _, o := range others {
		length = max(length, o[len(o)-1].T)
	}
	over := float64(runs) + length
	for i := range runs {
		of := works
		if k := i % min(perOther, runs); k < len(others) {
			of = others[k]
		}
		if err := m.run(i, of, over); err != nil {
			return nil, err
		}
	}
	m.entries = append(m.entries, history.NewFact("simctl", history.Ref{Kind: "Cell", Name: "many"}, history.FactStalled, history.Stalled{Waiting: []history.Deadline{}}))
	m.entries[len(m.entries)-1].T = over
	m.entries = append(m.entries, history.NewFact("simctl", history.Ref{Kind: "Cell", Name: "many"}, history.FactFinished, history.Finished{Done: true, Reason: "done"}))
	m.entries[len(m.entries)-1].T = over + length
	slices.SortStableFunc(m.entries, func(a, b history.Entry) int {
		switch {
		case a.T < b.T:
			return -1
		case a.T > b.T:
			return 1
		}
		return 0
	})
	for i := range m.entries {
		m.entries[i].Seq = i + 1
	}
	return m.entries, nil
}

// maker puts a history together.
type maker struct {
	entries []history.Entry
	// nodes are those of the recorded history; fleets is how often there are as many.
	nodes  []string
	fleets int
}

func nodesOf(entries []history.Entry) []string {
	var out []string
	for _, e := range entries {
		if e.Kind == history.KindObject && e.Verb == history.VerbCreate && e.Object.Kind == "Node" {
			out = append(out, e.Object.Name)
		}
	}
	return out
}

// setUp takes over what is there before the runs, of a node's kinds once for each fleet.
func (m *maker) setUp(e history.Entry) {
	times := 1
	if ofNode[e.Object.Kind] {
		times = m.fleets
	}
	for fleet := range times {
		m.entries = append(m.entries, renamed(e, strings.NewReplacer(m.nodeNames(fleet)...)))
	}
}

// nodeNames are pairs of a node's recorded name and that of its like in a fleet.
func (m *maker) nodeNames(fleet int) []string {
	var out []string
	for _, n := range m.nodes {
		out = append(out, n, inFleet(n, fleet))
	}
	return out
}

func inFleet(node string, fleet int) string {
	if fleet == 0 {
		return node
	}
	return fmt.Sprintf("%s-%04d", node, fleet)
}

// run adds a run. What comes after a stall comes after all the others' work.
func (m *maker) run(i int, of []history.Entry, over float64) error {
	names := strings.NewReplacer(append(m.nodeNames(i%m.fleets), ownNames(i, of)...)...)
	at, stalled := float64(i), false
	for _, e := range of {
		switch {
		case e.Fact == history.FactStalled:
			at, stalled = over, true
			continue
		case e.Object.Kind == "Cell" || !ofRun[e.Object.Kind]:
			continue
		}
		out := renamed(e, names)
		if e.Fact == history.FactUnschedulable {
			if err := m.everywhere(&out, i%m.fleets); err != nil {
				return err
			}
		}
		out.T += at
		if stalled {
			out.T = max(out.T, over)
		}
		m.entries = append(m.entries, out)
	}
	return nil
}

// everywhere has the nodes of all fleets refuse a pod as those of its own do.
func (m *maker) everywhere(e *history.Entry, own int) error {
	var u history.Unschedulable
	if err := e.Decode(&u); err != nil {
		return err
	}
	said := u.Nodes
	for fleet := range m.fleets {
		for _, n := range said {
			if fleet != own && n.Node != "" {
				n.Node = inFleet(strings.TrimSuffix(n.Node, fmt.Sprintf("-%04d", own)), fleet)
				u.Nodes = append(u.Nodes, n)
			}
		}
	}
	var err error
	e.Data, err = json.Marshal(u)
	return err
}

// ownNames are pairs of the names and UIDs in a recorded history that are a run's own
// and those of its likes in run i.
func ownNames(i int, entries []history.Entry) []string {
	var names, uids []string
	for _, e := range entries {
		if !ofRun[e.Object.Kind] || e.Kind != history.KindObject || e.Verb != history.VerbCreate {
			continue
		}
		var o struct {
			Metadata struct {
				UID string `json:"uid"`
			} `json:"metadata"`
		}
		if json.Unmarshal(e.Body, &o) == nil && o.Metadata.UID != "" {
			uids = append(uids, o.Metadata.UID)
		}
		names = append(names, e.Object.Name)
	}
	slices.Sort(names)
	var out []string
	for _, n := range slices.Compact(names) {
		// A name that begins with another one follows it.
		if !slices.ContainsFunc(names, func(o string) bool { return o != n && strings.HasPrefix(n, o) }) {
			out = append(out, n, fmt.Sprintf("%s-%04d", n, i))
		}
	}
	for _, uid := range uids {
		out = append(out, uid, fmt.Sprintf("%08d%s", i, strings.TrimPrefix(uid, uid[:min(8, len(uid))])))
	}
	return out
}

// renamed returns an entry with other names, wherever they stand in it.
func renamed(e history.Entry, names *strings.Replacer) history.Entry {
	replace := func(raw json.RawMessage) json.RawMessage {
		if raw == nil {
			return nil
		}
		return json.RawMessage(names.Replace(string(raw)))
	}
	e.Actor, e.Object.Name, e.Message = names.Replace(e.Actor), names.Replace(e.Object.Name), names.Replace(e.Message)
	e.Body, e.Patch, e.Data = replace(e.Body), replace(e.Patch), replace(e.Data)
	return e
}
