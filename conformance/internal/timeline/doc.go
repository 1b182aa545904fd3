// Package timeline makes a case's recording out of what a watch of the API server
// showed: the time line, one line a change with only what is new, and the last
// state of each object. It is a pure function of the changes.
package timeline
