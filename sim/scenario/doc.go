// Package scenario has the types of scenario files, loads and checks them, and
// expands their axes into cells. It reads the files it is handed and knows no
// cluster: manifests are JSON to it.
package scenario
