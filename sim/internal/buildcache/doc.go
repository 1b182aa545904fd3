// Package buildcache keeps what simctl builds with the go command: executables
// and the files beside them, each build in a folder of its own.
//
// [Cache.Get] returns a folder, and fills it first if it is missing or is not
// what was put there. Processes that want one folder at the same time fill it
// once; a folder appears whole or not at all. [Run] runs a build and says how
// far it is. [Lanes] says how many builds a host takes side by side, and
// [Cache.Prune] takes builds away again.
package buildcache
