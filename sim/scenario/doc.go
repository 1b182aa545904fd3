// Package scenario has the types of scenario files, loads and checks them, and
// expands their axes into cells.
//
// [Find] lists scenario files, [Load] reads one with the manifests it names and
// checks it in every combination of its values, [LoadAll] does both. [Expand]
// gives the [Cell]s of several files: each is a scenario without axes and the
// objects to create, in their order, and needs no file any more. [Cell.ID] names
// a cell, [Cell.Fingerprint] tells whether it is still the same.
//
// Every error is a join of [Problem]s, one line each, with the place in the file.
// What Tekton or the API server can judge by itself is left to them: only what
// could never reach them is an error here.
//
// The package reads the files it is handed and knows no cluster: manifests are
// JSON to it. docs/scenario.md describes the format, [Schema] gives its JSON
// Schema.
package scenario
