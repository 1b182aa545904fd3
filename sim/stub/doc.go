// Package stub makes up the objects that manifests refer to and do not have, so that a
// run of them can be played: a Task with the parameters that are passed to it and the
// results that others use, a Secret with the keys that are read.
//
// All of a stub is derived from the references to it (package demand). A stub is marked
// by an annotation and says who refers to it. It is a pure function of the manifests.
package stub
