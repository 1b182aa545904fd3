package cli

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"simctl.dev/simctl/sim/runstore"
	"simctl.dev/simctl/sim/scenario"
)

// inputs are the cells of scenario files.
type inputs struct {
	files []*scenario.File
	cells []scenario.Cell
	ids   []string
}

// expansionFlags are those that decide which cells there are.
func expansionFlags(cmd *cobra.Command) {
	cellFlags(cmd)
	cmd.Flags().StringSlice("tekton", nil, "run on these Tekton `versions` instead of the scenarios' own (v1,v2)")
	completeFlag(cmd, "tekton", completeReleases)
}

// cellFlags are expansionFlags without the releases.
func cellFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArray("set", nil, "keep only these values of an axis: `axis=value[,value]` (repeatable)")
	f.Int64("seed", 0, "seed of every draw (default each scenario's own)")
	f.Int("repeats", 0, "runs of each cell with different draws (default each scenario's own)")
	completeFlag(cmd, "set", completeSet)
}

// engineFlags say where and how cells are run.
func engineFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.String("out", "", "`folder` of this run (default .simctl/runs/ID)")
	f.Int("parallel", 0, "control planes side by side (default by cores and memory)")
	f.Bool("check-histories", false, "hold each cell's history to what holds of every history, such as that a pod is bound once; a cell whose history says what cannot have been is an error")
	cacheFlag(f)
}

// cacheFlag says where builds are kept.
func cacheFlag(f *pflag.FlagSet) {
	f.String("cache-dir", "", "folder of the builds of Tekton (default under the user cache directory)")
}

// expansion reads the settings of expansionFlags; what is not set is as in base.
func (c *config) expansion(base runstore.Options) (runstore.Options, error) {
	o := base
	if c.isSet("set") {
		o.Set = c.list("set")
	}
	if c.isSet("tekton") {
		o.Tekton = c.list("tekton")
	}
	if c.isSet("seed") {
		seed, err := c.number("seed")
		if err != nil {
			return o, err
		}
		o.Seed = &seed
	}
	if c.isSet("repeats") {
		repeats, err := c.count("repeats")
		if err != nil {
			return o, err
		}
		o.Repeats = &repeats
	}
	_, err := parseSet(o.Set)
	return o, err
}

// expand reads the scenarios at paths and returns their cells. The error has
// every problem of every file, one a line; the files that are right come with it.
func expand(paths []string, o runstore.Options) (*inputs, error) {
	set, err := parseSet(o.Set)
	if err != nil {
		return nil, err
	}
	in := &inputs{}
	if in.files, err = scenario.LoadAll(paths); err != nil {
		return in, err
	}
	in.cells, err = scenario.Expand(in.files, scenario.Options{Versions: o.Tekton, Set: set, Seed: o.Seed, Repeats: o.Repeats})
	if err != nil {
		return nil, err
	}
	in.ids = inputsOf(in.cells).ids
	return in, nil
}

// loaded are the files that are right; in may be nil.
func (in *inputs) loaded() []*scenario.File {
	if in == nil {
		return nil
	}
	return in.files
}

// inputsOf are cells without the files that they are from.
func inputsOf(cells []scenario.Cell) *inputs {
	in := &inputs{cells: cells}
	for _, c := range cells {
		in.ids = append(in.ids, c.ID())
	}
	return in
}

// read lists the files that were read, each once.
func (in *inputs) read() []scenario.Input {
	var out []scenario.Input
	for _, f := range in.files {
		for _, i := range f.Inputs() {
			if !slices.Contains(out, i) {
				out = append(out, i)
			}
		}
	}
	return out
}
