package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/verdict"
)

// progress tells how far a run is. It is safe for concurrent use.
type progress struct {
	mu          sync.Mutex
	w           io.Writer
	done, total int
	// live is nil where w is no terminal; then every step is a line.
	live *onScreen
}

// newProgress begins with a run of which some cells have a result: a line for each step.
func newProgress(w io.Writer, done, total int) *progress {
	if done > 0 {
		fmt.Fprintf(w, "%d of %s finished before\n", done, cellCount(total))
	}
	return &progress{w: w, done: done, total: total}
}

// watched says whether somebody watches a terminal that can show a live view.
func (a *App) watched(s settings, terminal bool) bool {
	// Log lines would run into the view, and what is called CI keeps all that is drawn.
	return a.color(s, terminal) && !s.verbose && os.Getenv("CI") == ""
}

// event tells one step.
func (p *progress) event(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Kind == EventCellDone {
		p.done++
	}
	if p.live != nil && p.live.shows() {
		p.live.program.Send(e)
		return
	}
	switch e.Kind {
	case EventBuild:
		line := e.Message
		if e.Release != "" {
			line = "tekton " + e.Release + ": " + line
		}
		fmt.Fprintln(p.w, line)
	case EventControlPlane:
		fmt.Fprintln(p.w, e.Message)
	case EventCellDone:
		if e.Result == nil {
			return
		}
		r := *e.Result
		line := fmt.Sprintf("[%*d/%d] %s: %s", len(fmt.Sprint(p.total)), p.done, p.total, cellTitle(r), r.Outcome)
		switch {
		case r.Outcome == verdict.Error:
			line += ": " + oneLine(r.Error)
		case reports.Deviates(r):
			line += ", expected " + strings.ReplaceAll(r.Expected, "|", " or ")
		}
		fmt.Fprintln(p.w, line)
	}
}

// finish takes a live view away. What is told afterwards is told in lines.
func (p *progress) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live != nil {
		p.live.stop()
		p.live = nil
	}
}
