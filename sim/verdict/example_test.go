package verdict_test

import (
	"fmt"
	"os"

	"simctl.dev/simctl/sim/history"
	"simctl.dev/simctl/sim/verdict"
)

// A verdict is a pure function of a history: what became of the runs, and the chain of
// causes from the symptom to the root.
func ExampleJudge() {
	file, err := os.Open("testdata/deadlock-missing-claim.jsonl")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = file.Close() }()
	entries, err := history.Read(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := verdict.Judge(entries)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(found.Outcome)
	for _, link := range found.Cause {
		fmt.Println("<-", link.Rule+":", link.What)
	}
	// Output:
	// deadlock
	// <- pod/pending: Pod private-ai-demo/run-download-pod of task download is Pending: no node takes it
	// <- pod/claim-missing: Pod private-ai-demo/run-download-pod mounts claim work, which does not exist
	// <- claim/never-made: Claim work was never made
}
