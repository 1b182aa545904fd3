package scenario_test

import (
	"fmt"

	"simctl.dev/simctl/sim/scenario"
)

// A file that is wrong is refused with a line for each thing that is, and its place.
func ExampleLoad() {
	_, err := scenario.Load("testdata/bad/head.yaml")
	for _, p := range scenario.Problems(err) {
		fmt.Println(p)
	}
	// Output:
	// testdata/bad/head.yaml:1:1: apiVersion is "simctl.dev/v1" and must be simctl.dev/v1alpha1
	// testdata/bad/head.yaml:3:12: metadata.name "Bad Name" must be of small letters, digits, - and .
	// testdata/bad/head.yaml:6:10: version "1.15" of Tekton is not a whole release; write it as 1.15.0 or the patch release meant
	// testdata/bad/head.yaml:7:1: repeats is -1 and must be at least 1
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
