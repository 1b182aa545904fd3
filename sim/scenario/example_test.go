package scenario_test

import (
	"fmt"

	"simctl.dev/simctl/sim/scenario"
)

// A file that is wrong is refused with a line for each thing that is, and its place.
func ExampleLoad() {
	_, err := scenario.Load("testdata/bad/unknown-field.yaml")
	for _, p := range scenario.Problems(err) {
		fmt.Println(p)
	}
	// Output:
	// testdata/bad/unknown-field.yaml:4:1: unknown field "clutser"; did you mean "cluster"?
	// testdata/bad/unknown-field.yaml:7:3: unknown field "versoin" in tekton; did you mean "version"?
	// testdata/bad/unknown-field.yaml:8:3: unknown field "nothingLikeAnything" in tekton; valid: version, flags, via, defaults, overlap
	// testdata/bad/unknown-field.yaml:13:7: unknown field "duraton" in workload.tasks.build; did you mean "duration"?
	// testdata/bad/unknown-field.yaml:16:5: unknown field "valeus" in axes[0]; did you mean "values"?
	// testdata/bad/unknown-field.yaml:19:19: unknown field "securtyContext" in axes[1].values[0]; did you mean "securityContext"?
	// testdata/bad/unknown-field.yaml:24:32: unknown field "cuont" in axes[1].values[1].patch.cluster.nodePools[0]; did you mean "count"?
}

func ExampleExpand() {
	files, err := scenario.LoadAll([]string{"testdata/good/shorthands"})
	if err != nil {
		fmt.Println(err)
		return
	}
	once := 1
	cells, err := scenario.Expand(files, scenario.Options{
		Versions: []string{"1.3.1"},
		Set:      map[string][]string{"serviceAccount": {"builder-sa"}},
		Repeats:  &once,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range cells {
		fmt.Println(c.Values["tekton"], c.Values["disable-affinity-assistant"], len(c.Objects), "objects")
	}
	// Output:
	// 1.3.1 absent 7 objects
	// 1.3.1 true 7 objects
}
