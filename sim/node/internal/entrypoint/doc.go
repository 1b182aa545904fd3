// Package entrypoint is Tekton's entrypoint, the program that every step of a TaskRun's
// pod is started through, as far as a pod's status and its log show what it does. It is a
// pure function: of what Tekton's controller gave it as arguments, and of what becomes of
// the step's own program, which the caller says.
//
// [Parse] reads the arguments. A step waits for its wait file: the first for the one that
// the ready annotation fills, by way of the downward API, each later one for the post file
// of the step before. Then it has a [Turn]. [Args.Turn] begins it and looks at the when
// expressions, [Args.Limit] holds it to the step's time-out, and [Args.End] says what the
// entrypoint leaves of it: an exit code, a termination message with the results, and a
// post file, with which the next step begins or, if the file ends in .err, is skipped
// ([Args.Skip]).
//
// What it follows is Tekton's own: cmd/entrypoint (main.go, waiter.go, runner.go),
// pkg/entrypoint (Entrypointer.Go), pkg/termination and pkg/result; for the arguments and
// annotations pkg/pod/entrypoint.go. The tests run Tekton's Entrypointer beside it.
// Breakpoints are left out: nobody is there to end one.
package entrypoint
