package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"simctl.dev/simctl/reports"
	"simctl.dev/simctl/sim/verdict"
)

// progress tells how far a run is. It is safe for concurrent use.
type progress struct {
	mu          sync.Mutex
	w           io.Writer
	done, total int
	// bar is nil where w is no terminal; then every step is a line.
	bar  *progressbar.ProgressBar
	room int // for the description beside the bar
	stop chan struct{}
	wait sync.WaitGroup
}

// barWidth is the bar without its description: percentage, count, times.
const barWidth = 60

// newProgress begins at done cells of total. On a terminal, whose width is
// given, it keeps a live bar; elsewhere, width being 0, it writes plain lines.
func newProgress(w io.Writer, width int, color bool, done, total int) *progress {
	p := &progress{w: w, done: done, total: total, stop: make(chan struct{})}
	if done > 0 {
		fmt.Fprintf(w, "%d of %s finished before\n", done, cellCount(total))
	}
	if width <= 0 || done == total {
		return p
	}
	// A line that the terminal breaks could not be cleared.
	p.room = max(width-barWidth-1, 0)
	p.bar = progressbar.NewOptions(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionEnableColorCodes(color),
		progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(24),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionClearOnFinish(),
	)
	_ = p.bar.Set(done)
	p.wait.Add(1)
	go p.tick()
	return p
}

// tick redraws the bar, so that its time goes on while nothing else happens:
// this is the user's real time, not the simulation's.
func (p *progress) tick() {
	defer p.wait.Done()
	t := time.NewTicker(500 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-t.C:
			p.mu.Lock()
			_ = p.bar.RenderBlank()
			p.mu.Unlock()
		}
	}
}

// event tells one step.
func (p *progress) event(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case EventBuild:
		line := e.Message
		if e.Release != "" {
			line = "tekton " + e.Release + ": " + line
		}
		p.say(line, false)
	case EventControlPlane:
		p.say(e.Message, false)
	case EventCellStarted:
		if p.bar != nil && e.Cell != nil {
			p.bar.Describe(shorten(cellName(e.Cell.Scenario, e.Cell.Axes, e.Cell.Values), p.room))
		}
	case EventCellDone:
		p.done++
		if p.bar != nil {
			_ = p.bar.Set(p.done)
		}
		if e.Result == nil {
			return
		}
		r := *e.Result
		line := fmt.Sprintf("[%*d/%d] %s: %s", len(fmt.Sprint(p.total)), p.done, p.total,
			cellName(r.Scenario, r.Axes, r.Values), r.Outcome)
		if r.Repeat > 0 {
			line = strings.Replace(line, ": ", fmt.Sprintf(" #%d: ", r.Repeat+1), 1)
		}
		switch {
		case r.Outcome == verdict.Error:
			line += ": " + oneLine(r.Error)
		case reports.Deviates(r):
			line += ", expected " + strings.ReplaceAll(r.Expected, "|", " or ")
		}
		p.say(line, r.Fails())
	}
}

// say writes a line. A live bar shows it beside itself, unless it is to stay.
func (p *progress) say(line string, stays bool) {
	if p.bar == nil {
		fmt.Fprintln(p.w, line)
		return
	}
	if !stays {
		p.bar.Describe(shorten(line, p.room))
		return
	}
	_ = p.bar.Clear()
	fmt.Fprintln(p.w, line)
	_ = p.bar.RenderBlank()
}

// finish takes the bar away.
func (p *progress) finish() {
	if p.bar == nil {
		return
	}
	close(p.stop)
	p.wait.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.bar.Clear()
	_ = p.bar.Exit()
	p.bar = nil
}

// cellName names a cell for people: "incident change=as-reported".
func cellName(scenario string, axes []string, values map[string]string) string {
	parts := []string{scenario}
	for _, a := range axes {
		parts = append(parts, a+"="+values[a])
	}
	return strings.Join(parts, " ")
}

func shorten(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	if n < 2 {
		return ""
	}
	return string(r[:n-1]) + "…"
}
