// Package install is what is installed on a plane: a release of Tekton with its running
// controller and its running webhook, and OpenShift's admission. It knows no cell; a cell wants a release, flags,
// and perhaps OpenShift, and does things to them.
//
// [Install.Lay] lays a release on the plane, in the place of another, and starts its
// controller; [Install.Configure] sets its flags as a user or the Tekton operator would.
// In the middle of a run the controller is started, stopped and killed, flags are set,
// and the release is swapped for another.
//
// What is installed stays from cell to cell. [Install.Note] and [Install.Touch] take note
// of what cells do to it; what they have changed is made anew for the next one.
package install
