// Package fileformat is how the files that simctl keeps say what they are: a format's
// name and its version, as the first line of a file of lines or as fields of a JSON
// object. Files that are older than this have neither and count as version 0.
//
// The package that owns a format holds its [Header] and what its versions mean.
package fileformat
