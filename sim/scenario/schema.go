package scenario

import (
	_ "embed"
	"slices"
)

//go:generate go test -run TestSchema|TestFaultsPage . -update

//go:embed scenario.schema.json
var schema []byte

// Schema returns the JSON Schema (draft 2020-12) of a scenario file, made from
// the types of this package. docs/scenario.schema.json is the same.
func Schema() []byte { return slices.Clone(schema) }
