// Package docs has the documents that simctl prints as its help.
package docs

import _ "embed"

// The documents, as Markdown.
var (
	//go:embed outcomes.md
	Outcomes string
	//go:embed scenario.md
	Scenario string
	//go:embed rules.md
	Rules string
	//go:embed faults.md
	Faults string
	//go:embed import.md
	Import string
)
