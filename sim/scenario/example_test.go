package scenario_test

import (
	"fmt"

	"simctl.dev/simctl/sim/scenario"
)

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
